"""Windows of time in conditions: rolling to the second, or a calendar day, week or month of the brand's own time zone.

A window is `[start, end)` and never reaches past `at`. A leaf says one of
* `days`, `hours`: rolling to the second;
* `calendar` with an `offset` (0 is the present day, week or month, -1 the one before);
* `from`, `to`: absolute moments, one or both;
* `anniversary`: ± so many days around the brand's day one year ago (0: that day only);
none of them means since the beginning of the records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scrm.lib.errors import FieldError
from tagging.language.params import Param, moment
from tagging.language.sql import Sql

MAX_DAYS = 3650
CALENDARS = (
    ("day", gettext_lazy("自然日")),
    ("week", gettext_lazy("自然周")),
    ("month", gettext_lazy("自然月")),
)
PARAMS = (
    Param("days", gettext_lazy("近几天"), "int", minimum=1, maximum=MAX_DAYS),
    Param("hours", gettext_lazy("近几小时"), "int", minimum=1, maximum=24 * 90),
    Param("calendar", gettext_lazy("自然周期"), "choice", choices=CALENDARS),
    Param("offset", gettext_lazy("第几个周期"), "int", minimum=-36, maximum=0),
    Param("from", gettext_lazy("从"), "datetime"),
    Param("to", gettext_lazy("到"), "datetime"),
    Param("anniversary", gettext_lazy("去年同日前后几天"), "int", minimum=0, maximum=60),
)
NAMES = tuple(param.name for param in PARAMS)


@dataclass(frozen=True, slots=True)
class Window:
    """`[start, end)`; no start means since the beginning."""

    start: datetime | None
    end: datetime


def is_said(leaf: Mapping[str, Any]) -> bool:
    """Whether the leaf has a window at all."""
    return bool(_said(leaf))


def check(leaf: Mapping[str, Any], path: str, *, required: bool = False) -> Iterator[FieldError]:
    """What makes the leaf's window impossible."""
    said = _said(leaf)
    if len(said) > 1:
        yield FieldError(
            f"{path}.{said[1]}",
            "tagging.impossible_window",
            _("一个条件只能有一个时间窗口，这里同时写了 %(both)s。") % {"both": _("、").join(said)},
            _("只保留 days、hours、calendar、from/to、anniversary 中的一个。"),
        )
    if leaf.get("offset") is not None and "calendar" not in said:
        yield FieldError(
            f"{path}.offset",
            "tagging.impossible_window",
            _("offset 只能和 calendar 一起用。"),
            _("加上 calendar（day、week 或 month），或去掉 offset。"),
        )
    start, end = moment(leaf.get("from")), moment(leaf.get("to"))
    if start is not None and end is not None and start >= end:
        yield FieldError(
            f"{path}.to",
            "tagging.impossible_window",
            _("时间窗口的结束不晚于开始，没有任何时刻落在里面。"),
            _("让 to 晚于 from；窗口包含开始的时刻，不包含结束的时刻。"),
        )
    if required and not said:
        yield FieldError(
            f"{path}.days",
            "tagging.missing_field",
            _("缺少时间窗口。"),
            _("写 days（近几天）、hours（近几小时）、calendar（day、week、month）或 from、to。"),
        )


def _said(leaf: Mapping[str, Any]) -> list[str]:
    said = [name for name in ("days", "hours", "calendar") if leaf.get(name) is not None]
    said += [next(name for name in ("from", "to") if leaf.get(name) is not None)] if _is_absolute(leaf) else []
    return said + (["anniversary"] if leaf.get("anniversary") is not None else [])


def _is_absolute(leaf: Mapping[str, Any]) -> bool:
    return leaf.get("from") is not None or leaf.get("to") is not None


def window_of(leaf: Mapping[str, Any], *, at: datetime, zone: ZoneInfo) -> Window:
    """The leaf's window as seen at `at`."""
    if leaf.get("days") is not None:
        return Window(at - timedelta(days=leaf["days"]), at)
    if leaf.get("hours") is not None:
        return Window(at - timedelta(hours=leaf["hours"]), at)
    if leaf.get("calendar") is not None:
        first, following = _period(leaf["calendar"], leaf.get("offset") or 0, at.astimezone(zone).date())
        return Window(_midnight(first, zone), min(_midnight(following, zone), at))
    if _is_absolute(leaf):
        return Window(moment(leaf.get("from")), min(moment(leaf.get("to")) or at, at))
    if leaf.get("anniversary") is not None:
        day, around = a_year_before(at.astimezone(zone).date()), leaf["anniversary"]
        return Window(
            _midnight(day - timedelta(days=around), zone), min(_midnight(day + timedelta(days=around + 1), zone), at)
        )
    return Window(None, at)


