"""What rules measure: counted in the log itself, for many rules and contacts in one statement.

A rule's value for a contact is the number (or the sum of a property) of its events in its window, each weighed by
2^(−age / half-life) if the rule forgets. Because the log is asked, a batch that comes again, or events that arrive
late or out of order, lead to the same tags.

The value falls by time alone: events leave the window, and what is in it fades. The moment at which it first lies
below `low` is known beforehand. Let the k oldest events have left, at `drop(k)`, and S(k) be what remains, weighed as
of now; S(k) alone would fall below `low` at `cross(k)`. From max(drop(k), cross(k)) on the value is below `low`, for
every k, and the first of these moments is the one. (Negative amounts only make it early.)"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from tagging.language import conditions, event_filter
from tagging.language.conditions import Frame
from tagging.language.leaves.behaviour import EVIDENCE
from tagging.language.sql import Sql, all_of
from tagging.models import TagRule

Measure = TagRule.Measure
Pair = tuple[int, int]
"""(rule id, contact id)"""


@dataclass(frozen=True, slots=True)
class Measured:
    """How far a rule is fulfilled for a contact who has at least one event of it in the window."""

    rule_id: int
    contact_id: int
    count: int
    value: float
    last_at: datetime
    event_ids: list[str]
    """the latest ones, latest first"""
    until: datetime | None
    """when the value first lies below `low` if nothing more happens; None: the rule has no `low`"""


@dataclass(frozen=True, slots=True)
class Range:
    """The contacts of these ids, first and last included, instead of pairs."""

    first: int
    last: int


def thresholds(rule: TagRule) -> tuple[float, float | None]:
    """(from where on the tag is given, below what it is taken)."""
    if rule.measure == Measure.RECENCY:
        return 1, 1
    return (rule.min_count if rule.high is None else rule.high), rule.low


def measured(rules: Sequence[TagRule], among: Sequence[Pair] | Range, *, brand_id: int, at: datetime) -> list[Measured]:
    """Measure count, sum and recency rules for pairs of rule and contact, or for all contacts of a range. Scoped.

    The window has no upper end: a sender's clock may be some minutes ahead, and nobody would look again."""
    if not rules or not among:
        return []
    where = all_of([Sql("e.brand_id = %s", (brand_id,)), Sql("e.occurred_at >= %s", (min(_since(rules, at)),))])
    filters = _filters(rules)
    source, source_params = _source(among)
    # LATERAL by the whole key of the log's index: the planner knows nothing of arrays (decision 0010).
    statement = f"""
        WITH hit AS (
            SELECT r.rule_id, w.contact_id, e.id, e.occurred_at, r.long, r.low, r.half,
                   CASE WHEN r.prop = '' THEN 1 ELSE coalesce(event_number(e.props, r.prop), 0) END::float8
                   * CASE WHEN r.half IS NULL THEN 1
                          ELSE power(2, -extract(epoch FROM %s::timestamptz - e.occurred_at) / r.half) END AS weight
            FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::interval[], %s::float8[],
                        %s::float8[]) AS r (rule_id, type, prop, since, long, low, half)
            CROSS JOIN LATERAL (
                SELECT e.contact_id, e.id, e.occurred_at, e.props, e.category, e.product_id, e.amount_fen,
                       e.dwell_seconds
                FROM {source} WHERE e.type = r.type AND e.occurred_at >= r.since AND {where.text}
            ) AS e
            CROSS JOIN LATERAL (SELECT e.contact_id) AS w
            WHERE {filters.text}
        ), fading AS (
            SELECT *, sum(weight) OVER newest - weight AS rest, sum(weight) OVER every AS value FROM hit
            WINDOW newest AS (PARTITION BY rule_id, contact_id ORDER BY occurred_at DESC, id
                              ROWS UNBOUNDED PRECEDING),
                   every AS (PARTITION BY rule_id, contact_id)
        )
        SELECT rule_id, contact_id, count(*), max(value), max(occurred_at),
               to_jsonb((array_agg(id ORDER BY occurred_at DESC, id))[1:{EVIDENCE}]),
               least(min(greatest(occurred_at + long + interval '1 microsecond', {_cross("rest")})),
                     min({_cross("value")}))
        FROM fading GROUP BY rule_id, contact_id
    """  # noqa: S608 - conditions of our own making; values are parameters
    params = [at, *_columns(rules, at), *source_params, *where.params, *filters.params, at, at]
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    with_low = {rule.pk for rule in rules if thresholds(rule)[1] is not None}
    return [
        Measured(rule, contact, count, value, last, json.loads(ids), until if rule in with_low else None)
        for rule, contact, count, value, last, ids, until in rows
    ]


