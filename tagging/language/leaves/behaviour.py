"""Conditions on the behaviour log: how often, how recently, how much."""

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scrm.lib.errors import FieldError
from tagging.language import changes, compare, event_filter, event_types, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param, shown
from tagging.language.sql import Sql, all_of, exists

EVENT = Param("event", gettext_lazy("行为"), "event", required=True)
WHERE = Param("where", gettext_lazy("筛选"), "where")
SINCE = Param("since_event", gettext_lazy("自上次某行为以来"), "event")
WINDOW = (*windows.PARAMS, SINCE)
RECENCY_OPS = (("within", gettext_lazy("窗口内有过")), ("not_within", gettext_lazy("窗口内没有")))
EVIDENCE = 20


class _OnEvents(Condition):
    """What the three have in common: which events count, and what happened as evidence."""

    group = "behaviour"
    window_required = False

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The event must be in the catalogue, its filter fit, its window be possible."""
        wrong = [*check_event(leaf["event"], f"{path}.event")]
        if leaf.get("since_event") is not None:
            wrong += check_event(leaf["since_event"], f"{path}.since_event")
        yield from wrong
        if wrong:
            return
        if leaf.get("where") is not None:
            yield from event_filter.check(leaf["where"], event=leaf["event"], path=f"{path}.where")
        required = self.window_required and leaf.get("since_event") is None
        yield from windows.check(leaf, path, required=required)

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{count, sum_fen, last_at, event_ids: the 20 latest, events: the 5 latest with time and properties}."""
        return evidence(matching(leaf, frame), frame)

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """3 次，最近 2026-11-20 12:00."""
        count = actual["count"]
        if not count:
            return _("没有")
        said = ngettext("%(n)d 次", "%(n)d 次", count) % {"n": count}
        last = windows.local_text(actual["last_at"], zone)
        return _("%(said)s，最近 %(last)s") % {"said": said, "last": last}

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """Events of the type, and those that begin the window."""
        return changes.by_events(*(leaf[name] for name in ("event", "since_event") if leaf.get(name)))

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the first of the events that count leaves the window, or one whose moment is to come enters it."""
        return any_flip(leaf, frame, [leaf["event"]])


class EventCount(_OnEvents):
    """{"kind": "event_count", "event": "product_view", "where": {…}, "days": 30, "op": "gte", "value": 3}."""

    kind = "event_count"
    label = gettext_lazy("行为次数")
    null_rule = gettext_lazy("从未有过这种行为的客户按 0 次算。")
    params = (
        EVENT,
        WHERE,
        *WINDOW,
        compare.OP,
        Param("value", gettext_lazy("次数"), "int", required=True, maximum=1_000_000, unit=gettext_lazy("次")),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """Fewer than 0 times is nobody."""
        yield from super().check(leaf, path)
        yield from _below_zero(leaf, path)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Semi-join for "at least once"; else a join with the contacts whose count is so."""
        return aggregated(matching(leaf, frame), frame, COUNT, leaf["op"], leaf["value"])

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When there are no longer enough: for "3 or more", when the third latest leaves the window."""
        enough = _enough(leaf["op"], leaf["value"])
        return super().next_flip(leaf, frame) if enough is None else last_flip(leaf, frame, enough)

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 30 天 商品浏览 ≥ 3 次; 近 30 天 没有 商品浏览."""
        op, value = leaf["op"], leaf["value"]
        if (op, value) in (("eq", 0), ("lte", 0), ("lt", 1)):
            return _none_of(leaf)
        if (op, value) in (("gte", 1), ("gt", 0), ("ne", 0)):
            return _some_of(leaf)
        return f"{subject_of(leaf)} {times(leaf)}"


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
        *WINDOW,
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Whether an event that counts lies in the window."""
        found = exists("events_event e", [*matching(leaf, frame), *frame.in_range("e.contact_id"), of_contact(frame)])
        return found if leaf["op"] == "within" else ~found

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the latest of the events that count leaves the window; the others make no difference."""
        return last_flip(leaf, frame, 1)

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
        *WINDOW,
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
        return aggregated(matching(leaf, frame), frame, SUM_FEN, leaf["op"], leaf["value"])

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """¥199.00（2 次，最近 …）."""
        return event_types.yuan(actual["sum_fen"]) + _("（%(parts)s）") % {
            "parts": super().actual_text(leaf, actual, zone)
        }

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 90 天 订单付款 合计 ≥ ¥199.00."""
        total = f"{compare.SIGN_OF[leaf['op']]} {event_types.yuan(leaf['value'])}"
        return _("%(subject)s 合计 %(total)s") % {"subject": subject_of(leaf), "total": total}


COUNT = Sql("count(*)")
SUM_FEN = Sql("coalesce(sum(e.amount_fen), 0)")


def check_event(event: Any, path: str) -> Iterator[FieldError]:
    """The type must be in the catalogue, or one of a brand's own."""
    if not isinstance(event, str) or not event_types.is_known(event):
        yield FieldError(
            path,
            "tagging.unknown_event",
            _("行为目录里没有 %(event)s。") % {"event": shown(event)},
            _("可用的行为：%(types)s；品牌自定义的以 x_ 开头。") % {"types": _("、").join(event_types.names())},
        )


