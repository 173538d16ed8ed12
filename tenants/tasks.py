"""What the tenants app does by itself."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from tenants.models import Brand, IdempotentResponse
from tenants.scope import brand_scope

KEEP_RESPONSES = timedelta(days=7)


@shared_task
def clean(**_later_args: object) -> None:
    """Forget answers kept for Idempotency-Keys after 7 days, as the API's documentation says."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        with brand_scope(brand_id):
            IdempotentResponse.objects.filter(created_at__lt=timezone.now() - KEEP_RESPONSES).delete()
