"""Inheritance of customers and groups, on the job and after leaving (reference §14, §11.3)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import transfers
from wecom.simulator.errors import TEXTS, Refused
from wecom.simulator.records import NO_RECORD, ON_JOB, RESIGNED, Transfer
from wecom.simulator.wire import Body, Call, endpoint
from wecom.simulator.world import Member

MOST = 100
YEAR = 365 * 86_400
PAGES_BELOW = 50_000  # page_id works only for lists shorter than this


def _handover(call: Call) -> str:
    """Two transfers of one member's customers at once end in 45035."""
    return f"{call.query.get('access_token')}:{call.given('handover_userid')}"


@endpoint("POST", "externalcontact/transfer_customer", empty={"customer": []}, exclusive=_handover)
def transfer_customer(call: Call) -> Body:
    """handover_userid, takeover_userid, external_userid[] ≤ 100, transfer_success_msg → customer[]{errcode}; it takes
    effect a day later. Official 92125."""
    handover = call.member("handover_userid")
    message = call.text("transfer_success_msg", chars=200)
    return {"customer": _start(call, ON_JOB, handover.userid, _takeover(call), message)}


@endpoint("POST", "externalcontact/resigned/transfer_customer", empty={"customer": []}, exclusive=_handover)
def transfer_left_customer(call: Call) -> Body:
    """The same for a member who left at most a year ago; 40097 for one who is still employed. Official 94081."""
    return {"customer": _start(call, RESIGNED, _left(call), _takeover(call), "")}


@endpoint("POST", "externalcontact/transfer_result", empty={"customer": []})
def transfer_result(call: Call) -> Body:
    """handover_userid, takeover_userid, cursor → customer[]{external_userid, status, takeover_time}. Official 94088."""
    return _results(call, ON_JOB, call.member("handover_userid").userid)


@endpoint("POST", "externalcontact/resigned/transfer_result", empty={"customer": []})
def left_transfer_result(call: Call) -> Body:
    """The same after leaving; status 1 to 4. Official 94082."""
    return _results(call, RESIGNED, _left(call))


@endpoint("POST", "externalcontact/get_unassigned_list", empty={"info": []})
def get_unassigned_list(call: Call) -> Body:
    """page_id (short lists) or cursor, page_size ≤ 1000 → info[]{handover_userid, external_userid, dimission_time},
    latest to leave first. Official 92124."""
    size = call.number("page_size", default=1000)
    if size < 0 or size > 1000:
        raise Refused(40058, "invalid page_size")
    size = size or 1000
    rows = sorted(call.corp.unassigned.values(), key=lambda row: -row.dimission_time)
    page_id = call.number("page_id", default=0)
    if page_id and len(rows) >= PAGES_BELOW:
        raise Refused(40058, "too many rows for page_id, use cursor")
    position = call.position()
    start = int(position[0]) if position else page_id * size
    end = start + size
    last = end >= len(rows)
    return {
        "info": [
            {
                "handover_userid": row.handover_userid,
                "external_userid": row.external_userid,
                "dimission_time": row.dimission_time,
            }
            for row in rows[start:end]
        ],
        "is_last": last,
        "next_cursor": "" if last else call.cursor([end]),
    }


@endpoint("POST", "externalcontact/groupchat/transfer", empty={"failed_chat_list": []})
def transfer_group(call: Call) -> Body:
    """chat_id_list ≤ 100, new_owner → failed_chat_list; for groups whose owner has left. Official 92127."""
    return _give_groups(call, on_job=False)


@endpoint("POST", "externalcontact/groupchat/onjob_transfer", empty={"failed_chat_list": []})
def transfer_group_on_job(call: Call) -> Body:
    """The same while the owner is still there: at once, each group twice in 90 days. Official 95703."""
    return _give_groups(call, on_job=True)


def _takeover(call: Call) -> Member:
    return call.member("takeover_userid")


def _left(call: Call) -> str:
    """Who handed over by leaving. Raises Refused 40097 (still here), 40003 (never here, or gone for over a year)."""
    userid = call.corp.spelt(call.text("handover_userid", missing=40003))
    if call.corp.member(userid) is not None:
        raise Refused(40097)
    if call.now - call.corp.left.get(userid, 0) > YEAR:
        raise Refused(40003)
    return userid


def _start(call: Call, kind: str, handover_userid: str, takeover: Member, message: str) -> list[dict[str, Any]]:
    _check_heir(takeover)
    answers = []
    for external_userid in call.strings("external_userid", most=MOST, missing=41035):
        errcode = 0
        try:
            transfers.start(
                call.engine,
                call.corp,
                kind=kind,
                handover_userid=handover_userid,
                takeover=takeover,
                external_userid=external_userid,
                message=message,
            )
        except Refused as refusal:
            errcode = refusal.errcode
        answers.append({"external_userid": external_userid, "errcode": errcode})
    return answers


def _results(call: Call, kind: str, handover_userid: str) -> Body:
    takeover = call.text("takeover_userid", missing=40003)
    known = call.corp.member(takeover)
    userid = known.userid if known else call.corp.spelt(takeover)
    if known is None and userid not in call.corp.left:
        raise Refused(40003)
    latest: dict[str, Transfer] = {}
    for each in call.corp.transfers.values():
        if (each.kind, each.handover_userid, each.takeover_userid) == (kind, handover_userid, userid):
            latest[each.external_userid] = each
    found = [each for each in latest.values() if kind == ON_JOB or each.status != NO_RECORD]
    rows, cursor = call.page(found, most=1000, default=1000)
    shown = [
        {"external_userid": each.external_userid, "status": each.status, "takeover_time": each.takeover_time}
        for each in rows
    ]
    return {"customer": shown, "next_cursor": cursor}


def _give_groups(call: Call, *, on_job: bool) -> Body:
    corp = call.corp
    chat_ids = call.strings("chat_id_list", most=MOST, missing=40063)
    heir = call.member("new_owner")
    _check_heir(heir)
    if not heir.real_named:
        raise Refused(40098)
    failed = []
    for chat_id in chat_ids:
        try:
            _count_group(call, chat_id)
            transfers.give_group(call.engine, corp, chat_id, heir, on_job=on_job)
        except Refused as refusal:
            text = refusal.text or TEXTS.get(refusal.errcode, "error")
            failed.append({"chat_id": chat_id, "errcode": refusal.errcode, "errmsg": text})
    return {"failed_chat_list": failed}


def _count_group(call: Call, chat_id: str) -> None:
    """At most 300 groups of one owner a day. Raises Refused 45009."""
    group = call.corp.groups.get(chat_id)
    if group is None:
        return
    if not transfers.may_give_group(call.corp, group.owner, call.now):
        raise Refused(45009)


def _check_heir(member: Member) -> None:
    """Raises Refused 84074 (no 客户联系), 41054 (not activated)."""
    if not member.service:
        raise Refused(84074)
    if member.status != 1:
        raise Refused(41054)
