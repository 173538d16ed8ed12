"""Behaviour of members and statistics of groups (reference §15), counted from what happened."""

from __future__ import annotations

import datetime as dt

from wecom.simulator import behaviour
from wecom.simulator.behaviour import DAY, day_of, midnight
from wecom.simulator.errors import Refused
from wecom.simulator.quota import SHANGHAI
from wecom.simulator.wire import Body, Call, endpoint

MOST_DAYS, REACH_DAYS = 30, 180
ORDERS = {1: "new_chat_cnt", 2: "chat_total", 3: "new_member_cnt", 4: "member_total"}


@endpoint("POST", "externalcontact/get_user_behavior_data", empty={"behavior_data": []})
def get_user_behavior_data(call: Call) -> Body:
    """userid[], partyid[] (≤ 100 each), start_time, end_time → one row per day, summed over the members.

    Official 92132. Today has no row; yesterday's comes some hours after midnight."""
    userids = call.strings("userid", most=100)
    parties = call.numbers("partyid")
    if not userids and not parties:
        raise Refused(40058, "userid and partyid are both empty")
    if len(parties) > 100:
        raise Refused(40058, "partyid has more than 100 items")
    members: dict[str, None] = {}
    for userid in userids:
        member = call.corp.member(userid)
        if member is None:
            raise Refused(40003)
        if not call.sees(member):
            raise Refused(60011)
        members[member.userid] = None
    for party in parties:
        if party not in call.corp.departments:
            raise Refused(60003)
        if party not in call.seen_departments():
            raise Refused(60011)
        for member in call.corp.members_of(party, recursive=True):
            if call.sees(member):
                members[member.userid] = None
    first, last = _days(call, call.number("start_time"), call.number("end_time"))
    days = range(first, min(last, _ready(call)) + 1)
    return {"behavior_data": [behaviour.member_day(call.corp, members, day) for day in days]}


@endpoint("POST", "externalcontact/groupchat/statistic", empty={"items": []})
def group_statistic(call: Call) -> Body:
    """day_begin_time, day_end_time, owner_filter, order_by, order_asc, offset, limit ≤ 1000 → one item per owner.

    Official 92133."""
    owners = _owners(call)
    first, last = _group_days(call)
    order = call.number("order_by", default=1)
    if order not in ORDERS:
        raise Refused(40058, "invalid order_by")
    ascending = call.number("order_asc", default=0) == 1
    start, size = call.number("offset", default=0), call.limit(most=1000, default=500)
    if start < 0:
        raise Refused(40058, "invalid offset")
    last = min(last, _ready(call))
    rows: list[tuple[str, dict[str, int]]] = []
    if last >= first:
        rows = [(owner, behaviour.group_data(call.corp, {owner}, first, last)) for owner in owners]
    rows.sort(key=lambda row: row[1][ORDERS[order]] * (1 if ascending else -1))
    items = [{"owner": owner, "data": data} for owner, data in rows[start : start + size]]
    return {"total": len(rows), "next_offset": min(start + size, len(rows)), "items": items}


@endpoint("POST", "externalcontact/groupchat/statistic_group_by_day", empty={"items": []})
def group_statistic_by_day(call: Call) -> Body:
    """day_begin_time, day_end_time, owner_filter → one item per day, summed over the owners."""
    owners = set(_owners(call))
    first, last = _group_days(call)
    days = range(first, min(last, _ready(call)) + 1)
    return {
        "items": [
            {"stat_time": midnight(day), "data": behaviour.group_data(call.corp, owners, day, day)} for day in days
        ]
    }


def _owners(call: Call) -> list[str]:
    """Whose groups: owner_filter.userid_list, 1 to 100. Members who left may be asked for."""
    given = call.record("owner_filter").get("userid_list")
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise Refused(40058, "owner_filter.userid_list is missing")
    if not 1 <= len(given) <= 100:
        raise Refused(40058, "owner_filter.userid_list needs 1 to 100 items")
    found: dict[str, None] = {}
    for userid in given:
        member = call.corp.member(userid)
        if member is None and call.corp.spelt(userid) not in call.corp.left:
            raise Refused(40003)
        if member is not None and not call.sees(member):
            raise Refused(60011)
        found[member.userid if member else call.corp.spelt(userid)] = None
    return list(found)


def _group_days(call: Call) -> tuple[int, int]:
    start = call.number("day_begin_time")
    return _days(call, start, call.number("day_end_time", default=start + DAY))


def _days(call: Call, start: int, end: int) -> tuple[int, int]:
    """The brand days of both ends. Raises Refused 40058: backwards, more than 30 days, or beyond 180 days ago."""
    if not 0 <= start <= end < 1 << 40:
        raise Refused(40058, "invalid time range")
    first, last = day_of(start), day_of(end)
    if last - first > MOST_DAYS or first < day_of(call.now) - REACH_DAYS:
        raise Refused(40058, "time range too long or too far back")
    return first, last


def _ready(call: Call) -> int:
    """The last day with figures: yesterday, in the early hours the day before."""
    hour = dt.datetime.fromtimestamp(call.now, SHANGHAI).hour
    return day_of(call.now) - (1 if hour >= call.engine.switches.statistics_ready_hour else 2)
