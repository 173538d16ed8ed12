"""Two workers give the same tag to the same people: each person gets it once, and the log tells it once."""

import threading
from datetime import timedelta

from django.db import OperationalError, connections
from django.db.models import Count

from contacts import merging
from contacts.merging import Wanted
from events.models import Event
from tagging import giving, groups, tags
from tagging.grants import Grant
from tagging.models import ContactTag
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON


def test_two_givers_at_once(live_cast):
    ids = [live_cast.contact(f"客户{n}", at=NOON).pk for n in range(30)]
    with brand_scope(live_cast.brand.id):
        tag = tags.create(name="婴童", actor=SYSTEM, at=NOON)
    start, results = threading.Barrier(2), []

    def giver(order, at):
        try:
            start.wait(timeout=60)
            with brand_scope(live_cast.brand.id):
                results.append(tags.give(tag_id=tag.pk, contact_ids=order, actor=SYSTEM, at=at))
        finally:
            connections.close_all()

    # In opposite orders: were the rows taken as they come, the two would deadlock. At two times: else the two would
    # tell the same event, and telling it twice could not be seen.
    acts = [(ids, NOON), (ids[::-1], NOON + timedelta(seconds=1))]
    threads = [threading.Thread(target=giver, args=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(results) == 2, "a giver failed"
    first, second = results
    assert first | second == set(ids)
    assert not first & second
    with brand_scope(live_cast.brand.id):
        assert ContactTag.objects.filter(tag=tag).count() == len(ids)
        assert Event.objects.filter(type="tag_given").count() == len(ids)


def test_who_gives_and_takes_at_once_and_who_merges_do_not_wait_for_each_other_in_a_circle(live_cast):
    """Each begins at another end of the same people: whoever held some and then wanted others would deadlock."""
    ids = [live_cast.contact(f"客户{n}", at=NOON).pk for n in range(12)]
    brand = live_cast.brand.id
    with brand_scope(brand):
        kept, one, other = (tags.create(name=n, group=g, actor=SYSTEM, at=NOON).pk for n, g in
                            [("常客", ""), ("甲", "一"), ("乙", "一")])  # fmt: skip
        groups.set_group(name="一", exclusive="latest", actor=SYSTEM, at=NOON)
    start, wrong = threading.Barrier(4), []

    def rule(turn, at):
        with brand_scope(brand):
            grants = [Grant(contact, tag) for contact in ids[6:] for tag in (kept, one)]
            giving.change(grants=grants, losers=[(contact, kept) for contact in ids[:6]], source="rule", at=at)

    def person(turn, at):
        with brand_scope(brand):
            tags.give(tag_id=other, contact_ids=ids[::-1], actor=SYSTEM, at=at)

    def taker(turn, at):
        with brand_scope(brand):
            tags.take(tag_id=kept, contact_ids=ids[::-1], actor=SYSTEM, at=at)

    def merger(turn, at):
        with brand_scope(brand):
            merging.merge(wanted=[Wanted(ids[turn], ids[turn + 6])], at=at)

    def work(act, number):
        try:
            start.wait(timeout=10)
            for turn in range(4):
                act(turn, NOON + timedelta(minutes=turn, seconds=number))
        except OperationalError as error:
            wrong.append(error)
        finally:
            connections.close_all()

    acts = (rule, person, taker, merger)
    threads = [threading.Thread(target=work, args=(act, number)) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
    with brand_scope(brand):
        several = ContactTag.objects.filter(tag__group="一").values("contact").annotate(n=Count("tag"))
        assert not several.filter(n__gt=1).exists(), "one tag of the group each"
