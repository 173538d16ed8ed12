"""The right to reach a contact is spent like money: WeCom's quota of the corp's mode, and the brand's cap."""

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from campaigns.budget import ledger, limits
from campaigns.models import Batch, Delivery, Push, Reservation
from campaigns.planning import plan
from campaigns.pushes import pushes
from campaigns.reasons import Reason
from contacts.models import Staff
from scrm.lib.errors import Invalid
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from wecom.models import Corp, QuotaMode

FEB, LEAP, JAN, SUNDAY, MONDAY = (
    date(2026, 2, 10),
    date(2028, 2, 29),
    date(2026, 1, 31),
    date(2026, 11, 22),
    date(2026, 11, 23),
)


@pytest.mark.parametrize(
    ("mode", "day", "limit", "first", "last"),
    [
        (QuotaMode.MONTH_DAYS, FEB, 28, date(2026, 2, 1), date(2026, 2, 28)),
        (QuotaMode.MONTH_DAYS, LEAP, 29, date(2028, 2, 1), date(2028, 2, 29)),
        (QuotaMode.MONTH_DAYS, JAN, 31, date(2026, 1, 1), date(2026, 1, 31)),
        (QuotaMode.MONTH_4, FEB, 4, date(2026, 2, 1), date(2026, 2, 28)),
        (QuotaMode.WEEK_7, SUNDAY, 7, date(2026, 11, 16), date(2026, 11, 22)),
        (QuotaMode.WEEK_7, MONDAY, 7, date(2026, 11, 23), date(2026, 11, 29)),
        (QuotaMode.DAY_1, FEB, 1, FEB, FEB),
    ],
)
def test_wecoms_quota_by_mode(mode, day, limit, first, last):
    quota = limits.quota_on(mode, day)

    assert (quota.limit, quota.first, quota.last) == (limit, first, last)


def set_mode(orchard, mode):
    with brand_scope(orchard.brand_id):
        Corp.objects.update(quota_mode=mode)


def set_cap(orchard, **values):
    with brand_scope(orchard.brand_id):
        limits.set_cap(**{"channel": "single", "actor": SYSTEM, "at": orchard.at, **values})


def sent(orchard, *, at, **fields):
    """A push that was planned and delivered at a moment."""
    push = orchard.plan(orchard.scheduled(**fields), at=at)
    orchard.deliver(push, at=at)
    with brand_scope(orchard.brand_id):
        ledger.settle(push_id=push.pk, at=at)
    return push


def outcome(orchard, push):
    return set(orchard.outcomes(push).values())


@pytest.mark.parametrize(
    ("mode", "touches", "reason"),
    [(QuotaMode.DAY_1, 1, "quota_day"), (QuotaMode.WEEK_7, 7, "quota_week"), (QuotaMode.MONTH_4, 4, "quota_month")],
)
def test_a_contact_who_got_all_that_wecom_allows_is_left_out(orchard, mode, touches, reason):
    set_mode(orchard, mode)
    orchard.contacts(1)
    for _n in range(touches):
        assert sent(orchard, at=orchard.at).counts["planned"] == 1

    assert outcome(orchard, orchard.planned()) == {reason}


def test_the_quotas_day_is_the_brands_not_utcs(orchard):
    set_mode(orchard, QuotaMode.DAY_1)
    orchard.contacts(1)
    sent(orchard, at=datetime(2026, 11, 20, 15, 30, tzinfo=UTC))  # 23:30 in Shanghai

    same_day = orchard.plan(orchard.scheduled(), at=datetime(2026, 11, 20, 15, 59, tzinfo=UTC))
    next_day = orchard.plan(orchard.scheduled(), at=datetime(2026, 11, 20, 16, 1, tzinfo=UTC))

    assert (outcome(orchard, same_day), outcome(orchard, next_day)) == ({"quota_day"}, {"planned"})


def test_moments_do_not_use_up_the_quota_of_mass_sends(orchard):
    set_mode(orchard, QuotaMode.DAY_1)
    orchard.contacts(1)
    sent(orchard, at=orchard.at, channel="moments")

    assert outcome(orchard, orchard.planned()) == {"planned"}


def test_the_brands_cap_counts_its_window_to_the_day(orchard):
    set_cap(orchard, cap=1, window_days=7)
    orchard.contacts(1)
    sent(orchard, at=orchard.at)

    sixth = orchard.plan(orchard.scheduled(), at=orchard.at + timedelta(days=6))
    seventh = orchard.plan(orchard.scheduled(), at=orchard.at + timedelta(days=7))

    assert (outcome(orchard, sixth), outcome(orchard, seventh)) == ({"brand_cap"}, {"planned"})


