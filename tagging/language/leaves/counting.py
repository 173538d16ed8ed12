"""What conditions on counts and amounts of events share: checks, evidence, and the number that was compared."""

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scrm.lib.errors import FieldError
from tagging.language import compare, event_filter, windows
from tagging.language.conditions import Leaf
from tagging.language.leaves.behaviour import check_event
from tagging.language.params import is_whole, shown
from tagging.language.sql import Sql

MAX_AMOUNT = 10**15


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
