"""Orders, as the log of the brand's shops adds up to them."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

from commerce.models import Order, OrderReport
from commerce.orders import bought
from contacts.personal_data import erasure
from events import log, reactors
from events.log import NewEvent
from events.models import Event, ReactorCursor
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import Cast

NOON = datetime.now(UTC) - timedelta(hours=1)


def report(cast: Cast, *events: NewEvent) -> None:
    """Write the events and let the reactor read the log from its beginning."""
    with brand_scope(cast.brand.pk):
        log.write(events, at=NOON)
        horizon = log.current_txid() + 1
        ReactorCursor.objects.filter(reactor="commerce.orders").delete()
    reactors.react(brand_id=cast.brand.pk, reactor="commerce.orders", at=NOON, horizon=horizon)


def event(kind: str, contact: int, minute: int, *, no: str = "A-1", fires: bool = True, **props: object) -> NewEvent:
    at = NOON + timedelta(minutes=minute)
    return NewEvent(kind, at, id=uuid.uuid4(), contact_id=contact, props={"order_no": no, **props}, fires=fires)


def order(cast: Cast) -> dict[str, object]:
    fields = ("order_no", "contact_id", "status", "amount_fen", "refunded_fen", "category", "paid_at", "ordered_at")
    with brand_scope(cast.brand.pk):
        return Order.objects.values(*fields).get()


def test_reports_in_any_sequence_and_twice_add_up_to_the_same_order(cast) -> None:
    contact = cast.contact().pk
    life = [
        event("order_created", contact, 0, amount_fen=20_000, category="婴童"),
        event("order_paid", contact, 1, amount_fen=19_000),
        event("order_refunded", contact, 2, amount_fen=4_000),
    ]
    ends = []
    for sequence in itertools.permutations(life):
        with brand_scope(cast.brand.pk):
            Order.objects.all().delete()
            OrderReport.objects.all().delete()
            Event.objects.all().delete()
        for each in sequence:
            report(cast, each)
        report(cast)
        ends.append(order(cast))
    assert all(end == ends[0] for end in ends)
    assert ends[0] == {
        "order_no": "A-1",
        "contact_id": contact,
        "status": "paid",
        "amount_fen": 19_000,
        "refunded_fen": 4_000,
        "category": "婴童",
        "paid_at": NOON + timedelta(minutes=1),
        "ordered_at": NOON,
    }


def test_an_order_goes_through_its_states(cast) -> None:
    contact = cast.contact().pk
    seen = []
    for minute, kind in enumerate(("order_created", "order_paid", "order_shipped", "order_completed")):
        report(cast, event(kind, contact, minute, amount_fen=500))
        seen.append(order(cast)["status"])
    report(cast, event("order_refunded", contact, 9, amount_fen=500))
    seen.append(order(cast)["status"])
    assert seen == ["created", "paid", "shipped", "completed", "refunded"]


def test_imported_orders_count_and_reports_without_a_number_are_only_events(cast) -> None:
    contact = cast.contact().pk
    report(
        cast,
        event("order_paid", contact, 0, no="old-1", amount_fen=700, fires=False),
        event("order_paid", contact, 1, no="  ", amount_fen=900),
    )
    with brand_scope(cast.brand.pk):
        figures = bought(contact_id=contact)
    assert ([each.order_no for each in figures.orders], figures.paid, figures.net_fen) == (["old-1"], 1, 700)


def test_what_was_taken_back_is_no_net_sale(cast) -> None:
    contact = cast.contact().pk
    report(
        cast,
        event("order_paid", contact, 0, no="1", amount_fen=1_000),
        event("order_refunded", contact, 1, no="1", amount_fen=250),
        event("order_paid", contact, 2, no="2", amount_fen=3_000),
        event("order_cancelled", contact, 3, no="2"),
    )
    with brand_scope(cast.brand.pk):
        figures = bought(contact_id=contact)
    assert (figures.paid, figures.net_fen) == (1, 750)


def test_orders_go_with_their_person(cast) -> None:
    contact = cast.contact("甲").pk
    report(cast, event("order_paid", contact, 0, amount_fen=700))
    with brand_scope(cast.brand.pk):
        erasure.erase(contact_id=contact, typed_name="甲", reason="本人要求", actor=SYSTEM, at=NOON)
        assert not Order.objects.exists()
