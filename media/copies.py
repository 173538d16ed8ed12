"""Copies of kept files in WeCom: made when they are needed, once for all workers, and made again before they end.

A copy is claimed by a row before the upload; who finds it claimed waits for it. A claim is known by its moment, and a
claim of a dead worker is void after a while. Uploads are made outside every scope."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from media import keeping
from media.models import Copy, Form, Kept
from scrm.lib.errors import found
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Rejected, Throttled, WeComError

logger = logging.getLogger(__name__)

LIVES = timedelta(days=3)
"""a media_id, from its upload (api-reference §17). By our clock: WeCom's created_at may be skewed"""
AHEAD = timedelta(days=1)
"""how long a copy must still live to be used or left alone by the refresh: a guide may confirm hours later, and a
WeCom or a beat that is down for a night must not cost a picture"""
CLAIM_VOID = timedelta(minutes=5)
"""above three attempts of an upload, each with its 60 s"""
PATIENCE_SECONDS = 8.0
LOOK_SECONDS = 0.1
PAUSE = timedelta(minutes=5)
PAUSE_REJECTED = timedelta(hours=6)
EXPIRED = "wecom.media_expired"
"""WeCom's 40007: it does not know the media_id (any more)"""


@dataclass(frozen=True, slots=True)
class Need:
    """A file in one of these forms; the first is the best."""

    media_id: int
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """A copy that can be used."""

    form: str
    value: str


def live(*, corp_id: int, needs: Collection[Need], until: datetime) -> dict[Need, Live]:
    """The copies there are that live at least until then, the best form of each need. Scoped."""
    rows = Copy.objects.filter(corp=corp_id, media__in={need.media_id for need in needs}).exclude(value="")
    there = {
        (media_id, form): value
        for media_id, form, value in rows.filter(_lives(until)).values_list("media_id", "form", "value")
    }
    ready = {}
    for need in needs:
        form = next((form for form in need.forms if (need.media_id, form) in there), None)
        if form is not None:
            ready[need] = Live(form, there[need.media_id, form])
    return ready


def ready(
    *,
    brand_id: int,
    corp_id: int,
    needs: Collection[Need],
    wecom: WeComClient,
    at: datetime,
    patience: float = PATIENCE_SECONDS,
) -> dict[Need, Live]:
    """A usable copy for every need; those that are missing are made now. Opens its own scopes; none may be open.

    Waits up to `patience` seconds for copies that other workers are making, then raises Throttled
    `media.being_made`. Raises the WeComError of an upload that failed in every form."""
    deadline = time.monotonic() + patience
    with brand_scope(brand_id):
        had = live(corp_id=corp_id, needs=needs, until=at + AHEAD)
    return {need: had.get(need) or _one(brand_id, corp_id, need, wecom, at, deadline) for need in dict.fromkeys(needs)}


def forget(*, corp_id: int, media_ids: Collection[int], made_before: datetime) -> int:
    """WeCom does not know these files' media_ids, made before then: they are made again. Scoped. Returns how many.

    Addresses last, and stay."""
    rows = Copy.objects.filter(corp=corp_id, media__in=media_ids, expires_at__isnull=False, made_at__lt=made_before)
    return rows.update(value="", expires_at=None, due_at=None)


def ended(*, at: datetime) -> int:
    """Delete copies that ended a day ago and that nobody is making again. Scoped. Returns how many."""
    over = Copy.objects.filter(expires_at__lt=at - timedelta(days=1)).filter(_unclaimed(at))
    return over.delete()[0]


def _one(brand_id: int, corp_id: int, need: Need, wecom: WeComClient, at: datetime, deadline: float) -> Live:
    """One copy, in the best form that WeCom gives. Raises the WeComError of the last form."""
    trouble: WeComError | None = None
    for form in need.forms:
        try:
            return Live(form, _made(brand_id, corp_id, need.media_id, form, wecom, at, deadline))
        except (Throttled, Rejected) as error:
            # Addresses are rare (1000 a day): a picture without one goes as a media_id.
            trouble = error
    assert trouble is not None  # noqa: S101 - a need has a form
    raise trouble


