"""What contacts are drawn to: scores per category and product, kept as the log is read, and the rules that ask them.

How a score is reckoned is `tagging.rules.scoring`'s business. The tag of an interest rule is given from `high` on and
kept until the score lies below `low`: that moment is known (as_of + half-life · log2(score / low)) and is the tag's
expiry."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from contacts import gone
from contacts.models import Contact
from events.reactors import Batch, EventRow, Reactor
from tagging import exclusion
from tagging.models import InterestScore, TagRule
from tagging.models.interests import CATEGORY, PRODUCT
from tagging.rules import reacting, scoring
from tagging.rules.measures import Measured, thresholds
from tagging.rules.scoring import TOP, Part, Policy, Score
from tenants.scope import current_brand_id

MAX_KEY = 200
MERGES = frozenset({"contact_merged", "contact_split"})
NAME = "interests"
Key = tuple[int, str, str]
"""(contact id, category or product, which)"""


def handle(batch: Batch) -> None:
    """Take the batch's events into the scores, then let the interest rules decide. Scoped."""
    merged = {row.contact_id for row in batch.rows if row.type in MERGES}
    merged |= {int(row.props.get("other_id") or 0) for row in batch.rows if row.type in MERGES}
    asking = _asking()
    _hold({row.contact_id for row in batch.rows} | merged, asking)
    now = scoring.policy()
    # A merge has moved the log's rows: what both scores said is in the log. This batch's own events are in it too, and
    # the cursor moves only after it, so they are named.
    anew = merged - {0}
    parts = _parts((row for row in batch.rows if row.contact_id not in anew), now)
    scores = _locked(parts)
    for key, some in parts.items():
        if key in scores:
            scores[key].add(some, now)
        else:
            scores[key] = Score.of(some, now)
    _write(scores, brand_id=batch.brand_id)
    if anew:
        scores |= _reckoned(now, contact_ids=anew, also=[row.id for row in batch.rows])
    _decide(asking, scores, now, at=batch.at, anew=anew)


def wanted_types() -> frozenset[str]:
    """What the reactor reads in this brand. Scoped."""
    return frozenset(scoring.policy().weights) | MERGES


REACTOR = Reactor(NAME, wanted_types, handle)


