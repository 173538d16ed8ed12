"""What the points ledger and the tiers do by themselves."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from points import expiry
from points.tiers import keeping
from tenants.models import Brand
from tenants.scope import brand_scope

LOTS_A_TURN = 2000
TURNS = 5
"""transactions of about a second at most; then the brand goes to the end of the queue"""
SETTLED = timedelta(minutes=1)
"""so long an end waits for what was received before it and is not in the log's readers' hands yet"""


@shared_task
def expire_due(**_later_args: object) -> None:
    """Take expired lots out of every brand's accounts, in short transactions."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        while True:
            with brand_scope(brand_id):
                taken = expiry.expire(at=timezone.now(), limit=LOTS_A_TURN)
            if taken < LOTS_A_TURN:
                break


@shared_task
def tiers_tick(**_later_args: object) -> None:
    """Hand out the brands whose tiers wait for a look: a spell has ended, or the rules were changed."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        with brand_scope(brand_id):
            is_waiting = keeping.waits(at=timezone.now() - SETTLED)
        if is_waiting:
            keep_tiers.apply_async(kwargs={"brand_id": brand_id}, expires=60)


@shared_task
def keep_tiers(*, brand_id: int, **_later_args: object) -> None:
    """Look at whoever is due in the brand, some thousand contacts; while somebody else looks, leave it to them."""
    for _turn in range(TURNS):
        with brand_scope(brand_id):
            if not keeping.hold(wait=False):
                return
            due = keeping.look_at_due(at=timezone.now() - SETTLED)
            more = keeping.fill(at=timezone.now())
        if due < keeping.LIMIT and not more:
            return
    keep_tiers.apply_async(kwargs={"brand_id": brand_id}, expires=60)
