"""Thin doors for Celery."""

from celery import shared_task
from django.utils import timezone

from tagging import expiry
from tenants.models import Brand
from tenants.scope import brand_scope

STEP = 5000


@shared_task
def sweep_expired(**_later_args: object) -> None:
    """Remove every brand's expired tags, a few thousand a transaction."""
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        swept = STEP
        while swept == STEP:
            with brand_scope(brand_id):
                swept = expiry.sweep(brand_id=brand_id, at=timezone.now(), limit=STEP)
