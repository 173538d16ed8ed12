"""Months are made ahead, and no partition is open to the runtime role."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import Error, connection, connections

from events import log, partitions
from events.models import Event
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import event

LONG_AGO = datetime(2020, 2, 29, 23, 30, tzinfo=UTC)


@pytest.fixture
def month_of_its_own(live_cast):
    yield live_cast
    with connections["owner"].cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS events_event_202002")
    connections["owner"].close()


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_an_import_makes_its_months_once(month_of_its_own):
    brand_id = month_of_its_own.brand.id

    assert partitions.ensure([LONG_AGO, LONG_AGO.replace(day=1, hour=0, minute=0)]) == ["events_event_202002"]
    assert partitions.ensure([LONG_AGO]) == []

    with brand_scope(brand_id):
        log.write([event("sign_in", LONG_AGO, 1, source="import", fires=False)], at=NOON)
        assert Event.objects.get().occurred_at == LONG_AGO
    with pytest.raises(Error, match="permission denied"), brand_scope(brand_id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event_202002")


@pytest.mark.parametrize("moment", [datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)])
def test_refuses_a_month_nobody_can_mean(live_cast, moment):
    with pytest.raises(Error, match="no partition"):
        partitions.ensure([moment])


@pytest.fixture
def old_months(live_cast):
    yield live_cast
    with connections["owner"].cursor() as cursor:
        for month in ("202002", "202410"):
            cursor.execute(f"DROP TABLE IF EXISTS events_event_{month}")
    connections["owner"].close()


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_months_that_are_too_old_go_with_their_events(old_months, settings):
    brand_id, at = old_months.brand.id, datetime.now(UTC)
    settings.ORCHARD_LOG_MONTHS = 25
    first = partitions.oldest(at=at)
    partitions.ensure([LONG_AGO, first - timedelta(days=1), first, at])
    with brand_scope(brand_id):
        old = [event("sign_in", moment, 1) for moment in (LONG_AGO, first - timedelta(seconds=1))]
        kept = [event("sign_in", moment, 1) for moment in (first, at)]
        log.write([*old, *kept], at=at)

    dropped = partitions.drop_old()

    assert dropped == ["events_event_202002", f"events_event_{first - timedelta(days=1):%Y%m}"]
    with brand_scope(brand_id):
        assert set(Event.objects.values_list("id", flat=True)) == {each.id for each in kept}
    assert partitions.drop_old() == []


@pytest.mark.parametrize("months", [11, 0, -5])
def test_nobody_can_ask_for_the_last_year(live_cast, settings, months):
    settings.ORCHARD_LOG_MONTHS = months

    with pytest.raises(Error, match="at least 12 months"):
        partitions.drop_old()
