"""Who may do what: one table. Doors ask `may(role, capability)`; nothing else in the house knows what a role means."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    OWNER = "owner", _("负责人")
    OPERATOR = "operator", _("运营")
    ANALYST = "analyst", _("分析")
    STORE_MANAGER = "store_manager", _("店长")
    GUIDE = "guide", _("导购")


class Capability(models.TextChoices):
    OPEN_CONSOLE = "console.open", _("进入后台")
    OPEN_SIDEBAR = "sidebar.open", _("使用侧边栏")
    READ_CONTACTS = "contacts.read", _("查看客户")
    SEE_PHONES = "contacts.see_phone", _("查看完整手机号")
    EXPORT_CONTACTS = "contacts.export", _("导出客户")
    WRITE_CONTACTS = "contacts.write", _("修改客户")
    READ_SEGMENTS = "segments.read", _("查看人群")
    WRITE_SEGMENTS = "segments.write", _("编辑人群与标签")
    READ_PUSHES = "pushes.read", _("查看推送与流程")
    WRITE_PUSHES = "pushes.write", _("编辑并发送推送与流程")
    READ_POINTS = "points.read", _("查看积分")
    WRITE_POINTS = "points.write", _("调整积分与规则")
    READ_INSIGHTS = "insights.read", _("查看数据")
    READ_SETTINGS = "settings.read", _("查看接入与预算")
    WRITE_BUDGET = "budget.write", _("修改触达预算")
    SYNC = "wecom.sync", _("发起同步与重放")
    MANAGE_CREDENTIALS = "credentials.manage", _("管理企微凭证")
    MANAGE_KEYS = "keys.manage", _("管理 API 密钥")
    MANAGE_SEATS = "seats.manage", _("管理成员")
    READ_AUDIT = "audit.read", _("查看审计")


_C = Capability
_ALL = frozenset(Capability) - {_C.OPEN_SIDEBAR}

TABLE: dict[Role, frozenset[Capability]] = {
    Role.OWNER: _ALL,
    Role.OPERATOR: _ALL - {_C.MANAGE_SEATS, _C.MANAGE_CREDENTIALS, _C.MANAGE_KEYS},
    Role.ANALYST: frozenset(
        {
            _C.OPEN_CONSOLE,
            _C.READ_CONTACTS,
            _C.READ_SEGMENTS,
            _C.READ_PUSHES,
            _C.READ_POINTS,
            _C.READ_INSIGHTS,
            _C.READ_SETTINGS,
        }
    ),
    # A store manager's reads are narrowed to the own store's contacts: see Seat.store_id.
    Role.STORE_MANAGER: frozenset({_C.OPEN_CONSOLE, _C.READ_CONTACTS}),
    Role.GUIDE: frozenset({_C.OPEN_SIDEBAR}),
}


def may(role: str, capability: Capability) -> bool:
    """Whether the table gives this role this capability; an unknown role has none."""
    return capability in TABLE.get(Role(role), frozenset()) if role in Role.values else False