def matching(leaf: Leaf, frame: Frame, *, types: Sequence[str] = ()) -> list[Sql]:
    """Which events count, whoever's they are; `types` instead of the leaf's event."""
    of_type = Sql("e.type = ANY (%s)", (list(types),)) if types else Sql("e.type = %s", (leaf["event"],))
    made = [Sql("e.brand_id = %s", (frame.brand_id,)), of_type, *windows.inside("e.occurred_at", frame.window(leaf))]
    if leaf.get("since_event") is not None:
        made.append(_since(leaf["since_event"], frame))
    return [*made, *frame.known("e"), *event_filter.conditions_sql(leaf.get("where") or {}, event=leaf["event"])]


def _since(event: str, frame: Frame) -> Sql:
    """Later than the contact's last event of that type; of contacts who have none, every event."""
    where = all_of(
        [
            Sql("x.brand_id = %s AND x.contact_id = e.contact_id", (frame.brand_id,)),
            Sql("x.type = %s AND x.occurred_at < %s", (event, frame.at)),
            *frame.known("x"),
        ]
    )
    last = f"(SELECT max(x.occurred_at) FROM events_event x WHERE {where.text})"  # noqa: S608
    return Sql(f"e.occurred_at > coalesce({last}, '-infinity')", where.params)


def of_contact(frame: Frame) -> Sql:
    """The outer contact's events."""
    return Sql(f"e.contact_id = {frame.alias}.id")


def evidence(events: Sequence[Sql], frame: Frame) -> Sql:
    """What happened: count, sum, first and last moment, ids of the 20 latest, the 5 latest in full."""
    where = all_of([*events, of_contact(frame)])
    latest = "ORDER BY e.occurred_at DESC, e.id DESC"
    return Sql(
        "(SELECT jsonb_build_object('count', count(*), 'sum_fen', coalesce(sum(e.amount_fen), 0),"  # noqa: S608
        " 'first_at', min(e.occurred_at), 'last_at', max(e.occurred_at),"
        f" 'event_ids', coalesce(to_jsonb((array_agg(e.id {latest}))[1:{EVIDENCE}]), '[]'),"
        " 'events', coalesce(to_jsonb((array_agg(jsonb_build_object('id', e.id, 'at', e.occurred_at, 'type', e.type,"
        f" 'props', e.props) {latest}))[1:5]), '[]'))"
        f" FROM events_event e WHERE {where.text})",
        where.params,
    )


def aggregated(
    events: Sequence[Sql], frame: Frame, aggregate: Sql, op: str, value: Any, *, empty: int | None = 0
) -> Sql:
    """Whether the aggregate over the contact's events compares so; over no events it is `empty` (None: never holds).

    If that compares so, everybody holds but those whose events say otherwise: contacts without events need no row."""
    without_events = empty is not None and compare.includes(op, empty, value)
    counted = [*events, *frame.in_range("e.contact_id")]
    having = compare.OPPOSITE.get(op, op) if without_events else op
    if aggregate == COUNT and (having, value) in (("gte", 1), ("gt", 0), ("ne", 0)):
        found = exists("events_event e", [*counted, of_contact(frame)])
        return ~found if without_events else found
    where = all_of(counted)
    test = compare.sql(aggregate, op, value, negated=without_events)
    # IN, not EXISTS: where it is one of several alternatives it becomes a hash made once, not a look per contact.
    found = Sql(
        f"{frame.alias}.id IN (SELECT e.contact_id FROM events_event e"  # noqa: S608
        f" WHERE {where.text} AND e.contact_id IS NOT NULL GROUP BY e.contact_id HAVING {test.text})",
        (*where.params, *test.params),
        apart=without_events,  # "not in" is no join
    )
    return ~found if without_events else found


def _lasting(leaf: Leaf, frame: Frame, types: Sequence[str]) -> list[Sql]:
    """The contact's events that count once their moment has come and the window has not left them."""
    window = frame.window(leaf)
    made = [Sql("e.brand_id = %s AND e.type = ANY (%s)", (frame.brand_id, list(types))), of_contact(frame)]
    if window.start is not None:
        made.append(Sql("e.occurred_at >= %s", (window.start,)))
    return [*made, *frame.known("e"), *event_filter.conditions_sql(leaf.get("where") or {}, event=leaf["event"])]


