"""Rules at work: what a batch of events touches is measured, decided, given and taken.

A reactor reads the log and measures all rules for all contacts of a batch in one statement. It counts in the log
itself, not in the batch, so a batch that comes again, or events that arrive late or out of order, lead to the same
tags."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q

from events.reactors import Batch, EventRow, Reactor
from tagging import exclusion, giving
from tagging.grants import Grant, Pair
from tagging.language import event_filter, params
from tagging.models import ContactTag, TagRule
from tagging.rules import measures
from tagging.rules.measures import Measured, thresholds

Measure = TagRule.Measure
MERGES = frozenset({"contact_merged", "contact_split"})
LOG_MEASURES = (Measure.COUNT, Measure.SUM, Measure.RECENCY)


def handle(batch: Batch) -> None:
    """Give and take the tags that the batch's events decide on. Scoped."""
    rules = {rule.pk: rule for rule in TagRule.objects.filter(enabled=True).exclude(measure=Measure.INTEREST)}
    pairs = sorted({*_touched(rules.values(), batch.rows), *_of_merged(rules, batch.rows)})
    seen = measure(rules.values(), pairs, brand_id=batch.brand_id, at=batch.at)
    apply(rules=rules, found=seen, looked=pairs, at=batch.at)


REACTOR = Reactor("tag_rules", None, handle, limit=4000)


def measure(
    rules: Iterable[TagRule], among: Sequence[measures.Pair] | measures.Range, *, brand_id: int, at: datetime
) -> list[Measured]:
    """How far the rules are fulfilled. Scoped; one statement for all that count, one for all that want an order."""
    counting = [rule for rule in rules if rule.measure in LOG_MEASURES]
    walking = [rule for rule in rules if rule.measure == Measure.SEQUENCE]
    if isinstance(among, measures.Range):
        return [
            *measures.measured(counting, among, brand_id=brand_id, at=at),
            *measures.walked(walking, among, brand_id=brand_id, at=at),
        ]
    of = {rule.pk: rule.measure for rule in rules}
    steps = [pair for pair in among if of[pair[0]] == Measure.SEQUENCE]
    counts = [pair for pair in among if of[pair[0]] != Measure.SEQUENCE]
    walkers = {rule_id for rule_id, _contact in steps}
    return [
        *measures.measured(counting, counts, brand_id=brand_id, at=at),
        *measures.walked([rule for rule in walking if rule.pk in walkers], steps, brand_id=brand_id, at=at),
    ]


def apply(
    *, rules: Mapping[int, TagRule], found: Sequence[Measured], looked: Collection[measures.Pair], at: datetime
) -> tuple[int, int]:
    """Give to who has reached the threshold, prolong who is above the lower one, take from the others. Scoped.

    `looked`: pairs of which nothing is measured any more if they are not `found`; after a split it is the other's.
    Returns how many tags were given and taken."""
    seen = {(each.rule_id, each.contact_id) for each in found}
    held = held_by_rule(rules, {contact_id for _rule, contact_id in {*seen, *looked}}, at=at)
    grants, losers = decided(rules=rules, found=found, held=held, at=at)
    losers += [(contact_id, rules[rule_id].tag_id) for rule_id, contact_id in (held & set(looked)) - seen]
    given, taken = giving.change(grants=grants, losers=losers, source=ContactTag.Source.RULE, at=at)
    return len(given), len(taken)


def decided(
    *, rules: Mapping[int, TagRule], found: Sequence[Measured], held: set[tuple[int, int]], at: datetime
) -> tuple[list[Grant], list[Pair]]:
    """(what to give or prolong, whom to take it from). `held`: (rule, contact) whose tag is the rule's now."""
    grants, losers = [], []
    for each in sorted(found, key=lambda each: each.last_at):
        rule = rules[each.rule_id]
        high, low = thresholds(rule)
        has = (rule.pk, each.contact_id) in held
        until = _until(rule, each)
        is_over = until is not None and until <= at
        if not is_over and (each.value >= high or (has and low is not None and each.value >= low)):
            grants.append(_grant(rule, each, until))
        elif has and low is not None:
            losers.append((each.contact_id, rule.tag_id))
    return grants, losers


