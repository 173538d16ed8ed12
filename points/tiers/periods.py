"""The times of tiers, in whole days of the brand: what a measure looks back on, and how long a tier is kept."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tagging.language.windows import a_year_before

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def window_start(window: str, at: datetime, zone: ZoneInfo) -> datetime:
    """Since when a measure at `at` counts: the last twelve months to the day, today among them, or 1 January."""
    today = at.astimezone(zone).date()
    first = today.replace(month=1, day=1) if window == "year" else a_year_before(today) + DAY
    return midnight(first, zone)


def spell_end(window: str, since: datetime, zone: ZoneInfo) -> datetime:
    """When a tier that begins now is judged anew: a midnight, so that the year before it leaves out what earned it.

    Rolling: after the same day next year. By years: at the end of this one, whose whole is what is looked at."""
    today = since.astimezone(zone).date()
    if window == "year":
        return midnight(date(today.year + 1, 1, 1), zone)
    is_leap_day = (today.month, today.day) == (2, 29)
    same_day = date(today.year + 1, 2, 28) if is_leap_day else today.replace(year=today.year + 1)
    return midnight(same_day + DAY, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The brand's day begins."""
    return datetime.combine(day, time.min, tzinfo=zone)
