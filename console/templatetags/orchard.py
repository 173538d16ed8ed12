"""How the console writes numbers, money, times, people and states: one way each."""

import json
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

import segno
from django import template
from django.template.context import Context
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from campaigns import reasons
from console import words
from contacts.models import Identity
from events import declared
from tenants.roles import Capability

register = template.Library()

NOTHING = "—"
STATES = {
    # status → (class of the token, icon)
    "draft": ("idle", "edit_note"),
    "cancelled": ("idle", "cancel"),
    "scheduled": ("waiting", "schedule"),
    "planning": ("running", "play_arrow"),
    "sending": ("running", "play_arrow"),
    "running": ("running", "play_arrow"),
    "claimed": ("running", "play_arrow"),
    "pending": ("waiting", "hourglass_top"),
    "created": ("waiting", "hourglass_top"),
    "invited": ("waiting", "hourglass_top"),
    "planned": ("running", "play_arrow"),
    "done": ("done", "check_circle"),
    "final": ("done", "check_circle"),
    "active": ("done", "check_circle"),
    "delivered": ("done", "check_circle"),
    "partial": ("partial", "warning"),
    "unconfirmed": ("partial", "warning"),
    "failed": ("failed", "error"),
    "refused": ("failed", "error"),
    "unknown": ("unknown", "help"),
    "revoked": ("idle", "block"),
    "ignored": ("idle", "visibility_off"),
    "suppressed": ("idle", "block"),
    "holdout": ("idle", "science"),
}


@register.filter
def num(value: Any) -> str:
    """A whole number with separators; — when unknown."""
    return NOTHING if value is None or value == "" else f"{int(value):,}"


@register.filter
def evidence(iso: str) -> str:
    """A moment out of an explanation's evidence, in the brand's time: 11-20 12:00."""
    return datetime.fromisoformat(iso).astimezone(timezone.get_current_timezone()).strftime("%m-%d %H:%M")


@register.filter
def event_label(type_: str) -> str:
    """What people call an event type."""
    return declared.label(type_)


@register.filter
def in_words(code: str, kind: str) -> str:
    """What a code of the audit trail or of WeCom's callbacks says; one that nobody named stays as it is."""
    return str(words.KINDS[kind].get(code, code))


@register.filter
def signed(value: int) -> str:
    """A change: +1,280 or −60."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{abs(value):,}"


@register.filter
def money(fen: int | None) -> str:
    """Yuan from fen."""
    return NOTHING if fen is None else f"¥{fen / 100:,.2f}".removesuffix(".00")


@register.filter
def share(part: int | None, whole: int | None) -> str:
    """A percentage with one decimal; — without a denominator."""
    if not whole or part is None:
        return NOTHING
    percent = 100 * part / whole
    return "<0.1%" if 0 < percent < 0.1 else f"{percent:.1f}%"


@register.filter
def width(part: int | None, whole: int | None) -> str:
    """The length of a bar in percent, for a style attribute."""
    return f"{min(100.0, 100 * (part or 0) / whole) if whole else 0:.1f}%"


@register.filter
def moment(at: datetime | None) -> str:
    """Date and time in the brand's zone: 11-22 10:32; with the year when it is another."""
    if at is None:
        return NOTHING
    local = timezone.localtime(at)
    same_year = local.year == timezone.localtime().year
    if (translation.get_language() or "").startswith("zh"):
        return local.strftime("%m-%d %H:%M" if same_year else "%Y-%m-%d")
    return f"{local.day} {local.strftime('%b %H:%M' if same_year else '%b %Y')}"


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, with the exact time on hover; after a day the date."""
    if at is None:
        return NOTHING
    exact = timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, _ago(at))


def _ago(at: datetime) -> str:
    passed = timezone.now() - at
    if passed < timedelta(0):
        return moment(at)
    if passed < timedelta(minutes=1):
        return _("刚刚")
    if passed < timedelta(hours=1):
        minutes = int(passed.total_seconds() // 60)
        return ngettext("%(n)d 分钟前", "%(n)d 分钟前", minutes) % {"n": minutes}
    if passed < timedelta(days=1):
        hours = int(passed.total_seconds() // 3600)
        return ngettext("%(n)d 小时前", "%(n)d 小时前", hours) % {"n": hours}
    return moment(at)


@register.simple_tag
def state(status: str, label: str, extra: str = "") -> SafeString:
    """A state: icon, word and tint, always the three together."""
    tint, icon = STATES.get(status, ("idle", "circle"))
    return format_html(
        '<span class="o-chip {}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}{}</span>',
        tint,
        icon,
        label,
        extra,
    )


@register.simple_tag
def avatar(name: str, size: str = "") -> SafeString:
    """The last character of the name (Latin: the first) on a tint that stays the same for the name."""
    text = (name or "?").strip() or "?"
    letter = text[-1:] if not text.isascii() else text[:1].upper()
    return format_html(
        '<span class="o-avatar {} o-t{}" aria-hidden="true">{}</span>', size, crc32(text.encode()) % 8, letter
    )


@register.simple_tag(takes_context=True)
def phone(context: Context, number: str) -> str:
    """A phone number: whole for a role that may see it, else 138****9999."""
    if not number:
        return ""
    if context["place"].may(Capability.SEE_PHONES):
        return number
    return masked(number)


def masked(number: str) -> str:
    """The number with its middle hidden."""
    return f"{number[:3]}****{number[-4:]}" if len(number) >= 8 else "****"


@register.simple_tag(takes_context=True)
def with_query(context: Context, **changes: Any) -> str:
    """The page's query string with some values changed; None takes one out."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"


@register.filter
def suppressed_total(reasons: dict[str, int] | None) -> int | None:
    """How many were left out, over all reasons; None before the plan."""
    return sum(reasons.values()) if isinstance(reasons, dict) else None


@register.filter
def reason_label(code: str) -> str:
    """Why a contact was left out, in the words the planner and the API use."""
    return str(reasons.Reason(code).label) if code in reasons.Reason.values else code


@register.filter
def identity_label(type_: str) -> str:
    """The name of an identity type."""
    return str(Identity.Type(type_).label) if type_ in Identity.Type.values else type_


@register.filter
def points_reason(code: str) -> str:
    """The kind of a points movement."""
    labels = {
        "earn": _("规则发放"),
        "grant": pgettext("console", "发放"),
        "spend": pgettext("console", "消耗"),
        "reverse": pgettext("console", "冲正"),
        "expire": pgettext("console", "到期"),
        "adjust": pgettext("console", "调整"),
        "merge": pgettext("console", "合并"),
        "split": pgettext("console", "拆分"),
    }
    return labels.get(code, code)


@register.filter
def readable(value: Any) -> str:
    """JSON for people to read."""
    return json.dumps(value, ensure_ascii=False)


@register.filter
def item_text(mapping: dict[str, Any], key: str) -> str:
    """One entry of a mapping as text, to compare with."""
    return str(mapping.get(key, ""))


@register.filter
def joined(text: str, value: Any) -> str:
    """`tag:` and 7 → `tag:7`."""
    return f"{text}{value}"


@register.simple_tag
def qr(text: str, label: str) -> SafeString:
    """The text as a QR code: an SVG in the page, since the text may be a secret that no other server should see."""
    svg = segno.make_qr(text, error="m").svg_inline(scale=4, border=2, dark="#101828", light="#ffffff", omitsize=True)
    return format_html('<div class="o-qr" role="img" aria-label="{}">{}</div>', label, mark_safe(svg))  # noqa: S308 - segno's own
