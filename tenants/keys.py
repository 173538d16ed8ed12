"""API keys of a brand: made, shown once, revoked."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor
from tenants.api_auth import key_hash
from tenants.models import ApiKey

SCOPES = {
    "events:write": _("写入行为事件"),
    "contacts:read": _("查看客户"),
    "contacts:read_phone": _("查看完整手机号"),
    "contacts:write": _("关联、合并与拆分客户"),
    "contacts:personal_data": _("导出与删除个人数据"),
    "tags:read": _("查看标签"),
    "tags:write": _("给客户打标签"),
    "segments:read": _("查看人群"),
    "segments:write": _("编辑人群"),
    "pushes:read": _("查看推送"),
    "pushes:write": _("编辑并发送推送"),
    "points:read": _("查看积分"),
    "points:write": _("发放和消耗积分"),
    "webhooks:read": _("查看事件推送"),
    "webhooks:write": _("设置和重放事件推送"),
}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `key` is not kept anywhere and can't be read again."""

    id: int
    key: str


def make(
    *, brand_id: int, name: str, scopes: Collection[str], per_minute: int = 600, actor: Actor, at: datetime
) -> NewKey:
    """Make a key with these scopes and this many requests a minute. Scoped. Raises Invalid."""
    errors = []
    if not name.strip():
        errors.append(FieldError("name", "required", _("请填写名称，例如「小程序」。")))
    if not scopes or set(scopes) - SCOPES.keys():
        errors.append(FieldError("scopes", "unknown", _("请至少选择一项权限。")))
    if not 1 <= per_minute <= 60_000:
        errors.append(FieldError("per_minute", "range", _("每分钟请求上限应在 1 到 60,000 之间。")))
    if errors:
        raise Invalid(_("密钥没有保存。"), errors=errors)
    secret = f"ok_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        brand_id=brand_id,
        name=name.strip(),
        prefix=secret[:8],
        key_hash=key_hash(secret),
        scopes=sorted(scopes),
        per_minute=per_minute,
    )
    after = {"name": key.name, "prefix": key.prefix, "scopes": key.scopes, "per_minute": per_minute}
    audit.record(actor=actor, action="key.make", object_type="key", object_id=key.pk, after=after, at=at)
    return NewKey(key.pk, secret)


def revoke(*, brand_id: int, key_id: int, actor: Actor, at: datetime) -> None:
    """End a key; the next call with it is refused. Scoped. Revoking twice is once. Raises NotFound."""
    key = found(ApiKey.objects.filter(pk=key_id, brand_id=brand_id))
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at):
        before = {"name": key.name, "prefix": key.prefix}
        audit.record(actor=actor, action="key.revoke", object_type="key", object_id=key_id, before=before, at=at)


def keys_of(*, brand_id: int) -> list[ApiKey]:
    """The brand's keys, those in use first."""
    keys = ApiKey.objects.filter(brand_id=brand_id)
    return sorted(keys, key=lambda key: (key.revoked_at is not None, -key.pk))
