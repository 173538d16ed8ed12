"""SOPs: an event takes a contact in, two steps are sent when they are due, a goal takes the contact out."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from campaigns.models import Enrolment, Push, Sop, SopTouch, SopVersion
from campaigns.sop import sop
from campaigns.sop.sop import Step
from contacts.models import Contact, Staff
from events import log, reactors
from events.log import NewEvent
from events.models import ReactorCursor
from scrm.lib.errors import Invalid
from scrm.lib.ids import made_id
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.orchard import Orchard
from tests.campaigns.shop import Shop
from wecom.models import Corp

DAY = 86_400
LADIES = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}


class Flow:
    """A two-step SOP on a cart, ended by an order."""

    def __init__(self, orchard: Orchard, **fields: object) -> None:
        self.orchard = orchard
        self.said = [orchard.content("先看看这个").pk, orchard.content("还在想吗").pk]
        with brand_scope(orchard.brand_id):
            self.sop = Sop.objects.create(name="加购未买", created_at=orchard.at)
        self.version = self.publish(**fields)

    def publish(self, **fields: object) -> SopVersion:
        words = {
            "trigger": {"event": "add_cart"},
            "steps": [Step(0, self.said[0]), Step(3 * DAY, self.said[1])],
            "goal_event": "order_paid",
            **fields,
        }
        with brand_scope(self.orchard.brand_id):
            return sop.publish(sop_id=self.sop.pk, actor=SYSTEM, at=self.orchard.at, **words)

    def happens(self, kind: str, *contacts: Contact, **props: object) -> None:
        """Events now, read by the SOP's reactor."""
        at = self.orchard.at
        news = [NewEvent(kind, at, made_id(kind, c.pk, at), contact_id=c.pk, props=props) for c in contacts]
        with brand_scope(self.orchard.brand_id):
            log.write(news, at=at)
        self.read()

    def read(self) -> None:
        with brand_scope(self.orchard.brand_id):
            # All rows of a test have its transaction's id: each reading begins anew, as after a restored backup.
            ReactorCursor.objects.filter(reactor=sop.REACTOR).delete()
            horizon = log.current_txid() + 1
        reactors.react(brand_id=self.orchard.brand_id, reactor=sop.REACTOR, at=self.orchard.at, horizon=horizon)

    def advance(self) -> list[int]:
        with brand_scope(self.orchard.brand_id):
            return sop.advance(at=self.orchard.at)

    def inside(self) -> dict[int, tuple[str, int]]:
        """contact → (status, step) of the latest enrolment."""
        with brand_scope(self.orchard.brand_id):
            return {
                row.contact_id: (row.status, row.step) for row in Enrolment.objects.order_by("entered_at", "left_at")
            }

    def touched(self, push_id: int) -> set[int]:
        with brand_scope(self.orchard.brand_id):
            return set(SopTouch.objects.filter(push_id=push_id).values_list("contact_id", flat=True))


@pytest.fixture
def flow(orchard) -> Flow:
    return Flow(orchard)


def wait(orchard: Orchard, **passed: float) -> None:
    orchard.at += timedelta(**passed)


def test_two_steps_are_sent_to_those_who_came_in_and_stop_at_the_goal(shop: Shop):
    flow = Flow(shop)
    with brand_scope(shop.brand_id):
        people = list(Contact.objects.order_by("pk")[:8])
    flow.happens("add_cart", *people)
    (first,) = flow.advance()
    push = shop.plan(Push(pk=first))
    shop.send(push)
    shop.people_confirm()
    shop.follow_up(push)
    buyer = people[0]
    shop.later(hours=1)
    flow.happens("order_paid", buyer)

    shop.later(days=2)
    assert flow.advance() == []
    shop.later(days=1)
    (second,) = flow.advance()
    push = shop.plan(Push(pk=second))
    shop.send(push)
    shop.people_confirm()
    shop.follow_up(push)

    got = {}
    for row in shop.journal(kind="single"):
        got.setdefault(row["external_userid"], []).append(row["text"])
    names = {row.contact_id: row.external_userid for row in shop.deliveries(Push(pk=first))}
    assert got[names[buyer.pk]] == ["先看看这个"]
    others = shop.reachable(push)
    assert others
    assert all(got[each] == ["先看看这个", "还在想吗"] for each in others)
    assert flow.inside() == {buyer.pk: ("goal", 1)} | {each.pk: ("done", 2) for each in people[1:]}


