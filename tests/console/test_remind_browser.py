"""Guides are reminded by a task; the page says that it was asked for, what came of it, and why not."""

from pathlib import Path

import pytest
from django.utils import timezone

from campaigns.confirming import reminding
from campaigns.contents import contents
from campaigns.dispatch import dispatch
from campaigns.models import Batch, Push, Reminder
from campaigns.planning import plan
from campaigns.pushes import pushes
from tenants.scope import brand_scope
from tests.console.test_browser import ALICE, friends, log_in, problems  # noqa: F401  (fixtures)
from wecom.client import client_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


def under_way(brand_id: int, corp_id: int) -> int:
    """A push whose tasks wait for the guides."""
    now = timezone.now()
    with brand_scope(brand_id):
        said = contents.save(name="会员日", channel="single", text="会员日签到送积分", actor=ALICE, at=now)
        variants = [pushes.VariantDraft(content_id=said.pk)]
        push = pushes.create(
            draft=pushes.Draft(name="会员日", channel="single", variants=variants), actor=ALICE, at=now
        )
        pushes.send(push_id=push.pk, actor=ALICE, at=now)
        Push.objects.filter(pk=push.pk).update(scheduled_at=now)
    plan.plan(brand_id=brand_id, push_id=push.pk, at=now)
    with brand_scope(brand_id):
        batches = list(Batch.objects.filter(push=push).values_list("pk", flat=True))
    for batch_id in batches:
        dispatch.send(
            brand_id=brand_id, batch_id=batch_id, wecom=client_for(brand_id=brand_id, corp_id=corp_id), at=now
        )
    return push.pk


def test_guides_are_reminded_by_a_task(page, server, live_cast, friends, wecom, problems):  # noqa: F811
    brand_id = live_cast.other.pk
    push_id = under_way(brand_id, friends.pk)
    wecom.delete("/_sim/counters")
    log_in(page, server, "charlie")
    page.wait_for_url(f"{server}/b/yin/console/")
    page.goto(f"{server}/b/yin/console/pushes/{push_id}/")

    def work() -> None:
        now = timezone.now()
        with brand_scope(brand_id):
            ids = reminding.due(at=now, again_at=now)
        for reminder_id in ids:
            reminding.carry_out(brand_id=brand_id, reminder_id=reminder_id, at=now)

    page.dblclick("#remind")
    page.wait_for_selector("#reminder:has-text('正在提醒导购'):has-text('charlie')")
    assert page.is_disabled("#remind")
    assert wecom.get("/_sim/counters")["calls"] == {}  # the page itself asks WeCom nothing
    work()
    page.wait_for_selector("#reminder:has-text('已提醒')")
    with brand_scope(brand_id):
        assert Reminder.objects.count() == 1
        assert set(Batch.objects.filter(push=push_id).values_list("reminders", flat=True)) == {1}

    client = client_for(brand_id=brand_id, corp_id=friends.pk)
    with brand_scope(brand_id):
        tasks = list(Batch.objects.filter(push=push_id).values_list("msgid", flat=True))
    for msgid in [*tasks, *tasks]:
        client.remind(msgid=msgid)
    page.click("#remind")
    page.wait_for_selector("#reminder:has-text('正在提醒导购')")
    work()
    page.reload()
    page.wait_for_selector("#reminder[role=alert]:has-text('24 小时内最多提醒 3 次')")
    assert problems == []
