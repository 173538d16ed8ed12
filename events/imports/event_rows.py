"""Rows as events: history from another system, a shop's orders, an offline campaign.

An event's id is made of what the row says (person, type, moment, properties), so that importing a corrected file again
adds what was missing and doubles nothing. Rows that say the same are one event, unless a column tells them apart."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import catalogue, declared, ingest, log, partitions, spelling
from events.catalogue import EventType
from events.imports.kinds import Option, Outcome, Problem, Read, Row, Target
from events.log import NewEvent
from scrm.lib.errors import FieldError, Text
from scrm.lib.ids import made_id
from tenants.models import Brand
from tenants.scope import current_brand_id

IDENTITIES = {
    "unionid": gettext_lazy("unionid"),
    "external_userid": gettext_lazy("企微客户 external_userid"),
    "openid": gettext_lazy("小程序 openid"),
    "phone": gettext_lazy("手机号"),
    "member_id": gettext_lazy("会员号"),
    "order_phone": gettext_lazy("收货手机号"),
    "device": gettext_lazy("设备号"),
}
"""In this order the first that a row has says whom it is about."""

_NAMES = {
    "type": ("type", "event", "event_type", "行为", "事件", "类型", "行为类型", "事件类型"),
    "occurred_at": ("occurred_at", "time", "timestamp", "date", "时间", "发生时间", "日期", "下单时间", "支付时间"),
    "id": ("id", "event_id", "编号", "流水号"),
    "contact_id": ("contact_id", "客户id", "客户编号"),
    "identity.unionid": ("unionid", "union_id"),
    "identity.external_userid": ("external_userid",),
    "identity.openid": ("openid", "open_id"),
    "identity.phone": ("phone", "mobile", "手机", "手机号", "电话"),
    "identity.member_id": ("member_id", "会员号", "会员编号", "会员id"),
    "props.order_no": ("order_no", "订单号", "订单编号"),
    "props.amount_fen": ("amount_fen", "金额（分）", "金额(分)"),
    "amount_yuan": ("amount", "金额", "金额（元）", "金额(元)", "实付金额", "支付金额"),
    "props.category": ("category", "品类", "类目"),
    "props.product_id": ("product_id", "商品", "商品id", "商品编号"),
    "props.page": ("page", "页面"),
    "props.keyword": ("keyword", "关键词"),
    "props.store": ("store", "门店"),
    "props.dwell_seconds": ("dwell_seconds", "停留秒数"),
}
_GUESS = {name: target for target, names in _NAMES.items() for name in names}
_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?"
)
_EPOCH = re.compile(r"\d{10}(?:\d{3})?")
_WHOLE = re.compile(r"-?\d{1,18}(?:\.0+)?")
_YUAN = re.compile(r"[¥￥]?\s*(-?)(\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.(\d{1,2})0*)?")
_BOOL = {"true": True, "1": True, "yes": True, "是": True, "false": False, "0": False, "no": False, "否": False}


class EventRows:
    """The kind "events"."""

    name = "events"
    scope = "events:write"
    label: Text = gettext_lazy("行为事件")
    hint: Text = gettext_lazy("历史订单、浏览、到店等。可以早于 7 天；默认只计入人群，不触发规则和推送。")

    def targets(self) -> list[Target]:
        """Time, type, person, and every property that a type of the catalogue declares."""
        who, what = gettext_lazy("是谁"), gettext_lazy("做了什么")
        own = {
            prop: kind.prop_labels.get(prop, prop) for kind in declared.kinds() for prop in kind.props if _sent(kind)
        }
        return [
            *(Target(f"identity.{name}", label, who) for name, label in IDENTITIES.items()),
            Target("contact_id", gettext_lazy("客户 ID"), who),
            Target("occurred_at", gettext_lazy("发生时间"), what),
            Target("type", gettext_lazy("行为类型"), what),
            Target("id", gettext_lazy("流水号（区分相同的行）"), what),
            Target("amount_yuan", gettext_lazy("金额（元）"), gettext_lazy("属性")),
            *(Target(f"props.{name}", label, gettext_lazy("属性")) for name, label in sorted(own.items())),
        ]

    def options(self) -> list[Option]:
        """One type for all rows, the space of identities, and whether rules should act on them."""
        types = tuple((kind.name, kind.label) for kind in declared.kinds() if _sent(kind))
        return [
            Option("type", gettext_lazy("所有行都是这种行为"), "choice", types, gettext_lazy("表里有类型列时不选。")),
            Option("corpid", gettext_lazy("企业 corpid"), "text", help=gettext_lazy("用 external_userid 时填写。")),
            Option("appid", gettext_lazy("小程序 appid"), "text", help=gettext_lazy("用 openid 时填写。")),
            Option(
                "fires",
                gettext_lazy("触发规则、流程和事件推送"),
                "flag",
                help=gettext_lazy("默认不触发：补录历史不该打扰客户。"),
            ),
        ]

    def guess(self, header: Sequence[str]) -> dict[int, str]:
        """By the columns' names; a target is given once."""
        found: dict[int, str] = {}
        for place, name in enumerate(header):
            key = name.strip().lower()
            target = _GUESS.get(key, key if key.startswith("props.") else "")
            if target and target not in found.values():
                found[place] = target
        return found

    def check(self, mapping: Mapping[int, str], options: Mapping[str, Any]) -> list[FieldError]:
        """A time, a type and a person are needed; no target twice."""
        targets = list(mapping.values())
        wrong = [
            FieldError("mapping", "import.target", _("没有这个用途：%(name)s。") % {"name": name[:60]}, _("重新选择。"))
            for name in targets
            if not self._is_target(name)
        ]
        if len(set(targets)) < len(targets):
            message = _("有两列选了同一个用途。")
            wrong.append(FieldError("mapping", "import.target_twice", message, _("每个用途只选一列。")))
        if "occurred_at" not in targets:
            message = _("还没有选哪一列是发生时间。")
            wrong.append(FieldError("mapping", "import.no_time", message, _("在那一列选「发生时间」。")))
        if "contact_id" not in targets and not any(name.startswith("identity.") for name in targets):
            message = _("还没有选哪一列说明是谁。")
            wrong.append(FieldError("mapping", "import.no_person", message, _("选手机号、unionid 等任一列。")))
        given = options.get("type") or ""
        if not given and "type" not in targets:
            message = _("还没有说明是哪种行为。")
            wrong.append(FieldError("type", "import.no_type", message, _("选一列，或选「所有行都是这种行为」。")))
        elif given:
            found = catalogue.check(str(given), {}, own=declared.of_brand())
            wrong += [error for error in found if error.field == "type"]
        for kind, space in (("external_userid", "corpid"), ("openid", "appid")):
            if f"identity.{kind}" in targets and not options.get(space):
                message = _("用 %(kind)s 时要填写 %(space)s。") % {"kind": kind, "space": space}
                wrong.append(FieldError(space, "import.no_space", message, _("填写后再开始。")))
        return wrong

    def read(self, rows: Sequence[Row], options: Mapping[str, Any], at: datetime) -> Read:
        """Each row as an event, or everything that is wrong with it."""
        brand_id = current_brand_id()
        zone = ZoneInfo(Brand.objects.values_list("timezone", flat=True).get(pk=brand_id))
        own, fires = declared.of_brand(), bool(options.get("fires"))
        labels = {str(kind.label): kind.name for kind in declared.kinds()}
        oldest = partitions.oldest(at=at)
        checked: list[NewEvent | list[FieldError]] = []
        for row in rows:
            item, wrong = _item(row, options, zone, labels)
            item["id"] = str(_made(brand_id, item, row.cells.get("id", "")))
            outcome = ingest.checked(item, at, own=own, oldest=oldest, source="import")
            if isinstance(outcome, NewEvent):
                outcome.fires = fires
            elif wrong:  # the time was not understood: said once, in the words of a table
                outcome = [error for error in outcome if error.field != "occurred_at"]
            checked.append(wrong + outcome if isinstance(outcome, list) else outcome)
        ingest.refuse_strangers(checked)
        read = Read()
        for row, made in zip(rows, checked, strict=True):
            if isinstance(made, NewEvent):
                read.good.append(made)
            else:
                read.refused += 1
                read.problems += [Problem(row.number, _target(error.field, row), error) for error in made]
        return read

    def prepare(self, read: Read) -> None:
        """The months of old events."""
        partitions.ensure({event.occurred_at for event in read.good})

    def write(self, read: Read, at: datetime) -> Outcome:
        """Append them."""
        written = log.write(read.good, at=at)
        return Outcome(written.written, written.duplicates)

    def _is_target(self, name: str) -> bool:
        if name.startswith("props."):
            return catalogue.PROP_NAME.fullmatch(name.removeprefix("props.")) is not None
        return name in {target.name for target in self.targets()}