def test_a_cap_binds_its_own_channel_only(orchard):
    set_cap(orchard, cap=1, channel="moments")
    orchard.contacts(1)
    sent(orchard, at=orchard.at, channel="moments")

    assert outcome(orchard, orchard.planned(channel="moments")) == {"brand_cap"}
    assert outcome(orchard, orchard.planned()) == {"planned"}


def test_a_touch_that_is_only_reserved_keeps_its_place_until_it_is_void(orchard):
    set_cap(orchard, cap=1)
    orchard.contacts(1)
    first = orchard.planned()

    later = orchard.at + timedelta(days=20)  # still with the guide, and may be confirmed today
    assert outcome(orchard, orchard.plan(orchard.scheduled(), at=later)) == {"already_reserved"}

    with brand_scope(orchard.brand_id):
        Delivery.objects.filter(push=first).update(status="unconfirmed")
        ledger.settle(push_id=first.pk, at=later)
    assert outcome(orchard, orchard.plan(orchard.scheduled(), at=later)) == {"planned"}


def test_settling_follows_what_became_of_each_delivery(orchard):
    people = orchard.contacts(5)
    push = orchard.planned()
    later = orchard.at + timedelta(days=2)
    with brand_scope(orchard.brand_id):
        for person, status in zip(people, ("delivered", "failed", "unconfirmed", "cancelled", "created"), strict=True):
            Delivery.objects.filter(push=push, contact=person).update(
                status=status, delivered_at=later if status == "delivered" else None
            )
        settled = ledger.settle(push_id=push.pk, at=later)
        again = ledger.settle(push_id=push.pk, at=later)
        day = Reservation.objects.get(push=push, contact=people[0]).day

    assert [orchard.reservations(push)[person.id] for person in people] == [
        "posted",
        "voided",
        "voided",
        "voided",
        "reserved",
    ]
    assert (settled.posted, settled.voided) == (1, 3)
    assert (again.posted, again.voided) == (0, 0)
    assert day == date(2026, 11, 22)


def test_a_guide_who_confirms_after_all_is_posted(orchard):
    orchard.contacts(1)
    push = orchard.planned()
    with brand_scope(orchard.brand_id):
        Delivery.objects.filter(push=push).update(status="unconfirmed")
        ledger.settle(push_id=push.pk, at=orchard.at)
        Delivery.objects.filter(push=push).update(status="delivered", delivered_at=orchard.at)
        ledger.settle(push_id=push.pk, at=orchard.at)

    assert set(orchard.reservations(push).values()) == {"posted"}


def test_only_the_named_batch_is_settled(orchard):
    wang = orchard.guide("wang")
    orchard.contacts(1)
    orchard.contacts(1, wang)
    push = orchard.planned()
    orchard.deliver(push, at=orchard.at)
    with brand_scope(orchard.brand_id):
        batch = Batch.objects.filter(push=push, staff=wang).get()
        assert ledger.settle(push_id=push.pk, at=orchard.at, batch_id=batch.pk).posted == 1

    assert Counter(orchard.reservations(push).values()) == {"posted": 1, "reserved": 1}


def test_a_push_of_higher_priority_inside_the_window_keeps_its_place(orchard):
    set_cap(orchard, cap=1, window_days=7)
    orchard.contacts(1, gender=2)
    orchard.contacts(1, gender=1)
    ladies = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}
    said = [pushes.VariantDraft(orchard.content().pk, ladies)]
    orchard.scheduled(priority=90, variants=said, scheduled_at=orchard.at + timedelta(days=3))

    assert Counter(orchard.outcomes(orchard.planned(priority=50)).values()) == {"outranked": 1, "planned": 1}
    assert Counter(orchard.outcomes(orchard.planned(priority=95)).values()) == {"already_reserved": 1, "planned": 1}


def test_a_push_of_another_corp_keeps_its_place_in_the_brands_cap_with_its_own_friends(orchard):
    set_cap(orchard, cap=1, window_days=7)
    with brand_scope(orchard.brand_id):
        second = Corp.objects.create(corpid="ww-second", name="二店", quota_mode="day_1")
        wang = Staff.objects.create(corp=second, userid="wang", name="王", is_guide=True)
    both, only_here = orchard.contacts(2)
    orchard.follow(both, wang)
    orchard.scheduled(priority=90, corp_id=second.pk, scheduled_at=orchard.at + timedelta(days=3))

    push = orchard.planned(priority=50, corp_id=orchard.cast.corp.pk)

    assert orchard.outcomes(push) == {both.pk: "outranked", only_here.pk: "planned"}