def held_by_rule(rules: Mapping[int, TagRule], contact_ids: set[int], *, at: datetime) -> set[tuple[int, int]]:
    """(rule, contact) of the live tags that rules with a lower threshold have given to these contacts. Scoped."""
    letting_go = [key for key, rule in rules.items() if thresholds(rule)[1] is not None]
    if not letting_go or not contact_ids:
        return set()
    rows = ContactTag.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=at),
        contact_id__in=contact_ids,
        rule_id__in=letting_go,
        tag_id=F("rule__tag_id"),  # a rule may have given another tag once
        source=ContactTag.Source.RULE,
    )
    return set(rows.values_list("rule_id", "contact_id"))


def _grant(rule: TagRule, each: Measured, until: datetime | None) -> Grant:
    evidence: dict[str, Any] = {"count": each.count, "event_ids": each.event_ids}
    if rule.measure == Measure.SUM or rule.half_life_days:
        evidence["value"] = round(each.value, 4)
    evidence[exclusion.MOMENT] = each.last_at.isoformat()
    return Grant(
        each.contact_id,
        rule.tag_id,
        until,
        evidence,
        rule_id=rule.pk,
        moment=each.last_at,
        is_exact=thresholds(rule)[1] is not None,
    )


def _until(rule: TagRule, each: Measured) -> datetime | None:
    """Until when the tag is had: the latest event counts, so that looking again does not prolong it."""
    ends = [] if each.until is None else [each.until]
    if rule.keep_days is not None:
        ends.append(each.last_at + timedelta(days=rule.keep_days))
    return min(ends, default=None)


def _of_merged(rules: Mapping[int, TagRule], rows: Sequence[EventRow]) -> Iterator[measures.Pair]:
    """All rules for people whose events a merge or a split has moved; who is hidden gets nothing."""
    for row in rows:
        if row.type in MERGES:
            for contact in {row.contact_id, int(row.props.get("other_id") or row.contact_id)}:
                yield from ((rule, contact) for rule in rules)


def _touched(rules: Iterable[TagRule], rows: Sequence[EventRow]) -> list[measures.Pair]:
    """(rule, contact) for which something has happened."""
    watches: dict[str, _Watch] = defaultdict(_Watch)
    for rule in rules:
        for type_, where in _triggers(rule):
            watches[type_].add(rule.pk, event_filter.tests_of(where, event=type_))
    pairs: set[measures.Pair] = set()
    for row in rows:
        watch = watches.get(row.type)
        if watch is not None:
            pairs.update((rule_id, row.contact_id) for rule_id in watch.seen(row))
    return sorted(pairs)


class _Watch:
    """The rules that one type of event may touch. Most ask for a category: these are found by it, not one by one."""

    def __init__(self) -> None:
        self._by_category: dict[str, list[tuple[int, list[event_filter.Comparison]]]] = defaultdict(list)
        self._others: list[tuple[int, list[event_filter.Comparison]]] = []

    def add(self, rule_id: int, tests: list[event_filter.Comparison]) -> None:
        """Watch for events that pass all these tests."""
        for test in tests:
            wanted = params.values(test.value)
            is_plain = test.prop == "category" and test.op in ("eq", "in") and not test.or_missing
            if is_plain and all(isinstance(each, str) for each in wanted):
                rest = [each for each in tests if each is not test]
                for category in set(wanted):
                    self._by_category[category].append((rule_id, rest))
                return
        self._others.append((rule_id, tests))

    def seen(self, row: EventRow) -> Iterator[int]:
        """The rules that this event touches."""
        for rule_id, tests in self._others:
            if event_filter.passes(tests, row):
                yield rule_id
        for rule_id, tests in self._by_category.get(row.category or "", ()):
            if not tests or event_filter.passes(tests, row):
                yield rule_id


def _triggers(rule: TagRule) -> list[tuple[str, event_filter.Where]]:
    if rule.measure == Measure.SEQUENCE:
        return [(step["event"], step.get("where") or {}) for step in rule.steps]
    return [(rule.event_type, rule.where)]
