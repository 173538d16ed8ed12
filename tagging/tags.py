"""Tags: making them, giving and taking them. A change of who has a tag is an event; a repeat is not.

A tag is had from `given_at` until `expires_at`. Giving it again to somebody who has it gives nothing new: it may
prolong it, never shorten it. What a person gave outranks what a rule gave: the row then keeps the person's name."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from events import log
from scrm.lib.errors import Conflict, FieldError, Invalid, found
from tagging import expiry
from tagging.models import ContactTag, Tag
from tagging.params import is_clean_text
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

MAX_NAME = 30


@dataclass(frozen=True, slots=True)
class Gift:
    """A tag for one contact: until when (None: for good), and on what evidence."""

    contact_id: int
    expires_at: datetime | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def create(*, name: str, group: str = "", actor: Actor, at: datetime) -> Tag:
    """Make a tag. Scoped; audited. Raises Invalid, or Conflict `tagging.tag_exists`."""
    errors = [
        FieldError(which, "tagging.bad_name", _("标签的名称和分组最长 30 个字符，名称不能为空。"), _("改短一些。"))
        for which, value in (("name", name), ("group", group or "-"))
        if not is_clean_text(value) or len(value) > MAX_NAME or not value.strip()
    ]
    if errors:
        raise Invalid(_("有字段不正确。"), errors=errors)
    with connection.cursor() as cursor:
        # Two people may make the same tag at once: the constraint decides who was first.
        cursor.execute(
            'INSERT INTO tagging_tag (brand_id, "group", name, created_at) VALUES (%s, %s, %s, %s)'
            " ON CONFLICT DO NOTHING RETURNING id",
            [current_brand_id(), group.strip(), name.strip(), at],
        )
        row = cursor.fetchone()
    if row is None:
        raise Conflict(
            _("这个分组里已有同名标签“%(name)s”。") % {"name": name.strip()},
            remedy=_("用已有的标签，或换一个名称或分组。"),
            code="tagging.tag_exists",
        )
    tag = Tag.objects.get(pk=row[0])
    audit.record(actor=actor, action="tag.create", object_type="tag", object_id=tag.pk, after={"tag": str(tag)}, at=at)
    return tag


def give(
    *,
    tag_id: int,
    contact_ids: Collection[int],
    actor: Actor,
    at: datetime,
    source: str = ContactTag.Source.MANUAL,
    expires_at: datetime | None = None,
) -> frozenset[int]:
    """Give a tag to contacts, on an operator's or a caller's word. Scoped; audited as one act; writes `tag_given`.

    Returns the contacts who have it only now; who had it keeps it, at least as long as `expires_at` says. Numbers that
    are not the brand's contacts are passed over. Raises NotFound for the tag, Invalid for an expiry in the past."""
    tag = found(Tag.objects.filter(pk=tag_id))
    if expires_at is not None and expires_at <= at:
        raise Invalid(
            _("有字段不正确。"),
            errors=[
                FieldError("expires_at", "tagging.past_expiry", _("到期时间已经过去。"), _("填将来的时间，或不填。"))
            ],
        )
    gifts = [Gift(contact_id, expires_at, {"actor": actor.id}) for contact_id in contact_ids]
    given = give_gifts(tag=tag, gifts=gifts, source=source, at=at)
    audit.record(
        actor=actor,
        action="tag.give",
        object_type="tag",
        object_id=tag.pk,
        after={"tag": str(tag), "asked": len(gifts), "given": sorted(given)},
        at=at,
    )
    return given


def take(
    *,
    tag_id: int,
    contact_ids: Collection[int],
    actor: Actor,
    at: datetime,
    source: str = ContactTag.Source.MANUAL,
) -> frozenset[int]:
    """Take a tag from contacts. Scoped; audited as one act; writes `tag_taken`. Returns those who had it until now.

    A rule gives it again when its events come again: to stop that, disable the rule. Raises NotFound for the tag."""
    tag = found(Tag.objects.filter(pk=tag_id))
    brand_id = current_brand_id()
    _hold(brand_id=brand_id, tag_id=tag.pk, contact_ids=contact_ids)
    expiry.clear(brand_id=brand_id, tag_id=tag.pk, contact_ids=contact_ids, at=at)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_contacttag WHERE brand_id = %s AND tag_id = %s AND contact_id = ANY (%s::bigint[])"
            " RETURNING contact_id",
            [brand_id, tag.pk, list(contact_ids)],
        )
        taken = frozenset(row[0] for row in cursor.fetchall())
    _tell("tag_taken", brand_id=brand_id, tag=tag, contact_ids=taken, source=source, at=at)
    audit.record(
        actor=actor,
        action="tag.take",
        object_type="tag",
        object_id=tag.pk,
        before={"tag": str(tag), "taken": sorted(taken)},
        after={"asked": len(contact_ids)},
        at=at,
    )
    return taken


