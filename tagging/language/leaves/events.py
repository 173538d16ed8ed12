"""The general condition on the behaviour log, and the one on orders: how many, how much, which, when."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scrm.lib.errors import FieldError
from tagging.language import changes, compare, event_filter, event_types, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.leaves.behaviour import (
    COUNT,
    EVENT,
    WHERE,
    WINDOW,
    aggregated,
    any_flip,
    check_event,
    evidence,
    matching,
    named,
    of_contact,
    window_phrase,
    yuan,
)
from tagging.language.params import Param, is_whole, shown
from tagging.language.sql import Sql, all_of, exists

AGGREGATES = (
    ("count", gettext_lazy("次数")),
    ("sum", gettext_lazy("合计")),
    ("avg", gettext_lazy("平均")),
    ("min", gettext_lazy("最小")),
    ("max", gettext_lazy("最大")),
    ("distinct", gettext_lazy("不同值的个数")),
    ("first", gettext_lazy("第一次")),
    ("last", gettext_lazy("最近一次")),
)
UNITS = (("days", gettext_lazy("天")), ("hours", gettext_lazy("小时")))
AGE_OPS = ("gte", "gt", "lte", "lt", "between")
MAX_AMOUNT = 10**15
MAX_AGE = 24 * windows.MAX_DAYS
_OPS = tuple(event_filter.OP_LABELS.items())


class Event(Condition):
    """{"kind": "event", "event": "order_paid", "where": […], "agg": "last", "op": "gt", "value": 180, window}.

    agg: count; sum, avg, min, max of the number in `prop`; distinct values of `prop`; first, last: how long ago (in
    `unit`: days or hours), or with `prop`, what the first or last event says of it. Without events count, sum and
    distinct are 0, and the others fail every comparison."""

    kind = "event"
    label = gettext_lazy("行为统计")
    group = "behaviour"
    null_rule = gettext_lazy("没有这种行为的客户：次数、合计、个数按 0 算，平均、最小、最大、第一次、最近一次不满足。")
    params = (
        EVENT,
        WHERE,
        *WINDOW,
        Param("agg", gettext_lazy("统计"), "choice", choices=AGGREGATES, default="count"),
        Param("prop", gettext_lazy("属性"), "text"),
        Param("op", gettext_lazy("比较"), "choice", required=True, choices=_OPS),
        Param("value", gettext_lazy("值"), "any"),
        Param("unit", gettext_lazy("单位"), "choice", choices=UNITS, default="days"),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The event, its filter, its window; then what the aggregate needs."""
        yield from check_events(leaf, path)
        if not isinstance(leaf["event"], str) or not event_types.is_known(leaf["event"]):
            return
        agg, prop = _agg(leaf), leaf.get("prop")
        if agg in ("sum", "avg", "min", "max", "distinct") and prop is None:
            yield FieldError(
                f"{path}.prop",
                "tagging.missing_field",
                _("“%(agg)s”要有一个属性。") % {"agg": dict(AGGREGATES)[agg]},
                _("写 prop，例如 amount_fen。"),
            )
        elif agg == "count" and prop is not None:
            yield FieldError(
                f"{path}.prop",
                "tagging.unknown_field",
                _("“%(agg)s”不用属性。") % {"agg": dict(AGGREGATES)[agg]},
                _("去掉 prop，或写进 where。"),
            )
        else:
            yield from self._check_comparison(leaf, agg, prop, path)

    def _check_comparison(self, leaf: Leaf, agg: str, prop: str | None, path: str) -> Iterator[FieldError]:
        event = leaf["event"]
        wrong = [] if prop is None else [*event_filter.check_prop(prop, event=event, path=f"{path}.prop")]
        yield from wrong
        if wrong:
            return
        if agg in ("first", "last") and prop is not None:
            yield from event_filter.check_comparison(leaf, prop=prop, event=event, path=path)
            return
        props = event_types.props_of(event)
        if agg in ("sum", "avg", "min", "max") and props is not None and props[str(prop)] != "int":
            yield FieldError(
                f"{path}.prop",
                "tagging.wrong_type",
                _("属性 %(prop)s 不是整数，不能计算%(agg)s。") % {"prop": prop, "agg": dict(AGGREGATES)[agg]},
                _("改用整数属性，例如 amount_fen。"),
            )
        elif agg in ("first", "last"):
            yield from check_number(leaf, path, ops=AGE_OPS, most=MAX_AGE)
        else:
            yield from check_number(leaf, path, least=-MAX_AMOUNT if prop else 0)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A join with the contacts whose aggregate is so; the first or last event by DISTINCT ON."""
        agg, prop, events = _agg(leaf), leaf.get("prop"), matching(leaf, frame)
        op, value = leaf["op"], leaf.get("value")
        if agg == "count":
            return aggregated(events, frame, COUNT, op, value)
        if agg in ("first", "last"):
            if prop is None:
                return aged(events, frame, leaf)
            return _edge(events, frame, agg, event_filter.Comparison(prop, op, value))
        if agg == "distinct":
            distinct = Sql("count(DISTINCT nullif(e.props -> %s, 'null'::jsonb))", (prop,))
            return aggregated(events, frame, distinct, op, value)
        number = event_filter.number_of(str(prop))
        if agg == "sum":
            return aggregated(events, frame, Sql(f"coalesce(sum({number.core}), 0)", number.params), op, value)
        return aggregated(events, frame, Sql(f"{agg}({number.core})", number.params), op, value, empty=None)

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """Events of the type, and those that begin the window."""
        return changes.by_events(*(leaf[name] for name in ("event", "since_event") if leaf.get(name)))

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When an event leaves or enters the window; of an age, when it passes the value."""
        flip = any_flip(leaf, frame, [leaf["event"]])
        if _agg(leaf) in ("first", "last") and leaf.get("prop") is None:
            return changes.earliest([*([flip] if flip else []), *age_flips(leaf, frame, [leaf["event"]])])
        return flip

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The evidence of the events that count, and `value`: what was compared."""
        return with_value(evidence(matching(leaf, frame), frame), self._value(leaf, frame))

    def _value(self, leaf: Leaf, frame: Frame) -> Sql:
        agg, prop = _agg(leaf), leaf.get("prop")
        where = all_of([*matching(leaf, frame), of_contact(frame)])
        if agg in ("first", "last"):
            order = "DESC" if agg == "last" else "ASC"
            shown_ = Sql("to_jsonb(e.occurred_at)") if prop is None else Sql("e.props -> %s", (prop,))
            return Sql(
                f"(SELECT {shown_.text} FROM events_event e WHERE {where.text}"  # noqa: S608
                f" ORDER BY e.occurred_at {order}, e.id {order} LIMIT 1)",
                (*shown_.params, *where.params),
            )
        if agg == "count":
            value = COUNT
        elif agg == "distinct":
            value = Sql("count(DISTINCT nullif(e.props -> %s, 'null'::jsonb))", (prop,))
        else:
            number = event_filter.number_of(str(prop))
            value = Sql(f"{agg}({number.core})", number.params)
        return Sql(
            f"(SELECT to_jsonb({value.text}) FROM events_event e WHERE {where.text})",  # noqa: S608
            (*value.params, *where.params),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """3 次，最近 …; 平均 8800（3 次，最近 …）."""
        said = counted_text(actual, zone)
        agg, value = _agg(leaf), actual.get("value")
        if agg == "count" or not actual["count"]:
            return said
        if agg in ("first", "last") and leaf.get("prop") is None:
            value = windows.local_text(value, zone)
        told = _("没有值") if value is None else str(value)
        return _("%(agg)s %(value)s（%(said)s）") % {"agg": dict(AGGREGATES)[agg], "value": told, "said": said}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 90 天 支付订单 金额（分）合计 ≥ 19900; 最近一次 支付订单 在 180 天以前."""
        agg, prop = _agg(leaf), leaf.get("prop")
        label, subject = dict(AGGREGATES)[agg], f"{window_phrase(leaf)} {named(leaf)}"
        if agg in ("first", "last") and prop is None:
            return f"{subject} {label} {age_phrase(leaf)}"
        if agg in ("first", "last"):
            test = event_filter.Comparison(str(prop), leaf["op"], leaf.get("value"))
            said = f"{event_types.prop_label(str(prop))} {event_filter.comparison_phrase(test)}"
            return _("%(subject)s %(agg)s的%(said)s") % {"subject": subject, "agg": label, "said": said}
        what = f"{event_types.prop_label(prop)} {label}" if prop else str(label)
        return f"{subject} {what} {compare.phrase(leaf['op'], leaf['value'])}"


