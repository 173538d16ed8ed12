"""What WeCom says to a suite (reference §5.2): checked, kept, acknowledged at once; the work comes after.

A suite_ticket is stored in the request. Commands about authorisations become a row each, which `carry_out` takes up:
once said twice, by a replay or by the event and the browser both, is one row. Business events of corps that authorised
us go to the inbox of their brand."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from wecom import crypto, inbox
from wecom.crypto import Seal
from wecom.errors import BadCallback, Misconfigured, Throttled, Unreachable
from wecom.models import Authorisation, AuthorisationLink, Suite, SuiteCommand
from wecom.provider import authorise, suites

logger = logging.getLogger("wecom")

WITH_CODE = ("create_auth", "reset_permanent_code")
COMMANDS = (*WITH_CODE, "change_auth", "cancel_auth")
LEASE = timedelta(minutes=3)
"""A claimed command comes back after this if its worker died."""
BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 180, 300, 300, 600, 900))
"""An auth_code lives some twenty minutes: who waits longer for WeCom or for a ticket waits in vain."""
KEPT = timedelta(days=30)

Wake = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it is carried out."""

    id: int
    suite: Suite
    info_type: str
    payload: dict[str, Any]
    said_at: datetime

    def text(self, name: str) -> str:
        """A field, empty when absent."""
        value = self.payload.get(name)
        return value if isinstance(value, str) else ""


# -- receiving --------------------------------------------------------------------------------------------------------


def verify_url(*, suite: Suite, seal: Seal, echostr: str) -> str:
    """The plain echo of WeCom's handshake; sealed for the suite, or for the provider itself. Raises BadCallback."""
    try:
        return _opened(suite, echostr, seal, receiver=suite.suite_id)
    except BadCallback as refusal:
        if refusal.problem_code != "wecom.wrong_receiver" or not suite.provider_corpid:
            raise
        return _opened(suite, echostr, seal, receiver=suite.provider_corpid)


def receive(*, suite: Suite, seal: Seal, body: bytes, at: datetime, wake: Wake, wake_inbox: inbox.Wake) -> None:
    """Check and keep what WeCom posted: a command of the suite, or an event of a corp that authorised it.

    `wake()` is called after the commit of a new command. Raises BadCallback: nothing is kept."""
    receiver = crypto.message(body.decode("utf-8", "replace")).get("ToUserName")
    if not isinstance(receiver, str) or not receiver:
        raise BadCallback(_("回调里没有 ToUserName 字段。"))
    plain = _opened(suite, crypto.envelope(body), seal, receiver=receiver)
    if receiver != suite.suite_id:
        return _hand_on(suite, receiver, plain, at, wake_inbox)
    payload = crypto.message(plain)
    said = str(payload.get("InfoType") or "")
    if said == "suite_ticket":
        suites.keep_ticket(suite=suite, ticket=str(payload.get("SuiteTicket") or ""), said_at=_said(payload, at), at=at)
    elif said in COMMANDS:
        note(suite=suite, payload=payload, at=at, wake=wake)
    elif payload.get("AuthCorpId"):
        _hand_on(suite, str(payload["AuthCorpId"]), plain, at, wake_inbox)
    else:
        logger.info("wecom.provider.unknown_command", extra={"suite": suite.pk, "event": said[:64]})
    return None


def note(*, suite: Suite, payload: dict[str, Any], at: datetime, wake: Wake | None = None) -> SuiteCommand:
    """Keep a command; the one that is there already when it was said before, or its code came another way."""
    kept = {
        "info_type": str(payload.get("InfoType"))[:64],
        "payload": json.dumps(payload, ensure_ascii=False),
        "said_at": _said(payload, at),
        "received_at": at,
        "due_at": at,
    }
    with transaction.atomic():
        row, new = SuiteCommand.objects.get_or_create(suite=suite, dedupe_key=_key(payload), defaults=kept)
        if new and wake:
            transaction.on_commit(wake)
    logger.info("wecom.provider.command", extra={"suite": suite.pk, "command": row.pk, "event": row.info_type})
    return row


def _hand_on(suite: Suite, corpid: str, plain: str, at: datetime, wake: inbox.Wake) -> None:
    """To the inbox of the brand whose corp it is. What concerns nobody's corp is let go: a sync finds it later."""
    kept = Authorisation.objects.filter(suite=suite, corpid=corpid, status=Authorisation.Status.ACTIVE).first()
    if kept is None or kept.brand_id is None or kept.corp_id is None:
        logger.info("wecom.provider.nobodys_event", extra={"suite": suite.pk})
        return
    inbox.keep_opened(brand_id=kept.brand_id, corp_id=kept.corp_id, plain=plain, at=at, wake=wake)