def _made(
    brand_id: int, corp_id: int, media_id: int, form: str, wecom: WeComClient, at: datetime, deadline: float
) -> str:
    """The copy's value, by this worker's upload or another's."""
    while True:
        with brand_scope(brand_id):
            row = found(Kept.objects.filter(pk=media_id))
            mine = _claim(row, corp_id, form, at)
            theirs = None if mine else _row_of(media_id, corp_id, form).filter(_lives(at + AHEAD)).first()
        if mine:
            return _upload(brand_id, corp_id, row, form, wecom, at)
        if theirs is not None and theirs.value:
            return theirs.value
        if time.monotonic() >= deadline:
            raise Throttled(_("素材正在上传到企业微信。"), retry_after=5, code="media.being_made")
        time.sleep(LOOK_SECONDS)


def _claim(row: Kept, corp_id: int, form: str, at: datetime) -> bool:
    """Take the making of a copy. False: it lives, or somebody is at it. Scoped."""
    key = {"brand_id": row.brand_id, "media_id": row.pk, "corp_id": corp_id, "form": form}
    Copy.objects.bulk_create([Copy(**key)], ignore_conflicts=True)
    # Every condition is about the row itself: PostgreSQL looks at them again when it gets the row's lock.
    wanting = _row_of(row.pk, corp_id, form).filter(_unclaimed(at)).exclude(~Q(value="") & _lives(at + AHEAD))
    return wanting.update(claimed_at=at) == 1


def _upload(brand_id: int, corp_id: int, row: Kept, form: str, wecom: WeComClient, at: datetime) -> str:
    try:
        value = _sent(row, form, wecom)
    except Exception as error:
        with brand_scope(brand_id):
            _held(row.pk, corp_id, form, at).update(**_failure(error, at))
        raise
    with brand_scope(brand_id):
        _held(row.pk, corp_id, form, at).update(
            value=value,
            made_at=at,
            expires_at=None if form == Form.URL else at + LIVES,
            claimed_at=None,
            due_at=None,
            attempts=0,
            error_code="",
            error="",
        )
    logger.info("media.copied", extra={"brand": brand_id, "media": row.pk, "corp": corp_id, "form": form})
    return value


def _sent(row: Kept, form: str, wecom: WeComClient) -> str:
    try:
        data = keeping.read(row)
    except FileNotFoundError as lost:
        logger.exception("media.lost", extra={"brand": row.brand_id, "media": row.pk})
        refusal = Rejected(_("素材的文件不见了。"), remedy=_("请重新上传这个文件。"), code="media.lost")
        raise refusal from lost
    if form == Form.URL:
        return wecom.upload_image(filename=row.name, data=data)
    if form == Form.MOMENTS:
        moments_kind = cast(Literal["image", "video"], row.kind)
        return wecom.upload_attachment(kind=moments_kind, filename=row.name, data=data).media_id
    kind = cast(Literal["image", "video", "file"], row.kind)
    return wecom.upload_media(kind=kind, filename=row.name, data=data).media_id


def _failure(error: Exception, at: datetime) -> dict[str, Any]:
    known = error if isinstance(error, WeComError) else None
    pause = PAUSE_REJECTED if isinstance(error, Rejected) else PAUSE
    if isinstance(error, Throttled):
        pause = max(PAUSE, timedelta(seconds=error.retry_after))
    return {
        "claimed_at": None,
        "due_at": at + pause,
        "attempts": F("attempts") + 1,
        "error_code": known.problem_code if known else "media.failed",
        "error": str(known.detail)[:500] if known else "",
    }


def _row_of(media_id: int, corp_id: int, form: str) -> "QuerySet[Copy]":
    return Copy.objects.filter(media=media_id, corp=corp_id, form=form)


def _held(media_id: int, corp_id: int, form: str, at: datetime) -> "QuerySet[Copy]":
    """The row while it is in the claim of that moment."""
    return _row_of(media_id, corp_id, form).filter(claimed_at=at)


def _lives(until: datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=until)


def _unclaimed(at: datetime) -> Q:
    return Q(claimed_at=None) | Q(claimed_at__lt=at - CLAIM_VOID)


def troubles(*, media_ids: Sequence[int]) -> dict[int, Copy]:
    """The latest failure of each of these files, those without left out. Scoped."""
    rows = Copy.objects.filter(media__in=media_ids).exclude(error_code="").order_by("due_at")
    return {row.media_id: row for row in rows}
