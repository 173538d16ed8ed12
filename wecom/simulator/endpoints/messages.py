"""Application messages to members (reference §18)."""

from __future__ import annotations

from typing import Any

from wecom.simulator.content import check_media_id
from wecom.simulator.errors import Refused
from wecom.simulator.wire import MESSAGES, Body, Call, endpoint
from wecom.simulator.world import Corp

RECEIVERS_EMPTY = {"invaliduser": "", "invalidparty": "", "invalidtag": "", "unlicenseduser": ""}
KINDS = (
    "text",
    "image",
    "voice",
    "video",
    "file",
    "textcard",
    "news",
    "mpnews",
    "markdown",
    "miniprogram_notice",
    "template_card",
)
TEXT_BYTES = 2048
INTERACTIVE = ("button_interaction", "vote_interaction", "multiple_interaction")


@endpoint("POST", "message/send", kinds=MESSAGES, counted=False, empty=RECEIVERS_EMPTY)
def send_message(call: Call) -> Body:
    """touser/toparty/totag, msgtype, agentid → invalid receivers, msgid; 81013 when nobody is left. Official 90236."""
    if call.given("agentid") is None:
        raise Refused(41011)
    if call.number("agentid", missing=41011) != call.app.agentid:
        raise Refused(301002)
    kind = call.text("msgtype", missing=40058)
    if kind not in KINDS:
        raise Refused(40058, "invalid msgtype")
    part = _content(call, kind)
    receivers, invalid = _receivers(call)
    if not receivers:
        raise Refused(81013, **invalid)
    msgid = call.corp.new_id("", 43)
    fingerprint = call.engine.journal.keep(_words(kind, part), [{"msgtype": kind, kind: part}])
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
    answer: Body = {**RECEIVERS_EMPTY, **invalid, "msgid": msgid}
    if kind == "template_card" and (part.get("card_type") in INTERACTIVE or part.get("action_menu")):
        answer["response_code"] = call.corp.new_id("", 43)
    return answer


def _receivers(call: Call) -> tuple[list[str], dict[str, str]]:
    """(userids, what of the given is invalid, lower-cased and joined). Raises Refused 81012 when no field is given."""
    corp = call.corp
    to_user, to_party, to_tag = (call.text(name) for name in ("touser", "toparty", "totag"))
    if not (to_user or to_party or to_tag):
        raise Refused(81012)
    if to_user == "@all":
        return list(corp.members), {}
    users, parties = _split(to_user, 1000), _split(to_party, 100)
    found = {member.userid: None for each in users if (member := corp.member(each)) is not None}
    bad_parties = []
    for each in parties:
        if each.isdigit() and int(each) in corp.departments:
            found.update(dict.fromkeys(_below(corp, int(each))))
        else:
            bad_parties.append(each)
    bad_users = [each.lower() for each in users if corp.member(each) is None]
    return list(found), {
        "invaliduser": "|".join(bad_users),
        "invalidparty": "|".join(bad_parties),
        "invalidtag": to_tag,
    }


def _below(corp: Corp, department: int) -> list[str]:
    return [member.userid for member in corp.members_of(department, recursive=True)]


def _split(value: str, most: int) -> list[str]:
    parts = [each for each in value.split("|") if each]
    if len(parts) > most:
        raise Refused(40058, "too many receivers")
    return parts


def _content(call: Call, kind: str) -> dict[str, Any]:
    part = call.record(kind)
    if not part:
        raise Refused(44004)
    if kind in ("text", "markdown"):
        if not part.get("content"):
            raise Refused(44004)
        if len(str(part["content"]).encode()) > TEXT_BYTES:
            raise Refused(45002)
    elif kind == "textcard":
        if not part.get("description"):
            raise Refused(41033)
        if "://" not in str(part.get("url", "")):
            raise Refused(45034)
    elif kind in ("news", "mpnews"):
        if not isinstance(part.get("articles"), list) or not 1 <= len(part["articles"]) <= 8:
            raise Refused(45008)
    elif kind in ("image", "voice", "video", "file"):
        check_media_id(call.corp, part.get("media_id"), now=call.now)
    elif kind == "template_card" and part.get("card_type") in INTERACTIVE and not part.get("task_id"):
        raise Refused(40058, "task_id missing")
    return part


def _words(kind: str, part: dict[str, Any]) -> str:
    if kind == "template_card":
        title = part.get("main_title")
        return str(title.get("title", "")) if isinstance(title, dict) else ""
    return str(part.get("content") or part.get("title") or "")