def _opened(suite: Suite, sealed: str, seal: Seal, *, receiver: str) -> str:
    return crypto.opened(sealed, seal, token=suite.token, aes_key=suite.aes_key, corpid=receiver)


def _key(payload: dict[str, Any]) -> str:
    code = payload.get("AuthCode")
    said = f"code:{code}" if code else json.dumps(payload, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


def _said(payload: dict[str, Any], at: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(int(payload.get("TimeStamp") or 0) or at.timestamp(), UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return at


# -- carrying out -----------------------------------------------------------------------------------------------------


def carry_out(*, at: datetime, only: int | None = None) -> bool:
    """Carry out the command that is due longest (or `only` this one, if it is due); False when there is none.

    A command may be carried out twice when a worker dies: a code is good once, and the rest is harmless."""
    command = _claim(at, only)
    if command is None:
        return False
    try:
        _do(command, at)
    except Exception as failure:  # whatever it is, the command is kept and tried again
        _postpone(command, failure, at)
    else:
        # The code is spent; what it was is nobody's business any more.
        _finish(command, SuiteCommand.Status.DONE, at)
    return True


def sweep(*, at: datetime) -> int:
    """Delete commands that were finished, and links that expired, 30 days ago; how many."""
    old = SuiteCommand.objects.exclude(status=SuiteCommand.Status.PENDING).filter(processed_at__lt=at - KEPT)
    expired = AuthorisationLink.objects.filter(expires_at__lt=at - KEPT)
    return old.delete()[0] + expired.delete()[0]


def _do(command: Command, at: datetime) -> None:
    suite, corpid = command.suite, command.text("AuthCorpId")
    if command.info_type in WITH_CODE:
        code, state = command.text("AuthCode"), command.text("State")
        authorise.grant(suite=suite, auth_code=code, state=state, said_at=command.said_at, at=at)
    elif command.info_type == "change_auth":
        authorise.change(suite=suite, corpid=corpid, at=at)
    else:
        authorise.cancel(suite=suite, corpid=corpid, said_at=command.said_at, at=at)


def _claim(at: datetime, only: int | None) -> Command | None:
    with transaction.atomic():
        due = SuiteCommand.objects.filter(status=SuiteCommand.Status.PENDING, due_at__lte=at)
        due = due.filter(pk=only) if only is not None else due
        row = due.select_related("suite").select_for_update(skip_locked=True, of=("self",)).order_by("due_at").first()
        if row is None:
            return None
        SuiteCommand.objects.filter(pk=row.pk).update(attempts=F("attempts") + 1, due_at=at + LEASE)
    return Command(row.pk, row.suite, row.info_type, json.loads(row.payload), row.said_at)


def _finish(command: Command, status: str, at: datetime, error: str = "") -> None:
    payload = {name: value for name, value in command.payload.items() if name != "AuthCode"}
    SuiteCommand.objects.filter(pk=command.id).update(
        status=status, processed_at=at, error=error, payload=json.dumps(payload, ensure_ascii=False)
    )


def _postpone(command: Command, failure: Exception, at: datetime) -> None:
    """Due again soon, as long as waiting for WeCom or a ticket is of use; a refused code is over at once."""
    error = f"{type(failure).__name__}: {failure}"[:1000]
    attempts = SuiteCommand.objects.values_list("attempts", flat=True).get(pk=command.id)
    code = getattr(failure, "problem_code", "")
    patient = isinstance(failure, Unreachable | Throttled | Misconfigured)
    ids = {"suite": command.suite.pk, "command": command.id, "event": command.info_type}
    if patient:
        logger.info("wecom.provider.postponed", extra={**ids, "reason": code})
    else:
        logger.error("wecom.provider.failed", extra=ids, exc_info=failure)
    if patient and attempts <= len(BACKOFF):
        SuiteCommand.objects.filter(pk=command.id).update(due_at=at + BACKOFF[attempts - 1], error=error)
        return
    _finish(command, SuiteCommand.Status.FAILED, at, error)
    AuthorisationLink.objects.filter(state=command.text("State"), suite=command.suite, used_at=None).update(
        problem_code=code[:40]
    )
