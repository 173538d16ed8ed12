"""Comparing guides' lists with our rows finds what callbacks lost, and takes nobody for lost on one list's word."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import follows, reconcile
from contacts.models import Follow, GroupChat, GroupMember, Reconciliation, Staff
from contacts.rounds import rooms
from contacts.rounds.tally import Tally
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


def meanwhile(monkeypatch, world, act):
    """Have `act` happen once, between an answer about a customer and what is made of it."""
    client = type(world.wecom)
    real, done = client.external_contact, []

    def answered(self, *, external_userid):
        try:
            return real(self, external_userid=external_userid)
        finally:
            if not done:
                done.append(True)
                act()

    monkeypatch.setattr(client, "external_contact", answered)


def test_who_comes_back_while_they_are_found_gone_stays(synced, simulator, monkeypatch):
    userid, external, _created = sorted(synced.listed())[0]
    simulator.act("delete_follow", userid=userid, external_userid=external, by="guide")

    def come_back():
        simulator.act("scan", userid=userid, external_userid=external)
        synced.tell("change_external_contact", "add_external_contact", UserID=userid, ExternalUserID=external)

    meanwhile(monkeypatch, synced, come_back)
    a_round(synced)

    assert synced.follow(userid, external).lost_at is None
    assert synced.pairs(lost_at=None) == synced.listed()
    assert synced.events("friend_lost") == []


def test_what_is_told_while_a_friend_is_found_is_not_undone(synced, simulator, monkeypatch):
    """The friend is new to one guide; what another guide noted of them comes by callback in the meantime."""
    userid, external, _created = sorted(synced.listed())[0]
    theirs = {each for each, friend, _at in synced.listed() if friend == external}
    another = next(each for each, _external, _at in sorted(synced.listed()) if each not in theirs)
    simulator.act("scan", userid=another, external_userid=external)

    def note():
        simulator.act("edit", userid=userid, external_userid=external, remark="刚写的")
        with synced.scope():  # as its callback would
            Follow.objects.filter(staff__userid=userid, external_userid=external).update(remark="刚写的")

    meanwhile(monkeypatch, synced, note)
    reconcile._add(synced.corp, [external], synced.wecom, timezone.now, Tally())

    assert synced.follow(userid, external).remark == "刚写的"
    assert synced.follow(another, external).lost_at is None


def test_who_joins_a_group_while_it_is_compared_has_not_left_it(synced, simulator):
    with synced.scope():
        group = GroupChat.objects.get()
        inside = set(GroupMember.objects.values_list("member_id", flat=True))
    external = next(each for _userid, each, _created in sorted(synced.listed()) if each not in inside)

    def join():
        """The group was read, and is about to be written."""
        simulator.act("join_group", chat_id=group.chat_id, external_userid=external)
        synced.tell("change_external_chat", "update", ChatId=group.chat_id)
        return timezone.now()

    simulator.act("change_group", chat_id=group.chat_id, name="新名字")
    rooms.compare(synced.corp, [group.chat_id], synced.wecom, join, Tally())

    with synced.scope():
        assert GroupMember.objects.get(member_id=external).left_at is None
    assert synced.events("group_left") == []


def test_a_group_dissolved_while_it_is_compared_stays_dissolved(synced, simulator):
    with synced.scope():
        group = GroupChat.objects.get()

    def dissolve():
        synced.tell("change_external_chat", "dismiss", ChatId=group.chat_id)
        return timezone.now()

    simulator.act("change_group", chat_id=group.chat_id, name="新名字")
    rooms.compare(synced.corp, [group.chat_id], synced.wecom, dissolve, Tally())

    with synced.scope():
        assert GroupChat.objects.get().dismissed_at is not None


def test_a_list_brings_back_whom_the_staff_lost_but_not_right_after(synced):
    """WeCom may show a friendship for a while after it ended."""
    (userid, just_now, _created), (other, long_ago, _at) = sorted(synced.listed())[:2]
    now = timezone.now()
    told = {just_now: (userid, now), long_ago: (other, now - follows.SETTLING - timedelta(minutes=1))}
    for external, (guide, at) in told.items():
        pair = {"UserID": guide, "ExternalUserID": external}
        synced.tell("change_external_contact", "del_external_contact", told_at=at, **pair)

    a_round(synced)

    assert synced.follow(userid, just_now).lost_by == "staff"
    assert synced.follow(other, long_ago).lost_at is None


def test_before_the_first_sync_there_is_nothing_to_compare(world):
    assert reconcile.step(brand_id=world.brand.pk, corp_id=world.corp.pk, wecom=world.wecom, clock=timezone.now) == 0
