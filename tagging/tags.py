"""Tags: making them, giving and taking them. A change of who has a tag is an event; a repeat is not.

A tag is had from `given_at` until `expires_at`. Giving it again to somebody who has it gives nothing new: it may
prolong it, never shorten it. What a person gave outranks what a rule gave: the row then keeps the person's name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from scrm.lib.errors import Conflict, FieldError, Invalid, found
from tagging import giving
from tagging.grants import Grant
from tagging.language.params import is_clean_text, is_whole
from tagging.models import ContactTag, Tag
from tenants import audit
from tenants.actors import SYSTEM, Actor
from tenants.scope import current_brand_id

MAX_NAME = 30
MAX_RANK = 1000


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


def set_rank(*, tag_id: int, rank: int, actor: Actor, at: datetime) -> Tag:
    """Say how strong a tag is in its group: 1 is the strongest. Scoped; audited. Raises NotFound, Invalid."""
    tag = found(Tag.objects.filter(pk=tag_id))
    if not is_whole(rank) or not 1 <= rank <= MAX_RANK:
        raise Invalid(
            _("有字段不正确。"),
            errors=[FieldError("rank", "tagging.out_of_range", _("优先级要是 1 到 1000。"), _("1 最高。"))],
        )
    before, tag.rank = tag.rank, rank
    tag.save(update_fields=["rank"])
    audit.record(
        actor=actor,
        action="tag.rank",
        object_type="tag",
        object_id=tag.pk,
        before={"rank": before},
        after={"rank": rank},
        at=at,
    )
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
    who = {"actor": actor.id} | ({"actor_label": actor.label} if actor is not SYSTEM and actor.label else {})
    gifts = [Gift(contact_id, expires_at, who) for contact_id in contact_ids]
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
    pairs = giving.take(pairs=[(contact_id, tag.pk) for contact_id in contact_ids], source=source, at=at)
    taken = frozenset(contact for contact, _tag in pairs)
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
    grants = [Grant(gift.contact_id, tag.pk, gift.expires_at, gift.evidence, rule_id) for gift in gifts]
    return frozenset(contact for contact, _tag in giving.give(grants=grants, source=source, at=at))
