"""Tag rules: what a contact did in a window, measured, against a threshold → the tag, with the events as evidence.

Five measures: how often (count), how much (sum of a property), whether lately (recency), in which order (sequence),
and how much interest (tagging.interests keeps those scores). A rule may forget (half-life), keep its tag for some days
(keep_days), and let go (low): it gives from `high` on and takes below `low`, and between the two whoever has the tag
keeps it. The moment at which the value falls below `low` by time alone is known beforehand and is the tag's expiry.

A reactor reads the log and measures all rules for all contacts of a batch in one statement. It counts in the log
itself, not in the batch, so a batch that comes again, or events that arrive late or out of order, lead to the same
tags."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from events.reactors import Batch, EventRow, Reactor
from scrm.lib.errors import FieldError, Invalid, found
from tagging import exclusion, giving
from tagging.giving import Grant
from tagging.language import compiler, event_filter, event_types, params
from tagging.language.conditions import Names
from tagging.language.params import Param
from tagging.models import ContactTag, Tag, TagRule
from tagging.rules import measures
from tagging.rules.measures import Measured, thresholds
from tenants import audit
from tenants.actors import Actor

Measure = TagRule.Measure
LOG_MEASURES = (Measure.COUNT, Measure.SUM, Measure.RECENCY)
MAX_NAME = 60
MAX_THRESHOLD = 10**12
FIELDS = (
    Param("name", gettext_lazy("名称"), "text", required=True),
    Param("tag_id", gettext_lazy("标签"), "tag", required=True),
    Param("measure", gettext_lazy("衡量"), "choice", choices=tuple(Measure.choices)),
    Param("event_type", gettext_lazy("行为"), "event"),
    Param("where", gettext_lazy("筛选"), "where"),
    Param("prop", gettext_lazy("合计的属性"), "any"),
    Param("steps", gettext_lazy("各步"), "steps"),
    Param("within_hours", gettext_lazy("首尾相隔不超过"), "int", minimum=1, maximum=24 * 366),
    Param("min_count", gettext_lazy("至少次数"), "int", required=True, minimum=1, maximum=2_000_000_000),
    Param("high", gettext_lazy("达到"), "any"),
    Param("low", gettext_lazy("低于"), "any"),
    Param("half_life_days", gettext_lazy("半衰期"), "int", minimum=1, maximum=3650),
    Param("window_days", gettext_lazy("近几天"), "int", required=True, minimum=1, maximum=3650),
    Param("keep_days", gettext_lazy("保留几天"), "int", minimum=1, maximum=3650),
    Param("enabled", gettext_lazy("启用"), "bool"),
)


def save(
    *,
    name: str,
    tag_id: int,
    event_type: str = "",
    actor: Actor,
    at: datetime,
    measure: str = "count",
    where: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    prop: str = "",
    steps: Sequence[Mapping[str, Any]] | None = None,
    within_hours: int | None = None,
    min_count: int = 1,
    high: float | None = None,
    low: float | None = None,
    half_life_days: int | None = None,
    window_days: int = 30,
    keep_days: int | None = None,
    enabled: bool = True,
    rule_id: int | None = None,
) -> TagRule:
    """Make a rule, or change one. It acts on events read from now on; `tagging.rules.rerun` goes over history. Scoped.

    `high` (else min_count) gives, `low` takes; an interest rule has where={"category": …} or {"product_id": …}.
    Audited. Raises Invalid (fields as named here, `where.category`), NotFound for the tag or the rule."""
    values = {
        "name": name,
        "tag_id": tag_id,
        "measure": str(measure),
        "event_type": event_type,
        "where": where or {},
        "prop": prop,
        "steps": list(steps or []),
        "within_hours": within_hours,
        "min_count": min_count,
        "high": high,
        "low": low,
        "half_life_days": half_life_days,
        "window_days": window_days,
        "keep_days": keep_days,
        "enabled": enabled,
    }
    _check(values)
    found(Tag.objects.filter(pk=tag_id))
    rule = found(TagRule.objects.filter(pk=rule_id)) if rule_id else TagRule(created_at=at)
    before = fields_of(rule) if rule_id else None
    for field, value in values.items():
        setattr(rule, field, value)
    rule.save()
    audit.record(
        actor=actor,
        action="tag_rule.save",
        object_type="tag_rule",
        object_id=rule.pk,
        before=before,
        after=fields_of(rule),
        at=at,
    )
    return rule


def switch(*, rule_id: int, enabled: bool, actor: Actor, at: datetime) -> TagRule:
    """Turn a rule on or off; tags that it gave stay. Scoped; audited. Raises NotFound."""
    rule = found(TagRule.objects.filter(pk=rule_id))
    return save(rule_id=rule.pk, actor=actor, at=at, **{**fields_of(rule), "enabled": enabled})


def sentence(rule: TagRule) -> str:
    """近 30 天 浏览商品（品类 婴童）至少 2 次，打标签 兴趣·婴童，保留 90 天. Scoped, unless rule.tag is loaded."""
    said = _("%(what)s，打标签 %(tag)s") % {"what": _what(rule), "tag": str(rule.tag)}
    if rule.half_life_days is not None:
        long = ngettext("每 %(n)d 天减半", "每 %(n)d 天减半", rule.half_life_days) % {"n": rule.half_life_days}
        said = _("%(said)s，%(kept)s") % {"said": said, "kept": long}
    if rule.low is not None:
        below = _("低于 %(low)s 移除") % {"low": f"{rule.low:g}"}
        said = _("%(said)s，%(kept)s") % {"said": said, "kept": below}
    if rule.keep_days is None:
        return said
    kept = ngettext("保留 %(n)d 天", "保留 %(n)d 天", rule.keep_days) % {"n": rule.keep_days}
    return _("%(said)s，%(kept)s") % {"said": said, "kept": kept}


def _what(rule: TagRule) -> str:
    high, _low = thresholds(rule)
    if rule.measure == Measure.SEQUENCE:
        leaf = measures.sequence_leaf(rule)
        return compiler.kind_of(leaf).sentence(leaf, Names())
    if rule.measure == Measure.INTEREST:
        subject = "、".join(str(item) for value in rule.where.values() for item in params.values(value))
        return _("对 %(subject)s 的兴趣分达到 %(high)s") % {"subject": subject, "high": f"{high:g}"}
    told = {
        "days": rule.window_days,
        "event": event_types.label_of(rule.event_type) + event_filter.phrase(rule.where, event=rule.event_type),
    }
    if rule.measure == Measure.RECENCY:
        return _("近 %(days)d 天有 %(event)s") % told
    if rule.measure == Measure.SUM:
        told |= {"prop": event_types.prop_label(rule.prop), "high": f"{high:g}"}
        return _("近 %(days)d 天 %(event)s的%(prop)s合计达到 %(high)s") % told
    return _("近 %(days)d 天 %(event)s至少 %(times)s 次") % {**told, "times": f"{high:g}"}


def handle(batch: Batch) -> None:
    """Give and take the tags that the batch's events decide on. Scoped."""
    rules = {rule.pk: rule for rule in TagRule.objects.filter(enabled=True).exclude(measure=Measure.INTEREST)}
    pairs = _touched(rules.values(), batch.rows)
    apply(rules=rules, found=measure(rules.values(), pairs, brand_id=batch.brand_id, at=batch.at), at=batch.at)


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


