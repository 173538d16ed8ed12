"""Groups of tags of which a contact has one at most: the latest one, or the strongest.

What a person gave, a rule does not put out. Who is put out is written into the winner's evidence as `replaced`. When
the winner runs out, the one it had put out comes back only when it is earned anew."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import connection
from django.db.models import Q
from django.utils.dateparse import parse_datetime

from tagging.grants import Grant, Pair
from tagging.models import ContactTag, Tag, TagGroup

MOMENT = "last_at"
"""key in a tag's evidence: when the latest event happened that it rests on"""
Group = tuple[int, str]
"""(contact id, name of the group)"""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A tag in an exclusive group that a contact has, or is to be given."""

    tag: Tag
    moment: datetime
    is_rule: bool
    grant: Grant | None = None
    row: ContactTag | None = None


def ways(tags: Iterable[Tag]) -> dict[str, str]:
    """Of these tags' groups those that are exclusive, and how. Scoped."""
    names = {tag.group for tag in tags} - {""}
    if not names:
        return {}
    return dict(TagGroup.objects.filter(name__in=names).exclude(exclusive="").values_list("name", "exclusive"))


def settled(
    grants: Sequence[Grant], *, tags: Mapping[int, Tag], ways: Mapping[str, str], is_rule: bool, at: datetime
) -> tuple[list[Grant], list[Pair]]:
    """(the grants that stand, the pairs that give way to them). Scoped. One query for all, none without `ways`.

    Whoever does not `hold` the contacts gets a forecast."""
    if not ways:
        return list(grants), []
    standing = [grant for grant in grants if tags[grant.tag_id].group not in ways]
    contested = [grant for grant in grants if tags[grant.tag_id].group in ways]
    claims: dict[Group, list[_Claim]] = defaultdict(list)
    for row in _had({grant.contact_id for grant in contested}, list(ways), at=at):
        claims[row.contact_id, row.tag.group].append(_of_row(row))
    for grant in contested:
        tag = tags[grant.tag_id]
        claims[grant.contact_id, tag.group].append(_Claim(tag, grant.moment or at, is_rule, grant=grant))
    losers: list[Pair] = []
    for (contact_id, name), several in claims.items():
        winner = _winner(several, ways[name])
        put_out = [each.row for each in several if each.row and each.tag.pk != winner.tag.pk]
        kept = winner.grant or next((c.grant for c in several if c.grant and c.tag.pk == winner.tag.pk), None)
        losers += [(contact_id, row.tag_id) for row in put_out]
        if kept is not None:
            standing.append(_with_evidence(kept, put_out))
    return standing, losers


def hold(contact_ids: Collection[int]) -> None:
    """Nobody else gives these contacts tags of exclusive groups, or merges them, until the transaction ends. Scoped.

    In the place of `gone.keep`, not after it: a merge that waits behind that would stand in between."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM contacts_contact WHERE brand_id = current_setting('orchard.brand_id')::bigint"
            " AND id = ANY (%s) ORDER BY id FOR NO KEY UPDATE",
            [sorted(contact_ids)],
        )


def surplus(rows: Sequence[ContactTag], way: str) -> list[Pair]:
    """Of live rows of one group, with their tags: what has to go, so that each contact keeps the winner."""
    claims: dict[int, list[_Claim]] = defaultdict(list)
    for row in rows:
        claims[row.contact_id].append(_of_row(row))
    losers: list[Pair] = []
    for contact_id, several in claims.items():
        winner = _winner(several, way)
        losers += [(contact_id, claim.tag.pk) for claim in several if claim is not winner]
    return losers


def _had(contact_ids: set[int], groups: list[str], *, at: datetime) -> list[ContactTag]:
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


def _with_evidence(grant: Grant, put_out: Sequence[ContactTag]) -> Grant:
    if not put_out:
        return grant
    told = [
        {"tag_id": row.tag_id, "tag": str(row.tag), "source": row.source, "given_at": row.given_at.isoformat()}
        for row in put_out
    ]
    return replace(grant, evidence={**grant.evidence, "replaced": told})
