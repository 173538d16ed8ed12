"""What happens to kept media by itself. Tasks may run twice."""

import logging
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from media import copies, keeping, wanted
from media.copies import Need
from scrm.lib.errors import DomainError
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import client_for

logger = logging.getLogger(__name__)

HANDED_OUT = timedelta(minutes=5)


@shared_task
def refresh(**_later_args: object) -> None:
    """Hand out the copies that welcomes and coming pushes need and that end within a day."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        try:
            refresh_brand.run(brand_id=brand_id)
        except Exception:  # a brand's trouble is not the next brand's
            logger.exception("media.refresh.failed", extra={"brand": brand_id})


@shared_task
def refresh_brand(*, brand_id: int, **_later_args: object) -> None:
    """The same for one brand: soon after a welcome was saved, say."""
    with brand_scope(brand_id):
        for each in wanted.due(at=timezone.now()):
            told = {"brand_id": brand_id, "corp_id": each.corp_id, "media_id": each.need.media_id}
            make_copy.apply_async_on_commit(
                kwargs={**told, "forms": list(each.need.forms)}, expires=HANDED_OUT.total_seconds()
            )


@shared_task
def make_copy(*, brand_id: int, corp_id: int, media_id: int, forms: list[str], **_later_args: object) -> None:
    """Upload a file to a corp unless it is there. What WeCom refuses is noted on the copy, and tried again later."""
    try:
        wecom = client_for(brand_id=brand_id, corp_id=corp_id)
        need = Need(media_id, tuple(forms))
        copies.ready(brand_id=brand_id, corp_id=corp_id, needs=[need], wecom=wecom, at=timezone.now(), patience=0)
    except DomainError as error:
        logger.warning("media.copy.put_off", extra={"media": media_id, "code": error.problem_code})


@shared_task
def sweep(**_later_args: object) -> None:
    """Let go of files that nothing names and of copies that have ended."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        try:
            keeping.sweep(brand_id=brand_id, at=timezone.now())
            with brand_scope(brand_id):
                copies.ended(at=timezone.now())
        except Exception:  # a brand's trouble is not the next brand's
            logger.exception("media.sweep.failed", extra={"brand": brand_id})
