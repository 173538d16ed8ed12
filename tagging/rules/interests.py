"""What contacts are drawn to: Σ weight(event) · ln(1 + dwell / 10 s) · 2^(−age / half-life), per category and product.

An event without a dwell time (a cart, an order) counts its weight. All events fade alike, so a score need not be
reckoned anew: it is kept as it was at the latest event, fades by one factor from there to any moment, and a new event
adds its own part. For the same reason the events that weigh most stay in their order.

The tag of an interest rule is given from `high` on and kept until the score lies below `low`: that moment is known
(as_of + half-life · log2(score / low)) and is the tag's expiry."""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from events.reactors import Batch, EventRow, Reactor
from scrm.lib.errors import FieldError, Invalid
from tagging.language import event_types
from tagging.models import InterestPolicy, InterestScore, TagRule
from tagging.models.interests import CATEGORY, HALF_LIFE_DAYS, PRODUCT
from tagging.rules import reacting
from tagging.rules.measures import Measured, thresholds
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

WEIGHTS: Mapping[str, float] = {"product_view": 1.0, "add_cart": 3.0, "order_paid": 5.0}
MOST_WEIGHT = 1000.0
TOP = 5
MAX_KEY = 200
MERGES = frozenset({"contact_merged", "contact_split"})
NAME = "interests"
Key = tuple[int, str, str]
"""(contact id, category or product, which)"""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a brand reckons."""

    half_life: timedelta
    weights: Mapping[str, float]

    def faded(self, score: float, *, since: datetime, at: datetime) -> float:
        """What a score of `since` is worth `at` a later (or earlier) moment."""
        return score * 2.0 ** (-((at - since) / self.half_life))

    def below(self, score: float, *, since: datetime, low: float) -> datetime:
        """When a score of `since` first lies below `low`."""
        return since + self.half_life * math.log2(score / low) + timedelta(microseconds=1)

    def gain(self, row: EventRow) -> float:
        """What an event adds at the moment it happens."""
        weight = self.weights.get(row.type, 0.0)
        return weight if row.dwell_seconds is None else weight * math.log1p(max(0, row.dwell_seconds) / 10)


@dataclass(frozen=True, slots=True)
class Part:
    """One event's part in a score."""

    id: str
    type: str
    at: datetime
    gain: float

    def as_json(self) -> dict[str, Any]:
        """As `InterestScore.top` keeps it."""
        return {"id": self.id, "type": self.type, "at": self.at.isoformat(), "gain": self.gain}


@dataclass(slots=True)
class Score:
    """A score as it was at `as_of`."""

    score: float
    as_of: datetime
    top: list[Part]

    def add(self, parts: Sequence[Part], policy: Policy) -> None:
        """Take further events in, whenever they happened."""
        as_of = max([self.as_of, *(part.at for part in parts)])
        mine = policy.faded(self.score, since=self.as_of, at=as_of)
        self.score = math.fsum([mine, *(policy.faded(part.gain, since=part.at, at=as_of) for part in parts)])
        self.as_of = as_of
        self.top = heaviest([*self.top, *parts], policy)


def heaviest(parts: Iterable[Part], policy: Policy) -> list[Part]:
    """The parts that weigh most: at any moment the same ones."""

    def weight(part: Part) -> tuple[float, str]:
        return (-(math.log2(part.gain) + part.at.timestamp() / policy.half_life.total_seconds()), part.id)

    return sorted(parts, key=weight)[:TOP]


def policy() -> Policy:
    """The brand's, or the house's. Scoped."""
    row = InterestPolicy.objects.first()
    if row is None:
        return Policy(timedelta(days=HALF_LIFE_DAYS), WEIGHTS)
    return Policy(timedelta(days=row.half_life_days), row.weights)


def set_policy(*, half_life_days: float, weights: Mapping[str, float], actor: Actor, at: datetime) -> InterestPolicy:
    """Say how interest is reckoned; `tagging.rules.rerun.begin_interests` reckons scores anew. Scoped; audited.

    Raises Invalid: a half-life of 0.1 to 365 days, 1 to 20 known event types with weights above 0, at most 1000."""
    errors = []
    if not _is_number(half_life_days) or not 0.1 <= half_life_days <= 365:
        errors.append(
            FieldError("half_life_days", "tagging.out_of_range", _("半衰期要在 0.1 到 365 天之间。"), _("例如 14。"))
        )
    for type_, weight in weights.items():
        if not event_types.is_known(type_) or not _is_number(weight) or not 0 < weight <= MOST_WEIGHT:
            errors.append(
                FieldError(
                    f"weights.{type_}",
                    "tagging.out_of_range",
                    _("权重要写给行为目录里的类型，大于 0，不超过 1000。"),
                    _('例如 {"product_view": 1, "add_cart": 3}。'),
                )
            )
    if not 1 <= len(weights) <= 20:
        errors.append(
            FieldError("weights", "tagging.out_of_range", _("权重要有 1 到 20 种行为。"), _("增减行为的种类。"))
        )
    if errors:
        raise Invalid(_("有字段不正确。"), errors=errors)
    before = policy()
    row, _made = InterestPolicy.objects.update_or_create(
        defaults={"half_life_days": half_life_days, "weights": dict(weights), "updated_at": at}
    )
    audit.record(
        actor=actor,
        action="interest_policy.save",
        object_type="interest_policy",
        object_id=row.pk,
        before={"half_life_days": before.half_life / timedelta(days=1), "weights": dict(before.weights)},
        after={"half_life_days": half_life_days, "weights": dict(weights)},
        at=at,
    )
    return row