def test_another_corps_push_takes_nothing_from_this_corps_quota(orchard):
    with brand_scope(orchard.brand_id):
        Corp.objects.filter(pk=orchard.cast.corp.pk).update(quota_mode="day_1")
        second = Corp.objects.create(corpid="ww-second", name="二店", quota_mode="day_1")
        wang = Staff.objects.create(corp=second, userid="wang", name="王", is_guide=True)
    (both,) = orchard.contacts(1)
    orchard.follow(both, wang)
    orchard.scheduled(priority=90, corp_id=second.pk)

    assert outcome(orchard, orchard.planned(priority=50, corp_id=orchard.cast.corp.pk)) == {"planned"}


def test_a_push_of_higher_priority_beyond_the_window_takes_nothing(orchard):
    set_cap(orchard, cap=1, window_days=7)
    orchard.contacts(1)
    orchard.scheduled(priority=90, scheduled_at=orchard.at + timedelta(days=7))

    assert outcome(orchard, orchard.planned(priority=50)) == {"planned"}


def test_with_places_for_both_nobody_is_outranked(orchard):
    set_cap(orchard, cap=2, window_days=7)
    orchard.contacts(1)
    orchard.scheduled(priority=90, scheduled_at=orchard.at + timedelta(days=3))

    assert outcome(orchard, orchard.planned(priority=50)) == {"planned"}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"cap": 0}, "cap"),
        ({"cap": 101}, "cap"),
        ({"cap": 1, "window_days": 0}, "window_days"),
        ({"cap": 1, "channel": "sms"}, "channel"),
    ],
)
def test_a_cap_that_makes_no_sense_is_refused_by_name(orchard, values, field):
    with pytest.raises(Invalid) as refused:
        set_cap(orchard, **values)

    assert [error.field for error in refused.value.errors] == [field]
    with brand_scope(orchard.brand_id):
        assert limits.caps() == {}


def test_a_cap_can_be_changed_and_removed(orchard):
    set_cap(orchard, cap=3)
    set_cap(orchard, cap=2, window_days=3)
    with brand_scope(orchard.brand_id):
        assert limits.caps() == {"single": limits.Cap(2, 3)}
    set_cap(orchard, cap=None)
    with brand_scope(orchard.brand_id):
        assert limits.caps() == {}


def in_threads(*acts):
    failures: list[BaseException] = []

    def run(act):
        try:
            act()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures


def test_two_pushes_planned_at_the_same_time_never_overspend_a_contact(live_orchard, monkeypatch):
    orchard = live_orchard
    monkeypatch.setattr(plan, "FIRST_RANGE", 5)
    monkeypatch.setattr(plan, "LARGEST_RANGE", 5)
    set_mode(orchard, QuotaMode.DAY_1)
    people = orchard.contacts(60)
    rivals = [orchard.scheduled() for _n in range(3)] + [orchard.scheduled(max_recipients=20)]

    in_threads(*[lambda push=push: orchard.plan(push) for push in rivals])

    touched = Counter(
        contact for push in rivals for contact, result in orchard.outcomes(push).items() if result == "planned"
    )
    assert set(touched.values()) == {1}
    assert set(touched) == {person.id for person in people}, "and nobody's place was wasted"
    with brand_scope(orchard.brand_id):
        assert Reservation.objects.count() == len(people)


def test_one_push_planned_twice_at_the_same_time_is_planned_once(live_orchard, monkeypatch):
    orchard = live_orchard
    monkeypatch.setattr(plan, "FIRST_RANGE", 5)
    monkeypatch.setattr(plan, "LARGEST_RANGE", 5)
    people = orchard.contacts(60)
    push = orchard.scheduled()

    in_threads(*[lambda: orchard.plan(push)] * 4)
    push = orchard.plan(push)  # what the next tick would do, should all but one have stepped aside

    assert push.status == Push.Status.SENDING
    assert push.counts["planned"] == len(people)
    assert set(orchard.outcomes(push).values()) == {"planned"}
    with brand_scope(orchard.brand_id):
        assert [batch.size for batch in Batch.objects.filter(push=push)] == [60]


def test_every_reason_has_words():
    assert all(str(reason.label) for reason in Reason)
