"""What an operator must mend about a corp: noted by the call that met it, cleared when that call works again."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.db import connection
from django.db.models import Max

from tenants.scope import brand_scope
from wecom import crypto, store
from wecom.errors import Misconfigured
from wecom.models import Corp, InboxItem

logger = logging.getLogger("wecom")

NOTED_EVERY = 60
"""seconds between two notes of refused callbacks of a corp, in its row and in the log"""
SHOWN_FOR = timedelta(days=1)
_noted: dict[int, float] = {}


@dataclass(frozen=True, slots=True)
class RefusedCallbacks:
    """A corp whose callbacks are being refused at the door, in the reader's language."""

    corp: Corp
    text: str
    remedy: str


def note(*, brand_id: int, corp_id: int, error: Misconfigured, at: datetime) -> None:
    """Keep the corp's latest trouble; the time stays that of its first call. Opens its own scope."""
    with brand_scope(brand_id):
        corp = Corp.objects.filter(pk=corp_id)
        corp.exclude(trouble_code=error.problem_code).update(
            trouble_code=error.problem_code, trouble_detail=_detail(error), trouble_at=at
        )


def ends_with(corp: Corp, *, api: str) -> bool:
    """Whether a success of `api` shows that the corp's trouble is over. A token trouble ends with any call."""
    failed, _sep, _errcode = corp.trouble_detail.partition(" ")
    return bool(corp.trouble_code) and failed in (api, "gettoken")


def clear(corp: Corp) -> None:
    """The trouble that `corp` shows is over; another one that was noted since stays. Opens its own scope."""
    with brand_scope(corp.brand_id):
        same = Corp.objects.filter(pk=corp.pk, trouble_code=corp.trouble_code, trouble_detail=corp.trouble_detail)
        same.exclude(trouble_code="").update(trouble_code="", trouble_detail="", trouble_at=None)


def note_refused_callback(*, brand_id: int, corp_id: int, code: str, at: datetime) -> None:
    """A callback of the corp was refused: its row and the log say so, once a minute however many come.

    Opens its own scope. The address of a callback is unguessable, but whoever has it must not fill log and disk."""
    if not _first_this_minute(corp_id):
        return
    logger.warning("wecom.callback.refused", extra={"brand": brand_id, "corp": corp_id, "reason": code})
    with brand_scope(brand_id):
        Corp.objects.filter(pk=corp_id).update(callback_refused_code=code[:40], callback_refused_at=at)


def refused_callbacks(*, at: datetime) -> list[RefusedCallbacks]:
    """The brand's corps that refused a callback of the last day, and none that was right came after it. Scoped."""
    shown = []
    for corp in Corp.objects.filter(callback_refused_at__gt=at - SHOWN_FOR).order_by("pk"):
        heard = InboxItem.objects.filter(corp=corp, received_at__gt=at - SHOWN_FOR).aggregate(last=Max("received_at"))
        if heard["last"] is None or corp.callback_refused_at is None or heard["last"] < corp.callback_refused_at:
            text, remedy = crypto.refusal(corp.callback_refused_code)
            shown.append(RefusedCallbacks(corp, str(text), str(remedy)))
    return shown


def _first_this_minute(corp_id: int) -> bool:
    key = f"wecom:refused:{connection.settings_dict['NAME']}:{corp_id}"
    try:
        return bool(store.connection().set(key, 1, nx=True, ex=NOTED_EVERY))
    except redis.RedisError:  # each process then counts for itself
        last, now = _noted.get(corp_id, 0.0), time.monotonic()
        _noted[corp_id] = now if now - last >= NOTED_EVERY or not last else last
        return _noted[corp_id] == now


def _detail(error: Misconfigured) -> str:
    """Which call was refused, by what number, and for an untrusted address, which."""
    seen = error.from_ip if error.problem_code == "wecom.ip_untrusted" else ""
    return f"{error.api} {error.errcode} {seen}".strip()
