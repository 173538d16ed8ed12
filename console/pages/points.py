"""积分: accounts, the ledger, the rules, and an adjustment by hand. The ledger has no undo: it has reverse."""

from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console import numbers, people
from console.pages import tiers
from console.site import BrandRequest, need, page, render, told, told_problem
from events import declared
from points import ledger, operators, rules
from points.models import EarnRule, Lot, PointsAccount, PointsEntry
from scrm.lib import errors
from tenants.roles import Capability

READ, WRITE = Capability.READ_POINTS, Capability.WRITE_POINTS
ROWS = 50
REASONS = ("earn", "grant", "spend", "adjust", "reverse", "expire")


@page("points/", name="points", needs=READ)
def accounts(request: BrandRequest) -> HttpResponse:
    """Contacts with points; a search looks among the first contacts found."""
    text = request.GET.get("q", "").strip()[:100]
    rows = PointsAccount.objects.filter(contact__isnull=False).select_related("contact__main_guide")
    if text:
        found = people.search(place=request.place, wanted=people.Wanted(text=text), at=timezone.now())
        rows = rows.filter(contact__in=[row.contact.pk for row in found.rows])
    context = {"tab": "points", "rows": rows.order_by("-balance", "id")[:ROWS], "text": text}
    return render(request, "points.html", context, title=_("积分"))


@page("points/entries/", name="points-entries", needs=READ)
def entries(request: BrandRequest) -> HttpResponse:
    """The ledger: contacts' entries, latest first, by keyset on (posted_at, id)."""
    rows = PointsEntry.objects.filter(account__contact__isnull=False).select_related("transfer", "account__contact")
    reason = request.GET.get("reason", "")
    if reason:
        rows = rows.filter(transfer__reason=reason)
    place = people.opened(request.GET.get("before", ""))
    if place is not None:
        rows = rows.filter(posted_at__lt=place[0]) | rows.filter(posted_at=place[0], id__lt=place[1])
    shown = list(rows.order_by("-posted_at", "-id")[: ROWS + 1])
    more = people.closed(shown[ROWS - 1].posted_at, shown[ROWS - 1].id) if len(shown) > ROWS else ""
    context = {"tab": "points-entries", "rows": shown[:ROWS], "reason": reason, "more": more, "reasons": REASONS}
    return render(request, "points.html", context, title=_("积分"))


@page("points/rules/", name="points-rules", needs=READ, methods=("GET", "POST"))
def earn_rules(request: BrandRequest) -> HttpResponse:
    """The rules; POST makes one."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        need(request, WRITE)
        try:
            made = rules.save(actor=request.actor, at=timezone.now(), **_rule(request.POST))
        except errors.Refused as refusal:
            context = {"problem": refusal, "typed": request.POST}
        else:
            told(request, _("规则「%(name)s」已启用。") % {"name": made.name})
            return HttpResponseRedirect(reverse("admin:points-rules"))
    context |= {
        "tab": "points-rules",
        "rows": [(rule, declared.label(rule.event_type)) for rule in EarnRule.objects.order_by("id")],
        "events": [(kind.name, kind.label) for kind in declared.kinds() if kind.sender != "system"],
    }
    return render(request, "points.html", context, title=_("积分"), status=422 if "problem" in context else 200)


@page("points/rules/<int:rule_id>/", name="points-rule", needs=WRITE, methods=("POST",))
def switch_rule(request: BrandRequest, rule_id: int) -> HttpResponse:
    """Turn a rule on or off."""
    enabled = request.POST.get("enabled") == "1"
    operators.switch_rule(rule_id=rule_id, enabled=enabled, actor=request.actor, at=timezone.now())
    told(request, _("规则已启用。") if enabled else _("规则已停用，已发的积分不变。"))
    return HttpResponseRedirect(reverse("admin:points-rules"))


@page("points/accounts/<int:contact_id>/", name="points-account", needs=READ, methods=("GET", "POST"))
def account(request: BrandRequest, contact_id: int) -> HttpResponse:
    """One account with its lots and entries; POST adjusts."""
    now = timezone.now()
    contact = people.the_contact(place=request.place, contact_id=contact_id)
    context: dict[str, Any] = {}
    if request.method == "POST":
        need(request, WRITE)
        try:
            posted = operators.adjust(contact_id=contact_id, actor=request.actor, at=now, **_adjustment(request.POST))
        except (errors.Refused, errors.Conflict) as refusal:
            context = {"problem": refusal, "typed": request.POST}
        else:
            told(request, _("已入账，余额 %(n)s 积分。") % {"n": f"{posted.balance:,}"})
            return HttpResponseRedirect(reverse("admin:points-account", args=[contact_id]))
    statement = ledger.statement(contact_id=contact_id, at=now)
    context |= {
        "contact": contact,
        "points": statement,
        "lots": Lot.objects.filter(account=statement.account_id, remaining__gt=0).order_by("expires_at", "earned_at")[
            :50
        ],
        "entries": people.entries(contact_id=contact_id, limit=ROWS),
        "tier": tiers.of_contact(contact, at=now),
        "once": uuid4(),
        "final": ("reverse", "expire"),
    }
    status = 422 if "problem" in context else 200
    return render(request, "points_account.html", context, title=_("积分账户"), status=status)


@page("points/transfers/<uuid:transfer_id>/reverse/", name="points-reverse", needs=WRITE, methods=("POST",))
def reverse_transfer(request: BrandRequest, transfer_id: UUID) -> HttpResponse:
    """冲正: the opposite movement, once."""
    own = PointsEntry.objects.filter(transfer=transfer_id, account__contact__isnull=False).select_related("account")
    contact_id = errors.found(own).account.contact_id
    try:
        posted = operators.reverse(transfer_id=transfer_id, note=_("后台冲正"), actor=request.actor, at=timezone.now())
    except (errors.Refused, errors.Conflict) as refusal:
        told_problem(request, refusal)
    else:
        told(request, _("已冲正，余额 %(n)s 积分。") % {"n": f"{posted.balance:,}"})
    return HttpResponseRedirect(reverse("admin:points-account", args=[contact_id]))


def _whole(text: str) -> int:
    """The number typed, 0 for what is none: the operation refuses 0 and says so."""
    text = text.strip().replace(",", "").replace("−", "-")
    sign = -1 if text.startswith("-") else 1
    return sign * (numbers.whole(text.removeprefix("+").removeprefix("-"), most=99_999_999_999) or 0)


def _rule(form: QueryDict) -> dict[str, Any]:
    keep = form.get("keep_days", "").strip()
    return {
        "name": form.get("name", ""),
        "event_type": form.get("event_type", ""),
        "points": _whole(form.get("points", "")),
        "per_day": _whole(form.get("per_day", "")),
        "keep_days": _whole(keep) if keep else None,
    }


def _adjustment(form: QueryDict) -> dict[str, Any]:
    sign = -1 if form.get("direction") == "take" else 1
    # The form carries a key made when it was shown, so that a double click is one movement.
    return {
        "points": sign * _whole(form.get("points", "")),
        "note": form.get("note", ""),
        "key": form.get("once", "")[:100] or str(uuid4()),
    }
