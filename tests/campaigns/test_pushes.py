"""A push is written as a draft, sent with a grace, recalled or cancelled; bad input is named and leaves nothing."""

from datetime import timedelta

import pytest

from campaigns.models import Batch, Push, Variant
from campaigns.pushes import pushes, release
from contacts.models import Follow
from scrm.lib.errors import Conflict, Invalid, NotFound
from tenants.actors import SYSTEM
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from wecom.models import Corp


def act(orchard, verb, push, **options):
    with brand_scope(orchard.brand_id):
        return verb(push_id=push.pk, actor=SYSTEM, at=options.pop("at", orchard.at), **options)


def test_a_send_waits_two_minutes_in_which_it_can_be_recalled(orchard):
    orchard.contacts(1)
    push = orchard.push()

    sent = act(orchard, pushes.send, push)
    assert (sent.status, sent.scheduled_at) == ("scheduled", orchard.at + timedelta(minutes=2))
    assert act(orchard, pushes.recall, push).status == "draft"
    assert orchard.plan(push).status == "draft", "what was recalled is not planned"


def test_a_later_moment_is_kept(orchard):
    orchard.contacts(1)
    evening = orchard.at + timedelta(hours=8)

    sent = act(orchard, pushes.send, orchard.push(), scheduled_at=evening)

    assert sent.scheduled_at == evening


def test_sending_twice_is_sending_once(orchard):
    orchard.contacts(1)
    push = orchard.push()
    first = act(orchard, pushes.send, push)

    again = act(orchard, pushes.send, push, at=orchard.at + timedelta(seconds=30))

    assert again.scheduled_at == first.scheduled_at
    with brand_scope(orchard.brand_id):
        assert AuditEntry.objects.filter(action="push.send").count() == 1


def test_an_empty_audience_is_refused_with_its_reasons(orchard):
    orchard.contacts(2)
    with brand_scope(orchard.brand_id):
        Follow.objects.update(lost_at=orchard.at)
    push = orchard.push()

    with pytest.raises(pushes.AudienceEmpty) as refused:
        act(orchard, pushes.send, push)

    assert refused.value.problem_code == "campaigns.audience_empty"
    assert str(refused.value.detail) == "没有可发送的客户。圈选的 2 人都不能发：无好友 2。"
    assert [error.field for error in refused.value.errors] == ["segment_id"]
    assert orchard.again(push).status == "draft"


def test_the_tick_is_told_what_is_due_highest_priority_first(orchard):
    low, high = orchard.scheduled(priority=10), orchard.scheduled(priority=90)
    orchard.scheduled(scheduled_at=orchard.at + timedelta(minutes=1))
    orchard.push()

    with brand_scope(orchard.brand_id):
        assert pushes.due(at=orchard.at) == [high.pk, low.pk]


def test_a_cancel_takes_back_what_wecom_does_not_have(orchard):
    wang = orchard.guide("wang")
    (with_wecom,) = orchard.contacts(1)
    (still_here,) = orchard.contacts(1, wang)
    push = orchard.planned()
    with brand_scope(orchard.brand_id):
        Batch.objects.filter(push=push, staff=orchard.cast.bob).update(status="claimed")

    act(orchard, pushes.cancel, push)
    assert release.release(brand_id=orchard.brand_id, push_id=push.pk, at=orchard.at) == 1

    assert orchard.outcomes(push) == {with_wecom.id: "planned", still_here.id: "cancelled"}
    assert orchard.reservations(push) == {with_wecom.id: "reserved", still_here.id: "voided"}
    assert release.release(brand_id=orchard.brand_id, push_id=push.pk, at=orchard.at) == 0


def test_nothing_is_taken_back_from_a_push_that_is_not_cancelled(orchard):
    orchard.contacts(1)
    push = orchard.planned()

    assert release.release(brand_id=orchard.brand_id, push_id=push.pk, at=orchard.at) == 0
    assert set(orchard.outcomes(push).values()) == {"planned"}