def apply(*, rules: Mapping[int, TagRule], found: Sequence[Measured], at: datetime) -> tuple[int, int]:
    """Give to who has reached the threshold, prolong who is above the lower one, take from the others. Scoped.

    Returns how many tags were given and taken."""
    held = held_by_rule(rules, {each.contact_id for each in found}, at=at)
    grants, losers = decided(rules=rules, found=found, held=held, at=at)
    given = giving.give(grants=grants, source=ContactTag.Source.RULE, at=at)
    taken = giving.take(pairs=losers, source=ContactTag.Source.RULE, at=at)
    return len(given), len(taken)


def decided(
    *, rules: Mapping[int, TagRule], found: Sequence[Measured], held: set[tuple[int, int]], at: datetime
) -> tuple[list[Grant], list[giving.Pair]]:
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


def fields_of(rule: TagRule) -> dict[str, Any]:
    """What a rule says: the arguments of `save`."""
    return {param.name: getattr(rule, param.name) for param in FIELDS}


def _check(values: Mapping[str, Any]) -> None:
    errors = [*params.check(FIELDS, values, "rule")]
    measure = values["measure"]
    if measure == Measure.SEQUENCE:
        errors += _check_sequence(values)
    elif measure == Measure.INTEREST:
        errors += _check_interest(values)
    else:
        errors += _check_event(values)
    errors += _check_thresholds(values)
    if isinstance(values["name"], str) and len(values["name"]) > MAX_NAME:
        errors.append(FieldError("rule.name", "tagging.bad_name", _("名称最长 60 个字符。"), _("改短一些。")))
    if errors:
        plain = [FieldError(e.field.removeprefix("rule."), e.code, e.message, e.remedy) for e in errors]
        raise Invalid(_("标签规则有 %(n)d 处不正确。") % {"n": len(plain)}, errors=plain, code="tagging.invalid_rule")


