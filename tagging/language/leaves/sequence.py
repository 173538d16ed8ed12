"""One thing after another: events in order, within a time, and what did not follow."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError
from tagging.language import changes, event_filter, event_types, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.leaves.behaviour import check_event, named
from tagging.language.params import Param, is_whole, shown
from tagging.language.sql import Sql, all_of, exists

OPS = (("has", gettext_lazy("有过")), ("has_not", gettext_lazy("没有过")))
FEWEST, MOST = 2, 5
MAX_HOURS = 24 * 366
STEP_FIELDS = {"event", "where"}
THEN_NOT_FIELDS = {"event", "where", "hours", "days"}


class Sequence(Condition):
    """{"kind": "sequence", "steps": [{"event": "add_cart"}, {"event": "order_created"}], "within_hours": 24,
    "days": 30, "strict": false, "then_not": {"event": "order_paid", "hours": 2}, "op": "has"}.

    Each step lies later than the one before, all in the window, the last at most `within_hours` after the first.
    `strict`: between two steps no other event of any step's type. `then_not`: after the last step no such event for so
    long, and the time is over; without a time: none until now."""

    kind = "sequence"
    label = gettext_lazy("行为序列")
    group = "behaviour"
    null_rule = gettext_lazy("没有走完各步的客户算“没有过”；“之后没有”要等时间过完才成立。")
    params = (
        Param("steps", gettext_lazy("各步"), "steps", required=True),
        Param(
            "within_hours",
            gettext_lazy("首尾相隔不超过"),
            "int",
            minimum=1,
            maximum=MAX_HOURS,
            unit=gettext_lazy("小时"),
        ),
        *windows.PARAMS,
        Param("strict", gettext_lazy("中间不能有别的步骤"), "bool", default=False),
        Param("then_not", gettext_lazy("之后没有"), "any"),
        Param("op", gettext_lazy("比较"), "choice", choices=OPS, default="has"),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """Two to five steps, each an event with a filter; a possible window; then_not an event with a time."""
        steps = leaf["steps"]
        if not isinstance(steps, list) or not FEWEST <= len(steps) <= MOST:
            yield FieldError(
                f"{path}.steps",
                "tagging.out_of_range",
                _("序列要有 %(few)d 到 %(most)d 步。") % {"few": FEWEST, "most": MOST},
                _('写 [{"event": "add_cart"}, {"event": "order_paid"}]；只有一步时用“行为次数”。'),
            )
            return
        for index, step in enumerate(steps):
            yield from _check_step(step, f"{path}.steps[{index}]", STEP_FIELDS)
        yield from windows.check(leaf, path)
        days, within = leaf.get("days"), leaf.get("within_hours")
        if days is not None and within is not None and within > days * 24:
            yield FieldError(
                f"{path}.within_hours",
                "tagging.impossible_window",
                _("首尾相隔的时间比整个窗口还长。"),
                _("不大于 %(n)d 小时，或去掉 within_hours。") % {"n": days * 24},
            )
        then = leaf.get("then_not")
        if then is not None:
            yield from _check_step(then, f"{path}.then_not", THEN_NOT_FIELDS)
            yield from _check_time(then, f"{path}.then_not")

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Nested semi-joins: each step looks for the next one by the contact's own index."""
        found = self._found(leaf, frame)
        return ~found if leaf.get("op") == "has_not" else found

    def _found(self, leaf: Leaf, frame: Frame) -> Sql:
        first = [*_step(leaf, frame, 0), *frame.in_range("e0.contact_id"), Sql(f"e0.contact_id = {frame.alias}.id")]
        return exists("events_event e0", [*first, *_after(leaf, frame, 0)])

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The steps' types, and what must not follow."""
        then = leaf.get("then_not")
        return changes.by_events(*(step["event"] for step in leaf["steps"]), *([then["event"]] if then else []))

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When an event of a step leaves the window, or the time after a last step is over."""
        types = sorted({step["event"] for step in leaf["steps"]})
        flip = changes.row_flip(leaf, frame, "e.occurred_at")
        where = all_of(
            [
                Sql("e.brand_id = %s AND e.type = ANY (%s)", (frame.brand_id, types)),
                Sql(f"e.contact_id = {frame.alias}.id"),
                *frame.known("e"),
            ]
        )
        made = [
            Sql(
                f"(SELECT min({flip.text}) FROM events_event e WHERE {where.text})",  # noqa: S608
                (*flip.params, *where.params),
            )
        ]
        then, long = leaf.get("then_not"), _long(leaf.get("then_not"))
        if then and long is None:
            # Nothing may follow until now: what is told of a moment to come ends it then.
            ahead = all_of(
                [
                    *_event("n", then["event"], then.get("where"), frame),
                    Sql(f"n.contact_id = {frame.alias}.id AND n.occurred_at >= %s", (frame.at,)),
                ]
            )
            ends = f"(SELECT min(n.occurred_at) + {changes.TICK} FROM events_event n WHERE {ahead.text})"  # noqa: S608
            made.append(Sql(ends, ahead.params))
        if long is not None:
            # At the very moment the time is over; the window is [last step, last step + time).
            over = all_of([where, Sql("e.occurred_at + %s > %s", (long, frame.at))])
            made.append(
                Sql(f"(SELECT min(e.occurred_at + %s) FROM events_event e WHERE {over.text})", (long, *over.params))  # noqa: S608
            )
        return changes.earliest(made)

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The latest events of the steps' types in the window: [{id, type, at}], latest first, or null."""
        types = sorted(
            {step["event"] for step in leaf["steps"]} | ({leaf["then_not"]["event"]} if leaf.get("then_not") else set())
        )
        where = all_of(
            [
                Sql("e.brand_id = %s AND e.type = ANY (%s)", (frame.brand_id, types)),
                Sql(f"e.contact_id = {frame.alias}.id"),
                *windows.inside("e.occurred_at", frame.window(leaf)),
                *frame.known("e"),
            ]
        )
        return Sql(
            "(SELECT jsonb_agg(to_jsonb(x)) FROM (SELECT e.id, e.type, e.occurred_at AS at, e.props"  # noqa: S608
            f" FROM events_event e WHERE {where.text} ORDER BY e.occurred_at DESC, e.id DESC LIMIT 20) x)",
            where.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """加入购物车 2026-11-20 12:00 → 下单 2026-11-20 12:30."""
        if not actual:
            return _("没有")
        told = [f"{event_types.label_of(e['type'])} {windows.local_text(e['at'], zone)}" for e in reversed(actual[:6])]
        return " → ".join(told)

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 30 天 先后 加入购物车 → 下单（24 小时内），之后 2 小时 没有 支付订单."""
        said = _walked(leaf)
        # What did not happen is the whole of it, with what must not follow.
        return _("没有过「%(said)s」") % {"said": said} if leaf.get("op") == "has_not" else said


def _walked(leaf: Leaf) -> str:
    steps = " → ".join(named(step) for step in leaf["steps"])
    told = _("%(window)s 先后 %(steps)s") % {"window": windows.phrase(leaf), "steps": steps}
    notes = []
    if leaf.get("within_hours") is not None:
        notes.append(_("%(time)s内") % {"time": _time(leaf["within_hours"])})
    if leaf.get("strict"):
        notes.append(_("中间没有别的步骤"))
    if notes:
        told += _("（%(parts)s）") % {"parts": _("，").join(notes)}
    then = leaf.get("then_not")
    if not then:
        return told
    long = _long(then)
    if long is None:
        return _("%(said)s，之后没有 %(event)s") % {"said": told, "event": named(then)}
    time = _time(int(long.total_seconds()) // 3600)
    return _("%(said)s，之后 %(time)s没有 %(event)s") % {"said": told, "time": time, "event": named(then)}


def _time(hours: int) -> str:
    return windows.span(hours, "hours") if hours % 24 else windows.span(hours // 24)


def _check_step(step: Any, path: str, fields: set[str]) -> Iterator[FieldError]:
    if not isinstance(step, dict) or set(step) - fields or "event" not in step:
        yield FieldError(
            path,
            "tagging.wrong_type",
            _("这一步写得不对：%(value)s。") % {"value": shown(step)},
            _("写对象，可用的字段：%(names)s。") % {"names": _("、").join(sorted(fields))},
        )
        return
    wrong = [*check_event(step["event"], f"{path}.event")]
    if not wrong and step.get("where") is not None:
        wrong += event_filter.check(step["where"], event=step["event"], path=f"{path}.where")
    yield from wrong


def _check_time(then: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(then, dict):
        return
    said = [name for name in ("hours", "days") if then.get(name) is not None]
    if len(said) > 1:
        yield FieldError(
            f"{path}.days",
            "tagging.impossible_window",
            _("一个条件只能有一个时间窗口，这里同时写了 %(both)s。") % {"both": _("、").join(said)},
            _("只保留 hours、days 中的一个。"),
        )
    for name in said:
        most = MAX_HOURS if name == "hours" else MAX_HOURS // 24
        if not is_whole(then[name]) or not 1 <= then[name] <= most:
            yield FieldError(
                f"{path}.{name}",
                "tagging.out_of_range",
                _("时间的值不对：%(value)s。") % {"value": shown(then[name])},
                _("填 %(low)d 到 %(high)d 之间的整数。") % {"low": 1, "high": most},
            )


def _long(then: Any) -> timedelta | None:
    """How long nothing may follow; None: until now."""
    if not then or (then.get("hours") is None and then.get("days") is None):
        return None
    return timedelta(hours=then.get("hours") or 0, days=then.get("days") or 0)


def _event(alias: str, event: str, where: Any, frame: Frame) -> list[Sql]:
    return [
        Sql(f"{alias}.brand_id = %s AND {alias}.type = %s", (frame.brand_id, event)),
        *frame.known(alias),
        *event_filter.conditions_sql(where or {}, event=event, alias=alias),
    ]


def _step(leaf: Leaf, frame: Frame, index: int) -> list[Sql]:
    step, alias = leaf["steps"][index], f"e{index}"
    return [
        *_event(alias, step["event"], step.get("where"), frame),
        *windows.inside(f"{alias}.occurred_at", frame.window(leaf)),
    ]


def _after(leaf: Leaf, frame: Frame, index: int) -> list[Sql]:
    """What must hold after step `index`: the next step with all that follows it, or what did not follow the last."""
    here, following = f"e{index}", f"e{index + 1}"
    if index + 1 == len(leaf["steps"]):
        return _then_not(leaf, frame, here)
    where = [
        *_step(leaf, frame, index + 1),
        Sql(f"{following}.contact_id = {here}.contact_id AND {following}.occurred_at > {here}.occurred_at"),
    ]
    if leaf.get("within_hours") is not None:
        within = timedelta(hours=leaf["within_hours"])
        where.append(Sql(f"{following}.occurred_at <= e0.occurred_at + %s", (within,)))
    if leaf.get("strict"):
        where.append(~_between(leaf, frame, here, following))
    return [exists(f"events_event {following}", [*where, *_after(leaf, frame, index + 1)])]


def _between(leaf: Leaf, frame: Frame, here: str, following: str) -> Sql:
    types = sorted({step["event"] for step in leaf["steps"]})
    return exists(
        "events_event b",
        [
            Sql("b.brand_id = %s AND b.type = ANY (%s)", (frame.brand_id, types)),
            *frame.known("b"),
            Sql(f"b.contact_id = {here}.contact_id AND b.occurred_at > {here}.occurred_at"),
            Sql(f"b.occurred_at < {following}.occurred_at"),
        ],
    )


def _then_not(leaf: Leaf, frame: Frame, last: str) -> list[Sql]:
    then = leaf.get("then_not")
    if not then:
        return []
    long = _long(then)
    where = [
        *_event("n", then["event"], then.get("where"), frame),
        Sql(f"n.contact_id = {last}.contact_id AND n.occurred_at > {last}.occurred_at"),
        Sql("n.occurred_at < %s", (frame.at,)),
    ]
    if long is None:
        return [~exists("events_event n", where)]
    where.append(Sql(f"n.occurred_at < {last}.occurred_at + %s", (long,)))
    return [Sql(f"{last}.occurred_at + %s <= %s", (long, frame.at)), ~exists("events_event n", where)]
