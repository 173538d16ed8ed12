"""Ready-made segments: questions that every brand asks, with the numbers that it may change.

RFM: R is days since the last paid order, F the number of paid orders, M what was paid, in the last `days` days; each
is cut in three by two numbers of the brand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError, Invalid, Text
from tagging.language import params
from tagging.language.params import Param

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """One ready-made question."""

    key: str
    name: Text
    aim: Text
    """what it is good for, in one sentence"""
    params: tuple[Param, ...]
    make: Callable[[Mapping[str, Any]], Tree]


def _number(name: str, label: Text, default: int, *, unit: Text, least: int = 1, most: int = 3650) -> Param:
    return Param(name, label, "int", minimum=least, maximum=most, default=default, unit=unit)


DAY, ORDERS, POINTS, FEN = gettext_lazy("天"), gettext_lazy("单"), gettext_lazy("积分"), gettext_lazy("分")


def _never_paid(said: Mapping[str, Any]) -> Tree:
    return {"all": [{"kind": "order", "measure": "count", "op": "eq", "value": 0}]}


def _silent(said: Mapping[str, Any]) -> Tree:
    return {
        "all": [
            {"kind": "profile", "field": "first_added_at", "op": "exists"},
            {"kind": "lost", "op": "is_not"},
            {
                "any": [
                    {"kind": "profile", "field": "last_active_at", "op": "older_than", "days": said["days"]},
                    {"kind": "profile", "field": "last_active_at", "op": "is_missing"},
                ]
            },
        ]
    }


def _lost_high_value(said: Mapping[str, Any]) -> Tree:
    return {
        "all": [
            {"kind": "order", "measure": "count", "op": "gte", "value": said["orders"]},
            {"kind": "order", "measure": "last", "op": "gt", "value": said["days"]},
        ]
    }


def _visited_not_paid(said: Mapping[str, Any]) -> Tree:
    visit = {"kind": "event_recency", "event": "product_view", "op": "within", "days": said["days"]}
    return {"all": [visit, {"kind": "event_recency", "event": "order_paid", "op": "not_within", "days": said["days"]}]}


def _first_order_only(said: Mapping[str, Any]) -> Tree:
    return {
        "all": [
            {"kind": "order", "measure": "count", "op": "eq", "value": 1},
            {"kind": "order", "measure": "last", "op": "gt", "value": said["days"]},
        ]
    }


def _points_expiring(said: Mapping[str, Any]) -> Tree:
    return {"all": [{"kind": "points_expiring", "days": said["days"], "op": "gte", "value": said["points"]}]}


CELLS = (
    # key, name, (R, F, M): 3 good, 1 poor, None any
    ("rfm_champions", gettext_lazy("RFM · 重要价值"), gettext_lazy("最近买过、常买、买得多：先留住。"), (3, 3, 3)),
    ("rfm_keep", gettext_lazy("RFM · 重要保持"), gettext_lazy("常买、买得多，但有一阵没来：主动联系。"), (2, 3, 3)),
    ("rfm_win_back", gettext_lazy("RFM · 重要挽留"), gettext_lazy("买得多，但很久没来：专门召回。"), (1, None, 3)),
    ("rfm_grow", gettext_lazy("RFM · 重要发展"), gettext_lazy("最近买过、买得多，但不常买：提高频次。"), (3, 1, 3)),
    ("rfm_new", gettext_lazy("RFM · 新客"), gettext_lazy("最近买过，只买过一两次：促成复购。"), (3, 1, None)),
    ("rfm_sleeping", gettext_lazy("RFM · 沉睡"), gettext_lazy("很久没来、不常买、买得少：少打扰。"), (1, 1, 1)),
)
RFM = (
    _number("days", gettext_lazy("看近几天"), 365, unit=DAY),
    _number("r_good", gettext_lazy("最近：几天内算近"), 30, unit=DAY),
    _number("r_poor", gettext_lazy("最近：超过几天算远"), 90, unit=DAY),
    _number("f_poor", gettext_lazy("频次：最多几单算少"), 2, unit=ORDERS),
    _number("f_good", gettext_lazy("频次：至少几单算多"), 5, unit=ORDERS),
    _number("m_poor", gettext_lazy("金额：最多多少分算少"), 20_000, unit=FEN, most=10**12),
    _number("m_good", gettext_lazy("金额：至少多少分算多"), 100_000, unit=FEN, most=10**12),
)


def _cell(scores: tuple[int | None, int | None, int | None]) -> Callable[[Mapping[str, Any]], Tree]:
    def make(said: Mapping[str, Any]) -> Tree:
        recency, frequency, money = scores
        leaves = [_order("count", said, "gte", 1)]
        if recency == 3:
            leaves.append(_order("last", said, "lte", said["r_good"]))
        elif recency == 2:
            leaves.append(_order("last", said, "between", [said["r_good"], said["r_poor"]]))
        elif recency == 1:
            leaves.append(_order("last", said, "gt", said["r_poor"]))
        for measure, score, poor, good in (
            ("count", frequency, said["f_poor"], said["f_good"]),
            ("amount", money, said["m_poor"], said["m_good"]),
        ):
            if score is not None:
                leaves.append(_order(measure, said, *(("gte", good) if score == 3 else ("lte", poor))))
        return {"all": leaves}

    return make


def _order(measure: str, said: Mapping[str, Any], op: str, value: Any) -> Tree:
    return {"kind": "order", "measure": measure, "days": said["days"], "op": op, "value": value}


TEMPLATES: dict[str, Template] = {
    template.key: template
    for template in (
        Template(
            "never_paid",
            gettext_lazy("从未付款"),
            gettext_lazy("加了好友却没买过：用首单礼促成第一单。"),
            (),
            _never_paid,
        ),
        Template(
            "silent",
            gettext_lazy("沉默客户"),
            gettext_lazy("好友还在，却很久没有互动：用签到、会员日唤醒。"),
            (_number("days", gettext_lazy("几天没有互动"), 30, unit=DAY),),
            _silent,
        ),
        Template(
            "lost_high_value",
            gettext_lazy("流失的高价值客户"),
            gettext_lazy("买过很多次，最近半年没买：一对一回访。"),
            (
                _number("orders", gettext_lazy("至少几单"), 10, unit=ORDERS),
                _number("days", gettext_lazy("几天没有下单"), 180, unit=DAY),
            ),
            _lost_high_value,
        ),
        Template(
            "visited_not_paid",
            gettext_lazy("逛了没买"),
            gettext_lazy("看过商品却没付款：问问为什么，或补一张券。"),
            (_number("days", gettext_lazy("近几天"), 7, unit=DAY),),
            _visited_not_paid,
        ),
        Template(
            "first_order_only",
            gettext_lazy("首单未复购"),
            gettext_lazy("只买过一单，已过了复购周期：提醒补货。"),
            (_number("days", gettext_lazy("首单后超过几天"), 45, unit=DAY),),
            _first_order_only,
        ),
        Template(
            "points_expiring",
            gettext_lazy("积分快到期"),
            gettext_lazy("有积分快到期：提醒兑换。"),
            (
                _number("days", gettext_lazy("几天内到期"), 30, unit=DAY),
                _number("points", gettext_lazy("至少多少积分"), 100, unit=POINTS, most=10**9),
            ),
            _points_expiring,
        ),
        *(Template(key, name, aim, RFM, _cell(scores)) for key, name, aim, scores in CELLS),
    )
}


def tree_of(key: str, said: Mapping[str, Any] | None = None) -> Tree:
    """The template's tree with the numbers given, the others as usual.

    Raises Invalid for an unknown template (field `key`) and for a number that does not fit (fields `params.<name>`)."""
    template = TEMPLATES.get(key)
    if template is None:
        wrong = FieldError("key", "tagging.unknown_template", _("没有这个模板。"), _("从模板列表里选一个。"))
        raise Invalid(wrong.message, errors=[wrong])
    errors = list(params.check(template.params, said or {}, "params"))
    values = {param.name: param.default for param in template.params} | dict(said or {})
    if not errors and key.startswith("rfm_"):
        errors = [
            FieldError(
                f"params.{good}",
                "tagging.out_of_range",
                _("两个分界的顺序反了：%(a)s、%(b)s。") % {"a": values[low], "b": values[high]},
                _("让前一个小于后一个。"),
            )
            for low, high, good in (
                ("r_good", "r_poor", "r_good"),
                ("f_poor", "f_good", "f_good"),
                ("m_poor", "m_good", "m_good"),
            )
            if values[low] >= values[high]
        ]
    if errors:
        raise Invalid(_("有字段不正确。"), errors=errors)
    return template.make(values)


def describe() -> list[dict[str, Any]]:
    """[{key, name, aim, params: [{name, label, default, min, max, unit}], tree}] in the active language."""
    return [
        {
            "key": template.key,
            "name": str(template.name),
            "aim": str(template.aim),
            "params": [
                {
                    "name": param.name,
                    "label": str(param.label),
                    "default": param.default,
                    "min": param.minimum,
                    "max": param.maximum,
                    "unit": str(param.unit),
                }
                for param in template.params
            ],
            "tree": tree_of(template.key),
        }
        for template in TEMPLATES.values()
    ]