def top_of(contact_id: int, *, at: datetime, limit: int = 10) -> list[tuple[InterestScore, float]]:
    """What the contact is drawn to most, with the scores as they are `at`. Scoped."""
    now = policy()
    rows = InterestScore.objects.filter(contact_id=contact_id)
    scored = [(row, now.faded(row.score, since=row.as_of, at=at)) for row in rows]
    return sorted(scored, key=lambda pair: -pair[1])[:limit]


def handle(batch: Batch) -> None:
    """Take the batch's events into the scores, then let the interest rules decide. Scoped."""
    merged = {row.contact_id for row in batch.rows if row.type in MERGES}
    merged |= {int(row.props.get("other_id") or 0) for row in batch.rows if row.type in MERGES}
    now = policy()
    parts = _parts(batch.rows, now)
    scores = _locked(parts)
    for key, some in parts.items():
        if key in scores:
            scores[key].add(some, now)
        else:
            scores[key] = _first(some, now)
    _write(scores, brand_id=batch.brand_id)
    _decide(scores, now, at=batch.at)
    if merged - {0}:
        # A merge has moved the log's rows: what both scores said is in the log. This batch's own events are in it too,
        # and the cursor moves only after it, so they are named.
        recompute(contact_ids=merged - {0}, at=batch.at, also=[row.id for row in batch.rows])


def wanted_types() -> frozenset[str]:
    """What the reactor reads in this brand. Scoped."""
    return frozenset(policy().weights) | MERGES


REACTOR = Reactor(NAME, wanted_types, handle)


def recompute(
    *,
    at: datetime,
    contact_ids: Collection[int] | None = None,
    between: tuple[int, int] | None = None,
    also: Sequence[UUID] = (),
) -> int:
    """Reckon the scores of some contacts anew from the log, and let the rules decide. Scoped. How many scores.

    Counts what the reactor has read (and `also`), imported events included, under the reactor's own lock: what it has
    yet to read it will add itself. Choose ranges that take about a second."""
    now, brand_id = policy(), current_brand_id()
    if contact_ids is not None:
        who, ids = "{}.contact_id = ANY (%(ids)s::bigint[])", {"ids": sorted(contact_ids)}
    else:
        first, last = between or (0, 2**63 - 1)
        who, ids = "{}.contact_id BETWEEN %(first)s AND %(last)s", {"first": first, "last": last}  # type: ignore[dict-item]
    said: dict[str, Any] = {
        "brand": brand_id,
        "half": now.half_life.total_seconds(),
        "types": list(now.weights),
        "weights": [float(weight) for weight in now.weights.values()],
        "reactor": NAME,
        "also": list(also),
        **ids,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM events_reactorcursor WHERE brand_id = %(brand)s AND reactor = %(reactor)s FOR UPDATE", said
        )
        cursor.execute(
            f"DELETE FROM tagging_interestscore s WHERE s.brand_id = %(brand)s AND {who.format('s')}",  # noqa: S608
            said,
        )
        cursor.execute(_RECOMPUTE.format(who=who.format("e")), said)
        rows = cursor.fetchall()
    scores = {
        (contact, kind, key): Score(score, as_of, [_part(each) for each in json.loads(top)])
        for contact, kind, key, score, as_of, top in rows
    }
    _decide(scores, now, at=at)
    return len(scores)


_RECOMPUTE = f"""
    WITH part AS (
        SELECT e.contact_id, k.kind, k.key, e.id, e.type, e.occurred_at,
               w.weight * CASE WHEN e.dwell_seconds IS NULL THEN 1
                               ELSE ln(1 + greatest(e.dwell_seconds, 0) / 10::float8) END AS gain
        FROM unnest(%(types)s::text[], %(weights)s::float8[]) AS w (type, weight)
        JOIN events_event e ON e.type = w.type
        CROSS JOIN LATERAL (VALUES ('category', e.category), ('product', e.product_id)) AS k (kind, key)
        WHERE e.brand_id = %(brand)s AND {{who}} AND length(k.key) BETWEEN 1 AND {MAX_KEY}
          AND (NOT e.fires OR e.id = ANY (%(also)s::uuid[]) OR (e.txid, e.id) <= (
              SELECT r.txid, r.event_id FROM events_reactorcursor r
              WHERE r.brand_id = %(brand)s AND r.reactor = %(reactor)s))
    ), ranked AS (
        SELECT *, max(occurred_at) OVER one AS as_of,
               row_number() OVER (PARTITION BY contact_id, kind, key ORDER BY
                   log(2, gain::numeric)::float8 + extract(epoch FROM occurred_at)::float8 / %(half)s DESC, id) AS place
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
    now = policy()
    rows = InterestScore.objects.filter(kind=kind, key__in=keys, contact_id__gte=first, contact_id__lte=last)
    scores = {
        (row.contact_id, row.kind, row.key): Score(row.score, row.as_of, [_part(each) for each in row.top])
        for row in rows
    }
    return _measured([rule], scores, now, at=at)


def _decide(scores: Mapping[Key, Score], now: Policy, *, at: datetime) -> None:
    asking = {rule.pk: rule for rule in TagRule.objects.filter(enabled=True, measure=TagRule.Measure.INTEREST)}
    if asking and scores:
        reacting.apply(rules=asking, found=_measured(list(asking.values()), scores, now, at=at), at=at)


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


def _part(told: Mapping[str, Any]) -> Part:
    moment = parse_datetime(str(told["at"]))
    if moment is None:
        raise ValueError(f"not a moment: {told['at']!r}")
    return Part(str(told["id"]), str(told["type"]), moment, float(told["gain"]))


def _first(parts: Sequence[Part], now: Policy) -> Score:
    made = Score(0.0, max(part.at for part in parts), [])
    made.add(parts, now)
    return made


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
        rows = cursor.fetchall()
    return {
        (contact, kind, key): Score(score, as_of, [_part(each) for each in json.loads(top)])
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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
