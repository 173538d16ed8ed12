"""Groups of tags of which a contact has one at most: the latest one, or the strongest.

What a person gave, a rule does not put out. Who is put out is written into the winner's evidence as `replaced`. When
the winner runs out, the one it had put out comes back only when it is earned anew."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError, Invalid
from tagging.models import ContactTag, Tag, TagGroup
from tenants import audit
from tenants.actors import Actor

if TYPE_CHECKING:
    from tagging.giving import Grant, Pair

MOMENT = "last_at"
"""key in a tag's evidence: when the latest event happened that it rests on"""
RANGE = 2000
Group = tuple[int, str]
"""(contact id, name of the group)"""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A tag in an exclusive group that a contact has, or is to be given."""

    tag: Tag
    moment: datetime
    is_rule: bool
    grant: "Grant | None" = None
    row: ContactTag | None = None


def set_group(*, name: str, exclusive: str, actor: Actor, at: datetime) -> TagGroup:
    """Say whether tags of the group exclude each other: "", "latest" or "priority". Scoped; audited.

    Contacts who have several of them keep the winner; the others are taken at once (a group of at most some hundred
    thousand holders). Raises Invalid."""
    if exclusive not in TagGroup.Exclusive.values:
        raise Invalid(
            _("有字段不正确。"),
            errors=[
                FieldError(
                    "exclusive", "tagging.unknown_choice", _("没有这种互斥方式。"), _('可选：""、latest、priority。')
                )
            ],
        )
    if not Tag.objects.filter(group=name).exists() or not name:
        raise Invalid(
            _("有字段不正确。"),
            errors=[FieldError("name", "tagging.unknown_reference", _("没有这个分组。"), _("先在这个分组里建标签。"))],
        )
    before = TagGroup.objects.filter(name=name).values_list("exclusive", flat=True).first() or ""
    group, _made = TagGroup.objects.update_or_create(name=name, defaults={"exclusive": exclusive})
    audit.record(
        actor=actor,
        action="tag_group.save",
        object_type="tag_group",
        object_id=group.pk,
        before={"name": name, "exclusive": before},
        after={"name": name, "exclusive": exclusive},
        at=at,
    )
    if exclusive and exclusive != before:
        _settle_group(group, at=at)
    return group


def settled(
    grants: Sequence["Grant"], *, tags: Mapping[int, Tag], is_rule: bool, at: datetime
) -> tuple[list["Grant"], list["Pair"]]:
    """(the grants that stand, the pairs that give way to them). Scoped. One query for all, none without such a group.

    Locks the contacts of exclusive groups, so that two tags of one group cannot be given at once."""
    grants = [grant for grant in grants if grant.tag_id in tags]
    ways = _ways({tags[grant.tag_id].group for grant in grants})
    if not ways:
        return list(grants), []
    standing = [grant for grant in grants if tags[grant.tag_id].group not in ways]
    contested = [grant for grant in grants if tags[grant.tag_id].group in ways]
    claims: dict[Group, list[_Claim]] = defaultdict(list)
    for row in _had({grant.contact_id for grant in contested}, list(ways), at=at):
        claims[row.contact_id, row.tag.group].append(_of_row(row))
    renewed: set[Pair] = set()
    for grant in contested:
        tag = tags[grant.tag_id]
        claims[grant.contact_id, tag.group].append(_Claim(tag, grant.moment or at, is_rule, grant=grant))
        renewed.add((grant.contact_id, grant.tag_id))
    losers: list[Pair] = []
    for (contact_id, name), several in claims.items():
        winner = _winner(several, ways[name])
        put_out = [each.row for each in several if each.row and each.tag.pk != winner.tag.pk]
        kept = winner.grant or next((c.grant for c in several if c.grant and c.tag.pk == winner.tag.pk), None)
        losers += [(contact_id, row.tag_id) for row in put_out]
        if kept is not None:
            standing.append(_with_evidence(kept, put_out))
    return standing, losers


def _ways(groups: set[str]) -> dict[str, str]:
    named = TagGroup.objects.filter(name__in=groups - {""}).exclude(exclusive="")
    return dict(named.values_list("name", "exclusive")) if groups - {""} else {}


def _had(contact_ids: set[int], groups: list[str], *, at: datetime) -> list[ContactTag]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM contacts_contact WHERE brand_id = current_setting('orchard.brand_id')::bigint"
            " AND id = ANY (%s) ORDER BY id FOR NO KEY UPDATE",
            [sorted(contact_ids)],
        )
    live = Q(expires_at=None) | Q(expires_at__gt=at)
    return list(
        ContactTag.objects.filter(live, contact_id__in=contact_ids, tag__group__in=groups).select_related("tag")
    )


def _of_row(row: ContactTag) -> _Claim:
    told = parse_datetime(str(row.evidence.get(MOMENT) or ""))
    return _Claim(row.tag, told or row.given_at, row.source == ContactTag.Source.RULE, row=row)


def _winner(claims: Sequence[_Claim], way: str) -> _Claim:
    """A person's before a rule's; then the strongest or the latest. The same whatever the order of asking."""
    by_hand = [claim for claim in claims if not claim.is_rule]
    among = by_hand or list(claims)
    if way == TagGroup.Exclusive.PRIORITY:
        return min(among, key=lambda claim: (claim.tag.rank, -claim.moment.timestamp(), claim.tag.pk))
    return max(among, key=lambda claim: (claim.moment, -claim.tag.rank, -claim.tag.pk))


def _with_evidence(grant: "Grant", put_out: Sequence[ContactTag]) -> "Grant":
    if not put_out:
        return grant
    told = [
        {"tag_id": row.tag_id, "tag": str(row.tag), "source": row.source, "given_at": row.given_at.isoformat()}
        for row in put_out
    ]
    return replace(grant, evidence={**grant.evidence, "replaced": told})


def _settle_group(group: TagGroup, *, at: datetime) -> None:
    """Take the others from contacts who have several of the group's tags."""
    from tagging import giving

    live = Q(expires_at=None) | Q(expires_at__gt=at)
    rows: list[ContactTag] = list(
        ContactTag.objects.filter(live, tag__group=group.name).select_related("tag").order_by("contact_id", "tag_id")
    )
    several: dict[int, list[_Claim]] = defaultdict(list)
    for row in rows:
        several[row.contact_id].append(_of_row(row))
    losers: list[Any] = []
    for contact_id, claims in several.items():
        if len(claims) > 1:
            winner = _winner(claims, group.exclusive)
            losers += [(contact_id, claim.tag.pk) for claim in claims if claim is not winner]
    for first in range(0, len(losers), RANGE):
        giving.take(pairs=losers[first : first + RANGE], source="exclusion", at=at)
