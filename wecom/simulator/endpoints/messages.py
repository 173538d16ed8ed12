"""Application messages to members (reference §18)."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from wecom.simulator import cards
from wecom.simulator.app_messages import AppMessage
from wecom.simulator.errors import Refused
from wecom.simulator.wire import MESSAGES, Body, Call, endpoint
from wecom.simulator.world import Corp

RECEIVERS_EMPTY = {"invaliduser": "", "invalidparty": "", "invalidtag": "", "unlicenseduser": ""}
RECALL_WITHIN, CODE_LIVES = 24 * 3600, 72 * 3600  # seconds
DUPLICATES_DEFAULT, DUPLICATES_MOST = 1800, 4 * 3600
ID = re.compile(r"[0-9]{1,10}")


@endpoint("POST", "message/send", kinds=MESSAGES, counted=False, empty=RECEIVERS_EMPTY)
def send_message(call: Call) -> Body:
    """touser/toparty/totag, msgtype, agentid → invalid receivers, msgid; 81013 when nobody is left. Official 90236."""
    _check_agent(call)
    kind = call.text("msgtype", missing=40058)
    part = cards.checked(call, kind)
    if call.number("safe", default=0) not in ((0, 1, 2) if kind == "mpnews" else (0, 1)):
        raise Refused(40058, "invalid safe")
    receivers, invalid = _receivers(call)
    if not receivers:
        raise Refused(81013, **invalid)
    _unique_task(call, kind, part)
    app = f"{call.corp.corpid}:{call.app.agentid}"
    call.engine.limits.person_times(app=app, count=len(receivers), now=call.engine.clock.now())
    msgid = call.corp.new_id("", 43)
    reached = [each for each in receivers if _reaches(call, app, each, kind, part)]
    _deliver(call, msgid, kind, part, reached)
    message = AppMessage(
        msgid,
        call.corp.corpid,
        call.app.agentid,
        kind,
        part,
        call.now,
        reached,
        [each for each in receivers if each not in reached],
    )
    call.engine.messages.messages[msgid] = message
    answer: Body = {**RECEIVERS_EMPTY, **invalid, "msgid": msgid}
    if cards.is_interactive(kind, part):
        message.response_code = call.engine.messages.new_code(call.corp, message, now=call.now)
        answer["response_code"] = message.response_code
    return answer


@endpoint("POST", "message/recall", kinds=MESSAGES)
def recall_message(call: Call) -> Body:
    """msgid of the same app, at most 24 hours old; else 40058. Official 94867."""
    message = call.engine.messages.messages.get(call.text("msgid", missing=40058))
    if message is None or (message.corpid, message.agentid) != (call.corp.corpid, call.app.agentid):
        raise Refused(40058, "invalid msgid")
    if call.now - message.sent_at > RECALL_WITHIN:
        raise Refused(40058, "msgid is more than 24 hours old")
    message.recalled_at = message.recalled_at or call.now
    return {}


@endpoint("POST", "message/update_template_card", kinds=MESSAGES, empty={"invaliduser": []})
def update_template_card(call: Call) -> Body:
    """userids, partyids, tagids or atall, agentid, response_code (once), button or template_card. Official 94888."""
    _check_agent(call)
    msgid, made_at = call.engine.messages.codes.get(call.text("response_code", missing=40058), ("", 0))
    message = call.engine.messages.messages.get(msgid)
    if message is None or call.now - made_at > CODE_LIVES:
        raise Refused(40058, "invalid response_code")
    if (message.corpid, message.agentid) != (call.corp.corpid, call.app.agentid):
        raise Refused(42015)
    button, whole = call.record("button"), call.record("template_card")
    if whole:
        cards.card(call, {"task_id": message.part.get("task_id"), **whole})
    elif not button.get("replace_name"):
        raise Refused(40058, "button or template_card needed")
    users, invalid = _updated(call, message)
    del call.engine.messages.codes[call.text("response_code")]
    for userid in users:
        message.updates[userid] = whole or {"replace_name": button["replace_name"]}
    return {"invaliduser": invalid}


def _check_agent(call: Call) -> None:
    """The token must belong to agentid. Raises Refused 41011 (missing), 40056 (no such app), 301002 (another app)."""
    agentid = call.number("agentid", missing=41011)
    if all(app.agentid != agentid for app in call.corp.apps):
        raise Refused(40056)
    if agentid != call.app.agentid:
        raise Refused(301002)


def _updated(call: Call, message: AppMessage) -> tuple[list[str], list[str]]:
    """(the receivers to update, userids that did not get the message). Raises Refused 81012."""
    if call.number("atall", default=0) == 1:
        return message.receivers, []
    wanted = call.strings("userids", most=100)
    for party in call.numbers("partyids"):
        wanted += [each.userid for each in call.corp.members_of(party, recursive=True)]
    for tag in call.numbers("tagids"):
        wanted += _tagged(call.corp, str(tag))
    if not wanted:
        raise Refused(81012)
    got = {each.lower(): each for each in message.receivers}
    return [got[each.lower()] for each in wanted if each.lower() in got], [
        each for each in wanted if each.lower() not in got
    ]


def _reaches(call: Call, app: str, userid: str, kind: str, part: dict[str, Any]) -> bool:
    """False when the message is dropped silently: above 30 a minute or 1000 an hour to this member, or a duplicate."""
    now = call.engine.clock.now()
    if call.number("enable_duplicate_check", default=0) == 1:
        interval = min(call.number("duplicate_check_interval", default=DUPLICATES_DEFAULT), DUPLICATES_MOST)
        mark = hashlib.sha256(json.dumps([kind, part], sort_keys=True).encode()).hexdigest()
        said, key = call.engine.messages.said, (call.corp.corpid, call.app.agentid, userid, mark)
        if said.get(key, 0) > now:
            return False
        said[key] = int(now) + interval
    return call.engine.limits.message(app=app, userid=userid, now=now)


def _unique_task(call: Call, kind: str, part: dict[str, Any]) -> None:
    """A task_id is unique within the app."""
    if kind != "template_card" or not part.get("task_id"):
        return
    key = (call.corp.corpid, call.app.agentid, str(part["task_id"]))
    if key in call.engine.messages.task_ids:
        raise Refused(40058, "task_id was used before")
    call.engine.messages.task_ids.add(key)


def _deliver(call: Call, msgid: str, kind: str, part: dict[str, Any], receivers: list[str]) -> None:
    fingerprint = call.engine.journal.keep(cards.words(kind, part), [{"msgtype": kind, kind: part}])
    for userid in receivers:
        call.engine.journal.record(
            corpid=call.corp.corpid,
            kind="app",
            external_userid=userid,
            sender=str(call.app.agentid),
            source_id=msgid,
            at=call.now,
            fingerprint=fingerprint,
        )


def _receivers(call: Call) -> tuple[list[str], dict[str, str]]:
    """(userids, what of the given is invalid, lower-cased and joined). Raises Refused 81012 when no field is given."""
    corp = call.corp
    to_user, to_party, to_tag = (call.text(name) for name in ("touser", "toparty", "totag"))
    if not (to_user or to_party or to_tag):
        raise Refused(81012)
    users, parties, tags = _split(to_user, 1000), _split(to_party, 100), _split(to_tag, 100)
    if to_user == "@all":
        users, parties, tags = list(corp.members), [], []
    seen = {each.userid for each in corp.members.values() if call.sees(each)}
    found: dict[str, None] = {}
    bad_users, bad_parties, bad_tags = [], [], []
    for each in users:
        userid = corp.spelt(each)
        if userid in seen:
            found[userid] = None
        elif to_user != "@all":
            bad_users.append(each.lower())
    for each in parties:
        if ID.fullmatch(each) and int(each) in corp.departments:
            below = corp.members_of(int(each), recursive=True)
            found.update(dict.fromkeys(member.userid for member in below if member.userid in seen))
        else:
            bad_parties.append(each)
    for each in tags:
        carriers = [userid for userid in _tagged(corp, each) if userid in seen]
        found.update(dict.fromkeys(carriers))
        if not carriers:
            bad_tags.append(each)
    unlicensed = [userid for userid in found if userid in call.app.unlicensed]
    return [userid for userid in found if userid not in unlicensed], {
        "invaliduser": "|".join(bad_users),
        "invalidparty": "|".join(bad_parties),
        "invalidtag": "|".join(bad_tags),
        "unlicenseduser": "|".join(unlicensed),
    }


def _tagged(corp: Corp, tagid: str) -> list[str]:
    """Userids of those who carry a member tag."""
    tag = corp.member_tags.get(int(tagid)) if ID.fullmatch(tagid) else None
    if tag is None:
        return []
    below = [member.userid for party in tag.partyids for member in corp.members_of(party, recursive=True)]
    return list(dict.fromkeys([*tag.userids, *below]))


def _split(value: str, most: int) -> list[str]:
    parts = [each for each in value.split("|") if each]
    if len(parts) > most:
        raise Refused(40058, "too many receivers")
    return parts
