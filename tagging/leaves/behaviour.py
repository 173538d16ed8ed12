"""Conditions on the behaviour log: how often, how recently, how much."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scrm.lib.errors import FieldError
from tagging import compare, event_filter, event_types, windows
from tagging.conditions import Condition, Frame, Leaf, Names
from tagging.params import Param, shown
from tagging.sql import Sql, all_of, exists

EVENT = Param("event", gettext_lazy("行为"), "event", required=True)
WHERE = Param("where", gettext_lazy("筛选"), "where")
RECENCY_OPS = (("within", gettext_lazy("窗口内有过")), ("not_within", gettext_lazy("窗口内没有")))
EVIDENCE = 20


class _OnEvents(Condition):
    """What the three have in common: which events count, and what happened as evidence."""

    group = "behaviour"
    window_required = False

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The event must be in the catalogue, its filter fit, its window be possible."""
        event = leaf["event"]
        if not isinstance(event, str) or not event_types.is_known(event):
            yield FieldError(
                f"{path}.event",
                "tagging.unknown_event",
                _("行为目录里没有 %(event)s。") % {"event": shown(event)},
                _("可用的行为：%(types)s；品牌自定义的以 x_ 开头。") % {"types": _("、").join(event_types.names())},
            )
            return
        if leaf.get("where") is not None:
            yield from event_filter.check(leaf["where"], event=event, path=f"{path}.where")
        yield from windows.check(leaf, path, required=self.window_required)

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{count, sum_fen, last_at, event_ids: the 20 latest} of the events that count, in the window."""
        where = all_of([*_matching(leaf, frame), _of_contact(frame)])
        return Sql(
            "(SELECT jsonb_build_object('count', count(*), 'sum_fen', coalesce(sum(e.amount_fen), 0),"  # noqa: S608
            " 'last_at', max(e.occurred_at),"
            f" 'event_ids', coalesce(to_jsonb((array_agg(e.id ORDER BY e.occurred_at DESC))[1:{EVIDENCE}]), '[]'))"
            f" FROM events_event e WHERE {where.text})",
            where.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """3 次，最近 2026-11-20 12:00."""
        count = actual["count"]
        if not count:
            return _("没有")
        said = ngettext("%(n)d 次", "%(n)d 次", count) % {"n": count}
        last = windows.local_text(actual["last_at"], zone)
        return _("%(said)s，最近 %(last)s") % {"said": said, "last": last}

    def _subject(self, leaf: Leaf) -> str:
        """近 30 天 商品浏览（品类 婴童）"""
        return _("%(window)s %(event)s") % {"window": windows.phrase(leaf), "event": _named(leaf)}


class EventCount(_OnEvents):
    """{"kind": "event_count", "event": "product_view", "where": {…}, "days": 30, "op": "gte", "value": 3}."""

    kind = "event_count"
    label = gettext_lazy("行为次数")
    null_rule = gettext_lazy("从未有过这种行为的客户按 0 次算。")
    params = (
        EVENT,
        WHERE,
        *windows.PARAMS,
        compare.OP,
        Param("value", gettext_lazy("次数"), "int", required=True, maximum=1_000_000, unit=gettext_lazy("次")),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """Fewer than 0 times is nobody."""
        yield from super().check(leaf, path)
        yield from _below_zero(leaf, path)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Semi-join for "at least once"; else a join with the contacts whose count is so."""
        return _aggregated(leaf, frame, "count(*)", at_least=1)

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 30 天 商品浏览 ≥ 3 次; 近 30 天 没有 商品浏览."""
        op, value = leaf["op"], leaf["value"]
        if (op, value) in (("eq", 0), ("lte", 0), ("lt", 1)):
            return _none_of(leaf)
        if (op, value) in (("gte", 1), ("gt", 0), ("ne", 0)):
            return _some_of(leaf)
        times = ngettext("%(n)d 次", "%(n)d 次", value) % {"n": value}
        return f"{self._subject(leaf)} {compare.SIGN_OF[op]} {times}"


class EventRecency(_OnEvents):
    """{"kind": "event_recency", "event": "order_paid", "op": "not_within", "days": 30}."""

    kind = "event_recency"
    label = gettext_lazy("最近行为")
    null_rule = gettext_lazy("从未有过这种行为的客户算“没有”。")
    window_required = True
    params = (
        EVENT,
        WHERE,
        Param("op", gettext_lazy("比较"), "choice", required=True, choices=RECENCY_OPS),
        *windows.PARAMS,
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Whether an event that counts lies in the window."""
        found = exists("events_event e", [*_matching(leaf, frame), *frame.in_range("e.contact_id"), _of_contact(frame)])
        return found if leaf["op"] == "within" else ~found

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """As the others, but of all time: "not within 30 days" wants to know when it last was."""
        timeless = {name: leaf[name] for name in ("kind", "event", "where") if name in leaf}
        return super().actual(timeless, frame)

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 30 天 没有 订单付款."""
        return _some_of(leaf) if leaf["op"] == "within" else _none_of(leaf)


class EventSum(_OnEvents):
    """{"kind": "event_sum", "event": "order_paid", "days": 90, "op": "gte", "value": 19900}: the sum of amount_fen."""

    kind = "event_sum"
    label = gettext_lazy("行为金额合计")
    group = "order"
    null_rule = gettext_lazy("没有这种行为的客户按 0 元算；没有金额的行为不计。")
    params = (
        EVENT,
        WHERE,
        *windows.PARAMS,
        compare.OP,
        Param("value", gettext_lazy("金额"), "int", required=True, maximum=10**13, unit=gettext_lazy("分")),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The event must carry an amount."""
        errors = list(super().check(leaf, path))
        yield from errors
        props = None if errors else event_types.props_of(leaf["event"])
        if props is not None and "amount_fen" not in props:
            yield FieldError(
                f"{path}.event",
                "tagging.no_amount",
                _("%(event)s 没有金额。") % {"event": event_types.label_of(leaf["event"])},
                _("改用带 amount_fen 的行为，例如 order_paid。"),
            )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A join with the contacts whose sum is so."""
        return _aggregated(leaf, frame, "coalesce(sum(e.amount_fen), 0)")

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """¥199.00（2 次，最近 …）."""
        return yuan(actual["sum_fen"]) + _("（%(parts)s）") % {"parts": super().actual_text(leaf, actual, zone)}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 90 天 订单付款 合计 ≥ ¥199.00."""
        total = f"{compare.SIGN_OF[leaf['op']]} {yuan(leaf['value'])}"
        return _("%(subject)s 合计 %(total)s") % {"subject": self._subject(leaf), "total": total}


