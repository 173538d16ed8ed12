"""A brand's webhooks: made, changed, switched, tried, secrets changed over."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.utils.translation import gettext as _

from events import catalogue
from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope
from webhooks import signing
from webhooks.address import Target, parse
from webhooks.models import Webhook, WebhookDelivery
from webhooks.post import Answer, post
from webhooks.sending import Claimed, body_of

MOST = 20
"""webhooks of a brand: each event may become as many calls"""
BOTH_SECRETS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Made:
    """A webhook just made or given a new secret; the secret is not shown again."""

    webhook: Webhook
    secret: str


def make(*, name: str, url: str, types: Collection[str], actor: Actor, at: datetime) -> Made:
    """Make a webhook, on at once; it is told what is received from now on. Scoped. Raises Invalid."""
    problems = _problems(name, url, types)
    if Webhook.objects.count() >= MOST:
        problems.append(FieldError("name", "too_many", _("最多 %d 个推送地址。") % MOST, _("先删除不用的。")))
    if problems:
        raise Invalid(_("推送没有保存。"), errors=problems)
    secret = signing.new_secret()
    webhook = Webhook.objects.create(
        name=name.strip(), url=url.strip(), types=sorted(set(types)), secret=secret, since=at, created_at=at
    )
    _audit("webhook.make", webhook, actor, at)
    return Made(webhook, secret)


def change(
    *, webhook_id: int, name: str, url: str, types: Collection[str], enabled: bool, actor: Actor, at: datetime
) -> Webhook:
    """Change it. Switched on again, it is told what is received from then on. Scoped. Raises Invalid, NotFound."""
    webhook = found(Webhook.objects.select_for_update(of=("self",)).filter(pk=webhook_id))
    if problems := _problems(name, url, types):
        raise Invalid(_("推送没有保存。"), errors=problems)
    before = {"name": webhook.name, "url": webhook.url, "types": webhook.types, "enabled": webhook.enabled}
    if enabled and not webhook.enabled:
        webhook.since = at
    webhook.name, webhook.url, webhook.types, webhook.enabled = name.strip(), url.strip(), sorted(set(types)), enabled
    # Whatever stood in the way may be mended: try again at once.
    webhook.failures, webhook.rests_until, webhook.trouble = 0, None, ""
    webhook.save()
    _audit("webhook.change", webhook, actor, at, before=before)
    return webhook


def new_secret(*, webhook_id: int, actor: Actor, at: datetime) -> Made:
    """Another secret; for a day calls are signed with both. Scoped. Raises NotFound."""
    webhook = found(Webhook.objects.select_for_update(of=("self",)).filter(pk=webhook_id))
    webhook.old_secret, webhook.old_secret_until = webhook.secret, at + BOTH_SECRETS
    webhook.secret = signing.new_secret()
    webhook.save(update_fields=["secret", "old_secret", "old_secret_until"])
    _audit("webhook.new_secret", webhook, actor, at)
    return Made(webhook, webhook.secret)


def remove(*, webhook_id: int, actor: Actor, at: datetime) -> None:
    """Delete it with what waits for it. Scoped. Raises NotFound."""
    webhook = found(Webhook.objects.filter(pk=webhook_id))
    _audit("webhook.remove", webhook, actor, at)
    WebhookDelivery.objects.filter(webhook=webhook).delete()
    webhook.delete()


def ping(*, brand_id: int, webhook_id: int, at: datetime) -> Answer:
    """Call it once with an event of type `ping`, and say what came back. Opens its own scope. Raises NotFound."""
    with brand_scope(brand_id):
        webhook = found(Webhook.objects.filter(pk=webhook_id))
    event = Claimed(0, uuid4(), "ping", at, 0, {}, 1)
    body = body_of(event, {})
    signed = signing.headers(id=event.event_id, timestamp=int(at.timestamp()), body=body, with_secrets=[webhook.secret])
    return post(webhook.url, body=body, headers=signed)


def _problems(name: str, url: str, types: Collection[str]) -> list[FieldError]:
    problems = []
    if not 1 <= len(name.strip()) <= 60:
        problems.append(FieldError("name", "required", _("请填写名称，最长 60 个字。"), _("例如「商城」。")))
    if len(url) > 500:
        problems.append(FieldError("url", "too_long", _("地址最长 500 个字符。"), _("换一个短的地址。")))
    elif not isinstance(target := parse(url), Target):
        problems.append(target)
    unknown = sorted(name for name in types if not catalogue.is_known(name))
    if not types or unknown:
        message = _("行为目录里没有：%s。") % "、".join(unknown) if unknown else _("请至少选择一种事件。")
        problems.append(FieldError("types", "unknown", message, _("从列表中选择。")))
    return problems


def _audit(action: str, webhook: Webhook, actor: Actor, at: datetime, before: dict[str, object] | None = None) -> None:
    after = {"name": webhook.name, "url": webhook.url, "types": webhook.types, "enabled": webhook.enabled}
    audit.record(
        actor=actor, action=action, object_type="webhook", object_id=webhook.pk, before=before, after=after, at=at
    )
