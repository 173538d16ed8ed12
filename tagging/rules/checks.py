"""What a tag rule can say, and what is wrong with one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError, Invalid
from tagging.language import compiler, event_filter, event_types, params
from tagging.language.params import Param
from tagging.models import TagRule

Measure = TagRule.Measure
MAX_NAME = 60
MAX_THRESHOLD = 10**12
FIELDS = (
    Param("name", gettext_lazy("名称"), "text", required=True),
    Param("tag_id", gettext_lazy("标签"), "tag", required=True),
    Param("measure", gettext_lazy("衡量"), "choice", choices=tuple(Measure.choices)),
    Param("event_type", gettext_lazy("行为"), "event"),
    Param("where", gettext_lazy("筛选"), "where"),
    Param("prop", gettext_lazy("合计的属性"), "any"),
    Param("steps", gettext_lazy("各步"), "steps"),
    Param("within_hours", gettext_lazy("首尾相隔不超过"), "int", minimum=1, maximum=24 * 366),
    Param("min_count", gettext_lazy("至少次数"), "int", required=True, minimum=1, maximum=2_000_000_000),
    Param("high", gettext_lazy("达到"), "any"),
    Param("low", gettext_lazy("低于"), "any"),
    Param("half_life_days", gettext_lazy("半衰期"), "int", minimum=1, maximum=3650),
    Param("window_days", gettext_lazy("近几天"), "int", required=True, minimum=1, maximum=3650),
    Param("keep_days", gettext_lazy("保留几天"), "int", minimum=1, maximum=3650),
    Param("enabled", gettext_lazy("启用"), "bool"),
)


def check(values: Mapping[str, Any]) -> None:
    """Raises Invalid `tagging.invalid_rule`; fields as `rules.save` calls them (`where.category`). Scoped."""
    errors = [*params.check(FIELDS, values, "rule")]
    measure = values["measure"]
    if measure == Measure.SEQUENCE:
        errors += _check_sequence(values)
    elif measure == Measure.INTEREST:
        errors += _check_interest(values)
    else:
        errors += _check_event(values)
    if measure != Measure.SEQUENCE and values["steps"] != []:
        remedy = _("去掉它，或把衡量改为 sequence。")
        errors.append(FieldError("rule.steps", "tagging.unknown_field", _("只有先后做过的规则有各步。"), remedy))
    if measure == Measure.RECENCY:
        errors += _check_recency(values)
    errors += _check_thresholds(values)
    if isinstance(values["name"], str) and len(values["name"]) > MAX_NAME:
        errors.append(FieldError("rule.name", "tagging.bad_name", _("名称最长 60 个字符。"), _("改短一些。")))
    if errors:
        plain = [FieldError(e.field.removeprefix("rule."), e.code, e.message, e.remedy) for e in errors]
        raise Invalid(_("标签规则有 %(n)d 处不正确。") % {"n": len(plain)}, errors=plain, code="tagging.invalid_rule")


def _check_event(values: Mapping[str, Any]) -> list[FieldError]:
    event = values["event_type"]
    if not isinstance(event, str) or not event_types.is_known(event):
        return [
            FieldError(
                "rule.event_type",
                "tagging.unknown_event",
                _("行为目录里没有 %(event)s。") % {"event": params.shown(event)},
                _("可用的行为：%(types)s；品牌自定义的以 x_ 开头。") % {"types": _("、").join(event_types.names())},
            )
        ]
    errors = list(event_filter.check(values["where"], event=event, path="rule.where"))
    if values["measure"] == Measure.SUM:
        errors += event_filter.check_prop(values["prop"], event=event, path="rule.prop")
    return errors


def _check_sequence(values: Mapping[str, Any]) -> list[FieldError]:
    leaf = {"kind": "sequence", "steps": values["steps"], "days": values["window_days"]}
    if values["within_hours"] is not None:
        leaf["within_hours"] = values["within_hours"]
    errors: list[FieldError] = []
    try:
        compiler.validate(leaf, path="rule")
    except Invalid as wrong:
        errors += [replace(error, field=error.field.replace("rule.days", "rule.window_days")) for error in wrong.errors]
    if values["low"] is not None or values["half_life_days"] is not None:
        errors.append(
            FieldError(
                "rule.low",
                "tagging.unknown_field",
                _("先后做过的规则没有下限和半衰期。"),
                _("去掉它们；要让标签到期，填保留几天。"),
            )
        )
    return errors


def _check_recency(values: Mapping[str, Any]) -> list[FieldError]:
    """Once is enough, and it is taken when it is too long ago: with a half-life nobody would ever reach that."""
    said = [name for name in ("high", "low", "half_life_days") if values[name] is not None]
    return [
        FieldError(
            f"rule.{name}",
            "tagging.unknown_field",
            _("最近做过的规则没有门槛和半衰期。"),
            _("去掉它；要按次数算，把衡量改为 count。"),
        )
        for name in said
    ]


def _check_interest(values: Mapping[str, Any]) -> list[FieldError]:
    where = values["where"]
    named = where if isinstance(where, dict) and len(where) == 1 else {}
    if not any(params.is_clean_text(named.get(key)) for key in ("category", "product_id")):
        return [
            FieldError(
                "rule.where",
                "tagging.wrong_type",
                _("兴趣分的规则要写一个品类或一个商品。"),
                _('写 {"category": "婴童"} 或 {"product_id": "A1"}。'),
            )
        ]
    return []


def _check_thresholds(values: Mapping[str, Any]) -> list[FieldError]:
    wrong = [
        FieldError(
            f"rule.{name}",
            "tagging.out_of_range",
            _("门槛的值不对：%(value)s。") % {"value": params.shown(values[name])},
            _("填大于 0 的数。"),
        )
        for name in ("high", "low")
        if values[name] is not None and not _is_threshold(values[name])
    ]
    high = values["min_count"] if values["high"] is None else values["high"]
    if not wrong and values["low"] is not None and _is_threshold(high) and values["low"] > high:
        wrong.append(
            FieldError(
                "rule.low",
                "tagging.impossible_threshold",
                _("移除的门槛比打上的门槛还高。"),
                _("不大于 %(high)s。") % {"high": f"{high:g}"},
            )
        )
    return wrong


def _is_threshold(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_THRESHOLD
