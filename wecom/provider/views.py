"""The doors of a suite: the address of its commands, and where an administrator's browser comes back to."""

import logging
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from scrm.lib.errors import NotFound
from wecom import waking
from wecom.crypto import Seal
from wecom.errors import BadCallback
from wecom.models import AuthorisationLink, SuiteCommand
from wecom.provider import command, suites
from wecom.provider.authorise import problem_text
from wecom.provider.tasks import NO_BRAND, carry_out_commands
from wecom.views import MAX_BYTES, _plain, _wake

logger = logging.getLogger("wecom")


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def commands(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    """GET: WeCom's handshake. POST: a command or event, kept and answered with exactly `success` (§4.3).

    400 for what is not WeCom's or is damaged, 404 for an address that is nobody's, 413 for more than 256 KiB."""
    query = request.GET
    seal = Seal(query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""))
    try:
        suite = suites.behind(endpoint_id)
        if request.method != "POST":
            return _plain(command.verify_url(suite=suite, seal=seal, echostr=query.get("echostr", "")))
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
            return _plain("", status=413)
        command.receive(
            suite=suite, seal=seal, body=request.body, at=timezone.now(), wake=_wake_commands, wake_inbox=_wake
        )
    except NotFound:
        return _plain("", status=404)
    except BadCallback as refusal:
        logger.warning("wecom.provider.refused", extra={"endpoint": str(endpoint_id), "reason": refusal.problem_code})
        return _plain(refusal.problem_code, status=400)
    return _plain("success")


@never_cache
@require_GET
def authorised(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    """The administrator's browser, back from WeCom with an auth_code: done at once, so that the page can say so.

    The code alone buys nothing but the corp it was made for, and the state is known only to who made the link."""
    try:
        suite = suites.behind(endpoint_id)
    except NotFound:
        return _plain("", status=404)
    code, state = request.GET.get("auth_code", ""), request.GET.get("state", "")
    link = AuthorisationLink.objects.filter(state=state, suite=suite).first()
    if not code or link is None:
        return render(request, "console/authorised.html", {"failed": True}, status=400)
    now = timezone.now()
    said = {"InfoType": "create_auth", "SuiteId": suite.suite_id, "AuthCode": code, "State": state}
    row = command.note(suite=suite, payload=said, at=now)
    command.carry_out(at=now, only=row.pk)
    link.refresh_from_db()
    row.refresh_from_db()
    context = {
        "suite": suite,
        "waits": row.status == SuiteCommand.Status.PENDING,
        "problem": problem_text(link.problem_code) if link.problem_code else None,
        "failed": row.status == SuiteCommand.Status.FAILED,
    }
    return render(request, "console/authorised.html", context)


def _wake_commands() -> None:
    if not waking.ask(carry_out_commands, brand_id=NO_BRAND):
        logger.warning("wecom.provider.not_woken")  # the command is kept; the sweep finds it