def live_tags(contact_id: int, *, at: datetime) -> list[ContactTag]:
    """The tags that a contact has at `at`, latest first, with their Tag and rule. Scoped."""
    rows = ContactTag.objects.filter(contact_id=contact_id).exclude(expires_at__lte=at)
    return list(rows.select_related("tag", "rule").order_by("-given_at", "tag_id"))


def give_gifts(
    *, tag: Tag, gifts: Sequence[Gift], source: str, at: datetime, rule_id: int | None = None
) -> frozenset[int]:
    """Give set-at-a-time, each contact with its own expiry and evidence (at most some thousands). Scoped.

    Writes `tag_given` for those who have it only now, and returns them. A repeat gives nothing."""
    if not gifts:
        return frozenset()
    brand_id = current_brand_id()
    rows = _rows(gifts)
    _hold(brand_id=brand_id, tag_id=tag.pk, contact_ids=rows["contacts"])
    expiry.clear(brand_id=brand_id, tag_id=tag.pk, contact_ids=rows["contacts"], at=at)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, {"brand": brand_id, "tag": tag.pk, "source": source, "rule": rule_id, "at": at, **rows})
        given = frozenset(row[0] for row in cursor.fetchall())
        if len(given) < len(gifts):
            is_rule = source == ContactTag.Source.RULE
            cursor.execute(
                _PROLONG,
                {
                    "brand": brand_id,
                    "tag": tag.pk,
                    "source": source,
                    "rule": rule_id,
                    "is_rule": is_rule,
                    "new": list(given),
                    **rows,
                },
            )
    _tell("tag_given", brand_id=brand_id, tag=tag, contact_ids=given, source=source, at=at)
    return given


_GIFTS = (
    "unnest(%(contacts)s::bigint[], %(expiries)s::timestamptz[], %(evidence)s::text[])"
    " AS g (contact_id, expires_at, evidence)"
)

# In order of contact, so that two who give to the same contacts wait for each other and do not deadlock.
_INSERT = f"""
    INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, rule_id, evidence, given_at, expires_at)
    SELECT c.brand_id, c.id, %(tag)s, %(source)s, %(rule)s, g.evidence::jsonb, %(at)s, g.expires_at
    FROM {_GIFTS}
    JOIN contacts_contact c ON c.brand_id = %(brand)s AND c.id = g.contact_id
    ORDER BY c.id
    ON CONFLICT (brand_id, contact_id, tag_id) DO NOTHING
    RETURNING contact_id
"""  # noqa: S608

_PROLONG = f"""
    UPDATE tagging_contacttag AS t SET
        expires_at = CASE WHEN t.expires_at IS NULL OR g.expires_at IS NULL THEN NULL
                          ELSE greatest(t.expires_at, g.expires_at) END,
        evidence = CASE WHEN %(is_rule)s AND t.source <> 'rule' THEN t.evidence ELSE g.evidence::jsonb END,
        rule_id = CASE WHEN %(is_rule)s AND t.source <> 'rule' THEN t.rule_id ELSE %(rule)s::bigint END,
        source = CASE WHEN %(is_rule)s THEN t.source ELSE %(source)s END
    FROM {_GIFTS}
    WHERE t.brand_id = %(brand)s AND t.tag_id = %(tag)s AND t.contact_id = g.contact_id
      AND NOT t.contact_id = ANY (%(new)s::bigint[])
"""  # noqa: S608


def _hold(*, brand_id: int, tag_id: int, contact_ids: Collection[int]) -> None:
    """Lock what these contacts have of the tag, in one order, so that two acts on the same people cannot deadlock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tagging_contacttag WHERE brand_id = %s AND tag_id = %s AND contact_id = ANY (%s::bigint[])"
            " ORDER BY contact_id FOR UPDATE",
            [brand_id, tag_id, list(contact_ids)],
        )


def _rows(gifts: Sequence[Gift]) -> dict[str, list[Any]]:
    # The last gift for a contact counts: an upsert may not meet a row twice.
    by_contact = {gift.contact_id: gift for gift in gifts}
    return {
        "contacts": list(by_contact),
        "expiries": [gift.expires_at for gift in by_contact.values()],
        "evidence": [json.dumps(gift.evidence, ensure_ascii=False) for gift in by_contact.values()],
    }


def _tell(type_: str, *, brand_id: int, tag: Tag, contact_ids: Collection[int], source: str, at: datetime) -> None:
    """One event per contact. Their ids are made, so that a repeated act is the same events."""
    if not contact_ids:
        return
    log.write_select(
        select="SELECT made_id(concat_ws(':', %s::text, %s::text, %s::text, who::text, %s::text)) AS id,"
        " %s::timestamptz AS occurred_at, %s::text AS type, who AS contact_id,"
        " jsonb_build_object('tag_id', %s::bigint, 'tag', %s::text, 'source', %s::text) AS props"
        " FROM unnest(%s::bigint[]) AS who",
        params=[brand_id, type_, tag.pk, at.isoformat(), at, type_, tag.pk, str(tag), source, sorted(contact_ids)],
        at=at,
    )
