"""The brand's tiers and their rules, as an operator sets them."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from points.models import Tier, TierRules
from points.tiers import keeping, reading
from scrm.lib.errors import FieldError, Invalid
from tagging.language.params import is_clean_text, is_whole
from tenants import audit
from tenants.actors import Actor

MOST_TIERS = 20
MOST_DAYS = 366
MOST_THRESHOLD = 10**15
CODE = re.compile(r"[a-z][a-z0-9_]{0,29}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A brand's rules as somebody wants them; `tiers` from the lowest, thresholds in points, fen or orders."""

    metric: str
    window: str
    at_end: str
    tiers: Sequence[tuple[str, str, int]]
    """(code, name, threshold)"""
    grace_days: int = 0
    protect_days: int = 0


def save(*, wanted: Wanted, actor: Actor, at: datetime) -> None:
    """Put these in the place of the present rules, and begin to look at everybody. Scoped; audited.

    Nobody loses a tier by it before their spell ends, unless the tier is no more. Raises Invalid
    (`tiers[1].threshold`)."""
    errors = [*_wrong_rules(wanted), *_wrong_tiers(wanted)]
    if errors:
        raise Invalid(_("等级规则有 %(n)d 处不正确，没有保存。") % {"n": len(errors)}, errors=errors)
    keeping.hold()
    before = reading.rules()
    if before and _plain(before) == _plain(asdict(wanted) | {"tiers": _as_dicts(wanted)}):
        return
    Tier.objects.all().delete()
    Tier.objects.bulk_create(
        [
            Tier(code=code, position=place, name=name.strip(), threshold=threshold)
            for place, (code, name, threshold) in enumerate(wanted.tiers, 1)
        ]
    )
    values: dict[str, Any] = {
        "metric": wanted.metric,
        "window": wanted.window,
        "at_end": wanted.at_end,
        "grace_days": wanted.grace_days,
        "protect_days": wanted.protect_days,
        "since": at,
        "filled_to": 0,
    }
    if not TierRules.objects.update(**values):
        TierRules.objects.create(**values)
    audit.record(
        actor=actor,
        action="tiers.save",
        object_type="tiers",
        object_id=0,
        before=_plain(before) if before else None,
        after=_plain(asdict(wanted) | {"tiers": _as_dicts(wanted)}),
        at=at,
    )


def _as_dicts(wanted: Wanted) -> list[dict[str, Any]]:
    return [{"code": code, "name": name.strip(), "threshold": least} for code, name, least in wanted.tiers]


def _plain(rules: dict[str, Any]) -> dict[str, Any]:
    return {name: rules[name] for name in ("metric", "window", "at_end", "grace_days", "protect_days", "tiers")}


def _wrong_rules(wanted: Wanted) -> list[FieldError]:
    errors = []
    for name, choices in (("metric", TierRules.Metric), ("window", TierRules.Window), ("at_end", TierRules.AtEnd)):
        if getattr(wanted, name) not in choices.values:
            said = _("、").join(f"{value}（{label}）" for value, label in choices.choices)
            errors.append(FieldError(name, "tiers.choice", _("没有这个选项。"), _("可选：%(all)s。") % {"all": said}))
    for name in ("grace_days", "protect_days"):
        if not is_whole(getattr(wanted, name)) or not 0 <= getattr(wanted, name) <= MOST_DAYS:
            remedy = _("填 0 到 %(most)d 之间的整数。") % {"most": MOST_DAYS}
            errors.append(FieldError(name, "tiers.days", _("天数超出范围。"), remedy))
    return errors


def _wrong_tiers(wanted: Wanted) -> list[FieldError]:
    if not 1 <= len(wanted.tiers) <= MOST_TIERS:
        message = _("要有 1 到 %(most)d 个等级。") % {"most": MOST_TIERS}
        return [FieldError("tiers", "tiers.count", message, _("从最低的等级写起。"))]
    errors, codes, least = [], set(), 0
    for index, (code, name, threshold) in enumerate(wanted.tiers):
        place = f"tiers[{index}]"
        if not isinstance(code, str) or not CODE.fullmatch(code) or code in codes:
            message = _("代号要是小写字母、数字和下划线，以字母开头，不能重复。")
            errors.append(FieldError(f"{place}.code", "tiers.code", message, _("例如 gold。")))
        codes.add(code)
        if not is_clean_text(name) or not 1 <= len(name.strip()) <= 30:
            errors.append(FieldError(f"{place}.name", "tiers.name", _("名称要有 1 到 30 个字。"), _("例如“金卡”。")))
        if not is_whole(threshold) or not least < threshold <= MOST_THRESHOLD:
            remedy = _("从低到高填，每一级都高于前一级；没到第一级的客户没有等级。")
            message = _("门槛要是大于 %(least)d 的整数。") % {"least": least}
            errors.append(FieldError(f"{place}.threshold", "tiers.threshold", message, remedy))
        else:
            least = threshold
    return errors
