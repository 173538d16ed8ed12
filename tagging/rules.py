"""Tag rules: near [window] an event, filtered, at least so many times → the tag, with the events as evidence.

A reactor reads the log and works on the contacts of a batch at once. It counts in the log itself, not in the batch, so
a batch that comes again, or events that arrive late or out of order, lead to the same tags."""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from events.reactors import Batch, EventRow, Reactor
from scrm.lib.errors import FieldError, Invalid, found
from tagging import event_filter, event_types, params, tags
from tagging.leaves.behaviour import EVIDENCE
from tagging.models import ContactTag, Tag, TagRule
from tagging.params import Param
from tagging.sql import Sql, all_of
from tenants import audit
from tenants.actors import Actor

MAX_NAME = 60
FIELDS = (
    Param("name", gettext_lazy("名称"), "text", required=True),
    Param("tag_id", gettext_lazy("标签"), "tag", required=True),
    Param("event_type", gettext_lazy("行为"), "event", required=True),
    Param("where", gettext_lazy("筛选"), "where"),
    Param("min_count", gettext_lazy("至少次数"), "int", required=True, minimum=1, maximum=10_000),
    Param("window_days", gettext_lazy("近几天"), "int", required=True, minimum=1, maximum=3650),
    Param("keep_days", gettext_lazy("保留几天"), "int", minimum=1, maximum=3650),
    Param("enabled", gettext_lazy("启用"), "bool"),
)


def save(
    *,
    name: str,
    tag_id: int,
    event_type: str,
    actor: Actor,
    at: datetime,
    where: Mapping[str, Any] | None = None,
    min_count: int = 1,
    window_days: int = 30,
    keep_days: int | None = None,
    enabled: bool = True,
    rule_id: int | None = None,
) -> TagRule:
    """Make a rule, or change one. It acts on events read from now on. Scoped; audited.

    Raises Invalid (fields as named here, `where.category`), NotFound for the tag or the rule."""
    values = {
        "name": name,
        "tag_id": tag_id,
        "event_type": event_type,
        "where": dict(where or {}),
        "min_count": min_count,
        "window_days": window_days,
        "keep_days": keep_days,
        "enabled": enabled,
    }
    _check(values)
    found(Tag.objects.filter(pk=tag_id))
    rule = found(TagRule.objects.filter(pk=rule_id)) if rule_id else TagRule(created_at=at)
    before = _fields(rule) if rule_id else None
    for field, value in values.items():
        setattr(rule, field, value)
    rule.save()
    audit.record(
        actor=actor,
        action="tag_rule.save",
        object_type="tag_rule",
        object_id=rule.pk,
        before=before,
        after=_fields(rule),
        at=at,
    )
    return rule


def sentence(rule: TagRule) -> str:
    """近 30 天 浏览商品（品类 婴童）至少 2 次，打标签 兴趣·婴童，保留 90 天. Scoped, unless rule.tag is loaded."""
    said = _("近 %(days)d 天 %(event)s至少 %(times)d 次，打标签 %(tag)s") % {
        "days": rule.window_days,
        "event": event_types.label_of(rule.event_type) + event_filter.phrase(rule.where, event=rule.event_type),
        "times": rule.min_count,
        "tag": str(rule.tag),
    }
    if rule.keep_days is None:
        return said
    kept = ngettext("保留 %(n)d 天", "保留 %(n)d 天", rule.keep_days) % {"n": rule.keep_days}
    return _("%(said)s，%(kept)s") % {"said": said, "kept": kept}


def handle(batch: Batch) -> None:
    """Give the tags that the batch's events have earned. Scoped."""
    by_type: dict[str, list[EventRow]] = defaultdict(list)
    for row in batch.rows:
        by_type[row.type].append(row)
    rules = TagRule.objects.filter(enabled=True, event_type__in=list(by_type)).select_related("tag").order_by("id")
    for rule in rules:
        touched = {
            row.contact_id
            for row in by_type[rule.event_type]
            if event_filter.matches(rule.where, event=rule.event_type, row=row)
        }
        if touched:
            tags.give_gifts(
                tag=rule.tag,
                gifts=_earned(rule, sorted(touched), batch),
                source=ContactTag.Source.RULE,
                rule_id=rule.pk,
                at=batch.at,
            )


REACTOR = Reactor("tag_rules", None, handle)


def _earned(rule: TagRule, contact_ids: list[int], batch: Batch) -> list[tags.Gift]:
    """Those of the contacts whose events satisfy the rule now, with the latest of them as evidence.

    The tag is kept from the latest event on, so counting again does not prolong it. The window has no upper end: a
    sender's clock may be some minutes ahead, and the event would not be looked at again."""
    where = all_of(
        [
            Sql("e.brand_id = %s AND e.contact_id = ANY (%s::bigint[])", (batch.brand_id, contact_ids)),
            Sql("e.type = %s", (rule.event_type,)),
            Sql("e.occurred_at >= %s", (batch.at - timedelta(days=rule.window_days),)),
            *event_filter.conditions_sql(rule.where, event=rule.event_type),
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.contact_id, count(*), max(e.occurred_at),"  # noqa: S608
            f" to_jsonb((array_agg(e.id ORDER BY e.occurred_at DESC, e.id))[1:{EVIDENCE}])"
            f" FROM events_event e WHERE {where.text} GROUP BY e.contact_id HAVING count(*) >= %s",
            [*where.params, rule.min_count],
        )
        rows = cursor.fetchall()
    gifts = []
    for contact_id, count, last, event_ids in rows:
        until = None if rule.keep_days is None else last + timedelta(days=rule.keep_days)
        if until is None or until > batch.at:
            gifts.append(tags.Gift(contact_id, until, {"count": count, "event_ids": json.loads(event_ids)}))
    return gifts


def _check(values: Mapping[str, Any]) -> None:
    errors = [*params.check(FIELDS, values, "rule")]
    event = values["event_type"]
    if not isinstance(event, str) or not event_types.is_known(event):
        errors.append(
            FieldError(
                "rule.event_type",
                "tagging.unknown_event",
                _("行为目录里没有 %(event)s。") % {"event": params.shown(event)},
                _("可用的行为：%(types)s；品牌自定义的以 x_ 开头。") % {"types": _("、").join(event_types.names())},
            )
        )
    else:
        errors += event_filter.check(values["where"], event=event, path="rule.where")
    if isinstance(values["name"], str) and len(values["name"]) > MAX_NAME:
        errors.append(FieldError("rule.name", "tagging.bad_name", _("名称最长 60 个字符。"), _("改短一些。")))
    if errors:
        plain = [FieldError(e.field.removeprefix("rule."), e.code, e.message, e.remedy) for e in errors]
        raise Invalid(_("标签规则有 %(n)d 处不正确。") % {"n": len(plain)}, errors=plain, code="tagging.invalid_rule")


def _fields(rule: TagRule) -> dict[str, Any]:
    return {param.name: getattr(rule, param.name) for param in FIELDS}
