"""Many tags to many contacts in one pass, and what a tag puts out of an exclusive group.

Each statement works on the whole set of (contact, tag) pairs, in one order of contact and tag, so that two who write
about the same people wait for each other and do not deadlock."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from contacts import gone
from events import log
from tagging import exclusion, expiry
from tagging.models import ContactTag, Tag
from tenants.scope import current_brand_id

Pair = tuple[int, int]
"""(contact id, tag id)"""


@dataclass(frozen=True, slots=True)
class Grant:
    """One tag for one contact: until when (None: for good), on what evidence, by which rule."""

    contact_id: int
    tag_id: int
    expires_at: datetime | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    rule_id: int | None = None
    moment: datetime | None = None
    """when what it rests on happened; in a group where the latest wins, this is compared. None: now"""
    is_exact: bool = False
    """the rule knows to the moment how long its tag lasts: `expires_at` holds also when it is sooner than before"""


def give(*, grants: Sequence[Grant], source: str, at: datetime) -> frozenset[Pair]:
    """Give them all (some thousands at most). Scoped. Returns the pairs that are new, and tells the log of these.

    A repeat gives nothing: it may prolong. In an exclusive group the loser is not given, or is taken."""
    by_pair = {(grant.contact_id, grant.tag_id): grant for grant in grants}
    if not by_pair:
        return frozenset()
    brand_id = current_brand_id()
    tags = Tag.objects.in_bulk({tag_id for _contact, tag_id in by_pair})
    is_rule = source == ContactTag.Source.RULE
    winners, losers = exclusion.settled(list(by_pair.values()), tags=tags, is_rule=is_rule, at=at)
    by_pair = {(grant.contact_id, grant.tag_id): grant for grant in winners}
    _hold(brand_id, by_pair)
    expiry.clear_pairs(brand_id=brand_id, pairs=sorted(by_pair), at=at)
    if losers:
        take(pairs=losers, source="exclusion", at=at)
    rows = _rows(list(by_pair.values()))
    said: dict[str, Any] = {"brand": brand_id, "source": source, "is_rule": is_rule, "at": at, **rows}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, said)
        given = frozenset((contact, tag) for contact, tag in cursor.fetchall())
        repeated = [grant for pair, grant in by_pair.items() if pair not in given]
        if repeated:
            cursor.execute(_PROLONG, said | _rows(repeated))
    tell("tag_given", pairs=given, source=source, at=at)
    return given


def take(*, pairs: Collection[Pair], source: str, at: datetime) -> frozenset[Pair]:
    """Take tags from contacts; returns and tells of those who had them until now. Scoped."""
    if not pairs:
        return frozenset()
    brand_id = current_brand_id()
    ordered = sorted(pairs)
    _hold(brand_id, ordered)
    expiry.clear_pairs(brand_id=brand_id, pairs=ordered, at=at)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_contacttag t USING unnest(%s::bigint[], %s::bigint[]) AS p (contact_id, tag_id)"
            " WHERE t.brand_id = %s AND t.contact_id = p.contact_id AND t.tag_id = p.tag_id"
            " RETURNING t.contact_id, t.tag_id",
            [*_columns(ordered), brand_id],
        )
        taken = frozenset((contact, tag) for contact, tag in cursor.fetchall())
    tell("tag_taken", pairs=taken, source=source, at=at)
    return taken


def tell(type_: str, *, pairs: Collection[Pair], source: str, at: datetime) -> None:
    """One event per pair. Their ids are made, so that a repeated act is the same events. Scoped."""
    if not pairs:
        return
    brand_id = current_brand_id()
    log.write_select(
        select="""
            SELECT made_id(concat_ws(':', g.brand_id::text, %s::text, g.id::text, p.contact_id::text, %s::text)) AS id,
                   %s::timestamptz AS occurred_at, %s::text AS type, p.contact_id,
                   jsonb_build_object('tag_id', g.id, 'source', %s::text,
                       'tag', CASE WHEN g."group" = '' THEN g.name ELSE g."group" || '·' || g.name END) AS props
            FROM unnest(%s::bigint[], %s::bigint[]) AS p (contact_id, tag_id)
            JOIN tagging_tag g ON g.brand_id = %s AND g.id = p.tag_id""",
        params=[type_, at.isoformat(), at, type_, source, *_columns(sorted(pairs)), brand_id],
        at=at,
    )


_GRANTS = (
    "unnest(%(contacts)s::bigint[], %(tags)s::bigint[], %(expiries)s::timestamptz[], %(evidence)s::text[],"
    " %(rules)s::bigint[], %(exact)s::boolean[]) AS g (contact_id, tag_id, expires_at, evidence, rule_id, is_exact)"
)
_INSERT = f"""
    INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, rule_id, evidence, given_at, expires_at)
    SELECT c.brand_id, c.id, g.tag_id, %(source)s, g.rule_id, g.evidence::jsonb, %(at)s, g.expires_at
    FROM {_GRANTS}
    JOIN contacts_contact c ON c.brand_id = %(brand)s AND c.id = g.contact_id
    ORDER BY c.id, g.tag_id
    ON CONFLICT (brand_id, contact_id, tag_id) DO NOTHING
    RETURNING contact_id, tag_id
