"""Guides who do not confirm are reminded, and at last their task is taken back."""

from datetime import timedelta

import pytest

from campaigns.confirming import confirm
from campaigns.models import Batch, Push
from campaigns.pushes import pushes
from scrm.lib.errors import Refused
from tenants.actors import SYSTEM
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop
from wecom.errors import Throttled


def remind(shop: Shop, push: Push) -> int:
    return confirm.remind(brand_id=shop.brand_id, push_id=push.pk, wecom=shop.wecom, at=shop.at)


def cancel(shop: Shop, push: Push) -> None:
    with brand_scope(shop.brand_id):
        pushes.cancel(push_id=push.pk, actor=SYSTEM, at=shop.at)


def wind_up(shop: Shop, push: Push) -> bool:
    return confirm.wind_up(brand_id=shop.brand_id, push_id=push.pk, at=shop.at)


def test_three_reminders_a_day_and_no_more(shop: Shop):
    push = shop.sent()
    tasks = len(shop.batches(push))

    assert [remind(shop, push) for _again in range(3)] == [tasks] * 3
    with pytest.raises(Throttled):
        remind(shop, push)

    assert {batch.reminders for batch in shop.batches(push)} == {3}
    with brand_scope(shop.brand_id):
        assert AuditEntry.objects.filter(action="push.remind").count() == 3


def test_a_task_that_had_its_reminders_does_not_keep_them_from_the_others(shop: Shop):
    push = shop.sent()
    tired, *others = shop.batches(push)
    for _again in range(3):
        shop.wecom.remind(msgid=tired.msgid)

    assert remind(shop, push) == len(others)


def test_a_task_that_wecom_refuses_to_remind_does_not_keep_it_from_the_others(shop: Shop):
    push = shop.sent()
    shop.fault("remind_groupmsg_send", "errcode", errcode=40058, count=1)

    assert remind(shop, push) == len(shop.batches(push)) - 1


def test_nobody_is_left_to_remind(shop: Shop):
    push = shop.sent()
    shop.people_confirm()
    shop.follow_up(push)

    with pytest.raises(Refused, match="没有等待确认的导购"):
        remind(shop, push)


def test_what_nobody_confirmed_in_a_week_is_taken_back(shop: Shop):
    push = shop.sent()
    prompt, *late = shop.batches(push)
    shop.simulator.act("confirm", userid=prompt.staff.userid, msgid=prompt.msgid)

    shop.later(days=6)
    shop.follow_up(push)
    assert {batch.status for batch in shop.batches(push) if batch.pk != prompt.pk} == {Batch.Status.CREATED}
    shop.later(days=1, minutes=1)
    shop.follow_up(push)
    shop.people_confirm()  # too late now

    assert shop.again(push).status == Push.Status.DONE
    assert {row["sender"] for row in shop.journal(kind="single")} == {prompt.staff.userid}
    assert shop.tally(push)["not_confirmed"] == sum(batch.size for batch in late)
    assert shop.tally(push)["delivered"] == len(shop.received())
    assert shop.ledger(push)["reserved"] == 0
    assert shop.ledger(push)["posted"] == len(shop.received())


def test_who_confirmed_in_the_last_moment_is_counted(shop: Shop):
    push = shop.sent()
    shop.people_confirm()
    shop.later(days=8)

    shop.follow_up(push)

    assert shop.tally(push)["delivered"] == len(shop.received()) > 0
    assert shop.tally(push)["not_confirmed"] == 0


def test_a_cancelled_push_ends_everywhere(shop: Shop):
    push = shop.planned()
    first, *rest = shop.batches(push)
    shop.send_one(first)
    prompt = shop.batches(push, pk=first.pk)[0]
    shop.send_one(rest[0])
    shop.simulator.act("confirm", userid=prompt.staff.userid, msgid=prompt.msgid)
    cancel(shop, push)

    assert not wind_up(shop, push)
    shop.later(seconds=1)
    shop.follow_up(push)
    assert wind_up(shop, push)
    shop.people_confirm()

    push = shop.again(push)
    assert (push.status, push.done_at) == (Push.Status.CANCELLED, shop.at)
    assert {row["sender"] for row in shop.journal(kind="single")} == {prompt.staff.userid}
    assert shop.tally(push)["delivered"] == len(shop.received())
    assert shop.statuses(push) == {"final": 1, "cancelled": len(rest)}
    assert shop.tally(push)["cancelled"] == sum(batch.size for batch in rest)
    assert shop.ledger(push)["reserved"] == 0


def test_winding_up_leaves_a_living_push_alone(shop: Shop):
    push = shop.planned()

    assert not wind_up(shop, push)

    assert set(shop.statuses(push)) == {Batch.Status.PENDING}


def test_a_cancelled_push_with_an_unknown_batch_is_taken_back_when_it_is_found(shop: Shop):
    push = shop.planned()
    shop.fault("add_msg_template", "reset_after")
    shop.send(push)
    shop.no_faults()
    cancel(shop, push)
    assert not wind_up(shop, push)

    shop.later(minutes=1)
    for batch in shop.batches(push):
        shop.reconcile(batch)
    assert not wind_up(shop, push)
    shop.follow_up(push)
    assert wind_up(shop, push)
    shop.people_confirm()

    assert shop.journal(kind="single") == []
    assert shop.ledger(push)["reserved"] == 0


def test_wecom_that_cannot_be_asked_takes_nothing_back(shop: Shop):
    push = shop.sent()
    shop.fault("cancel_groupmsg_send", "errcode", errcode=45009)
    shop.at += timedelta(days=8)

    with pytest.raises(Throttled):
        shop.follow_up(push)

    assert set(shop.statuses(push)) == {Batch.Status.CREATED}
    assert shop.tally(push)["not_confirmed"] == 0
