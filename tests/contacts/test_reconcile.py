"""Comparing guides' lists with our rows finds what callbacks lost, and takes nobody for lost on one list's word."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import reconcile
from contacts.models import Reconciliation, Staff
from wecom.errors import Unreachable


@pytest.fixture
def synced(world):
    world.sync()
    return world


def a_round(world):
    """Every guide compared once."""
    with world.scope():
        guides = Staff.objects.filter(corp=world.corp, is_guide=True, left_at=None).count()
    done = 0
    while done < guides:
        done += reconcile.step(brand_id=world.brand.pk, corp_id=world.corp.pk, wecom=world.wecom, clock=timezone.now)
    return done


def found(world):
    with world.scope():
        return reconcile.mended(at=timezone.now())


def test_nothing_is_mended_where_nothing_was_lost_and_it_costs_a_call_per_guide(synced, simulator):
    before = synced.pairs(lost_at=None)
    simulator.delete("/_sim/counters")
    guides = a_round(synced)

    calls = simulator.get("/_sim/counters")["calls"]
    assert calls.get("externalcontact/list") == guides
    assert "externalcontact/get" not in calls
    assert synced.pairs(lost_at=None) == before
    assert (found(synced).guides, found(synced).added, found(synced).lost) == (guides, 0, 0)


def test_a_friend_whose_callback_was_lost_is_found_and_is_news(synced, simulator):
    userid = sorted(synced.listed())[0][0]
    external = simulator.act("scan", userid=userid, state="store-7")["external_userid"]
    a_round(synced)

    assert synced.pairs(lost_at=None) == synced.listed()
    assert synced.follow(userid, external).state == "store-7"
    assert [props["staff_id"] for _contact, props, _at in synced.events("friend_added")] == [
        synced.follow(userid, external).staff_id
    ]
    assert (found(synced).added, found(synced).lost) == (1, 0)
    a_round(synced)
    assert len(synced.events("friend_added")) == 1


def test_a_customer_whom_the_guide_deleted_is_found_gone(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    simulator.act("delete_follow", userid=userid, external_userid=external, by="guide")
    a_round(synced)

    assert synced.follow(userid, external).lost_by == "staff"
    assert synced.pairs(lost_at=None) == synced.listed()
    assert (found(synced).added, found(synced).lost) == (0, 1)


def test_a_list_that_lacks_somebody_is_not_believed_alone(synced, simulator, monkeypatch):
    client = type(synced.wecom)
    whole = client.external_userids
    monkeypatch.setattr(client, "external_userids", lambda self, *, userid: whole(self, userid=userid)[1:])
    before = synced.pairs(lost_at=None)
    a_round(synced)

    assert synced.pairs(lost_at=None) == before


def test_a_customer_who_deleted_the_guide_stays_lost_though_listed(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    synced.tell("change_external_contact", "del_follow_user", UserID=userid, ExternalUserID=external)
    a_round(synced)

    assert synced.follow(userid, external).lost_by == "contact"
    assert found(synced).added == 0


def test_goes_on_after_the_guide_compared_last_also_the_next_day(synced, simulator, monkeypatch):
    monkeypatch.setattr(reconcile, "ROUND", reconcile.EVERY * 3)
    with synced.scope():
        guides = list(
            Staff.objects.filter(corp=synced.corp, is_guide=True, left_at=None)
            .order_by("id")
            .values_list("id", flat=True)
        )
    assert len(guides) == 6  # two at a time
    now, seen = timezone.now(), []
    for day in range(3):
        reconcile.step(
            brand_id=synced.brand.pk,
            corp_id=synced.corp.pk,
            wecom=synced.wecom,
            clock=lambda day=day: now + timedelta(days=day),
        )
        with synced.scope():
            seen.append(Reconciliation.objects.order_by("-day").values_list("up_to", "guides").first())
    assert seen == [(guides[1], 2), (guides[3], 2), (guides[5], 2)]


def test_a_wecom_out_of_reach_keeps_what_was_compared(synced, simulator):
    simulator.post("/_sim/faults", {"path": "externalcontact/list", "mode": "http_500"})
    with pytest.raises(Unreachable):
        a_round(synced)
    simulator.delete("/_sim/faults")
    assert a_round(synced) >= 6


def test_before_the_first_sync_there_is_nothing_to_compare(world):
    assert reconcile.step(brand_id=world.brand.pk, corp_id=world.corp.pk, wecom=world.wecom, clock=timezone.now) == 0