def _sent(kind: EventType) -> bool:
    return kind.sender == "api"


def _item(
    row: Row, options: Mapping[str, Any], zone: tzinfo, labels: Mapping[str, str]
) -> tuple[dict[str, Any], list[FieldError]]:
    """The row as the REST API would have it, and what only a table can get wrong."""
    cells, wrong = row.cells, list[FieldError]()
    type_ = str(options.get("type") or cells.get("type", ""))
    type_ = labels.get(type_, type_)
    moment = _moment(cells.get("occurred_at", ""), zone)
    if moment is None:
        message = _("读不懂这个时间。") if "occurred_at" in cells else _("没有时间。")
        wrong.append(FieldError("occurred_at", "import.time", message, _("写成 2026-11-20 12:00:00 的样子。")))
    kind = declared.kind_of(type_)
    declared_props = kind.props if kind else {}
    props = {
        name.removeprefix("props."): _value(cell, declared_props.get(name.removeprefix("props."), "text"))
        for name, cell in cells.items()
        if name.startswith("props.")
    }
    if "amount_yuan" in cells:
        props["amount_fen"] = _fen(cells["amount_yuan"])
    item: dict[str, Any] = {"type": type_, "occurred_at": moment.isoformat() if moment else "", "props": props}
    return item | _person(cells, options), wrong