def test_a_brand_of_two_corps_writes_to_each_from_where_they_are_a_friend(orchard, flow):
    with brand_scope(orchard.brand_id):
        second = Corp.objects.create(corpid="ww-second", name="二店")
        wang = Staff.objects.create(corp=second, userid="wang", name="王", is_guide=True)
    (anna,) = orchard.contacts(1)
    (berta,) = orchard.contacts(1, wang)
    (both,) = orchard.contacts(1)
    orchard.follow(both, wang, last_interacted_at=orchard.at)
    flow.happens("add_cart", anna, berta, both)

    planned = [orchard.plan(Push(pk=number)) for number in flow.advance()]

    assert [(push.corp_id, push.status) for push in planned] == [
        (orchard.cast.corp.pk, Push.Status.SENDING),
        (second.pk, Push.Status.SENDING),
    ]
    assert [orchard.outcomes(push) for push in planned] == [
        {anna.pk: "planned"},
        {berta.pk: "planned", both.pk: "planned"},
    ]


def test_an_event_read_twice_enrols_once(orchard, flow):
    anna, _berta = orchard.contacts(2)
    flow.happens("add_cart", anna)
    flow.read()

    assert flow.inside() == {anna.pk: ("active", 0)}
    assert len(flow.advance()) == 1


def test_who_is_inside_is_not_taken_in_again(orchard, flow):
    (anna,) = orchard.contacts(1)
    flow.happens("add_cart", anna)
    flow.advance()
    wait(orchard, hours=1)
    flow.happens("add_cart", anna)

    assert flow.inside() == {anna.pk: ("active", 1)}
    assert flow.advance() == []


def test_who_has_left_comes_in_again_with_the_next_event_only(orchard, flow):
    (anna,) = orchard.contacts(1)
    flow.happens("add_cart", anna)
    wait(orchard, hours=1)
    flow.happens("order_paid", anna)
    flow.read()
    assert flow.inside() == {anna.pk: ("goal", 0)}

    wait(orchard, hours=1)
    flow.happens("add_cart", anna)

    assert flow.inside() == {anna.pk: ("active", 0)}


def test_who_buys_within_the_same_batch_of_events_is_not_written_to(orchard, flow):
    (anna,) = orchard.contacts(1)
    with brand_scope(orchard.brand_id):
        log.write([NewEvent("add_cart", orchard.at, contact_id=anna.pk)], at=orchard.at)
    wait(orchard, minutes=1)
    flow.happens("order_paid", anna)

    assert flow.inside() == {anna.pk: ("goal", 0)}
    assert flow.advance() == []


def test_an_order_before_the_cart_is_no_goal(orchard, flow):
    (anna,) = orchard.contacts(1)
    with brand_scope(orchard.brand_id):
        log.write([NewEvent("order_paid", orchard.at, contact_id=anna.pk)], at=orchard.at)
    wait(orchard, minutes=1)
    flow.happens("add_cart", anna)

    assert flow.inside() == {anna.pk: ("active", 0)}


def test_events_from_before_the_sop_take_nobody_in(orchard):
    (anna,) = orchard.contacts(1)
    with brand_scope(orchard.brand_id):
        log.write([NewEvent("add_cart", orchard.at - timedelta(minutes=1), contact_id=anna.pk)], at=orchard.at)
    flow = Flow(orchard)
    flow.read()

    assert flow.inside() == {}


def test_a_trigger_with_a_condition_on_the_event(orchard):
    flow = Flow(orchard, trigger={"event": "add_cart", "where": {"category": "婴童"}})
    anna, berta = orchard.contacts(2)
    flow.happens("add_cart", anna, category="婴童")
    flow.happens("add_cart", berta, category="家纺")

    assert set(flow.inside()) == {anna.pk}


