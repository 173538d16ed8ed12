"""The pages of the control surface for the eye: a customer's phone, and the pictures that were uploaded."""

from __future__ import annotations

from aiohttp import web

from wecom.simulator import phone
from wecom.simulator.control_base import ENGINE, BadRequest
from wecom.simulator.world import Corp, Media

routes = web.RouteTableDef()


@routes.get("/_sim/phone")
async def show_phone(request: web.Request) -> web.Response:
    """?corpid=&external_userid=&with=&tab=&lang=: the customer's chats and Moments as they saw them; without a
    customer, a list of them (?q= searches). `lang` zh or en, else what the browser prefers."""
    engine, query = request.app[ENGINE], request.query
    corps = list(engine.world.corps.values())
    corp = engine.world.corp(query.get("corpid", "")) or corps[0]
    language = phone.language_of(query.get("lang", ""), request.headers.get("Accept-Language", ""))
    customer = corp.customers.get(query.get("external_userid", ""))
    words = phone.Words(language, engine.clock.now())
    view = phone.View(corp, words, customer, query.get("with", ""), query.get("tab", ""))
    if customer is not None:
        page = phone.screen(engine, view, customer)
    else:
        page = phone.directory(engine, view, corps=corps, wanted=query.get("q", ""))
    return web.Response(text=page, content_type="text/html")


@routes.get("/_sim/phone/picture")
async def picture(request: web.Request) -> web.Response:
    """?corpid=&media_id=: an uploaded picture, as a phone keeps it after its media_id has expired."""
    corp = _corp(request, request.query.get("corpid", ""))
    return _shown(corp.media.get(request.query.get("media_id", "")))


@routes.get("/_sim/images/{corpid}/{name}")
async def image(request: web.Request) -> web.Response:
    """A picture uploaded by media/uploadimg."""
    corp = _corp(request, request.match_info["corpid"])
    suffix = f"/{request.match_info['name']}"
    return _shown(next((each for url, each in corp.media.items() if each.permanent and url.endswith(suffix)), None))


def _corp(request: web.Request, corpid: str) -> Corp:
    corp = request.app[ENGINE].world.corp(corpid)
    if corp is None:
        raise BadRequest("corpid: unknown")
    return corp


def _shown(media: Media | None) -> web.Response:
    if media is None or media.type != "image":
        raise web.HTTPNotFound
    png = media.content.startswith(b"\x89PNG")
    headers = {"Cache-Control": "max-age=3600"}
    return web.Response(body=media.content, content_type="image/png" if png else "image/jpeg", headers=headers)
