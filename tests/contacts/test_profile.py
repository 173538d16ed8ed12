"""Reads for pages, the activity reactor, and the health of syncs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import health, profile
from contacts.models import Contact, SyncRun
from events import log, reactors
from scrm.lib.errors import Invalid
from tenants.scope import brand_scope
from wecom.models import Corp

NOW = timezone.now()


def write(cast, contact, *events: tuple[str, int]) -> None:
    """Events of a contact: (type, minutes ago)."""
    with brand_scope(cast.brand.id):
        rows = [log.NewEvent(type_, NOW - timedelta(minutes=ago), contact_id=contact.pk) for type_, ago in events]
        log.write(rows, at=NOW)


def react(cast) -> None:
    with brand_scope(cast.brand.id):
        horizon = log.current_txid() + 1
    reactors.react(brand_id=cast.brand.id, reactor="contacts.activity", at=NOW, horizon=horizon)


def test_last_activity_is_the_latest_own_act(cast):
    contact = cast.contact()
    write(
        cast, contact, ("page_view", 9), ("x_tasting", 5), ("sign_in", 30), ("message_delivered", 1), ("tag_given", 2)
    )

    react(cast)

    with brand_scope(cast.brand.id):
        assert Contact.objects.get(pk=contact.pk).last_active_at == NOW - timedelta(minutes=5)


def test_last_activity_never_goes_back(cast):
    contact = cast.contact(last_active_at=NOW - timedelta(minutes=3))
    write(cast, contact, ("page_view", 60))

    react(cast)

    with brand_scope(cast.brand.id):
        assert Contact.objects.get(pk=contact.pk).last_active_at == NOW - timedelta(minutes=3)


def test_the_timeline_goes_back_page_by_page(cast):
    contact, other = cast.contact(), cast.contact("别人")
    write(cast, contact, ("page_view", 3), ("add_cart", 2), ("sign_in", 2), ("search", 1))
    write(cast, other, ("draw", 1))

    with brand_scope(cast.brand.id):
        first = profile.timeline(contact.pk, limit=2)
        rest = profile.timeline(contact.pk, before=first.next_before, limit=2)
        with pytest.raises(Invalid):
            profile.timeline(contact.pk, before="yesterday")

    assert first.items[0].type == "search"
    assert sorted(each.type for each in [*first.items, *rest.items]) == ["add_cart", "page_view", "search", "sign_in"]
    assert rest.next_before == ""


@pytest.mark.parametrize(("phone", "shown"), [("13812345678", "138****5678"), ("12345", "*****"), ("", "")])
def test_masks_phones(phone, shown):
    assert profile.masked(phone) == shown


@pytest.mark.parametrize(
    ("_case", "status", "hours", "due"),
    [
        ("never synced", None, 0, True),
        ("left unfinished", "running", 0, True),
        ("done today", "done", 5, False),
        ("done yesterday", "done", 25, True),
        ("incomplete a moment ago", "partial", 0, False),
        ("incomplete two hours ago", "partial", 2, True),
    ],
)
def test_which_syncs_are_due(cast, _case, status, hours, due):
    with brand_scope(cast.brand.id):
        Corp.objects.update(connected_at=NOW)
        if status:
            then = NOW - timedelta(hours=hours)
            finished = None if status == "running" else then
            SyncRun.objects.create(corp=cast.corp, status=status, started_at=then, finished_at=finished)

    (state,) = health.last_syncs(at=NOW)

    assert (state.brand_id, state.corp_id) == (cast.brand.id, cast.corp.id)
    assert state.is_due(every=timedelta(hours=24), after_trouble=timedelta(hours=1)) is due