def test_contacts_inside_finish_on_their_version(orchard, flow):
    anna, berta = orchard.contacts(2)
    flow.happens("add_cart", anna)
    flow.advance()
    wait(orchard, hours=1)
    flow.publish(steps=[Step(0, flow.said[1])], goal_event="")
    flow.happens("add_cart", berta)
    flow.happens("order_paid", anna)

    assert flow.inside() == {anna.pk: ("goal", 1), berta.pk: ("active", 0)}
    flow.advance()
    assert flow.inside()[berta.pk] == ("done", 1)


def test_a_step_with_a_condition_is_sent_to_those_who_match(orchard):
    flow = Flow(orchard)
    flow.publish(steps=[Step(0, flow.said[0], LADIES), Step(DAY, flow.said[1])])
    (anna,), (bernd,) = orchard.contacts(1, gender=2), orchard.contacts(1, gender=1)
    flow.happens("add_cart", anna, bernd)

    (push_id,) = flow.advance()
    push = orchard.plan(Push(pk=push_id))

    assert orchard.outcomes(push) == {anna.pk: "planned"}
    assert flow.inside() == {anna.pk: ("active", 1), bernd.pk: ("active", 1)}


def test_a_paused_sop_neither_enrols_nor_advances_but_lets_go(orchard, flow):
    anna, berta = orchard.contacts(2)
    flow.happens("add_cart", anna)
    with brand_scope(orchard.brand_id):
        sop.pause(sop_id=flow.sop.pk, actor=SYSTEM, at=orchard.at)
    wait(orchard, minutes=1)
    flow.happens("add_cart", berta)

    assert flow.advance() == []
    assert flow.inside() == {anna.pk: ("active", 0)}
    flow.happens("order_paid", anna)
    assert flow.inside() == {anna.pk: ("goal", 0)}


def test_advancing_twice_moves_each_once(orchard, flow):
    people = orchard.contacts(3)
    flow.happens("add_cart", *people)

    (push_id,) = flow.advance()
    assert flow.advance() == []

    assert flow.touched(push_id) == {each.pk for each in people}


@pytest.mark.slow
def test_two_threads_that_advance_share_the_crowd(live_orchard):
    orchard = live_orchard
    flow = Flow(orchard)
    people = orchard.contacts(40)
    with brand_scope(orchard.brand_id):
        Enrolment.objects.bulk_create(
            Enrolment(
                id=made_id(each.pk),
                sop_version=flow.version,
                contact=each,
                due_at=orchard.at,
                entered_at=orchard.at,
            )
            for each in people
        )
    start = threading.Barrier(2)
    pushes: list[int] = []

    def work() -> None:
        try:
            start.wait(timeout=30)
            pushes.extend(flow.advance())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    touched = [contact for push_id in pushes for contact in flow.touched(push_id)]
    assert sorted(touched) == sorted(each.pk for each in people)
    assert set(flow.inside().values()) == {("active", 1)}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("trigger.event", {"trigger": {"event": "nonsense"}}),
        ("trigger.where", {"trigger": {"event": "add_cart", "where": "婴童"}}),
        ("trigger.where.amount_fen", {"trigger": {"event": "add_cart", "where": {"amount_fen": "many"}}}),
        ("goal_event", {"goal_event": "nonsense"}),
        ("steps", {"steps": []}),
        ("steps.0.wait_seconds", {"steps": [Step(-1, 0)]}),
        ("steps.0.content_id", {"steps": [Step(0, 0)]}),
        (
            "steps.0.condition.field",
            {"steps": [Step(0, 0, {"kind": "profile", "field": "shoe", "op": "eq", "value": 1})]},
        ),
    ],
)
def test_a_wrong_version_is_not_published_and_says_where(orchard, flow, field, wrong):
    with pytest.raises(Invalid) as caught:
        flow.publish(**wrong)

    assert field in {error.field for error in caught.value.errors}
    with brand_scope(orchard.brand_id):
        assert SopVersion.objects.count() == 1