def _person(cells: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    for kind in IDENTITIES:
        if value := cells.get(f"identity.{kind}"):
            space = spelling.IDENTITY_SPACE[kind]
            beside = {space: str(options.get(space) or "")} if space else {}
            return {"identity": {"type": kind, "value": value, **beside}}
    number = cells.get("contact_id", "")
    return {"contact_id": int(number) if _WHOLE.fullmatch(number) and "." not in number else number} if number else {}


def _made(brand_id: int, item: Mapping[str, Any], given: str) -> UUID:
    """The event's id: a UUID of the file's own, or made of what the row says."""
    if len(given) == 36:
        try:
            return UUID(given)
        except ValueError:
            pass
    said = json.dumps(item, sort_keys=True, ensure_ascii=False)
    return made_id("import", brand_id, given, said)


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """A time as spreadsheets write it, in the brand's zone unless it says another; or seconds since 1970."""
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text[:10]), UTC)
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        moment = datetime(
            year=int(year),
            month=int(month),
            day=int(day),
            hour=int(hour or 0),
            minute=int(minute or 0),
            second=int(second or 0),
            microsecond=int((fraction or "0").ljust(6, "0")),
        )
        there = datetime.strptime(offset, "%z").tzinfo if offset else zone
        return moment.replace(tzinfo=there).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _value(cell: str, type_: str) -> Any:
    """The cell as its property wants it; as it stands if it can't be: the check then says so."""
    if type_ == "int" and _WHOLE.fullmatch(cell):
        return int(cell.partition(".")[0])
    if type_ == "bool":
        return _BOOL.get(cell.lower(), cell)
    return cell


def _fen(cell: str) -> Any:
    found = _YUAN.fullmatch(cell)
    if not found:
        return cell
    sign, yuan, cents = found.groups()
    fen = int(yuan.replace(",", "")) * 100 + int((cents or "0").ljust(2, "0"))
    return -fen if sign else fen


def _target(field: str, row: Row) -> str:
    """The column that a complaint of the log's door is about."""
    if field.startswith("identity"):
        return next((name for name in row.cells if name.startswith("identity.")), "identity")
    if field == "props.amount_fen" and "amount_yuan" in row.cells:
        return "amount_yuan"
    return field


EVENT_ROWS = EventRows()