def inside(column: str, window: Window) -> list[Sql]:
    """That the moment in `column` lies in the window."""
    made = [] if window.start is None else [Sql(f"{column} >= %s", (window.start,))]
    return [*made, Sql(f"{column} < %s", (window.end,))]


def needs_zone(leaf: Mapping[str, Any]) -> bool:
    """Whether the window depends on the brand's days."""
    return leaf.get("calendar") is not None or leaf.get("anniversary") is not None


def a_year_before(day: date) -> date:
    """The same day last year; of 29 February, the 28th."""
    return date(day.year - 1, 2, 28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)


def phrase(leaf: Mapping[str, Any]) -> str:
    """The window in words: 近 30 天, 本月, 有记录以来."""
    if leaf.get("days") is not None:
        return ngettext("近 %(n)d 天", "近 %(n)d 天", leaf["days"]) % {"n": leaf["days"]}
    if leaf.get("hours") is not None:
        return ngettext("近 %(n)d 小时", "近 %(n)d 小时", leaf["hours"]) % {"n": leaf["hours"]}
    if leaf.get("calendar") is not None:
        return _calendar_phrase(leaf["calendar"], leaf.get("offset") or 0)
    if _is_absolute(leaf):
        return _absolute_phrase(leaf)
    if leaf.get("anniversary") is not None:
        around = leaf["anniversary"]
        said = ngettext("去年今天前后 %(n)d 天", "去年今天前后 %(n)d 天", around) % {"n": around}
        return said if around else _("去年今天")
    return _("有记录以来")


def _absolute_phrase(leaf: Mapping[str, Any]) -> str:
    start, end = moment(leaf.get("from")), moment(leaf.get("to"))
    if end is not None and all(_is_midnight(at) for at in (start, end) if at):
        # Whole days: the window ends before the midnight, so its last day is the one before.
        last = (end - timedelta(days=1)).strftime("%Y-%m-%d")
        if start is None:
            return _("%(end)s 及以前") % {"end": last}
        return _("%(start)s 至 %(end)s") % {"start": start.strftime("%Y-%m-%d"), "end": last}
    if start and end:
        return _("%(start)s 至 %(end)s") % {"start": written(start), "end": written(end)}
    return _("%(start)s 起") % {"start": written(start)} if start else _("%(end)s 以前") % {"end": written(end)}


def written(at: datetime | None) -> str:
    """The moment by the clock it was written by, which is named if it is not ours: 2026-11-01, 2026-11-01 09:30."""
    if at is None:
        return ""
    if not _is_by_our_clock(at):
        return at.strftime("%Y-%m-%d %H:%M %z")
    return at.strftime("%Y-%m-%d" if at.time() == time.min else "%Y-%m-%d %H:%M")


def _is_midnight(at: datetime) -> bool:
    return at.time() == time.min and at.date() > date.min and _is_by_our_clock(at)


def _is_by_our_clock(at: datetime) -> bool:
    return at.utcoffset() == at.replace(tzinfo=timezone.get_current_timezone()).utcoffset()


def span(number: int, unit: str = "days") -> str:
    """3 天, 5 小时; unit: days or hours."""
    if unit == "hours":
        return ngettext("%(n)d 小时", "%(n)d 小时", number) % {"n": number}
    return ngettext("%(n)d 天", "%(n)d 天", number) % {"n": number}


def _period(calendar: str, offset: int, today: date) -> tuple[date, date]:
    if calendar == "day":
        return today + timedelta(days=offset), today + timedelta(days=offset + 1)
    if calendar == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=offset)
        return monday, monday + timedelta(weeks=1)
    return _first_of_month(today, offset), _first_of_month(today, offset + 1)


def _first_of_month(today: date, offset: int) -> date:
    months = today.year * 12 + today.month - 1 + offset
    return date(months // 12, months % 12 + 1, 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)


def _calendar_phrase(calendar: str, offset: int) -> str:
    known = {
        ("day", 0): _("今天"),
        ("day", -1): _("昨天"),
        ("week", 0): _("本周"),
        ("week", -1): _("上周"),
        ("month", 0): _("本月"),
        ("month", -1): _("上月"),
    }
    if (calendar, offset) in known:
        return known[calendar, offset]
    before = {"day": _("%(n)d 天前那天"), "week": _("%(n)d 周前那周"), "month": _("%(n)d 个月前那月")}
    return before[calendar] % {"n": -offset}


def local_text(iso: str, zone: ZoneInfo) -> str:
    """A moment out of PostgreSQL's JSON in the brand's time: 2026-11-20 12:00."""
    return datetime.fromisoformat(iso).astimezone(zone).strftime("%Y-%m-%d %H:%M")
