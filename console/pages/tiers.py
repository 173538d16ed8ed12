"""会员等级: the brand's tiers and their rules, who has which, and who changed lately."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from console import people
from console.site import BrandRequest, need, page, render, told, told_problem
from contacts.models import Contact
from points.models import TierRules, TierSpell
from points.tiers import TierNow, floors, reading, rules
from points.tiers.periods import midnight
from scrm.lib import errors
from scrm.lib.errors import Text
from tenants.roles import Capability

READ, WRITE = Capability.READ_POINTS, Capability.WRITE_POINTS
ROWS = 50
SPARE = 2
"""empty lines for further tiers"""


@page("tiers/", name="tiers", needs=READ, methods=("GET", "POST"))
def tiers(request: BrandRequest) -> HttpResponse:
    """The tiers with their members, the rules, the latest changes; POST replaces the rules."""
    context: dict[str, Any] = {}
    now = timezone.now()
    if request.method == "POST":
        need(request, WRITE)
        try:
            rules.save(wanted=_wanted(request.POST), actor=request.actor, at=now)
        except errors.Refused as refusal:
            context = {"problem": refusal}
        else:
            told(request, _("等级规则已保存，正在为所有客户定级。"))
            return HttpResponseRedirect(reverse("admin:tiers"))
    kept = reading.rules()
    counts = reading.counts()
    names, total = reading.names(), sum(counts.values())
    changes = TierSpell.objects.select_related("contact").exclude(reason=TierSpell.Reason.START)
    metric = kept["metric"] if kept else TierRules.Metric.NET_SPEND
    context |= {
        "rules": kept,
        "said": _said(kept) if kept else [],
        "tiers": [
            {**tier, "least": amount(metric, tier["threshold"]), "members": counts.get(tier["code"], 0)}
            for tier in (kept or {"tiers": []})["tiers"]
        ],
        "total": total,
        "form": request.POST if "problem" in context else _form(kept),
        "lines": _lines(request.POST if "problem" in context else None, kept),
        "choices": {
            "metric": TierRules.Metric.choices,
            "window": TierRules.Window.choices,
            "at_end": TierRules.AtEnd.choices,
        },
        "changes": [
            {"row": row, **in_words(row, metric, names)} for row in changes.order_by("-since", "contact")[:ROWS]
        ],
    }
    status = 422 if "problem" in context else 200
    return render(request, "tiers.html", context, title=_("会员等级"), status=status)


@page("points/accounts/<int:contact_id>/floor/", name="tier-floor", needs=WRITE, methods=("POST",))
def floor(request: BrandRequest, contact_id: int) -> HttpResponse:
    """Promise a tier by hand, or take the promise back."""
    people.the_contact(place=request.place, contact_id=contact_id)
    now = timezone.now()
    try:
        if request.POST.get("what") == "take_back":
            floors.take_back(contact_id=contact_id, actor=request.actor, at=now)
            told(request, _("人工保底已取消。"))
        else:
            floors.promise(
                contact_id=contact_id,
                tier=request.POST.get("tier", ""),
                until=_end_of(request.POST.get("until", "")),
                note=request.POST.get("note", ""),
                actor=request.actor,
                at=now,
            )
            told(request, _("已保底，客户不会低于这个等级。"))
    except errors.Refused as refusal:
        told_problem(request, refusal)
    return HttpResponseRedirect(reverse("admin:points-account", args=[contact_id]))


def of_contact(contact: Contact, *, at: datetime) -> dict[str, Any] | None:
    """What the account page shows of the contact's tier; None if the brand keeps none."""
    now = reading.of(contact_id=contact.pk, at=at)
    if now is None:
        return None
    names = reading.names()
    spells = TierSpell.objects.filter(contact=contact).order_by("-since")[:ROWS]
    return {
        "now": now,
        "value": amount(now.metric, now.value),
        "metric": TierRules.Metric(now.metric).label,
        "gap": amount(now.metric, now.gap),
        "share": _share(now),
        "floor": names.get(now.floor.tier, now.floor.tier) if now.floor else "",
        "names": list(names.items()),
        "spells": [{"row": row, **in_words(row, now.metric, names)} for row in spells],
    }


def amount(metric: str, n: int) -> str:
    """An amount of the metric: ¥1,280, 3 单, 1,280 分."""
    if metric == TierRules.Metric.NET_SPEND:
        return f"¥{n / 100:,.2f}".removesuffix(".00")
    if metric == TierRules.Metric.ORDER_COUNT:
        return ngettext("%(n)s 单", "%(n)s 单", n) % {"n": f"{n:,}"}
    return ngettext("%(n)s 成长值", "%(n)s 成长值", n) % {"n": f"{n:,}"}


