"""WeCom's own figures (reference §15). Days are UTC+8; today has none, yesterday's come some hours after midnight."""

from collections.abc import Sequence
from datetime import datetime

from wecom.calls.base import Calls, Json, moment, seconds
from wecom.types import BehaviourDay, DayNumbers, GroupNumbers, OwnerNumbers, OwnerNumbersPage


class StatisticCalls(Calls):
    """数据统计. Spans are at most 30 days, within the last 180; both ends included, rounded down to midnight."""

    def behaviour(
        self, *, start: datetime, end: datetime, userids: Sequence[str] = (), department_ids: Sequence[int] = ()
    ) -> list[BehaviourDay]:
        """What the members (≤ 100) and departments (≤ 100) did, added up, day by day. Official 92132."""
        body = {
            "userid": list(userids) or None,
            "partyid": list(department_ids) or None,
            "start_time": seconds(start),
            "end_time": seconds(end),
        }
        answer = self._post("externalcontact/get_user_behavior_data", body)
        return [_day(row) for row in answer.get("behavior_data") or []]

    def group_statistic(
        self, *, start: datetime, end: datetime, owners: Sequence[str], offset: int = 0, limit: int = 500
    ) -> OwnerNumbersPage:
        """One page (≤ 1000) of the owners' (≤ 100) groups over the span. Official 92133."""
        body = {**_asked(start, end, owners), "offset": offset, "limit": limit}
        answer = self._post("externalcontact/groupchat/statistic", body)
        items = [OwnerNumbers(str(row["owner"]), _numbers(row["data"])) for row in answer.get("items") or []]
        following = int(answer.get("next_offset") or 0)
        total = int(answer.get("total") or 0)
        return OwnerNumbersPage(items, total, following if offset < following < total else 0)

    def group_statistic_by_day(self, *, start: datetime, end: datetime, owners: Sequence[str]) -> list[DayNumbers]:
        """The owners' (≤ 100) groups added up, day by day."""
        answer = self._post("externalcontact/groupchat/statistic_group_by_day", _asked(start, end, owners))
        return [DayNumbers(moment(row.get("stat_time")), _numbers(row["data"])) for row in answer.get("items") or []]


def _asked(start: datetime, end: datetime, owners: Sequence[str]) -> Json:
    return {
        "day_begin_time": seconds(start),
        "day_end_time": seconds(end),
        "owner_filter": {"userid_list": list(owners)},
    }


def _day(row: Json) -> BehaviourDay:
    replied, minutes = row.get("reply_percentage"), row.get("avg_reply_time")
    chats = int(row.get("chat_cnt") or 0)
    return BehaviourDay(
        at=moment(row.get("stat_time")),
        chats=chats,
        messages=int(row.get("message_cnt") or 0),
        reply_percentage=None if replied is None or not chats else float(replied),
        reply_minutes=None if minutes is None or not chats else int(minutes),
        negative=int(row.get("negative_feedback_cnt") or 0),
        applications=int(row.get("new_apply_cnt") or 0),
        new_contacts=int(row.get("new_contact_cnt") or 0),
    )


def _numbers(row: Json) -> GroupNumbers:
    return GroupNumbers(
        new_chats=int(row.get("new_chat_cnt") or 0),
        chats=int(row.get("chat_total") or 0),
        active_chats=int(row.get("chat_has_msg") or 0),
        new_members=int(row.get("new_member_cnt") or 0),
        members=int(row.get("member_total") or 0),
        active_members=int(row.get("member_has_msg") or 0),
        messages=int(row.get("msg_total") or 0),
    )