"""  # noqa: S608
_OTHERS = (
    "(t.rule_id IS DISTINCT FROM g.rule_id"
    " AND coalesce(t.expires_at, 'infinity') > coalesce(g.expires_at, 'infinity'::timestamptz))"
)
# A person's word stays theirs. Of two rules that give the same tag, the row is the one's that keeps it longer.
_PROLONG = f"""
    UPDATE tagging_contacttag AS t SET
        expires_at = CASE WHEN g.is_exact AND t.source = 'rule' AND t.rule_id = g.rule_id THEN g.expires_at
                          WHEN t.expires_at IS NULL OR g.expires_at IS NULL THEN NULL
                          ELSE greatest(t.expires_at, g.expires_at) END,
        evidence = CASE WHEN %(is_rule)s AND (t.source <> 'rule' OR {_OTHERS}) THEN t.evidence
                        WHEN t.evidence ? 'replaced'
                        THEN jsonb_build_object('replaced', t.evidence -> 'replaced') || g.evidence::jsonb
                        ELSE g.evidence::jsonb END,
        rule_id = CASE WHEN %(is_rule)s AND (t.source <> 'rule' OR {_OTHERS}) THEN t.rule_id ELSE g.rule_id END,
        source = CASE WHEN %(is_rule)s THEN t.source ELSE %(source)s END
    FROM {_GRANTS}
    WHERE t.brand_id = %(brand)s AND t.tag_id = g.tag_id AND t.contact_id = g.contact_id
"""  # noqa: S608


def _hold(brand_id: int, pairs: Collection[Pair]) -> None:
    """Lock what these contacts have of these tags; nobody merges them meanwhile."""
    gone.keep({contact for contact, _tag in pairs})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tagging_contacttag t"
            " JOIN unnest(%s::bigint[], %s::bigint[]) AS p (contact_id, tag_id)"
            " ON t.contact_id = p.contact_id AND t.tag_id = p.tag_id"
            " WHERE t.brand_id = %s ORDER BY t.contact_id, t.tag_id FOR UPDATE OF t",
            [*_columns(sorted(pairs)), brand_id],
        )


def _columns(pairs: Sequence[Pair]) -> list[list[int]]:
    return [[contact for contact, _tag in pairs], [tag for _contact, tag in pairs]]


def _rows(grants: Sequence[Grant]) -> dict[str, list[Any]]:
    return {
        "contacts": [grant.contact_id for grant in grants],
        "tags": [grant.tag_id for grant in grants],
        "expiries": [grant.expires_at for grant in grants],
        "evidence": [json.dumps(grant.evidence, ensure_ascii=False) for grant in grants],
        "rules": [grant.rule_id for grant in grants],
        "exact": [grant.is_exact for grant in grants],
    }