def walked(rules: Sequence[TagRule], among: Sequence[Pair] | Range, *, brand_id: int, at: datetime) -> list[Measured]:
    """The same for sequence rules: those who have walked all steps, in one statement for all rules. Scoped."""
    condition = conditions.of_kind("sequence")
    if not rules or not among or condition is None:
        return []
    frame = Frame(brand_id=brand_id, at=at, singly=not isinstance(among, Range))
    parts, params = [], []
    for rule in rules:
        leaf = sequence_leaf(rule)
        found, evidence = condition.sql(leaf, frame), condition.actual(leaf, frame)
        if isinstance(among, Range):
            who = Sql("c.id BETWEEN %s AND %s", (among.first, among.last))
        else:
            who = Sql("c.id = ANY (%s::bigint[])", ([contact for key, contact in among if key == rule.pk],))
        parts.append(
            f"SELECT %s::bigint, c.id, {evidence.text} FROM contacts_contact c"  # noqa: S608
            f" WHERE c.brand_id = %s AND {who.text} AND {found.text}"
        )
        params += [rule.pk, *evidence.params, brand_id, *who.params, *found.params]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        rows = cursor.fetchall()
    made = []
    for rule_id, contact, told in rows:
        events = json.loads(told)
        last = datetime.fromisoformat(events[0]["at"])
        made.append(Measured(rule_id, contact, len(events), 1, last, [each["id"] for each in events], None))
    return made


def sequence_leaf(rule: TagRule) -> dict[str, Any]:
    """The rule as a condition: what checks it, says it and finds it."""
    leaf: dict[str, Any] = {"kind": "sequence", "steps": rule.steps, "days": rule.window_days}
    return leaf | ({} if rule.within_hours is None else {"within_hours": rule.within_hours})


def _source(among: Sequence[Pair] | Range) -> tuple[str, list[Any]]:
    if isinstance(among, Range):
        return (
            "(SELECT %s::bigint AS first, %s::bigint AS last) AS b JOIN events_event e"
            " ON e.contact_id BETWEEN b.first AND b.last",
            [among.first, among.last],
        )
    pairs = sorted(among)
    return (
        "unnest(%s::bigint[], %s::bigint[]) AS p (rule_id, contact_id)"
        " JOIN events_event e ON p.rule_id = r.rule_id AND e.contact_id = p.contact_id",
        [[rule for rule, _contact in pairs], [contact for _rule, contact in pairs]],
    )


def _since(rules: Sequence[TagRule], at: datetime) -> list[datetime]:
    return [at - timedelta(days=rule.window_days) for rule in rules]


def _columns(rules: Sequence[TagRule], at: datetime) -> list[list[Any]]:
    return [
        [rule.pk for rule in rules],
        [rule.event_type for rule in rules],
        [rule.prop if rule.measure == Measure.SUM else "" for rule in rules],
        _since(rules, at),
        [timedelta(days=rule.window_days) for rule in rules],
        [thresholds(rule)[1] for rule in rules],
        [None if rule.half_life_days is None else rule.half_life_days * 86_400.0 for rule in rules],
    ]


def _filters(rules: Sequence[TagRule]) -> Sql:
    """Each rule's own filter on the events that it finds."""
    cases, params = [], []
    for rule in rules:
        tests = event_filter.conditions_sql(rule.where, event=rule.event_type)
        if tests:
            condition = all_of(tests)
            cases.append(f"WHEN %s THEN {condition.text}")
            params += [rule.pk, *condition.params]
    return Sql(f"CASE r.rule_id {' '.join(cases)} ELSE TRUE END", tuple(params)) if cases else Sql("TRUE")


def _cross(weight: str) -> str:
    """When what weighs so much as of now fades below `low`."""
    fades = f"%s::timestamptz + make_interval(secs => half * log(2, ({weight} / low)::numeric)::float8)"
    return (
        f"CASE WHEN low IS NULL THEN NULL WHEN {weight} < low - 1e-9 THEN '-infinity'::timestamptz"
        f" WHEN half IS NULL THEN 'infinity' ELSE {fades} END"
    )
