"""Profile changes are events with old and new value."""

from datetime import timedelta

from django.utils import timezone

from contacts import profile_changes
from contacts.models import Contact
from events.models import Event
from tenants.scope import brand_scope


def changes(world):
    with world.scope():
        rows = Event.objects.filter(type="profile_changed").values_list("contact_id", "props")
        return {(contact, props["field"]): (props["old"], props["new"]) for contact, props in rows}


def test_a_first_sync_writes_none_and_a_later_one_only_what_changed(world):
    world.sync()
    assert changes(world) == {}

    userid, external, _at = min(world.listed())
    pair = world.follow(userid, external)
    with world.scope():
        Contact.objects.filter(pk=pair.contact_id).update(name="以前的名字", avatar="https://old.example/a.png")
    world.sync(at=timezone.now() + timedelta(seconds=1))

    told = changes(world)
    assert set(told) == {(pair.contact_id, "name"), (pair.contact_id, "avatar")}
    assert told[pair.contact_id, "name"] == ("以前的名字", pair.contact.name)


def test_a_loss_and_a_phone_number_are_told_the_number_masked(cast):
    at = timezone.now()
    contact = cast.contact(phone="13800001234")
    with brand_scope(cast.brand.id), profile_changes.noted([contact.pk], at=at):
        Contact.objects.filter(pk=contact.pk).update(phone="13900005678", lost_at=at, main_guide=None)

    with brand_scope(cast.brand.id):
        told = {e.props["field"]: (e.props["old"], e.props["new"]) for e in Event.objects.all()}
    assert told["phone"] == ("138****1234", "139****5678")
    assert told["main_guide_id"] == (cast.bob.pk, None)
    assert told["lost_at"][0] is None
    assert set(told) == {"phone", "main_guide_id", "lost_at"}