@pytest.mark.parametrize(
    ("verb", "code"), [(pushes.send, "campaigns.not_draft"), (pushes.recall, "campaigns.too_late")]
)
def test_a_push_that_is_under_way_cannot_be_sent_or_recalled(orchard, verb, code):
    orchard.contacts(1)
    push = orchard.planned()

    with pytest.raises(Conflict) as refused:
        act(orchard, verb, push)

    assert refused.value.problem_code == code


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"channel": "sms"}, "channel"),
        ({"priority": 101}, "priority"),
        ({"holdout_percent": 91}, "holdout_percent"),
        ({"max_recipients": 0}, "max_recipients"),
        ({"segment_id": 999}, "segment_id"),
        ({"corp_id": 999}, "corp_id"),
        ({"variants": []}, "variants"),
        ({"variants": [pushes.VariantDraft(999)]}, "variants.0.content_id"),
    ],
)
def test_a_draft_with_a_wrong_field_is_refused_by_name(orchard, fields, field):
    draft = pushes.Draft(
        **{"name": "会员日", "channel": "single", "variants": [pushes.VariantDraft(orchard.content().pk)], **fields}
    )

    with pytest.raises(Invalid) as refused, brand_scope(orchard.brand_id):
        pushes.create(draft=draft, actor=SYSTEM, at=orchard.at)

    assert field in [error.field for error in refused.value.errors]
    with brand_scope(orchard.brand_id):
        assert not Push.objects.exists()
        assert not Variant.objects.exists()


def test_a_wrong_condition_is_named_down_to_its_leaf(orchard):
    said = orchard.content().pk
    wrong = {"all": [{"kind": "profile", "field": "shoe_size", "op": "eq", "value": 38}]}

    with pytest.raises(Invalid) as refused:
        orchard.push(variants=[pushes.VariantDraft(said, wrong)])

    assert [error.field for error in refused.value.errors] == ["variants.0.condition.all[0].field"]


def test_a_variant_that_nobody_can_reach_is_refused(orchard):
    said = orchard.content().pk

    with pytest.raises(Invalid) as refused:
        orchard.push(variants=[pushes.VariantDraft(said), pushes.VariantDraft(said)])

    assert [error.code for error in refused.value.errors] == ["campaigns.variant_unreachable"]


def test_a_content_of_another_channel_is_refused(orchard):
    said = orchard.content(channel="moments").pk

    with pytest.raises(Invalid) as refused:
        orchard.push(channel="single", variants=[pushes.VariantDraft(said)])

    assert [error.code for error in refused.value.errors] == ["campaigns.content_channel"]


def test_with_two_corps_the_sender_must_be_named(orchard):
    draft = orchard.draft()
    with brand_scope(orchard.brand_id):
        Corp.objects.create(corpid="ww-second", name="二号")

    with pytest.raises(Invalid) as refused, brand_scope(orchard.brand_id):
        pushes.create(draft=draft, actor=SYSTEM, at=orchard.at)

    assert [error.code for error in refused.value.errors] == ["campaigns.corp_needed"]


def test_only_a_draft_can_be_edited(orchard):
    orchard.contacts(1)
    push = orchard.push()
    with brand_scope(orchard.brand_id):
        said = Variant.objects.get(push=push).content_id
    draft = pushes.Draft(name="改名", channel="single", variants=[pushes.VariantDraft(said, name="唯一")])

    with brand_scope(orchard.brand_id):
        pushes.edit(push_id=push.pk, draft=draft, actor=SYSTEM, at=orchard.at)
        assert (Push.objects.get().name, Variant.objects.get().name) == ("改名", "唯一")
    act(orchard, pushes.send, push)
    with pytest.raises(Conflict), brand_scope(orchard.brand_id):
        pushes.edit(push_id=push.pk, draft=draft, actor=SYSTEM, at=orchard.at)


def test_another_brands_push_does_not_exist(orchard):
    push = orchard.push()

    with pytest.raises(NotFound), brand_scope(orchard.cast.other.id):
        pushes.send(push_id=push.pk, actor=SYSTEM, at=orchard.at)
