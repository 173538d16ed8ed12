"""The condition on orders: how many, how much, which, when."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError
from tagging.language import changes, compare, event_filter, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.event_types import yuan
from tagging.language.leaves.ages import AGE_OPS, MAX_AGE, UNITS, age_flips, age_phrase, aged
from tagging.language.leaves.behaviour import (
    COUNT,
    WHERE,
    WINDOW,
    aggregated,
    any_flip,
    evidence,
    is_windowed,
    matching,
    of_contact,
    window_phrase,
    within,
)
from tagging.language.leaves.counting import MAX_AMOUNT, check_events, check_number, counted_text, with_value
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of

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
        """近 90 天 订单（品类 婴童）净成交 ≥ ¥199.00; 最近一单 距今超过 180 天."""
        measure = leaf["measure"]
        which = event_filter.phrase(leaf.get("where") or {}, event="order_paid")
        if measure in ("first", "last"):
            what = (_("第一单") if measure == "first" else _("最近一单")) + which
            subject = within(window_phrase(leaf), what) if is_windowed(leaf) else what
            return f"{subject} {age_phrase(leaf)}"
        subject = within(window_phrase(leaf), f"{dict(MEASURES)[measure]}{which}")
        if measure in IN_FEN:
            return f"{subject} {compare.phrase(leaf['op'], leaf['value'], yuan)}"
        said = _("%(range)s 单") % {"range": compare.phrase(leaf["op"], leaf["value"])}
        return f"{subject} {said}"


_SOME_OR_NONE = (("gte", 1), ("gt", 0), ("ne", 0), ("eq", 0), ("lt", 1), ("lte", 0))


def _types(leaf: Leaf) -> list[str]:
    return ["order_paid", "order_refunded"] if leaf["measure"] == "net" else ["order_paid"]


def _orders(leaf: Leaf, frame: Frame) -> list[Sql]:
    return matching({**leaf, "event": "order_paid"}, frame, types=_types(leaf) if leaf["measure"] == "net" else ())