def any_flip(leaf: Leaf, frame: Frame, types: Sequence[str]) -> Sql | None:
    """When the first of the events that count leaves the window, or one whose moment is to come enters it."""
    flip = changes.row_flip(leaf, frame, "e.occurred_at")
    where = all_of(_lasting(leaf, frame, types))
    leaves = Sql(
        f"(SELECT min({flip.text}) FROM events_event e WHERE {where.text})",  # noqa: S608
        (*flip.params, *where.params),
    )
    return changes.earliest([leaves, *_since_flip(leaf, frame)])


def last_flip(leaf: Leaf, frame: Frame, enough: int) -> Sql | None:
    """When the `enough`-th latest of the events that count leaves the window; or one to come enters it."""
    flip = changes.row_flip(leaf, frame, "e.occurred_at")
    lasting = _lasting(leaf, frame, [leaf["event"]])
    past, ahead = (all_of([*lasting, Sql(f"e.occurred_at {sign} %s", (frame.at,))]) for sign in ("<", ">="))
    out = Sql(
        f"(SELECT {flip.text} FROM events_event e WHERE {past.text}"  # noqa: S608
        " ORDER BY e.occurred_at DESC LIMIT 1 OFFSET %s)",
        (*flip.params, *past.params, enough - 1),
    )
    enters = Sql(
        f"(SELECT min(e.occurred_at) + {changes.TICK} FROM events_event e WHERE {ahead.text})",  # noqa: S608
        ahead.params,
    )
    return changes.earliest([out, enters, *_since_flip(leaf, frame)])


def _since_flip(leaf: Leaf, frame: Frame) -> list[Sql]:
    """When an event whose moment is to come begins the window anew."""
    if leaf.get("since_event") is None:
        return []
    where = all_of(
        [
            Sql("x.brand_id = %s AND x.type = %s", (frame.brand_id, leaf["since_event"])),
            Sql(f"x.contact_id = {frame.alias}.id AND x.occurred_at >= %s", (frame.at,)),
            *frame.known("x"),
        ]
    )
    return [
        Sql(f"(SELECT min(x.occurred_at) + {changes.TICK} FROM events_event x WHERE {where.text})", where.params)  # noqa: S608
    ]


def _enough(op: str, value: int) -> int | None:
    """From how many events on the comparison says something else; None: not one number."""
    enough = {"gte": value, "lt": value, "gt": value + 1, "lte": value + 1}.get(op)
    return enough if enough else None


def _below_zero(leaf: Leaf, path: str) -> Iterator[FieldError]:
    if (leaf["op"], leaf["value"]) == ("lt", 0):
        yield FieldError(
            f"{path}.value",
            "tagging.out_of_range",
            _("次数不会小于 0，没有人满足。"),
            _("要找没有这种行为的客户，写 op 为 eq、value 为 0。"),
        )


def named(leaf: Leaf) -> str:
    """商品浏览（品类 婴童）"""
    which = event_filter.phrase(leaf.get("where") or {}, event=leaf["event"])
    # English puts the event in quotes: “Paid an order” is no noun.
    return _("%(event)s%(which)s") % {"event": event_types.label_of(leaf["event"]), "which": which}


def subject_of(leaf: Leaf) -> str:
    """近 30 天 商品浏览（品类 婴童）"""
    return within(window_phrase(leaf), named(leaf))


def times(leaf: Leaf) -> str:
    """≥ 3 次."""
    many, value = compare.phrase(leaf["op"], leaf["value"]), params.values(leaf["value"])[-1]
    return ngettext("%(range)s 次", "%(range)s 次", value) % {"range": many}


def is_windowed(leaf: Leaf) -> bool:
    """Whether it says since when."""
    return windows.is_said(leaf) or leaf.get("since_event") is not None


def within(window: str, what: str) -> str:
    """`近 30 天 订单数`; in English the other way round."""
    return _("%(window)s %(event)s") % {"window": window, "event": what}


def window_phrase(leaf: Leaf) -> str:
    """近 30 天; 自上次 支付订单 以来."""
    if leaf.get("since_event") is None:
        return windows.phrase(leaf)
    said = _("自上次 %(event)s 以来") % {"event": named({"event": leaf["since_event"]})}
    return _("%(window)s、%(said)s") % {"window": windows.phrase(leaf), "said": said} if windows.is_said(leaf) else said


def _some_of(leaf: Leaf) -> str:
    return _("%(window)s 有过 %(event)s") % {"window": window_phrase(leaf), "event": named(leaf)}


def _none_of(leaf: Leaf) -> str:
    return _("%(window)s 没有 %(event)s") % {"window": window_phrase(leaf), "event": named(leaf)}
