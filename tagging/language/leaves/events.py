"""The general condition on the behaviour log: how many, how much, which, when."""

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError
from tagging.language import changes, compare, event_filter, event_types, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.leaves.ages import AGE_OPS, MAX_AGE, UNITS, age_flips, age_phrase, aged
from tagging.language.leaves.behaviour import (
    COUNT,
    EVENT,
    WHERE,
    WINDOW,
    aggregated,
    any_flip,
    evidence,
    is_windowed,
    matching,
    named,
    of_contact,
    subject_of,
    times,
    window_phrase,
    within,
)
from tagging.language.leaves.counting import MAX_AMOUNT, check_events, check_number, counted_text, with_value
from tagging.language.params import Param
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
            yield from check_number(leaf, path, least=-MAX_AMOUNT if prop and agg != "distinct" else 0)

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
        """3 次，最近 …; 平均 ¥88.00（3 次，最近 …）."""
        said = counted_text(actual, zone)
        agg, value = _agg(leaf), actual.get("value")
        if agg == "count" or not actual["count"]:
            return said
        if agg in ("first", "last") and leaf.get("prop") is None:
            value = windows.local_text(value, zone)
        elif agg == "avg" and value is not None:
            value = round(value)
        if agg != "distinct" and value is not None:
            value = event_types.value_text(value, leaf.get("prop") or "", leaf["event"])
        told = _("没有值") if value is None else str(value)
        return _("%(agg)s %(value)s（%(said)s）") % {"agg": dict(AGGREGATES)[agg], "value": told, "said": said}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 90 天 支付订单 的金额合计 ≥ ¥199.00; 最近一次 支付订单 距今超过 180 天."""
        agg, prop = _agg(leaf), leaf.get("prop")
        if agg in ("first", "last"):
            return self._edge_sentence(leaf, agg)
        said: dict[str, Any] = {"subject": subject_of(leaf), "agg": dict(AGGREGATES)[agg]}
        if prop is None:
            return f"{said['subject']} {times(leaf)}"
        said["prop"] = event_types.spoken(prop, leaf["event"])
        if agg == "distinct":
            said["range"] = compare.phrase(leaf["op"], leaf["value"])
            return _("%(subject)s 不同的%(prop)s %(range)s 个") % said
        said["range"] = compare.phrase(
            leaf["op"], leaf["value"], lambda value: event_types.value_text(value, prop, leaf["event"])
        )
        return _("%(subject)s 的%(prop)s%(agg)s %(range)s") % said

    def _edge_sentence(self, leaf: Leaf, agg: str) -> str:
        """最近一次 支付订单 距今超过 180 天; 最近一次 填写问卷 的回答 是 贵."""
        window = window_phrase(leaf) if is_windowed(leaf) else ""
        edge = _("第一次 %(event)s") if agg == "first" else _("最近一次 %(event)s")
        subject = edge % {"event": named(leaf)}
        subject = within(window, subject) if window else subject
        prop = leaf.get("prop")
        if prop is None:
            return f"{subject} {age_phrase(leaf)}"
        said = event_filter.comparison_phrase(
            event_filter.Comparison(prop, leaf["op"], leaf.get("value")), leaf["event"]
        )
        if leaf["op"] in ("eq", "in", "between"):
            said = f"{event_filter.OP_LABELS[leaf['op']]} {said}"
        told = {"subject": subject, "prop": event_types.spoken(prop, leaf["event"]), "said": said}
        return _("%(subject)s 的%(prop)s %(said)s") % told


def _agg(leaf: Leaf) -> str:
    return str(leaf.get("agg") or "count")


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