def recompute(
    *, at: datetime, contact_ids: Collection[int] | None = None, between: tuple[int, int] | None = None
) -> int:
    """Reckon the scores of some contacts anew from the log, and let the rules decide. Scoped. How many scores.

    Counts what the reactor has read, imported events included, under the reactor's own lock: what it has yet to read
    it will add itself. Choose ranges that take about a second."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM events_reactorcursor WHERE brand_id = %s AND reactor = %s FOR UPDATE",
            [current_brand_id(), NAME],
        )
    if contact_ids is None:
        shown = Contact.objects.filter(pk__range=between) if between else Contact.objects.all()
        contact_ids = list(shown.values_list("pk", flat=True))
    now, asking = scoring.policy(), _asking()
    _hold(contact_ids, asking)
    scores = _reckoned(now, contact_ids=contact_ids)
    _decide(asking, scores, now, at=at, anew=contact_ids)
    return len(scores)


def _reckoned(now: Policy, *, contact_ids: Collection[int], also: Sequence[UUID] = ()) -> dict[Key, Score]:
    """The contacts' scores by what the reactor has read, and these events besides, in the place of what is kept."""
    said: dict[str, Any] = {
        "brand": current_brand_id(),
        "half": now.half_life.total_seconds(),
        "types": list(now.weights),
        "weights": [float(weight) for weight in now.weights.values()],
        "reactor": NAME,
        "also": list(also),
        "ids": sorted(contact_ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_interestscore s WHERE s.brand_id = %(brand)s AND s.contact_id = ANY (%(ids)s)", said
        )
        cursor.execute(_RECOMPUTE, said)
        return _scores(cursor.fetchall())


_RECOMPUTE = f"""
    WITH part AS (
        SELECT e.contact_id, k.kind, k.key, e.id, e.type, e.occurred_at,
               w.weight * CASE WHEN e.dwell_seconds IS NULL THEN 1
                               ELSE ln(1 + greatest(e.dwell_seconds, 0) / 10::float8) END AS gain
        FROM unnest(%(types)s::text[], %(weights)s::float8[]) AS w (type, weight)
        JOIN events_event e ON e.type = w.type
        CROSS JOIN LATERAL (VALUES ('category', e.category), ('product', e.product_id)) AS k (kind, key)
        WHERE e.brand_id = %(brand)s AND e.contact_id = ANY (%(ids)s) AND length(k.key) BETWEEN 1 AND {MAX_KEY}
          AND (NOT e.fires OR e.id = ANY (%(also)s::uuid[]) OR (e.txid, e.id) <= (
              SELECT r.txid, r.event_id FROM events_reactorcursor r
              WHERE r.brand_id = %(brand)s AND r.reactor = %(reactor)s))
    ), ranked AS (
        SELECT *, max(occurred_at) OVER one AS as_of,
               row_number() OVER (PARTITION BY contact_id, kind, key ORDER BY
                   round((log(2, gain::numeric)::float8
                          + extract(epoch FROM occurred_at)::float8 / %(half)s)::numeric, 6) DESC, id) AS place
        FROM part WHERE gain > 0 WINDOW one AS (PARTITION BY contact_id, kind, key)
    )
    INSERT INTO tagging_interestscore (brand_id, contact_id, kind, key, score, as_of, top)
    SELECT %(brand)s, x.contact_id, x.kind, x.key, x.score, x.as_of, x.top FROM (
        SELECT contact_id, kind, key, max(as_of) AS as_of,
               sum(gain * power(2, -extract(epoch FROM as_of - occurred_at)::float8 / %(half)s)) AS score,
               jsonb_agg(jsonb_build_object('id', id, 'type', type, 'at', occurred_at, 'gain', gain) ORDER BY place)
                   FILTER (WHERE place <= {TOP}) AS top
        FROM ranked GROUP BY contact_id, kind, key
    ) AS x
    JOIN contacts_contact c ON c.brand_id = %(brand)s AND c.id = x.contact_id
    ON CONFLICT DO NOTHING
    RETURNING contact_id, kind, key, score, as_of, top
"""  # noqa: S608


def decide_for(rule: TagRule, *, first: int, last: int, at: datetime) -> list[Measured]:
    """How far an interest rule is fulfilled by the contacts of a range. Scoped."""
    kind, keys = _subject(rule)
    now = scoring.policy()
    rows = InterestScore.objects.filter(kind=kind, key__in=keys, contact_id__gte=first, contact_id__lte=last)
    scores = {
        (row.contact_id, row.kind, row.key): Score(row.score, row.as_of, [Part.of_json(each) for each in row.top])
        for row in rows
    }
    return _measured([rule], scores, now, at=at)


def _asking() -> dict[int, TagRule]:
    return {rule.pk: rule for rule in TagRule.objects.filter(enabled=True, measure=TagRule.Measure.INTEREST)}


def _hold(contact_ids: Collection[int], asking: Mapping[int, TagRule]) -> None:
    """Before the first score is locked, since a merge holds its contacts and waits for their scores; and as firmly as
    the rules' tags will want it."""
    hold = exclusion.hold if asking else gone.keep
    hold(contact_ids)


def _decide(
    asking: Mapping[int, TagRule], scores: Mapping[Key, Score], now: Policy, *, at: datetime, anew: Collection[int]
) -> None:
    """`anew`: contacts who have no scores but these."""
    if asking and (scores or anew):
        found = _measured(list(asking.values()), scores, now, at=at)
        looked = {(rule_id, contact_id) for rule_id in asking for contact_id in anew}
        reacting.apply(rules=asking, found=found, looked=looked, at=at)


def _measured(asking: Sequence[TagRule], scores: Mapping[Key, Score], now: Policy, *, at: datetime) -> list[Measured]:
    subjects: dict[tuple[str, str], list[TagRule]] = defaultdict(list)
    for rule in asking:
        kind, keys = _subject(rule)
        for key in keys:
            subjects[kind, key].append(rule)
    best: dict[tuple[int, int], Measured] = {}
    for (contact_id, kind, key), score in scores.items():
        for rule in subjects.get((kind, key), ()):
            low = thresholds(rule)[1]
            until = None if low is None else now.below(score.score, since=score.as_of, low=low)
            value = now.faded(score.score, since=score.as_of, at=at)
            ids = [part.id for part in score.top]
            best[rule.pk, contact_id] = Measured(rule.pk, contact_id, len(ids), value, score.as_of, ids, until)
    return list(best.values())


def _subject(rule: TagRule) -> tuple[str, list[str]]:
    if "category" in rule.where:
        return CATEGORY, [rule.where["category"]]
    return PRODUCT, [rule.where["product_id"]]


def _parts(rows: Iterable[EventRow], now: Policy) -> dict[Key, list[Part]]:
    parts: dict[Key, list[Part]] = defaultdict(list)
    for row in rows:
        gain = now.gain(row)
        if gain <= 0:
            continue
        part = Part(str(row.id), row.type, row.occurred_at, gain)
        for kind, key in ((CATEGORY, row.category), (PRODUCT, row.product_id)):
            if key and len(key) <= MAX_KEY:
                parts[row.contact_id, kind, key].append(part)
    return parts


def _locked(keys: Collection[Key]) -> dict[Key, Score]:
    """What is kept under these keys, locked in their order."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.contact_id, s.kind, s.key, s.score, s.as_of, s.top"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS k (contact_id, kind, key)"
            " JOIN tagging_interestscore s ON s.brand_id = %s AND s.contact_id = k.contact_id AND s.kind = k.kind"
            " AND s.key = k.key ORDER BY s.contact_id, s.kind, s.key FOR UPDATE OF s",
            [*(list(column) for column in zip(*sorted(keys), strict=True)), current_brand_id()],
        )
        return _scores(cursor.fetchall())


def _scores(rows: Sequence[tuple[Any, ...]]) -> dict[Key, Score]:
    return {
        (contact, kind, key): Score(score, as_of, [Part.of_json(each) for each in json.loads(top)])
        for contact, kind, key, score, as_of, top in rows
    }


def _write(scores: Mapping[Key, Score], *, brand_id: int) -> None:
    if not scores:
        return
    ordered = sorted(scores.items())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tagging_interestscore AS s (brand_id, contact_id, kind, key, score, as_of, top)"
            " SELECT c.brand_id, c.id, n.kind, n.key, n.score, n.as_of, n.top::jsonb"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::float8[], %s::timestamptz[], %s::text[])"
            " AS n (contact_id, kind, key, score, as_of, top)"
            " JOIN contacts_contact c ON c.brand_id = %s AND c.id = n.contact_id"
            " ORDER BY n.contact_id, n.kind, n.key"
            " ON CONFLICT (brand_id, contact_id, kind, key)"
            " DO UPDATE SET score = excluded.score, as_of = excluded.as_of, top = excluded.top",
            [
                [key[0] for key, _score in ordered],
                [key[1] for key, _score in ordered],
                [key[2] for key, _score in ordered],
                [score.score for _key, score in ordered],
                [score.as_of for _key, score in ordered],
                [json.dumps([part.as_json() for part in score.top]) for _key, score in ordered],
                brand_id,
            ],
        )
