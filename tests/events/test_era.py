"""A restore into a new cluster, whose transaction ids begin anew."""

import pytest

from events import log, reactors
from events.era import raise_era
from events.models import LogEra
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import event, read_all

OLD_CLUSTER = 10**12
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


@pytest.fixture(autouse=True)
def era():
    """The era is no brand's row, so it is not emptied between tests."""
    LogEra.objects.update_or_create(pk=1, defaults={"era": 0})
    yield
    LogEra.objects.filter(pk=1).update(era=0)


def restored(cast, heard):
    """Two events of a cluster that had seen a million million transactions, one of them read; now its ids are small."""
    LogEra.objects.filter(pk=1).update(era=OLD_CLUSTER)
    for kind in ("sign_in", "share"):
        with brand_scope(cast.brand.id):
            log.write([event(kind, NOON, 1)], at=NOON)
        if kind == "sign_in":
            read_all(cast.brand.id)
    with brand_scope(cast.other.id):
        log.write([event("draw", NOON, 1)], at=NOON)
    assert [row.type for row in heard.rows] == ["sign_in"]
    LogEra.objects.filter(pk=1).update(era=0)


def test_without_a_new_era_reactors_would_wait_for_ever(live_cast, heard):
    restored(live_cast, heard)

    progress = reactors.run(brand_id=live_cast.brand.id, at=NOON)

    assert (progress.read, progress.waiting) == (0, True)


def test_after_a_restore_reading_goes_on_where_it_stopped(live_cast, heard):
    restored(live_cast, heard)

    era = raise_era()

    assert era > OLD_CLUSTER
    read_all(live_cast.brand.id)
    read_all(live_cast.other.id)
    with brand_scope(live_cast.brand.id):
        log.write([event("order_paid", NOON, 1)], at=NOON)
        assert log.current_txid() > era
    read_all(live_cast.brand.id)
    assert [row.type for row in heard.rows] == ["sign_in", "share", "draw", "order_paid"]


def test_raising_it_again_never_lowers_it(live_cast, heard):
    restored(live_cast, heard)

    assert raise_era() == raise_era()


def test_an_empty_log_needs_no_era_but_may_have_one(live_cast):
    assert raise_era() == 1
