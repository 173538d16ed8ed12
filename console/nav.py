"""The sidebar: two levels, only what the seat may open. Reads no tenant table: it is on every page."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.roles import Capability

C = Capability


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the sidebar."""

    title: Promise
    icon: str
    name: str
    needs: Capability
    section: str
    """first part of the path; tells which line is the current one"""


GROUPS: tuple[tuple[Promise, tuple[Entry, ...]], ...] = (
    (_("今日"), (Entry(_("驾驶舱"), "space_dashboard", "index", C.READ_INSIGHTS, ""),)),
    (
        pgettext_lazy("console", "客户"),
        (
            Entry(pgettext_lazy("console", "客户"), "person", "contacts", C.READ_CONTACTS, "contacts"),
            Entry(_("统一身份"), "hub", "oneid", C.READ_INSIGHTS, "oneid"),
            Entry(pgettext_lazy("console", "人群"), "filter_alt", "segments", C.READ_SEGMENTS, "segments"),
            Entry(_("标签与规则"), "sell", "tags", C.READ_SEGMENTS, "tags"),
            Entry(_("企业标签"), "label", "corp-tags", C.READ_SEGMENTS, "corp-tags"),
            Entry(_("生命周期"), "timeline", "lifecycle", C.READ_SEGMENTS, "lifecycle"),
            Entry(_("流失分析"), "trending_down", "churn", C.READ_INSIGHTS, "churn"),
            Entry(_("行为目录"), "bolt", "catalogue", C.READ_SEGMENTS, "catalogue"),
            Entry(_("导入"), "upload_file", "imports", C.WRITE_CONTACTS, "imports"),
        ),
    ),
    (
        pgettext_lazy("console", "触达"),
        (
            Entry(pgettext_lazy("console", "推送"), "send", "pushes", C.READ_PUSHES, "pushes"),
            Entry(_("欢迎语"), "waving_hand", "welcome", C.READ_PUSHES, "welcome"),
            Entry(_("素材"), "perm_media", "media", C.READ_PUSHES, "media"),
        ),
    ),
    (
        pgettext_lazy("console", "积分会员"),
        (
            Entry(_("积分"), "toll", "points", C.READ_POINTS, "points"),
            Entry(_("会员等级"), "military_tech", "tiers", C.READ_POINTS, "tiers"),
        ),
    ),
    (
        _("设置"),
        (
            Entry(_("企微接入"), "cable", "wecom", C.READ_SETTINGS, "wecom"),
            Entry(_("成员与角色"), "manage_accounts", "members", C.MANAGE_SEATS, "members"),
            Entry(pgettext_lazy("console", "API 密钥"), "key", "keys", C.MANAGE_KEYS, "keys"),
            Entry(_("事件推送"), "webhook", "webhooks", C.MANAGE_KEYS, "webhooks"),
            Entry(_("回调收件箱"), "inbox", "inbox", C.SYNC, "inbox"),
            Entry(_("审计"), "history", "audit", C.READ_AUDIT, "audit"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups for unfold's shell."""
    place = request.place  # type: ignore[attr-defined]
    home = reverse("admin:index")
    section = request.path.removeprefix(home).partition("/")[0]
    groups = []
    for title, entries in GROUPS:
        items = [
            {
                "title": entry.title,
                "icon": entry.icon,
                "link": reverse(f"admin:{entry.name}"),
                "active": (lambda _request, now=(entry.section == section): now),
            }
            for entry in entries
            if place.may(entry.needs)
        ]
        if items:
            groups.append({"title": title, "items": items})
    return groups


def brands(request: HttpRequest) -> dict[str, Any]:
    """For the brand switcher: the brands that the user may open. The site has read them; nothing is asked here."""
    return {"switch_places": getattr(request, "places", [])}


def stylesheet(_request: HttpRequest) -> str:
    """Our stylesheet, after which unfold's own is loaded."""
    return static("console/orchard.css")


def icon(_request: HttpRequest) -> str:
    """The picture in the browser's tab."""
    return static("console/icon.svg")


def script(_request: HttpRequest) -> str:
    """Our script."""
    return static("console/orchard.js")


def environment(_request: HttpRequest) -> list[str] | None:
    """A badge that tells a demo or test from the real thing."""
    return [settings.ORCHARD_ENVIRONMENT, "warning"] if settings.ORCHARD_ENVIRONMENT else None