def yuan(fen: int) -> str:
    """19900 → ¥199.00."""
    sign = "-" if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def _matching(leaf: Leaf, frame: Frame) -> list[Sql]:
    """Which events count, whoever's they are."""
    window = frame.window(leaf)
    made = [Sql("e.brand_id = %s AND e.type = %s", (frame.brand_id, leaf["event"]))]
    if window.start is not None:
        made.append(Sql("e.occurred_at >= %s", (window.start,)))
    made.append(Sql("e.occurred_at < %s", (window.end,)))
    return made + event_filter.conditions_sql(leaf.get("where") or {}, event=leaf["event"])


def _of_contact(frame: Frame) -> Sql:
    return Sql(f"e.contact_id = {frame.alias}.id")


def _aggregated(leaf: Leaf, frame: Frame, aggregate: str, *, at_least: int | None = None) -> Sql:
    """Whether the aggregate over the contact's events compares so; over no events it is 0.

    If 0 compares so, everybody holds but those whose events say otherwise: contacts without events need no row."""
    op, value = leaf["op"], leaf["value"]
    without_events = compare.holds(op, 0, value)
    having = compare.OPPOSITE[op] if without_events else op
    counted = [*_matching(leaf, frame), *frame.in_range("e.contact_id")]
    if at_least is not None and (having, value) in (("gte", at_least), ("gt", at_least - 1), ("ne", at_least - 1)):
        found = exists("events_event e", [*counted, _of_contact(frame)])
        return ~found if without_events else found
    where = all_of(counted)
    grouped = (
        f"(SELECT e.contact_id FROM events_event e WHERE {where.text} AND e.contact_id IS NOT NULL"  # noqa: S608
        f" GROUP BY e.contact_id HAVING {aggregate} {compare.SQL_OF[having]} %s) s"
    )
    found = Sql(exists(grouped, [Sql(f"s.contact_id = {frame.alias}.id")]).core, (*where.params, value))
    return ~found if without_events else found


def _below_zero(leaf: Leaf, path: str) -> Iterator[FieldError]:
    if (leaf["op"], leaf["value"]) == ("lt", 0):
        yield FieldError(
            f"{path}.value",
            "tagging.out_of_range",
            _("次数不会小于 0，没有人满足。"),
            _("要找没有这种行为的客户，写 op 为 eq、value 为 0。"),
        )


def _named(leaf: Leaf) -> str:
    return event_types.label_of(leaf["event"]) + event_filter.phrase(leaf.get("where") or {}, event=leaf["event"])


def _some_of(leaf: Leaf) -> str:
    return _("%(window)s 有过 %(event)s") % {"window": windows.phrase(leaf), "event": _named(leaf)}


def _none_of(leaf: Leaf) -> str:
    return _("%(window)s 没有 %(event)s") % {"window": windows.phrase(leaf), "event": _named(leaf)}
