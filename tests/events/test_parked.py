"""An event that a reactor cannot take is put aside and the rest goes on; a reactor that is broken stays where it is."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client

from events import health, log, parked, reactors
from events.models import ParkedEvent
from events.reactors import Batch, Reactor
from tenants.actors import SYSTEM
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import event, read_all


class Picky:
    """Notes what it was given in the database, and fails at events whose `page` is in `bad`."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.error: type[Exception] = ValueError

    def handle(self, batch: Batch) -> None:
        AuditEntry.objects.bulk_create(
            AuditEntry(at=batch.at, actor="system", action="heard", object_type="event", object_id=row.props["page"])
            for row in batch.rows
        )
        for row in batch.rows:
            if row.props["page"] in self.bad:
                raise self.error(f"customer {row.props['page']}")


@pytest.fixture
def picky():
    made = Picky()
    reactors.register(Reactor("picky", None, made.handle))
    return made


def written(brand_id, *pages, at=NOON):
    with brand_scope(brand_id):
        events = [
            event("page_view", at + timedelta(seconds=n), 7, props={"page": page}) for n, page in enumerate(pages)
        ]
        log.write(events, at=at)


def heard(brand_id):
    with brand_scope(brand_id):
        return sorted(AuditEntry.objects.filter(action="heard").values_list("object_id", flat=True))


def on_hold(brand_id):
    with brand_scope(brand_id):
        return ParkedEvent.objects.count()


def test_the_rest_goes_on_and_each_is_taken_once(live_cast, picky):
    brand_id = live_cast.brand.pk
    pages = [f"p{n:03}" for n in range(300)]
    picky.bad = {"p007", "p123", "p299"}
    written(brand_id, *pages)

    for _ in range(3):
        read_all(brand_id)

    assert heard(brand_id) == [page for page in pages if page not in picky.bad]
    with brand_scope(brand_id):
        [row] = parked.shown()
        assert (row.reactor, row.count, row.types) == ("picky", 3, ["浏览页面"])
        assert row.problem.startswith("ValueError (test_parked.py:")
        assert "customer" not in row.problem  # names nobody
    written(brand_id, "later", at=NOON + timedelta(hours=1))
    read_all(brand_id)
    assert heard(brand_id)[0] == "later"


def test_replay_after_the_mend(live_cast, picky):
    brand_id = live_cast.brand.pk
    picky.bad = {"a", "b"}
    written(brand_id, "a", "b", "c")
    read_all(brand_id)
    picky.bad = {"b"}

    with brand_scope(brand_id):
        first = parked.replay(reactor="picky", actor=SYSTEM, at=NOON)
        picky.bad = set()
        second = parked.replay(reactor="picky", actor=SYSTEM, at=NOON)
        third = parked.replay(reactor="picky", actor=SYSTEM, at=NOON)

    assert [(again.tried, again.went) for again in (first, second, third)] == [(2, 1), (1, 1), (0, 0)]
    assert heard(brand_id) == ["a", "b", "c"]
    assert on_hold(brand_id) == 0


def test_what_was_let_go_stays_in_the_log(live_cast, picky):
    brand_id = live_cast.brand.pk
    picky.bad = {"a"}
    written(brand_id, "a", "b")
    read_all(brand_id)

    with brand_scope(brand_id):
        assert parked.discard(reactor="picky", actor=SYSTEM, at=NOON) == 1
        assert reactors.first_unread(brand_id) is None

    assert (heard(brand_id), on_hold(brand_id)) == (["b"], 0)


def test_a_broken_reactor_waits_instead_of_emptying_the_log(live_cast, picky):
    brand_id = live_cast.brand.pk
    pages = [f"p{n:03}" for n in range(60)]
    picky.bad = set(pages)
    written(brand_id, *pages)

    for hours in (0, 1, 2):
        read_all(brand_id, NOON + timedelta(hours=hours))

    assert on_hold(brand_id) == 0
    assert {lag.brand_id: lag.stuck for lag in health.lags(at=NOON)}[brand_id] == ("picky",)
    picky.bad = set()
    read_all(brand_id)
    assert heard(brand_id) == pages
    assert {lag.brand_id: lag.stuck for lag in health.lags(at=NOON)}[brand_id] == ()


def test_a_single_event_is_blamed_only_after_a_while(live_cast, picky):
    brand_id = live_cast.brand.pk
    picky.bad = {"a"}
    written(brand_id, "a")

    read_all(brand_id)
    read_all(brand_id, NOON + timedelta(seconds=59))
    assert on_hold(brand_id) == 0  # a deployment that is just being mended must not lose it
    read_all(brand_id, NOON + timedelta(seconds=61))

    assert on_hold(brand_id) == 1


def test_a_deadlock_blames_nobody(live_cast, picky):
    brand_id = live_cast.brand.pk
    picky.bad, picky.error = {"a"}, OperationalError
    written(brand_id, "a", "b")

    for minutes in (0, 5):
        read_all(brand_id, NOON + timedelta(minutes=minutes))
    assert (heard(brand_id), on_hold(brand_id)) == ([], 0)

    picky.bad = set()
    read_all(brand_id)
    assert heard(brand_id) == ["a", "b"]


def test_what_takes_too_long_at_once_is_given_in_pieces(live_cast, picky, monkeypatch):
    monkeypatch.setattr(reactors, "LONG_SECONDS", 0)
    brand_id, pages = live_cast.brand.pk, [f"p{n:03}" for n in range(250)]
    written(brand_id, *pages)
    inner, sizes = picky.handle, []

    def slow(batch):
        sizes.append(len(batch.rows))
        inner(batch)
        if len(batch.rows) > 200:
            raise OperationalError("terminating connection due to transaction timeout")

    reactors.REGISTRY["picky"] = Reactor("picky", None, slow)
    read_all(brand_id)

    assert (heard(brand_id), sizes, on_hold(brand_id)) == (pages, [250, 200, 50], 0)


def test_readyz_tells_of_it(live_cast, picky):
    brand_id = live_cast.brand.pk
    picky.bad = {"a"}
    written(brand_id, "a", "b")
    read_all(brand_id)

    brands = {each["brand"]: each for each in Client().get("/readyz").json()["brands"]}

    assert brands[brand_id]["parked_events"] == 1
    assert brands[live_cast.other.pk]["parked_events"] == 0
