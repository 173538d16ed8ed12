"""Who is to be marked in WeCom soon: contacts whose tag or segment stands there, too, and has just changed.

A round through all contacts comes every ten minutes. So a post that is aimed by a segment's shadow tag need not wait
for it, the log's news of tags and segments puts contacts on a short list of the corp; some seconds later, when more
have gathered, they are compared and marked before the rest. The list may be lost without harm: the round sees all."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection

from events.reactors import Batch, Reactor
from tagging.models import CorpTag, TagLibrary

SOON = timedelta(seconds=20)
MOST = 5000
"""contacts on the list; above that a round is quicker, and begins at once"""
NEWS = timedelta(hours=1)
"""what is older was seen by a round"""
OF_TAGS = frozenset({"tag_given", "tag_taken"})
OF_SEGMENTS = frozenset({"segment_entered", "segment_left"})


def types() -> frozenset[str]:
    """What the brand's log tells us; nothing where no corp's tags are kept. Scoped."""
    kept = TagLibrary.objects.filter(is_on=True, corp__connected_at__isnull=False)
    return OF_TAGS | OF_SEGMENTS if kept.exists() else frozenset()


def react(batch: Batch) -> None:
    """Put those whom the events are about on the lists of the corps that have such a tag. Scoped."""
    tags: dict[int, set[int]] = {}
    segments: dict[int, set[int]] = {}
    for row in batch.rows:
        if row.received_at < batch.at - NEWS:
            continue
        whose, name = (tags, "tag_id") if row.type in OF_TAGS else (segments, "segment_id")
        if isinstance(about := row.props.get(name), int):
            whose.setdefault(about, set()).add(row.contact_id)
    linked = CorpTag.objects.filter(
        state=CorpTag.State.LINKED, corp__connected_at__isnull=False, corp_id__in=_kept_corps()
    )
    told: dict[int, set[int]] = {}
    for corp_id, tag_id in linked.filter(tag_id__in=tags).values_list("corp_id", "tag_id"):
        told.setdefault(corp_id, set()).update(tags[tag_id])
    for corp_id, segment_id in linked.filter(segment_id__in=segments).values_list("corp_id", "segment_id"):
        told.setdefault(corp_id, set()).update(segments[segment_id])
    for corp_id in sorted(told):
        add(corp_id=corp_id, contact_ids=told[corp_id], at=batch.at)


def add(*, corp_id: int, contact_ids: Iterable[int], at: datetime) -> None:
    """Have these contacts compared soon; when they are too many, everybody now. Scoped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tagging_taglibrary SET hurry_at = coalesce(hurry_at, %(soon)s), hurried = ("
            "   SELECT array_agg(x ORDER BY x) FROM (SELECT DISTINCT unnest(hurried || %(ids)s::bigint[]) AS x) AS u)"
            " WHERE brand_id = current_setting('orchard.brand_id')::bigint AND corp_id = %(corp)s AND is_on"
            " RETURNING cardinality(hurried)",
            {"soon": at + SOON, "ids": sorted(contact_ids), "corp": corp_id},
        )
        row = cursor.fetchone()
    if row is not None and row[0] > MOST:
        TagLibrary.objects.filter(corp_id=corp_id).update(hurried=[], hurry_at=None, due_at=at, next_contact=0)


def take(*, corp_id: int, limit: int, at: datetime) -> list[int]:
    """The next contacts of the list, which are on it no more. Scoped."""
    library = TagLibrary.objects.select_for_update(of=("self",)).get(corp_id=corp_id)
    some, left = library.hurried[:limit], library.hurried[limit:]
    if some or library.hurry_at is not None:
        TagLibrary.objects.filter(pk=library.pk).update(hurried=left, hurry_at=at if left else None)
    return some


def _kept_corps() -> list[int]:
    return list(TagLibrary.objects.filter(is_on=True).values_list("corp_id", flat=True))


REACTOR = Reactor(name="tagging.corp", types=types, handle=react)
