"""What customers did after a push reached them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Delivery, DeliveryStatus
from console import outcomes
from events import log
from events.log import NewEvent
from tenants.scope import brand_scope
from tests.console import scene


@pytest.mark.parametrize(
    ("_case", "types", "hours", "expected"),
    [
        ("looked around", ["page_view"], 1, (1, 0, 0)),
        ("signed in", ["sign_in"], 1, (1, 1, 0)),
        ("bought at once", ["order_paid"], 1, (1, 0, 1)),
        ("all of it", ["page_view", "sign_in", "order_paid"], 71, (1, 1, 1)),
        ("too late", ["sign_in"], 73, (0, 0, 0)),
        ("before", ["sign_in"], -1, (0, 0, 0)),
        ("done to them", ["tag_given"], 1, (0, 0, 0)),
    ],
)
def test_who_signs_in_or_buys_has_come(cast, _case, types, hours, expected):
    made = scene.made(cast)
    now = timezone.now()
    reached_at = now - timedelta(days=5)
    with brand_scope(cast.brand.pk):
        Delivery.objects.create(
            brand_id=cast.brand.pk,
            push=made.draft,
            contact=made.contact,
            staff=cast.bob,
            status=DeliveryStatus.DELIVERED,
            updated_at=reached_at,
            delivered_at=reached_at,
        )
        at = reached_at + timedelta(hours=hours)
        log.write([NewEvent(type=each, occurred_at=at, contact_id=made.contact.pk) for each in types], at=now)

        after = outcomes.after(made.draft)

    assert after
    assert (after.came, after.signed_in, after.ordered) == expected


def test_the_page_says_who_counts_in_no_group(cast, console):
    made = scene.made(cast)
    now = timezone.now()
    with brand_scope(cast.brand.pk):
        Delivery.objects.create(
            brand_id=cast.brand.pk,
            push=made.draft,
            contact=made.contact,
            staff=cast.bob,
            status=DeliveryStatus.DELIVERED,
            left_out="contaminated",
            updated_at=now,
            delivered_at=now,
        )
        type(made.draft).objects.filter(pk=made.draft.pk).update(status="done")
    client = console(cast.alice.user)
    page = client.get(f"/b/{cast.brand.slug}/console/pushes/{made.draft.pk}/").content.decode()
    assert "合并前分在不同的组" in page
    assert "他们的行为说明不了任何一组" in page
    listed = client.get(f"/b/{cast.brand.slug}/console/pushes/{made.draft.pk}/people/?status=contaminated")
    assert made.contact.name in listed.content.decode()
