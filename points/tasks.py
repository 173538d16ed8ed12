"""What the points ledger does by itself."""

from celery import shared_task
from django.utils import timezone

from points import expiry
from tenants.models import Brand
from tenants.scope import brand_scope

LOTS_A_TURN = 2000


@shared_task
def expire_due(**_later_args: object) -> None:
    """Take expired lots out of every brand's accounts, in short transactions."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        while True:
            with brand_scope(brand_id):
                taken = expiry.expire(at=timezone.now(), limit=LOTS_A_TURN)
            if taken < LOTS_A_TURN:
                break
