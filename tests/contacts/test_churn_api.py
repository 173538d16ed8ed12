"""Lost friendships over REST."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.models import Follow
from tenants.scope import brand_scope

DAY = timedelta(days=1)


def test_losses_are_told_by_week_source_guide_and_day(cast):
    now = timezone.now()
    stays, leaves = (cast.contact(name, at=now - 60 * DAY).pk for name in ("陈小满", "李大树"))
    with brand_scope(cast.brand.pk):
        Follow.objects.filter(contact_id=stays).update(state="store-7")
        Follow.objects.filter(contact_id=leaves).update(state="card-1", lost_at=now - 58 * DAY, lost_by="contact")

    found = cast.alice.api("GET", "/api/v1/churn?days=7").json()
    assert found["loss"] == {"label": "", "created": 2, "lost": 1, "rate": 0.5}
    assert [(each["label"], each["lost"]) for each in found["by_source"]] == [("card-1", 1), ("store-7", 0)]
    assert [(each["label"], each["created"], each["lost"]) for each in found["by_guide"]] == [("小林", 2, 1)]
    assert found["by_last_touch"] == [{"type": "", "lost": 1}]
    assert sum(week["by_contact"] for week in found["weeks"]) == 1
    assert {day["day"]: day["lost"] for day in found["hazard"] if day["lost"]} == {2: 1}
    assert cast.alice.api("GET", "/api/v1/churn?days=1").json()["loss"]["lost"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [("days=0", "days"), ("days=x", "days"), ("start=2020-01-01T00:00:00Z", "start"), ("end=soon", "end")],
)
def test_an_impossible_question_is_refused(cast, query, field):
    answer = cast.alice.api("GET", f"/api/v1/churn?{query}")
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
