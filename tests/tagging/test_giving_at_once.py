"""Two workers give the same tag to the same people: each person gets it once, and the log tells it once."""

import threading
from datetime import timedelta

from django.db import connections

from events.models import Event
from tagging import tags
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
