"""Group chats: a group hears what its members are for, from its owner, within the group's own quota."""

from datetime import timedelta

import pytest

from campaigns.budget import limits
from campaigns.models import Batch, GroupDelivery
from campaigns.planning import audience
from campaigns.pushes import pushes
from contacts.models import GroupMember
from tagging.models import Segment
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from wecom.models import Corp

LADIES = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}


def ladies(orchard):
    with brand_scope(orchard.brand_id):
        return Segment.objects.create(name="她们", tree=LADIES, created_at=orchard.at, updated_at=orchard.at).pk


def outcomes(orchard, push):
    with brand_scope(orchard.brand_id):
        rows = GroupDelivery.objects.filter(push=push).select_related("chat")
        return {row.chat.name: row.reason or row.status for row in rows}


def test_without_a_segment_every_group_hears_it_from_its_owner(orchard):
    wang = orchard.guide("wang")
    orchard.group("空群")
    orchard.group("小林的群", *orchard.contacts(2))
    orchard.group("小王的群", owner=wang)
    orchard.group("解散的群", dismissed_at=orchard.at)

    push = orchard.planned(channel="group")

    assert outcomes(orchard, push) == {"空群": "planned", "小林的群": "planned", "小王的群": "planned"}
    with brand_scope(orchard.brand_id):
        batches = {row.staff.userid: row.size for row in Batch.objects.filter(push=push).select_related("staff")}
    assert batches == {"bob": 2, "wang": 1}
    assert orchard.reservations(push) == {}


def test_a_segment_picks_the_groups_with_a_member_in_it(orchard):
    she, he = orchard.contacts(1, gender=2) + orchard.contacts(1, gender=1)
    orchard.group("有她", she, he)
    orchard.group("没有她", he)
    left = orchard.group("她已退群", she)
    with brand_scope(orchard.brand_id):
        GroupMember.objects.filter(chat=left).update(left_at=orchard.at)

    push = orchard.planned(channel="group", segment_id=ladies(orchard))

    assert outcomes(orchard, push) == {"有她": "planned"}


def test_a_group_hears_the_first_variant_that_a_member_matches(orchard):
    she, he = orchard.contacts(1, gender=2) + orchard.contacts(1, gender=1)
    orchard.group("有她", he, she)
    orchard.group("没有她", he)
    said = [
        pushes.VariantDraft(orchard.content("给她", "group").pk, LADIES),
        pushes.VariantDraft(orchard.content("给大家", "group").pk),
    ]

    push = orchard.planned(channel="group", variants=said)

    with brand_scope(orchard.brand_id):
        rows = GroupDelivery.objects.filter(push=push).select_related("chat", "variant__content")
        assert {row.chat.name: row.variant.content.text for row in rows} == {"有她": "给她", "没有她": "给大家"}


def test_a_group_whose_owner_cannot_send_is_suppressed(orchard):
    orchard.group("店长的群", owner=orchard.guide("clerk", is_guide=False))
    orchard.group("走了的人的群", owner=orchard.guide("gone", left_at=orchard.at))
    orchard.group("好的群")

    push = orchard.planned(channel="group")

    assert outcomes(orchard, push) == {"店长的群": "no_guide", "走了的人的群": "no_guide", "好的群": "planned"}
    assert push.counts["suppressed"] == {"no_guide": 2}


@pytest.mark.parametrize(("delivered", "reason"), [(True, "quota_day"), (False, "already_reserved")])
def test_a_groups_quota_is_its_own(orchard, delivered, reason):
    with brand_scope(orchard.brand_id):
        Corp.objects.update(quota_mode="day_1")
    members = orchard.contacts(1)
    orchard.group("甲", *members)
    first = orchard.planned(channel="group")
    if delivered:
        with brand_scope(orchard.brand_id):
            GroupDelivery.objects.filter(push=first).update(status="delivered", delivered_at=orchard.at)
    orchard.group("乙", *members)

    second = orchard.planned(channel="group")

    assert outcomes(orchard, second) == {"甲": reason, "乙": "planned"}
    assert set(orchard.outcomes(orchard.planned()).values()) == {"planned"}, "a member's own quota is untouched"


def test_the_brands_cap_counts_groups_too(orchard):
    with brand_scope(orchard.brand_id):
        limits.set_cap(channel="group", cap=1, window_days=2, actor=SYSTEM, at=orchard.at)
    orchard.group("甲")
    first = orchard.planned(channel="group")
    with brand_scope(orchard.brand_id):
        GroupDelivery.objects.filter(push=first).update(status="delivered", delivered_at=orchard.at)

    tomorrow = orchard.plan(orchard.scheduled(channel="group"), at=orchard.at + timedelta(days=1))
    day_after = orchard.plan(orchard.scheduled(channel="group"), at=orchard.at + timedelta(days=2))

    assert (outcomes(orchard, tomorrow), outcomes(orchard, day_after)) == ({"甲": "brand_cap"}, {"甲": "planned"})


def test_an_owner_of_more_groups_than_a_call_may_name_gets_several_batches(orchard, monkeypatch):
    monkeypatch.setitem(audience.TARGETS, "group", audience.Target("campaigns_groupdelivery", "chat_id", 2))
    for number in range(5):
        orchard.group(f"群{number}")

    push = orchard.planned(channel="group", max_recipients=3)

    with brand_scope(orchard.brand_id):
        assert sorted(Batch.objects.filter(push=push).values_list("size", flat=True)) == [1, 2]
    assert push.counts["suppressed"] == {"over_max": 2}


def test_the_dry_run_of_a_group_push_says_what_the_plan_then_does(orchard):
    orchard.group("甲")
    orchard.group("店长的群", owner=orchard.guide("clerk", is_guide=False))
    push = orchard.scheduled(channel="group")

    told = orchard.forecast(push)

    assert (told.selected, told.planned, dict(told.suppressed), told.batches) == (2, 1, {"no_guide": 1}, 1)
    assert [(one.name, one.guide) for one in told.sample] == [("甲", "小林")]
    assert outcomes(orchard, push) == {}
    assert orchard.plan(push).counts["planned"] == 1
