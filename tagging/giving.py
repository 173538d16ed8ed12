"""Many tags to many contacts in one pass, and what a tag puts out of an exclusive group.

Order of locks: first all contacts that are written about, in order of id, so that nobody merges them meanwhile; then
all rows of tags, in order of contact and tag. So two who write about the same people wait for each other and do not
deadlock. A transaction gives and takes once (`change`): a second time would begin with smaller numbers again."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from contacts import gone
from events import log
from tagging import exclusion, expiry
from tagging.grants import Grant, Pair
from tagging.models import ContactTag, Tag
from tenants.scope import current_brand_id


def give(*, grants: Sequence[Grant], source: str, at: datetime) -> frozenset[Pair]:
    """Give them all (some thousands at most). Scoped. Returns the pairs that are new, and tells the log of these.

    A repeat gives nothing: it may prolong. In an exclusive group the loser is not given, or is taken."""
    return change(grants=grants, losers=(), source=source, at=at)[0]


def take(*, pairs: Collection[Pair], source: str, at: datetime) -> frozenset[Pair]:
    """Take tags from contacts; returns and tells of those who had them until now. Scoped."""
    return change(grants=(), losers=pairs, source=source, at=at)[1]


def change(
    *, grants: Sequence[Grant], losers: Collection[Pair], source: str, at: datetime
) -> tuple[frozenset[Pair], frozenset[Pair]]:
    """Give the grants, then take the losers. Scoped. (pairs that are new, pairs that are gone): see `give`, `take`."""
    if not grants and not losers:
        return frozenset(), frozenset()
    brand_id = current_brand_id()
    tags = Tag.objects.in_bulk({grant.tag_id for grant in grants})
    ways = exclusion.ways(tags.values())
    hold = exclusion.hold if ways else gone.keep
    hold({*(grant.contact_id for grant in grants), *(contact for contact, _tag in losers)})
    latest = {grant.pair: grant for grant in grants if grant.tag_id in tags}
    is_rule = source == ContactTag.Source.RULE
    winners, put_out = exclusion.settled(list(latest.values()), tags=tags, ways=ways, is_rule=is_rule, at=at)
    by_pair = {grant.pair: grant for grant in winners}
    concerned = sorted({*by_pair, *put_out, *losers})
    _hold(brand_id, concerned)
    expiry.clear_pairs(brand_id=brand_id, pairs=concerned, at=at)
    _take(put_out, source="exclusion", at=at)
    given = _give(by_pair, source=source, at=at)
    return given, _take(losers, source=source, at=at)


def _give(by_pair: dict[Pair, Grant], *, source: str, at: datetime) -> frozenset[Pair]:
    if not by_pair:
        return frozenset()
    said: dict[str, Any] = {
        "brand": current_brand_id(),
        "source": source,
        "is_rule": source == ContactTag.Source.RULE,
        "at": at,
        **_rows(list(by_pair.values())),
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, said)
        given = frozenset((contact, tag) for contact, tag in cursor.fetchall())
        repeated = [grant for pair, grant in by_pair.items() if pair not in given]
        if repeated:
            cursor.execute(_PROLONG, said | _rows(repeated))
    tell("tag_given", pairs=given, source=source, at=at)
    return given


def _take(pairs: Collection[Pair], *, source: str, at: datetime) -> frozenset[Pair]:
    if not pairs:
        return frozenset()
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_contacttag t USING unnest(%s::bigint[], %s::bigint[]) AS p (contact_id, tag_id)"
            " WHERE t.brand_id = %s AND t.contact_id = p.contact_id AND t.tag_id = p.tag_id"
            " RETURNING t.contact_id, t.tag_id",
            [*_columns(sorted(pairs)), current_brand_id()],
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


def _hold(brand_id: int, pairs: Sequence[Pair]) -> None:
    """Lock what these contacts have of these tags."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tagging_contacttag t"
            " JOIN unnest(%s::bigint[], %s::bigint[]) AS p (contact_id, tag_id)"
            " ON t.contact_id = p.contact_id AND t.tag_id = p.tag_id"
            " WHERE t.brand_id = %s ORDER BY t.contact_id, t.tag_id FOR UPDATE OF t",
            [*_columns(pairs), brand_id],
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
