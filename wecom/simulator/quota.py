"""How many mass sends one customer (or customer group) may receive: the corp's mode and natural periods in UTC+8
(reference §3.2)."""

from __future__ import annotations

import calendar
import datetime as dt

SHANGHAI = dt.timezone(dt.timedelta(hours=8))
MODES = ("month_days", "week_7", "day_1", "month_4")


def period(mode: str, now: int) -> tuple[int, int]:
    """(start of the running period in Unix seconds, receipts allowed in it)."""
    local = dt.datetime.fromtimestamp(now, SHANGHAI)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if mode == "day_1":
        return int(midnight.timestamp()), 1
    if mode == "week_7":
        return int((midnight - dt.timedelta(days=local.weekday())).timestamp()), 7
    start = int(midnight.replace(day=1).timestamp())
    return start, 4 if mode == "month_4" else calendar.monthrange(local.year, local.month)[1]


def take(received: list[int], *, mode: str, now: int) -> bool:
    """Count one receipt into `received`; False, and nothing counted, when the cap is reached."""
    start, cap = period(mode, now)
    if received and received[0] < now - 40 * 86_400:
        received[:] = [at for at in received if at >= now - 40 * 86_400]
    if sum(1 for at in received if at >= start) >= cap:
        return False
    received.append(now)
    return True
