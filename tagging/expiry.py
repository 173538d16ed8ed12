"""Expired tags: they count as gone at once wherever tags are read; here their rows go too, and the log is told."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from events import log

OLDEST_TOLD = "7 days"
"""An expiry is told as of when it was, but no longer ago than this: the log's older months may be closed."""


def sweep(*, brand_id: int, at: datetime, limit: int = 5000) -> int:
    """Remove up to `limit` of the brand's expired tags, writing `tag_taken` (source "expiry"). Scoped.

    Returns how many; rows that somebody else holds are left for the next time."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM tagging_contacttag t USING (
                SELECT contact_id, tag_id FROM tagging_contacttag
                WHERE brand_id = %s AND expires_at <= %s ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
            ) AS x
            WHERE t.brand_id = %s AND t.contact_id = x.contact_id AND t.tag_id = x.tag_id
            RETURNING t.contact_id, t.tag_id, t.expires_at
            """,
            [brand_id, at, limit, brand_id],
        )
        gone = cursor.fetchall()
    _tell(gone, brand_id=brand_id, at=at)
    return len(gone)


def clear_pairs(*, brand_id: int, pairs: Sequence[tuple[int, int]], at: datetime) -> None:
    """Remove what is left of expired tags at these (contact, tag) pairs, before they are given or taken. Scoped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_contacttag t USING unnest(%s::bigint[], %s::bigint[]) AS p (contact_id, tag_id)"
            " WHERE t.brand_id = %s AND t.contact_id = p.contact_id AND t.tag_id = p.tag_id AND t.expires_at <= %s"
            " RETURNING t.contact_id, t.tag_id, t.expires_at",
            [[contact for contact, _tag in pairs], [tag for _contact, tag in pairs], brand_id, at],
        )
        gone = cursor.fetchall()
    _tell(gone, brand_id=brand_id, at=at)


def _tell(gone: list[tuple[int, int, datetime]], *, brand_id: int, at: datetime) -> None:
    if not gone:
        return
    contacts, tags, moments = zip(*gone, strict=True)
    log.write_select(
        select=f"""
            SELECT made_id(concat_ws(':', g.brand_id::text, 'tag_expired', x.tag_id::text, x.contact_id::text,
                                     extract(epoch FROM x.expires_at)::text)) AS id,
                   greatest(x.expires_at, %s::timestamptz - interval '{OLDEST_TOLD}') AS occurred_at,
                   'tag_taken' AS type, x.contact_id,
                   jsonb_build_object('tag_id', x.tag_id, 'source', 'expiry',
                       'tag', CASE WHEN g."group" = '' THEN g.name ELSE g."group" || '·' || g.name END) AS props
            FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS x (contact_id, tag_id, expires_at)
            JOIN tagging_tag g ON g.brand_id = %s AND g.id = x.tag_id
        """,  # noqa: S608
        params=[at, list(contacts), list(tags), list(moments), brand_id],
        at=at,
    )
