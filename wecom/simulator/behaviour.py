"""What members and customers did, day by day (Asia/Shanghai): private chats, talk in groups, and the sums of §15.

Counted when it happens, so that the statistics agree with the acts. Mass sends are not chats.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wecom.simulator import records
from wecom.simulator.engine import Engine
from wecom.simulator.outbound import EventField
from wecom.simulator.records import Chat, pair_key
from wecom.simulator.world import Corp, Follow, Group

DAY, HOUR, SHANGHAI_OFFSET = 86_400, 3600, 8 * 3600
GUIDE, CUSTOMER = "guide", "customer"
KEPT_MESSAGES = 60  # of one chat: what a phone shows
CHAT_KEY_SECONDS = 1800

COUNTED = ("chat_cnt", "message_cnt", "negative_feedback_cnt", "new_apply_cnt", "new_contact_cnt")
OPENED, ANSWERED, ANSWER_SECONDS = "opened", "answered", "answer_seconds"


def day_of(at: float) -> int:
    """The brand day of a time: days since 1970 in UTC+8."""
    return int(at + SHANGHAI_OFFSET) // DAY


def midnight(day: int) -> int:
    """When a brand day begins, Unix seconds."""
    return day * DAY - SHANGHAI_OFFSET


def count(corp: Corp, userid: str, at: float, what: str, amount: float = 1) -> None:
    """Add to what the member's day counted."""
    counts = corp.behaviour.setdefault(f"{userid}|{day_of(at)}", {})
    counts[what] = counts.get(what, 0) + amount


def say(engine: Engine, corp: Corp, follow: Follow, *, by: str, text: str) -> Chat:
    """One message in the private chat of a pair. A customer who came by an acquisition link raises its events."""
    now, today = engine.now(), day_of(engine.now())
    key = pair_key(follow.userid, follow.external_userid)
    chat = corp.chats.setdefault(key, Chat(key, follow.userid, follow.external_userid))
    chat.messages.append([now, by, text])
    del chat.messages[:-KEPT_MESSAGES]
    follow.interacted_at = now
    if by == CUSTOMER:
        if chat.first_day != today:
            count(corp, follow.userid, now, OPENED)
            chat.waiting_since = now
        _tell_of_link(engine, corp, follow)
    else:
        _count_answer(corp, chat, now, today)
    chat.first_day = today
    return chat


def _count_answer(corp: Corp, chat: Chat, now: int, today: int) -> None:
    """The member wrote: a chat of the day, a message, and an answer if the customer opened the chat that day."""
    count(corp, chat.userid, now, "message_cnt")
    if chat.guide_day != today:
        chat.guide_day = today
        count(corp, chat.userid, now, "chat_cnt")
    if chat.waiting_since and day_of(chat.waiting_since) == today:
        count(corp, chat.userid, now, ANSWERED)
        count(corp, chat.userid, now, ANSWER_SECONDS, now - chat.waiting_since)
    chat.waiting_since = 0


def _tell_of_link(engine: Engine, corp: Corp, follow: Follow) -> None:
    """Reference §21.4: customer_start_chat with the first message, message_from_customer with a key for each."""
    came = corp.link_customers.get(pair_key(follow.userid, follow.external_userid))
    if came is None:
        return
    came.received += 1
    if came.received == 1:
        body: list[EventField] = [("UserID", came.userid), ("ExternalUserID", came.external_userid)]
        engine.emit(corp, "customer_acquisition", "customer_start_chat", [*body, ("LinkId", came.link_id)])
    now = int(engine.clock.present())  # whoever is told of it has their half hour, also after a leap of the clock
    for old in list(corp.chat_keys.values()):  # oldest first
        if now - old.created_at <= CHAT_KEY_SECONDS:
            break
        del corp.chat_keys[old.chat_key]
    made = records.ChatKey(corp.new_id("", 40), came.key, now)
    corp.chat_keys[made.chat_key] = made
    engine.emit(
        corp,
        "customer_acquisition",
        "message_from_customer",
        [("ChatKey", made.chat_key), ("LinkId", came.link_id)],
    )


def say_in_group(group: Group, userid: str, *, at: int) -> None:
    """Somebody writes in a customer group."""
    key = f"{day_of(at)}|{userid}"
    group.talk[key] = group.talk.get(key, 0) + 1


# -- the sums of §15 ---------------------------------------------------------------------------------------------------


def member_day(corp: Corp, userids: Iterable[str], day: int) -> dict[str, Any]:
    """The row of one day of get_user_behavior_data: sums over the members; ratios only when there is something."""
    total: dict[str, float] = {}
    for userid in userids:
        for what, amount in corp.behaviour.get(f"{userid}|{day}", {}).items():
            total[what] = total.get(what, 0) + amount
    row: dict[str, Any] = {"stat_time": midnight(day)}
    row |= {what: int(total.get(what, 0)) for what in COUNTED}
    if opened := total.get(OPENED, 0):
        answered = total.get(ANSWERED, 0)
        row["reply_percentage"] = round(100 * answered / opened, 2)
        if answered:
            row["avg_reply_time"] = int(total.get(ANSWER_SECONDS, 0) / answered // 60)
    return row


def group_data(corp: Corp, owners: set[str], first_day: int, last_day: int) -> dict[str, int]:
    """The data of groupchat/statistic for the groups of these owners: `new_*` within the days, the rest as it stood at
    the end of the last."""
    start, end = midnight(first_day), midnight(last_day + 1)
    groups = [group for group in corp.groups.values() if group.owner in owners]
    gone = [group for group in corp.past_groups if group.owner in owners]
    opened = [group.create_time for group in groups] + [group.create_time for group in gone]
    joins = [person.join_time for group in groups for person in group.members.values()]
    past = [person for person in corp.past_members if _owner(corp, person) in owners]
    joins += [person.join_time for person in past]
    said = [_said_by(group.talk, last_day) for group in groups]
    said += [_said_by(group.talk, last_day) for group in gone if group.dismissed_at >= end]
    return {
        "new_chat_cnt": sum(1 for at in opened if start <= at < end),
        "chat_total": sum(1 for at in opened if at < end) - sum(1 for group in gone if group.dismissed_at < end),
        "chat_has_msg": sum(1 for talk in said if talk),
        "new_member_cnt": sum(1 for at in joins if start <= at < end),
        "member_total": sum(1 for at in joins if at < end) - sum(1 for person in past if person.left_at < end),
        "member_has_msg": sum(len(talk) for talk in said),
        "msg_total": sum(sum(talk.values()) for talk in said),
        "migrate_trainee_chat_cnt": 0,
    }


def _owner(corp: Corp, person: records.PastMember) -> str:
    """Whose group they were in: the owner of today, of a dissolved one the last."""
    group = corp.groups.get(person.chat_id)
    return group.owner if group else person.owner


def _said_by(talk: dict[str, int], last_day: int) -> dict[str, int]:
    """Messages per person in a group up to the end of a day."""
    said: dict[str, int] = {}
    for key, messages in talk.items():
        day, _, userid = key.partition("|")
        if int(day) <= last_day:
            said[userid] = said.get(userid, 0) + messages
    return said
