"""The control surface for what happens by itself: customers' deeds, groups, chats (docs/simulator.md)."""

from __future__ import annotations

import dataclasses

from aiohttp import web

from wecom.simulator import transfers
from wecom.simulator.control_base import ENGINE, Answer, BadRequest, reply
from wecom.simulator.endpoints.conversions import opengid_of
from wecom.simulator.world import Corp, Group

MOST_DEEDS = 5000

routes = web.RouteTableDef()


@routes.get("/_sim/corps/{corpid}/deeds")
async def deeds(request: web.Request) -> web.Response:
    """What customers did that WeCom does not tell, in order: ?kind=&after=&limit= (at most 5000)."""
    corp, kind = _corp(request), request.query.get("kind") or None
    after, limit = _number(request, "after", 0), min(_number(request, "limit", 500), MOST_DEEDS)
    items: list[Answer] = []
    seen = after
    for deed in corp.deeds[after:]:
        if len(items) >= limit:
            break
        seen = deed.seq
        if kind is None or deed.kind == kind:
            items.append(dataclasses.asdict(deed))
    return reply({"items": items, "next_after": seen})


@routes.get("/_sim/corps/{corpid}/groups")
async def groups(request: web.Request) -> web.Response:
    """The customer groups with what a mini program would learn of them (opengid)."""
    corp = _corp(request)
    return reply({"items": [_group(corp, each) for each in corp.groups.values()]})


@routes.get("/_sim/corps/{corpid}/chat")
async def chat(request: web.Request) -> web.Response:
    """?userid=&external_userid=: the latest messages of a private chat."""
    corp = _corp(request)
    member = corp.member(request.query.get("userid", ""))
    found = corp.chats.get(f"{member.userid if member else ''}|{request.query.get('external_userid', '')}")
    messages = found.messages if found else []
    return reply({"items": [{"at": at, "by": by, "text": text} for at, by, text in messages]})


def _group(corp: Corp, group: Group) -> Answer:
    return {
        "chat_id": group.chat_id,
        "opengid": opengid_of(corp, group.chat_id),
        "name": group.name,
        "owner": group.owner,
        "members": len(group.members),
        "status": transfers.group_status(corp, group),
    }


def _corp(request: web.Request) -> Corp:
    corp = request.app[ENGINE].world.corp(request.match_info["corpid"])
    if corp is None:
        raise BadRequest("corpid: unknown")
    return corp


def _number(request: web.Request, name: str, default: int) -> int:
    try:
        return max(0, int(request.query.get(name) or default))
    except ValueError:
        raise BadRequest(f"{name}: must be a number") from None