MEASURES = (
    ("count", gettext_lazy("订单数")),
    ("amount", gettext_lazy("支付金额")),
    ("net", gettext_lazy("净成交")),
    ("average", gettext_lazy("客单价")),
    ("last", gettext_lazy("最近一单距今")),
    ("first", gettext_lazy("第一单距今")),
)
IN_FEN = ("amount", "net", "average")
_ORDERS = "count(DISTINCT coalesce(e.props ->> 'order_no', e.id::text))"
_MEASURE: dict[str, tuple[str, int | None]] = {
    "count": (_ORDERS, 0),
    "amount": ("coalesce(sum(e.amount_fen), 0)", 0),
    "net": ("coalesce(sum(CASE WHEN e.type = 'order_refunded' THEN -e.amount_fen ELSE e.amount_fen END), 0)", 0),
    "average": (f"sum(e.amount_fen) / nullif({_ORDERS}, 0)", None),
}


class Order(Condition):
    """{"kind": "order", "measure": "count", "op": "gte", "value": 10, "where": {"category": "婴童"}, window}.

    Orders are the log's order_paid and order_refunded. Lines of one `order_no` are one order; amounts are fen; net is
    paid minus refunded within the window; `last` and `first` are how long ago, in `unit`."""

    kind = "order"
    label = gettext_lazy("订单")
    group = "order"
    null_rule = gettext_lazy("没有订单的客户：订单数和金额按 0 算，客单价、最近一单、第一单不满足。")
    params = (
        Param("measure", gettext_lazy("看什么"), "choice", required=True, choices=MEASURES),
        WHERE,
        *WINDOW,
        Param("op", gettext_lazy("比较"), "choice", required=True, choices=(*compare.CHOICES, compare.BETWEEN)),
        Param("value", gettext_lazy("值"), "any", required=True),
        Param("unit", gettext_lazy("单位"), "choice", choices=UNITS, default="days"),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The filter is one of order_paid; an age needs an inequality."""
        yield from check_events({**leaf, "event": "order_paid"}, path)
        if leaf["measure"] in ("first", "last"):
            yield from check_number(leaf, path, ops=AGE_OPS, most=MAX_AGE)
        else:
            yield from check_number(leaf, path, least=-MAX_AMOUNT if leaf["measure"] == "net" else 0)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A join with the contacts whose orders are so."""
        events = _orders(leaf, frame)
        if leaf["measure"] in ("first", "last"):
            return aged(events, frame, {**leaf, "agg": leaf["measure"]})
        aggregate, empty = _MEASURE[leaf["measure"]]
        op, value = leaf["op"], leaf["value"]
        if leaf["measure"] == "count" and (op, value) in _SOME_OR_NONE:
            aggregate = COUNT.core  # at least one event is at least one order, and finds it without grouping
        return aggregated(events, frame, Sql(aggregate), op, value, empty=empty)

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """Orders, and what begins the window."""
        since = [leaf["since_event"]] if leaf.get("since_event") else []
        return changes.by_events(*_types(leaf), *since)

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When an order leaves or enters the window; of an age, when it passes the value."""
        leaf = {**leaf, "event": "order_paid", "agg": leaf["measure"]}
        flip = any_flip(leaf, frame, _types(leaf))
        if leaf["measure"] in ("first", "last"):
            return changes.earliest([*([flip] if flip else []), *age_flips(leaf, frame, _types(leaf))])
        return flip

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The evidence of the orders that count, and `value`: what was compared."""
        events = _orders(leaf, frame)
        where = all_of([*events, of_contact(frame)])
        ages = {"last": "max(e.occurred_at)", "first": "min(e.occurred_at)"}
        measure = ages.get(leaf["measure"]) or _MEASURE[leaf["measure"]][0]
        value = Sql(f"(SELECT to_jsonb({measure}) FROM events_event e WHERE {where.text})", where.params)  # noqa: S608
        return with_value(evidence(events, frame), value)

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """净成交 ¥1,286.00（6 次，最近 …）."""
        value, measure = actual.get("value"), leaf["measure"]
        if value is None:
            return _("没有订单")
        if measure in ("first", "last"):
            return windows.local_text(value, zone)
        told = yuan(int(value)) if measure in IN_FEN else str(value)
        return f"{dict(MEASURES)[measure]} {told}" + _("（%(parts)s）") % {"parts": counted_text(actual, zone)}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 90 天 订单（品类 婴童）净成交 ≥ ¥199.00; 最近一单距今 超过 180 天."""
        measure = leaf["measure"]
        which = event_filter.phrase(leaf.get("where") or {}, event="order_paid")
        subject = f"{window_phrase(leaf)} {dict(MEASURES)[measure]}{which}"
        if measure in ("first", "last"):
            return f"{subject} {age_phrase(leaf)}"
        said = yuan if measure in IN_FEN else _orders_phrase
        return f"{subject} {compare.phrase(leaf['op'], leaf['value'], said)}"


_SOME_OR_NONE = (("gte", 1), ("gt", 0), ("ne", 0), ("eq", 0), ("lt", 1), ("lte", 0))


def _orders_phrase(number: int) -> str:
    return ngettext("%(n)d 单", "%(n)d 单", number) % {"n": number}


def _types(leaf: Leaf) -> list[str]:
    return ["order_paid", "order_refunded"] if leaf["measure"] == "net" else ["order_paid"]


def _orders(leaf: Leaf, frame: Frame) -> list[Sql]:
    return matching({**leaf, "event": "order_paid"}, frame, types=_types(leaf) if leaf["measure"] == "net" else ())


def _agg(leaf: Leaf) -> str:
    return str(leaf.get("agg") or "count")


# -- shared -----------------------------------------------------------------------------------------------------------


def check_events(leaf: Leaf, path: str) -> Iterator[FieldError]:
    """Event, filter, window and its beginning."""
    wrong = [*check_event(leaf["event"], f"{path}.event")]
    if leaf.get("since_event") is not None:
        wrong += check_event(leaf["since_event"], f"{path}.since_event")
    if not wrong and leaf.get("where") is not None:
        wrong += event_filter.check(leaf["where"], event=leaf["event"], path=f"{path}.where")
    yield from wrong
    yield from windows.check(leaf, path)


def check_number(
    leaf: Leaf,
    path: str,
    *,
    ops: Sequence[str] = (*compare.SQL_OF, "between"),
    least: int = 0,
    most: int = MAX_AMOUNT,
) -> Iterator[FieldError]:
    """`op` is one of `ops`, `value` a whole number in range, or two of them for between."""
    op, value = leaf["op"], leaf.get("value")
    if op not in ops:
        yield FieldError(
            f"{path}.op",
            "tagging.unknown_choice",
            _("这里不能用 %(op)s 比较。") % {"op": shown(op)},
            _("可选：%(choices)s。") % {"choices": _("、").join(ops)},
        )
        return
    numbers: list[Any] = value if op == "between" and isinstance(value, list) and len(value) == 2 else [value]
    if (op == "between") != (len(numbers) == 2) or not all(is_whole(n) and least <= n <= most for n in numbers):
        wanted = _("填 %(low)d 到 %(high)d 之间的整数。") % {"low": least, "high": most}
        pair = _("写 [下限, 上限]，两端都算在内。")
        yield FieldError(
            f"{path}.value",
            "tagging.missing_field" if value is None else "tagging.wrong_type",
            _("比较的值不对：%(value)s。") % {"value": shown(value)},
            pair if op == "between" else wanted,
        )
    elif op == "between" and numbers[0] > numbers[1]:
        yield FieldError(
            f"{path}.value",
            "tagging.out_of_range",
            _("下限 %(low)d 大于上限 %(high)d，没有人满足。") % {"low": numbers[0], "high": numbers[1]},
            _("写 [下限, 上限]，两端都算在内。"),
        )
    elif (op, value) == ("lt", least):
        yield FieldError(
            f"{path}.value",
            "tagging.out_of_range",
            _("不会小于 %(low)d，没有人满足。") % {"low": least},
            _("要找没有的客户，写 op 为 eq、value 为 0。"),
        )


def aged(events: Sequence[Sql], frame: Frame, leaf: Leaf) -> Sql:
    """Whether the first or last of the events is so long ago; never without events."""
    edge = Sql("max(e.occurred_at)" if leaf["agg"] == "last" else "min(e.occurred_at)")
    op, value = leaf["op"], leaf["value"]
    if op == "between":
        # Ages from low to high are moments from at - high to at - low.
        return aggregated(
            events, frame, edge, op, [_ago(leaf, frame, value[1]), _ago(leaf, frame, value[0])], empty=None
        )
    earlier = {"gte": "lte", "gt": "lt", "lte": "gte", "lt": "gt"}[op]
    return aggregated(events, frame, edge, earlier, _ago(leaf, frame, value), empty=None)


def _ago(leaf: Leaf, frame: Frame, value: int) -> Any:
    return frame.at - _long(leaf, value)


def _long(leaf: Leaf, value: int) -> timedelta:
    return timedelta(hours=value) if leaf.get("unit") == "hours" else timedelta(days=value)


def age_flips(leaf: Leaf, frame: Frame, types: Sequence[str]) -> list[Sql]:
    """When the age passes the value. The moment itself and just after it: ≥ turns at it, > after it."""
    where = all_of([*matching({**leaf, "event": leaf["event"]}, frame, types=types), of_contact(frame)])
    edge = "max" if leaf["agg"] == "last" else "min"
    made = []
    for value in leaf["value"] if leaf["op"] == "between" else [leaf["value"]]:
        long = _long(leaf, value)
        made.append(
            Sql(
                f"(SELECT CASE WHEN {edge}(e.occurred_at) + %s > %s THEN {edge}(e.occurred_at) + %s"  # noqa: S608
                f" WHEN {edge}(e.occurred_at) + %s = %s THEN %s + {changes.TICK} END"
                f" FROM events_event e WHERE {where.text})",
                (long, frame.at, long, long, frame.at, frame.at, *where.params),
            )
        )
    return made


def _edge(events: Sequence[Sql], frame: Frame, agg: str, test: event_filter.Comparison) -> Sql:
    """Whether the first or last of the events passes a test."""
    order = "DESC" if agg == "last" else "ASC"
    where = all_of([*events, *frame.in_range("e.contact_id")])
    edge = Sql(
        "(SELECT DISTINCT ON (e.contact_id) e.contact_id, e.props, e.category, e.product_id, e.amount_fen,"  # noqa: S608
        f" e.dwell_seconds FROM events_event e WHERE {where.text} AND e.contact_id IS NOT NULL"
        f" ORDER BY e.contact_id, e.occurred_at {order}, e.id {order}) s",
        where.params,
    )
    return exists(edge, [Sql(f"s.contact_id = {frame.alias}.id"), event_filter.comparison_sql(test, "s")])


def with_value(facts: Sql, value: Sql) -> Sql:
    """The evidence with the value that was compared."""
    return Sql(
        f"({facts.text} || jsonb_build_object('value', {value.text}))",
        (*facts.params, *value.params),
    )


def counted_text(actual: Any, zone: ZoneInfo) -> str:
    """3 次，最近 2026-11-20 12:00."""
    count = actual["count"]
    if not count:
        return _("没有")
    said = ngettext("%(n)d 次", "%(n)d 次", count) % {"n": count}
    return _("%(said)s，最近 %(last)s") % {"said": said, "last": windows.local_text(actual["last_at"], zone)}


def age_phrase(leaf: Leaf) -> str:
    """超过 180 天; 不到 7 天; 介于 30–60 天."""
    unit, value, op = dict(UNITS)[leaf.get("unit") or "days"], leaf["value"], leaf["op"]
    if op == "between":
        return _("在 %(low)d 到 %(high)d %(unit)s前") % {"low": value[0], "high": value[1], "unit": unit}
    forms = {
        "gt": _("超过 %(n)d %(unit)s前"),
        "gte": _("至少 %(n)d %(unit)s前"),
        "lt": _("不到 %(n)d %(unit)s前"),
        "lte": _("最多 %(n)d %(unit)s前"),
    }
    return forms[op] % {"n": value, "unit": unit}
