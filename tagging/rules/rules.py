"""Tag rules: what a contact did in a window, measured, against a threshold → the tag, with the events as evidence.

Five measures: how often (count), how much (sum of a property), whether lately (recency), in which order (sequence),
and how much interest (tagging.interests keeps those scores). A rule may forget (half-life), keep its tag for some days
(keep_days), and let go (low): it gives from `high` on and takes below `low`, and between the two whoever has the tag
keeps it. The moment at which the value falls below `low` by time alone is known beforehand and is the tag's expiry.

Here they are made, changed and put away; `tagging.rules.reacting` has them work, `tagging.rules.rerun` takes them over
history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scrm.lib.errors import Conflict, found
from tagging.language import compiler, event_filter, event_types, params
from tagging.language.conditions import Names
from tagging.models import Tag, TagRule, TagRun
from tagging.rules import checks, measures
from tagging.rules.measures import thresholds
from tenants import audit
from tenants.actors import Actor

Measure = TagRule.Measure


def save(
    *,
    name: str,
    tag_id: int,
    event_type: str = "",
    actor: Actor,
    at: datetime,
    measure: str = "count",
    where: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    prop: str = "",
    steps: Sequence[Mapping[str, Any]] | None = None,
    within_hours: int | None = None,
    min_count: int = 1,
    high: float | None = None,
    low: float | None = None,
    half_life_days: int | None = None,
    window_days: int = 30,
    keep_days: int | None = None,
    enabled: bool = True,
    rule_id: int | None = None,
) -> TagRule:
    """Make a rule, or change one. It acts on events read from now on; `tagging.rules.rerun` goes over history. Scoped.

    `high` (else min_count) gives, `low` takes; an interest rule has where={"category": …} or {"product_id": …}.
    Audited. Raises Invalid (fields as named here, `where.category`), NotFound for the tag or the rule, Conflict
    `tagging.rule_archived`."""
    values = {
        "name": name,
        "tag_id": tag_id,
        "measure": str(measure),
        "event_type": event_type,
        "where": where or {},
        "prop": prop,
        "steps": [] if steps is None else steps,
        "within_hours": within_hours,
        "min_count": min_count,
        "high": high,
        "low": low,
        "half_life_days": half_life_days,
        "window_days": window_days,
        "keep_days": keep_days,
        "enabled": enabled,
    }
    checks.check(values)
    found(Tag.objects.filter(pk=tag_id))
    rule = in_use(rule_id) if rule_id else TagRule(created_at=at)
    before = fields_of(rule) if rule_id else None
    for field, value in values.items():
        setattr(rule, field, value)
    rule.save()
    audit.record(
        actor=actor,
        action="tag_rule.save",
        object_type="tag_rule",
        object_id=rule.pk,
        before=before,
        after=fields_of(rule),
        at=at,
    )
    return rule


def switch(*, rule_id: int, enabled: bool, actor: Actor, at: datetime) -> TagRule:
    """Turn a rule on or off; tags that it gave stay. Scoped; audited. Raises NotFound, Conflict for an archived one."""
    rule = in_use(rule_id)
    return save(rule_id=rule.pk, actor=actor, at=at, **{**fields_of(rule), "enabled": enabled})


def archive(*, rule_id: int, actor: Actor, at: datetime) -> TagRule:
    """Put a rule away: it acts no more, and a run of it ends. Tags that it gave stay as long as it said.

    Scoped; audited. A repeat changes nothing. Raises NotFound."""
    rule = found(TagRule.objects.filter(pk=rule_id).select_for_update(of=("self",)))
    if rule.archived_at is not None:
        return rule
    before = fields_of(rule)
    rule.enabled, rule.archived_at = False, at
    rule.save(update_fields=["enabled", "archived_at"])
    TagRun.objects.filter(rule=rule, finished_at=None).update(finished_at=at)
    audit.record(
        actor=actor, action="tag_rule.archive", object_type="tag_rule", object_id=rule.pk, before=before, at=at
    )
    return rule


def in_use(rule_id: int) -> TagRule:
    """The rule, if it is not put away. Scoped. Raises NotFound, Conflict `tagging.rule_archived`."""
    rule = found(TagRule.objects.filter(pk=rule_id))
    if rule.archived_at is not None:
        raise Conflict(_("这条规则已归档。"), remedy=_("照它新建一条规则。"), code="tagging.rule_archived")
    return rule


def sentence(rule: TagRule) -> str:
    """近 30 天 浏览商品（品类 婴童）至少 2 次，打标签 兴趣·婴童，保留 90 天. Scoped, unless rule.tag is loaded."""
    said = _("%(what)s，打标签 %(tag)s") % {"what": _what(rule), "tag": str(rule.tag)}
    if rule.half_life_days is not None:
        long = ngettext("每 %(n)d 天减半", "每 %(n)d 天减半", rule.half_life_days) % {"n": rule.half_life_days}
        said = _("%(said)s，%(kept)s") % {"said": said, "kept": long}
    if rule.low is not None:
        below = _("低于 %(low)s 移除") % {"low": f"{rule.low:g}"}
        said = _("%(said)s，%(kept)s") % {"said": said, "kept": below}
    if rule.keep_days is None:
        return said
    kept = ngettext("保留 %(n)d 天", "保留 %(n)d 天", rule.keep_days) % {"n": rule.keep_days}
    return _("%(said)s，%(kept)s") % {"said": said, "kept": kept}


def _what(rule: TagRule) -> str:
    high, _low = thresholds(rule)
    if rule.measure == Measure.SEQUENCE:
        leaf = measures.sequence_leaf(rule)
        return compiler.kind_of(leaf).sentence(leaf, Names())
    if rule.measure == Measure.INTEREST:
        subject = "、".join(str(item) for value in rule.where.values() for item in params.values(value))
        return _("对 %(subject)s 的兴趣分达到 %(high)s") % {"subject": subject, "high": f"{high:g}"}
    told = {
        "days": rule.window_days,
        "event": event_types.label_of(rule.event_type) + event_filter.phrase(rule.where, event=rule.event_type),
    }
    if rule.measure == Measure.RECENCY:
        return _("近 %(days)d 天有 %(event)s") % told
    if rule.measure == Measure.SUM:
        told |= {"prop": event_types.prop_label(rule.prop), "high": f"{high:g}"}
        return _("近 %(days)d 天 %(event)s的%(prop)s合计达到 %(high)s") % told
    return _("近 %(days)d 天 %(event)s至少 %(times)s 次") % {**told, "times": f"{high:g}"}


def fields_of(rule: TagRule) -> dict[str, Any]:
    """What a rule says: the arguments of `save`."""
    return {param.name: getattr(rule, param.name) for param in checks.FIELDS}
