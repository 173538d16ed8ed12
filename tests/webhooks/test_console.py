"""事件推送 in the console."""

from datetime import UTC, datetime

from tenants.models import Seat
from tenants.roles import Role
from tenants.scope import brand_scope
from tests.console.conftest import console  # noqa: F401 - a fixture
from webhooks.models import Webhook, WebhookDelivery

HOME = "/b/cotton/console/webhooks/"


def test_a_webhook_is_made_tried_changed_and_removed(cast, receiver, console) -> None:  # noqa: F811
    client = console(cast.alice.user)
    made = client.post(HOME, {"name": "商城", "url": receiver.url, "types": ["sign_in"], "own_types": "x_visit"})
    assert "whsec_" in made.content.decode()
    with brand_scope(cast.brand.pk):
        webhook = Webhook.objects.get()
    assert webhook.types == ["sign_in", "x_visit"]
    page = f"{HOME}{webhook.pk}/"
    assert "whsec_" not in client.get(page).content.decode()
    assert "200" in client.post(f"{page}ping/", follow=True).content.decode()
    assert receiver.got[0]["type"] == "ping"
    receiver.answer = 500
    assert "返回了 5xx" in client.post(f"{page}ping/", follow=True).content.decode()
    client.post(page, {"name": "商城", "url": receiver.url, "types": ["share"]})
    with brand_scope(cast.brand.pk):
        webhook = Webhook.objects.get()
    assert (webhook.types, webhook.enabled) == (["share"], False)
    assert client.post(f"{page}remove/").status_code == 302
    assert "还没有事件推送" in client.get(HOME).content.decode()


def test_what_is_wrong_is_said_at_the_form(cast, console) -> None:  # noqa: F811
    answer = console(cast.alice.user).post(HOME, {"name": "", "url": "ftp://x", "types": ["nothing"]})
    text = answer.content.decode()
    assert answer.status_code == 422
    for words in ("请填写名称", "https://", "nothing", 'value="ftp://x"', "data-now"):
        assert words in text


def test_failed_deliveries_are_seen_and_replayed(cast, receiver, console) -> None:  # noqa: F811
    client = console(cast.alice.user)
    client.post(HOME, {"name": "商城", "url": receiver.url, "types": ["sign_in"]})
    now = datetime.now(UTC)
    with brand_scope(cast.brand.pk):
        webhook = Webhook.objects.get()
        WebhookDelivery.objects.create(
            webhook=webhook, event_id="0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f50", event_type="sign_in", contact_id=7,
            occurred_at=now, status="failed", due_at=now, give_up_at=now, queued_at=now, outcome="server_error",
            answer_status=502,
        )  # fmt: skip
    page = f"{HOME}{webhook.pk}/"
    text = client.get(page).content.decode()
    assert "HTTP 502" in text
    assert "签到" in text
    assert "1 条" in client.post(f"{page}replay/", {"what": "failed"}, follow=True).content.decode()
    with brand_scope(cast.brand.pk):
        assert WebhookDelivery.objects.get().status == "pending"
    assert "请填写开始" in client.post(f"{page}replay/", {"what": "between"}, follow=True).content.decode()


def test_operators_without_the_right_do_not_see_it(cast, console) -> None:  # noqa: F811
    Seat.objects.filter(user=cast.alice.user).update(role=Role.ANALYST)
    assert console(cast.alice.user).get(HOME).status_code == 403
