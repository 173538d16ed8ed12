"""The door WeCom's callbacks come through: check, keep, answer at once."""

import logging
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from scrm.lib.errors import NotFound
from wecom import inbox, waking
from wecom.crypto import Seal
from wecom.errors import BadCallback
from wecom.tasks import drain_inbox, greet_inbox

logger = logging.getLogger("wecom")

MAX_BYTES = 256 * 1024


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def callback(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    """GET: WeCom's handshake, answered with the plain echo. POST: an event, kept and answered `success`.

    200 also for an event we have or do not know: WeCom repeats what is not acknowledged. 400 for what is not WeCom's
    or is damaged, 404 for an address that is nobody's, 413 for more than 256 KiB."""
    query = request.GET
    seal = Seal(query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""))
    try:
        if request.method != "POST":
            return _plain(
                inbox.verify_url(
                    endpoint_id=endpoint_id, seal=seal, echostr=query.get("echostr", ""), at=timezone.now()
                )
            )
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
            return _plain("", status=413)
        inbox.receive(endpoint_id=endpoint_id, seal=seal, body=request.body, at=timezone.now(), wake=_wake)
    except NotFound:
        return _plain("", status=404)
    except BadCallback as refusal:  # noted on the corp, once a minute: wecom.troubles
        return _plain(refusal.problem_code, status=400)
    return _plain("success")


def _wake(brand_id: int, is_welcome: bool) -> None:
    """Have the new event looked at. Without a broker it is safe in the inbox, and the sweep finds it later."""
    welcomed = not is_welcome or waking.ask(greet_inbox, brand_id=brand_id)
    if not (welcomed and waking.ask(drain_inbox, brand_id=brand_id)):
        logger.warning("wecom.inbox.not_woken", extra={"brand": brand_id})


def _plain(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