def _check_event(values: Mapping[str, Any]) -> list[FieldError]:
    event = values["event_type"]
    if not isinstance(event, str) or not event_types.is_known(event):
        return [
            FieldError(
                "rule.event_type",
                "tagging.unknown_event",
                _("行为目录里没有 %(event)s。") % {"event": params.shown(event)},
                _("可用的行为：%(types)s；品牌自定义的以 x_ 开头。") % {"types": _("、").join(event_types.names())},
            )
        ]
    errors = list(event_filter.check(values["where"], event=event, path="rule.where"))
    if values["measure"] == Measure.SUM:
        errors += event_filter.check_prop(values["prop"], event=event, path="rule.prop")
    return errors


def _check_sequence(values: Mapping[str, Any]) -> list[FieldError]:
    leaf = {"kind": "sequence", "steps": values["steps"], "days": values["window_days"]}
    if values["within_hours"] is not None:
        leaf["within_hours"] = values["within_hours"]
    errors: list[FieldError] = []
    try:
        compiler.validate(leaf, path="rule")
    except Invalid as wrong:
        errors += [replace(error, field=error.field.replace("rule.days", "rule.window_days")) for error in wrong.errors]
    if values["low"] is not None or values["half_life_days"] is not None:
        errors.append(
            FieldError(
                "rule.low",
                "tagging.unknown_field",
                _("先后做过的规则没有下限和半衰期。"),
                _("去掉它们；要让标签到期，填保留几天。"),
            )
        )
    return errors


def _check_interest(values: Mapping[str, Any]) -> list[FieldError]:
    where = values["where"]
    named = where if isinstance(where, dict) and len(where) == 1 else {}
    if not any(params.is_clean_text(named.get(key)) for key in ("category", "product_id")):
        return [
            FieldError(
                "rule.where",
                "tagging.wrong_type",
                _("兴趣分的规则要写一个品类或一个商品。"),
                _('写 {"category": "婴童"} 或 {"product_id": "A1"}。'),
            )
        ]
    return []


def _check_thresholds(values: Mapping[str, Any]) -> list[FieldError]:
    wrong = [
        FieldError(
            f"rule.{name}",
            "tagging.out_of_range",
            _("门槛的值不对：%(value)s。") % {"value": params.shown(values[name])},
            _("填大于 0 的数。"),
        )
        for name in ("high", "low")
        if values[name] is not None and not _is_threshold(values[name])
    ]
    high = values["min_count"] if values["high"] is None else values["high"]
    if not wrong and values["low"] is not None and isinstance(high, int | float) and values["low"] > high:
        wrong.append(
            FieldError(
                "rule.low",
                "tagging.impossible_threshold",
                _("移除的门槛比打上的门槛还高。"),
                _("不大于 %(high)s。") % {"high": f"{high:g}"},
            )
        )
    return wrong


def _is_threshold(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_THRESHOLD
