"""Sixty days of a world: statistics, callbacks, lists, results and the journal tell one and the same story.

Everything is asked for over HTTP. The clock stands still in between and leaps a day at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.simulator.conftest import Caller, eventually
from tests.simulator.receiver import AES_KEY, TOKEN, Receiver
from wecom.simulator.testing import Simulator, running_simulator

DAY, OFFSET = 86_400, 8 * 3600
BEGIN = 20_717 * DAY - OFFSET  # a midnight in Shanghai
DAYS = 60
RATES = {
    "daily_rate": 0.25,
    "reply_rate": 0.1,
    "delete_after_send_rate": 0.02,
    "like_rate": 0.3,
    "comment_rate": 0.1,
    "refuse_transfer_rate": 0.3,
}
GUIDES, CONTACTS = 4, 120
COUNTED = ("new_contact_cnt", "negative_feedback_cnt", "new_apply_cnt", "chat_cnt", "message_cnt")
Event = dict[str, str]


def day_of(at: int) -> int:
    return (int(at) + OFFSET) // DAY


@dataclass
class Story:
    """What was asked for on the way, and what came by callback."""

    caller: Caller
    events: list[Event] = field(default_factory=list)
    msgids: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    guides: list[str] = field(default_factory=list)
    friends_at_first: set[tuple[str, str]] = field(default_factory=set)
    groups_at_first: dict[str, list[str]] = field(default_factory=dict)

    def of(self, event: str, change: str) -> list[Event]:
        return [each for each in self.events if (each["Event"], each.get("ChangeType")) == (event, change)]

    def group_changes(self, detail: str) -> list[Event]:
        return [each for each in self.of("change_external_chat", "update") if each["UpdateDetail"] == detail]

    def paged(self, path: str, rows: str, body: dict[str, object]) -> list[dict[str, object]]:
        found, cursor = [], ""
        while True:
            answer = self.caller.ok(path, {**body, "cursor": cursor})
            found += answer[rows]
            cursor = answer.get("next_cursor", "")
            if not cursor:
                return found

    def groups(self) -> list[dict[str, object]]:
        found = self.paged("groupchat/list", "group_chat_list", {"limit": 1000})
        return [self.caller.ok("groupchat/get", {"chat_id": each["chat_id"]})["group_chat"] for each in found]

    def friends(self) -> set[tuple[str, str]]:
        """(userid, external_userid) as externalcontact/list tells them."""
        lists = {each: self.caller.get("externalcontact/list", userid=each) for each in self.guides}
        return {(userid, who) for userid, answer in lists.items() for who in answer["external_userid"]}


def live(simulator: Simulator, receiver: Receiver) -> Story:
    """Sixty days with sends, Moments, transfers, a group that is founded, handed on and dissolved."""
    story = Story(Caller(simulator))
    caller, act = story.caller, simulator.act
    story.guides = caller.guides()
    story.friends_at_first = story.friends()
    story.groups_at_first = {g["chat_id"]: [m["userid"] for m in g["member_list"]] for g in story.groups()}
    first, second, third, *_ = story.guides
    founded = ""
    for day in range(DAYS):
        if day % 3 == 0:
            sender = story.guides[day % len(story.guides)]
            body = {"sender": sender, "text": {"content": f"第{day}天"}}
            story.msgids.append(caller.ok("add_msg_template", body)["msgid"])
        if day % 10 == 4:
            jobid = caller.ok("add_moment_task", {"text": {"content": f"动态{day}"}})["jobid"]
            simulator.post("/_sim/clock", {"advance_seconds": 10})
            result = caller.get("externalcontact/get_moment_task_result", jobid=jobid)["result"]
            story.moments.append(result["moment_id"])
        if day % 15 == 7:
            given = [who for who in caller.friends_of(first) if who not in caller.friends_of(second)][:5]
            pair = {"handover_userid": first, "takeover_userid": second}
            caller.ok("transfer_customer", pair | {"external_userid": given})
        if day == 20:
            founded = act("create_group", userid=third, name="新群", external_userids=caller.friends_of(third)[:7])[
                "chat_id"
            ]
        if day == 25:
            caller.ok("groupchat/onjob_transfer", {"chat_id_list": [founded], "new_owner": second})
        if day == 40:
            act("dismiss_group", chat_id=founded)
        if day == 30:
            act("scan", userid=first, half=True, unionid="o-half")
        simulator.post("/_sim/clock", {"advance_seconds": DAY})
    simulator.post("/_sim/switches", {"daily_rate": 0.0})
    simulator.post("/_sim/clock", {"advance_seconds": 7 * 3600})  # yesterday's figures are there
    eventually(lambda: simulator.get("/_sim/counters")["callbacks"]["pending"] == 0)
    story.events = receiver.events
    return story


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with running_simulator(guides=GUIDES, contacts=CONTACTS, confirm_rate=1.0, stopped_at=BEGIN) as simulator:
        simulator.post("/_sim/switches", RATES)
        simulator.post("/_sim/limits", {"enabled": False})
        corpid = simulator.corps()[0]["corpid"]
        receiver = Receiver(corpid)
        address = {"url": receiver.url, "token": TOKEN, "aes_key": AES_KEY, "timeout": 10}
        simulator.post(f"/_sim/corps/{corpid}/callback", address)
        yield live(simulator, receiver)
        receiver.server.shutdown()
        receiver.server.server_close()


def test_no_callback_was_lost_or_given_up(story):
    callbacks = story.caller.simulator.get("/_sim/counters")["callbacks"]
    assert callbacks["raised"] == callbacks["delivered"] == len(story.events)
    assert len(story.events) > 150


def test_events_bear_the_time_at_which_things_happened(story):
    times = [int(each["CreateTime"]) for each in story.events]
    assert times == sorted(times)
    assert len({day_of(at) for at in times}) > DAYS * 0.7


def behaviour_of(story: Story, body: dict[str, object]) -> dict[int, dict[str, float]]:
    """day → row of get_user_behavior_data, for all the days."""
    rows = []
    for first in range(0, DAYS, 30):
        span = {"start_time": BEGIN + first * DAY, "end_time": BEGIN + (first + 29) * DAY}
        rows += story.caller.ok("get_user_behavior_data", body | span)["behavior_data"]
    return {day_of(row["stat_time"]): row for row in rows}


def test_figures_of_members_are_the_events_of_the_day(story):
    taken_over = {(each["UserID"], each["ExternalUserID"]) for each in _taken_over(story)}
    for userid in story.guides:
        figures = behaviour_of(story, {"userid": [userid]})
        assert sorted(figures) == list(range(day_of(BEGIN), day_of(BEGIN) + DAYS))
        added = Counter(
            day_of(int(each["CreateTime"]))
            for each in story.of("change_external_contact", "add_external_contact")
            if each["UserID"] == userid and (userid, each["ExternalUserID"]) not in taken_over
        )
        gone = Counter(
            day_of(int(each["CreateTime"]))
            for each in story.of("change_external_contact", "del_follow_user")
            if each["UserID"] == userid
        )
        for name, events in (("new_contact_cnt", added), ("negative_feedback_cnt", gone)):
            assert {day: row[name] for day, row in figures.items()} == {day: events[day] for day in figures}


def _taken_over(story: Story) -> list[Event]:
    """Additions by inheritance: they follow a deletion with Source at the same second."""
    sources = {
        (each["ExternalUserID"], each["CreateTime"])
        for each in story.of("change_external_contact", "del_external_contact")
        if each.get("Source") == "DELETE_BY_TRANSFER"
    }
    added = story.of("change_external_contact", "add_external_contact")
    return [each for each in added if (each["ExternalUserID"], each["CreateTime"]) in sources]


def test_figures_of_several_are_sums(story):
    together = behaviour_of(story, {"userid": story.guides})
    assert together == behaviour_of(story, {"partyid": [1]})
    singly = [behaviour_of(story, {"userid": [userid]}) for userid in story.guides]
    for name in COUNTED:
        assert {day: row[name] for day, row in together.items()} == {
            day: sum(each[day][name] for each in singly) for day in together
        }


def test_messages_counted_are_messages_said(story):
    said: defaultdict[str, int] = defaultdict(int)
    days: defaultdict[str, set[tuple[int, str]]] = defaultdict(set)
    corpid = story.caller.corpid
    everybody = story.friends_at_first | {
        (each["UserID"], each["ExternalUserID"]) for each in story.of("change_external_contact", "add_external_contact")
    }
    for userid, who in everybody:
        chat = story.caller.simulator.get(f"/_sim/corps/{corpid}/chat", userid=userid, external_userid=who)["items"]
        assert len(chat) < 60, "the chat keeps only the latest"
        for message in chat:
            if message["by"] == "guide" and day_of(message["at"]) < day_of(BEGIN) + DAYS:
                said[userid] += 1
                days[userid].add((day_of(message["at"]), who))
    for userid in story.guides:
        rows = behaviour_of(story, {"userid": [userid]}).values()
        assert sum(row["message_cnt"] for row in rows) == said[userid] > 0
        assert sum(row["chat_cnt"] for row in rows) == len(days[userid])


def test_lists_are_the_first_state_and_the_events(story):
    expected = set(story.friends_at_first)
    for each in story.events:
        pair = (each.get("UserID", ""), each.get("ExternalUserID", ""))
        if each.get("ChangeType") == "add_external_contact":
            expected.add(pair)
        elif each.get("ChangeType") == "del_external_contact":
            expected.discard(pair)
    assert story.friends() == expected


def test_every_way_of_reading_customers_tells_the_same(story):
    caller = story.caller
    rows = story.paged("batch/get_by_user", "external_contact_list", {"userid_list": story.guides, "limit": 100})
    pairs = {(row["follow_info"]["userid"], row["external_contact"]["external_userid"]): row for row in rows}
    assert len(pairs) == len(rows)
    assert set(pairs) == story.friends()
    for person in caller.people():
        who = person["external_userid"]
        detail = caller.get("externalcontact/get", external_userid=who)
        listed = {userid for userid, other in pairs if other == who}
        assert {each["userid"] for each in detail["follow_user"]} == listed
        assert detail["errcode"] == (0 if listed else 84061)
        for each in detail["follow_user"]:
            batch = pairs[each["userid"], who]
            assert batch["external_contact"] == detail["external_contact"]
            tags = [tag["tag_id"] for tag in each.pop("tags") if "tag_id" in tag]
            assert {**each, "tag_id": tags} == batch["follow_info"]


def test_results_of_sends_are_what_was_received(story):
    caller = story.caller
    received = {(row["msgid"], row["sender"], row["external_userid"], row["at"]) for row in _journal(story, "single")}
    told = set()
    left = {
        (each["UserID"], each["ExternalUserID"]): int(each["CreateTime"])
        for each in story.of("change_external_contact", "del_follow_user")
    }
    for msgid in story.msgids:
        (task,) = story.paged("get_groupmsg_task", "task_list", {"msgid": msgid})
        body = {"msgid": msgid, "userid": task["userid"]}
        for row in story.paged("get_groupmsg_send_result", "send_list", body):
            pair = (row["userid"], row["external_userid"])
            if row["status"] == 1:
                assert row["send_time"] == task["send_time"]
                told.add((msgid, *pair, row["send_time"]))
                assert left.get(pair, 1 << 40) >= row["send_time"] or pair in story.friends()
            if row["status"] == 2 and pair in left:
                assert left[pair] <= task["send_time"]
    assert told == received
    assert len(told) > 200
    summary = caller.simulator.get("/_sim/journal/summary", corpid=caller.corpid)
    assert summary["kinds"]["single"] == len(told)
    assert all(summary["sources"][msgid]["duplicates"] == 0 for msgid in story.msgids)


def test_results_of_moments_are_what_was_shown(story):
    shown = {(row["moment_id"], row["sender"], row["external_userid"]) for row in _journal(story, "moment")}
    told, liked = set(), 0
    for moment_id in story.moments:
        for task in story.paged("get_moment_task", "task_list", {"moment_id": moment_id}):
            assert task["publish_status"] == 1
            body = {"moment_id": moment_id, "userid": task["userid"]}
            seen = {each["external_userid"] for each in story.paged("get_moment_send_result", "customer_list", body)}
            may = {each["external_userid"] for each in story.paged("get_moment_customer_list", "customer_list", body)}
            reactions = story.caller.ok("get_moment_comments", body)
            who = {each["external_userid"] for each in reactions["like_list"] + reactions["comment_list"]}
            assert who <= seen <= may
            liked += len(who)
            told |= {(moment_id, task["userid"], each) for each in seen}
    assert told == shown
    assert liked > 30


def _journal(story: Story, kind: str) -> list[dict[str, object]]:
    return story.caller.simulator.journal(corpid=story.caller.corpid, kind=kind)


def test_versions_of_a_groups_members_follow_each_other(story):
    last: dict[str, str] = {}
    for each in story.of("change_external_chat", "update"):
        if "LastMemVer" in each:
            assert last.get(each["ChatId"], each["LastMemVer"]) == each["LastMemVer"]
            last[each["ChatId"]] = each["CurMemVer"]
    now = {group["chat_id"]: group["member_version"] for group in story.groups()}
    assert last
    assert {chat_id: now[chat_id] for chat_id in last if chat_id in now} == {k: v for k, v in last.items() if k in now}


def members_by_day(story: Story, days: int = DAYS) -> list[Counter[str]]:
    """For each day the headcount per group at its end, made of the first state and the events alone."""
    heads = Counter({chat_id: len(members) for chat_id, members in story.groups_at_first.items()})
    found = []
    events = [each for each in story.events if each["Event"] == "change_external_chat"]
    sizes = {"create": 1 + 7}  # the owner and those who were invited
    for day in range(day_of(BEGIN), day_of(BEGIN) + days):
        for each in (one for one in events if day_of(int(one["CreateTime"])) == day):
            chat_id = each["ChatId"]
            if each["ChangeType"] in sizes:
                heads[chat_id] = sizes[each["ChangeType"]]
            elif each["ChangeType"] == "dismiss":
                del heads[chat_id]
            elif each["UpdateDetail"] in ("add_member", "del_member"):
                count = int(each["MemChangeCnt"])
                heads[chat_id] += count if each["UpdateDetail"] == "add_member" else -count
        found.append(Counter(heads))
    return found


def test_figures_of_groups_are_the_events(story):
    rows = []
    for first in range(0, DAYS, 30):
        span = {"day_begin_time": BEGIN + first * DAY, "day_end_time": BEGIN + (first + 29) * DAY}
        owners = {"owner_filter": {"userid_list": story.guides}}
        rows += story.caller.ok("groupchat/statistic_group_by_day", owners | span)["items"]
    heads = members_by_day(story)
    assert [row["data"]["chat_total"] for row in rows] == [len(each) for each in heads]
    assert [row["data"]["member_total"] for row in rows] == [sum(each.values()) for each in heads]
    joined = Counter(day_of(int(each["CreateTime"])) for each in story.group_changes("add_member"))
    founded = {day_of(int(each["CreateTime"])): 8 for each in story.of("change_external_chat", "create")}
    days = [day_of(row["stat_time"]) for row in rows]
    assert [row["data"]["new_member_cnt"] for row in rows] == [joined[day] + founded.get(day, 0) for day in days]
    now = {group["chat_id"]: len(group["member_list"]) for group in story.groups()}
    assert now == dict(members_by_day(story, DAYS + 1)[-1])


def test_figures_of_owners_are_those_of_their_groups(story):
    span = {"day_begin_time": BEGIN + 15 * DAY, "day_end_time": BEGIN + 44 * DAY}
    items = story.caller.ok("groupchat/statistic", span | {"owner_filter": {"userid_list": story.guides}})["items"]
    by_owner = {item["owner"]: item["data"] for item in items}
    assert set(by_owner) == set(story.guides)
    for owner, data in by_owner.items():
        body = span | {"owner_filter": {"userid_list": [owner]}}
        days = [item["data"] for item in story.caller.ok("groupchat/statistic_group_by_day", body)["items"]]
        for name in ("new_chat_cnt", "new_member_cnt"):
            assert data[name] == sum(day[name] for day in days)
        for name in ("chat_total", "member_total", "msg_total", "chat_has_msg", "member_has_msg"):
            assert data[name] == days[-1][name]