def in_words(row: TierSpell, metric: str, names: Mapping[str, Text]) -> dict[str, str]:
    """A spell as a line: from, to, why, and what the metric was."""
    none = _("没有等级")
    return {
        "was": str(names.get(row.was, row.was)) or none,
        "tier": str(names.get(row.tier, row.tier)) or none,
        "reason": str(TierSpell.Reason(row.reason).label),
        "amount": amount(metric, row.metric),
    }


def _share(now: TierNow) -> int:
    """How much of the way to the next tier is done, in per cent."""
    return min(100, 100 * now.value // now.next.threshold) if now.next else 100


def _said(kept: dict[str, Any]) -> list[str]:
    """The rules, one sentence each."""
    metric, window = TierRules.Metric(kept["metric"]).label, TierRules.Window(kept["window"]).label
    said = [_("按%(window)s的%(metric)s定级，达到门槛立即升级。") % {"window": window, "metric": metric}]
    lasts = {"rolling": _("等级保留一年，"), "year": _("等级保留到当年年底，")}[kept["window"]]
    after = {
        "keep": _("到期自动续期，不降级。"),
        "one_down": _("到期时未达标的降一级。"),
        "to_level": _("到期时按当时的成绩重新定级。"),
    }[kept["at_end"]]
    said.append(lasts + after)
    if kept["grace_days"]:
        n = kept["grace_days"]
        said.append(
            ngettext("到期后有 %(n)d 天宽限，期间达标即续期。", "到期后有 %(n)d 天宽限，期间达标即续期。", n) % {"n": n}
        )
    if kept["protect_days"]:
        n = kept["protect_days"]
        said.append(ngettext("升级后 %(n)d 天内不降级。", "升级后 %(n)d 天内不降级。", n) % {"n": n})
    return said


def _form(kept: dict[str, Any] | None) -> dict[str, Any]:
    return kept or {
        "metric": "net_spend",
        "window": "rolling",
        "at_end": "to_level",
        "grace_days": 0,
        "protect_days": 0,
    }


def _lines(typed: QueryDict | None, kept: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The tiers as lines to type in, with some to spare."""
    if typed is not None:
        columns = zip(typed.getlist("code"), typed.getlist("name"), typed.getlist("threshold"), strict=False)
        made = [{"code": code, "name": name, "threshold": least} for code, name, least in columns]
    elif kept:
        unit = 100 if kept["metric"] == TierRules.Metric.NET_SPEND else 1
        made = [{**tier, "threshold": f"{tier['threshold'] / unit:.2f}".removesuffix(".00")} for tier in kept["tiers"]]
    else:
        names = (pgettext("tier", "银卡"), pgettext("tier", "金卡"), pgettext("tier", "黑卡"))
        made = [
            {"code": code, "name": name, "threshold": str(least)}
            for code, name, least in zip(("silver", "gold", "black"), names, (500, 2000, 8000), strict=True)
        ]
    spare = SPARE if typed is None else max(0, SPARE - sum(not line["name"] for line in made))
    return made + [{"code": "", "name": "", "threshold": ""}] * spare


def _wanted(form: QueryDict) -> rules.Wanted:
    metric = form.get("metric", "")
    unit = 100 if metric == TierRules.Metric.NET_SPEND else 1
    lines = zip(form.getlist("code"), form.getlist("name"), form.getlist("threshold"), strict=False)
    said = [(code.strip(), name, least) for code, name, least in lines if name.strip() or least.strip()]
    used = {code for code, _name, _least in said}
    tiers = []
    for code, name, least in said:
        made = code or next(each for n in range(1, 99) if (each := f"tier_{n}") not in used)
        used.add(made)
        tiers.append((made, name, _whole(least, unit)))
    return rules.Wanted(
        metric=metric,
        window=form.get("window", ""),
        at_end=form.get("at_end", ""),
        tiers=tiers,
        grace_days=_whole(form.get("grace_days", "") or "0"),
        protect_days=_whole(form.get("protect_days", "") or "0"),
    )


def _whole(text: str, unit: int = 1) -> int:
    """What was typed, in the smallest unit; -1 for what is no number: the operation refuses it and says so."""
    text = text.strip().replace(",", "")
    whole, _point, part = text.partition(".")
    if not ((whole + part).isascii() and (whole + part).isdigit()) or not 1 <= len(whole) <= 13:
        return -1
    if unit == 1:
        return int(whole) if not part.strip("0") else -1
    return int(whole) * unit + int(part.ljust(2, "0")) if len(part) < 3 else -1


def _end_of(text: str) -> datetime | None:
    """The end of the day typed, in the brand's time; None for none."""
    try:
        day = parse_date(text.strip())
    except ValueError:
        day = None
    zone = timezone.get_current_timezone()
    return midnight(day + timedelta(days=1), zone) if day else None
