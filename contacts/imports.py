"""Rows of a file as attributes of contacts: who, and what is known of them.

Empty fields are filled; what a contact has already stays, unless the operator says that the file knows better. Several
identities in a row are a claim that they are one person, if the operator says so: OneID then decides as ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts import gone, profile_changes
from contacts.oneid import identity
from contacts.oneid.identity import Claim, Draft, Key
from contacts.sets import as_json, clean, execute
from events import spelling
from events.imports import kinds
from events.imports.kinds import Option, Outcome, Problem, Read, Row, Target
from events.spelling import IDENTITY_SPACE
from scrm.lib.errors import DomainError, FieldError, Text

PERSONS: dict[str, Text] = {
    "unionid": gettext_lazy("unionid"),
    "external_userid": gettext_lazy("企微客户 external_userid"),
    "openid": gettext_lazy("小程序 openid"),
    "phone": gettext_lazy("手机号"),
    "member_id": gettext_lazy("会员号"),
}
"""In this order the first that is known says whom a row is about."""
FIELDS: dict[str, Text] = {
    "name": gettext_lazy("昵称"),
    "gender": gettext_lazy("性别"),
    "mobile": gettext_lazy("联系电话（资料）"),
    "source_state": gettext_lazy("来源渠道"),
}
LONGEST = {"name": 200, "source_state": 64}
_NAMES = {
    "contact_id": ("contact_id", "客户id", "客户编号"),
    "unionid": ("unionid", "union_id"),
    "external_userid": ("external_userid",),
    "openid": ("openid", "open_id"),
    "phone": ("phone", "mobile", "手机", "手机号"),
    "member_id": ("member_id", "会员号", "会员编号"),
    "name": ("name", "昵称", "姓名", "客户姓名"),
    "gender": ("gender", "sex", "性别"),
    "mobile": ("联系电话", "联系方式"),
    "source_state": ("source", "state", "来源", "来源渠道", "渠道"),
}
_GUESS = {name: target for target, names in _NAMES.items() for name in names}
_GENDERS = {"男": 1, "male": 1, "m": 1, "1": 1, "女": 2, "female": 2, "f": 2, "2": 2, "未知": 0, "0": 0}

_FILL = """
UPDATE contacts_contact c SET
    name = CASE WHEN r.name <> '' AND (r.is_better OR c.name = '') THEN r.name ELSE c.name END,
    phone = CASE WHEN r.mobile <> '' AND (r.is_better OR c.phone = '') THEN r.mobile ELSE c.phone END,
    gender = CASE WHEN r.gender > 0 AND (r.is_better OR c.gender = 0) THEN r.gender ELSE c.gender END,
    source_state = CASE WHEN r.source_state <> '' AND (r.is_better OR c.source_state = '')
                        THEN r.source_state ELSE c.source_state END
FROM json_to_recordset(%(rows)s)
     AS r (id bigint, name text, mobile text, gender smallint, source_state text, is_better boolean)
WHERE c.brand_id = current_setting('orchard.brand_id')::bigint AND c.id = r.id
  AND (r.name <> '' AND c.name <> r.name AND (r.is_better OR c.name = '')
       OR r.mobile <> '' AND c.phone <> r.mobile AND (r.is_better OR c.phone = '')
       OR r.gender > 0 AND c.gender <> r.gender AND (r.is_better OR c.gender = 0)
       OR r.source_state <> '' AND c.source_state <> r.source_state AND (r.is_better OR c.source_state = ''))
RETURNING c.id
"""


@dataclass(slots=True)
class Line:
    """One good row. `contact_id` None: a person whom nobody knows yet."""

    contact_id: int | None
    keys: tuple[Key, ...]
    values: dict[str, Any] = field(default_factory=dict)
    is_better: bool = False
    """what the file says replaces what we have"""
    is_claim: bool = False
    """the identities are to be attached"""


class ContactRows:
    """The kind "contacts"."""

    name = "contacts"
    scope = "contacts:write"
    label: Text = gettext_lazy("客户资料")
    hint: Text = gettext_lazy("每行一位客户：昵称、性别、联系电话、来源。默认只补空白，已有的资料不动。")

    def targets(self) -> list[Target]:
        """Who, and what is known of them."""
        who, what = gettext_lazy("是谁"), gettext_lazy("资料")
        return [
            Target("contact_id", gettext_lazy("客户 ID"), who),
            *(Target(name, label, who) for name, label in PERSONS.items()),
            *(Target(name, label, what) for name, label in FIELDS.items()),
        ]

    def options(self) -> list[Option]:
        """The spaces of identities, and how much the file may change."""
        return [
            Option("corpid", gettext_lazy("企业 corpid"), "text", help=gettext_lazy("用 external_userid 时填写。")),
            Option("appid", gettext_lazy("小程序 appid"), "text", help=gettext_lazy("用 openid 时填写。")),
            Option("overwrite", gettext_lazy("以文件为准，替换已有资料"), "flag"),
            Option(
                "link",
                gettext_lazy("同一行的几个身份是同一位客户"),
                "flag",
                help=gettext_lazy("会关联身份，必要时合并客户（可拆分）；有矛盾的进入身份冲突。"),
            ),
            Option("create", gettext_lazy("没有的客户就新建"), "flag"),
        ]

    def guess(self, header: Sequence[str]) -> dict[int, str]:
        """By the columns' names; a target is given once."""
        found: dict[int, str] = {}
        for place, name in enumerate(header):
            target = _GUESS.get(name.strip().lower())
            if target and target not in found.values():
                found[place] = target
        return found

    def check(self, mapping: Mapping[int, str], options: Mapping[str, Any]) -> list[FieldError]:
        """A person, and something to write; no target twice."""
        targets, wrong = list(mapping.values()), []
        if set(targets) - {target.name for target in self.targets()} or len(set(targets)) < len(targets):
            wrong.append(FieldError("mapping", "import.target", _("有一列的用途不对，或用了两次。"), _("重新选择。")))
        if not {"contact_id", *PERSONS} & set(targets):
            message, remedy = _("还没有选哪一列说明是谁。"), _("选手机号、unionid 等任一列。")
            wrong.append(FieldError("mapping", "import.no_person", message, remedy))
        if not set(FIELDS) & set(targets) and not (options.get("link") or options.get("create")):
            message, remedy = _("还没有选要写入的资料。"), _("选昵称、性别、联系电话或来源，或勾选关联、新建。")
            wrong.append(FieldError("mapping", "import.nothing_to_write", message, remedy))
        for kind, space in IDENTITY_SPACE.items():
            if space and kind in targets and not options.get(space):
                message = _("用 %(kind)s 时要填写 %(space)s。") % {"kind": kind, "space": space}
                wrong.append(FieldError(space, "import.no_space", message, _("填写后再开始。")))
        return wrong

    def read(self, rows: Sequence[Row], options: Mapping[str, Any], at: datetime) -> Read:
        """Two look-ups whatever the number of rows."""
        keys = {row.number: _keys(row, options) for row in rows}
        numbers = {row.number: _number(row.cells.get("contact_id", "")) for row in rows}
        by_number = gone.current([number for number in numbers.values() if number])
        by_key = identity.resolve({key for some, _wrong in keys.values() for key in some})
        made = Read()
        for row in rows:
            known, wrong = keys[row.number]
            values, more = _values(row)
            number = numbers[row.number]
            owner = by_number.get(number) if number else next((by_key[key] for key in known if key in by_key), None)
            problems = [*wrong, *more]
            if owner is None and not wrong and not (options.get("create") and known and not number):
                message, remedy = _("没有这位客户。"), _("先同步客户，检查这一行的标识，或勾选「没有的客户就新建」。")
                problems.append(
                    Problem(row.number, _named_by(row), FieldError("contact", "not_found", message, remedy))
                )
            if problems:
                made.problems += problems
                made.refused += 1
                continue
            is_claim = owner is None or bool(options.get("link") and len(known) > 1 and not number)
            made.good.append(Line(owner, tuple(known), values, bool(options.get("overwrite")), is_claim))
        return made

    def prepare(self, read: Read) -> None:
        """Nothing is needed beforehand."""

    def write(self, read: Read, at: datetime) -> Outcome:
        """Attach what is claimed, then fill in, in one pass. Rows that changed nothing count as repeats."""
        lines: list[Line] = read.good
        claiming = [line for line in lines if line.is_claim]
        changed: set[int] = set()
        if claiming:
            claims = [Claim(line.keys, Draft()) for line in claiming]
            attached = identity.attach(claims=claims, at=at, source="import")
            changed = attached.created | set(attached.fresh.values())
            for line, contact_id in zip(claiming, attached.contact_ids, strict=True):
                line.contact_id = contact_id
        now = gone.current([line.contact_id for line in lines if line.contact_id])
        for line in lines:
            # A claim of this part, or somebody beside us, may have merged the contact that the row was read for.
            line.contact_id = now.get(line.contact_id or 0, line.contact_id)
        by_contact = _together(lines)
        with profile_changes.noted(by_contact.keys(), at=at):
            rows = as_json({"id": contact_id, **values} for contact_id, values in by_contact.items())
            changed |= {contact_id for (contact_id,) in execute(_FILL, rows=rows)}
        accepted = sum(line.contact_id in changed for line in lines)
        return Outcome(accepted, duplicate=len(lines) - accepted)


def register_own() -> None:
    """Called when the app starts."""
    kinds.register(ContactRows())


def _together(lines: Sequence[Line]) -> dict[int, dict[str, Any]]:
    """Contact → what the part says of them; of rows that contradict each other the first counts, or the last one if
    the file knows better."""
    found: dict[int, dict[str, Any]] = {}
    nothing = {"name": "", "mobile": "", "gender": 0, "source_state": ""}
    for line in lines:
        said = found.setdefault(line.contact_id or 0, {**nothing, "is_better": line.is_better})
        for name, value in line.values.items():
            if line.is_better or not said[name]:
                said[name] = value
    return dict(sorted(found.items()))


def _keys(row: Row, options: Mapping[str, Any]) -> tuple[list[Key], list[Problem]]:
    keys, wrong = list[Key](), list[Problem]()
    for kind in PERSONS:
        if value := row.cells.get(kind):
            space = IDENTITY_SPACE[kind]
            ref = {kind: value, **({space: str(options.get(space) or "")} if space else {})}
            try:
                keys.append(identity.key_of(ref))
            except DomainError:
                message, remedy = _("这不是一个可用的标识。"), _("检查这一格。")
                wrong.append(Problem(row.number, kind, FieldError(kind, "import.identity", message, remedy)))
    return keys, wrong


def _values(row: Row) -> tuple[dict[str, Any], list[Problem]]:
    values, wrong = dict[str, Any](), list[Problem]()
    for name in FIELDS:
        if not (cell := row.cells.get(name, "")):
            continue
        value, error = _value(name, cell)
        if error is not None:
            wrong.append(Problem(row.number, name, error))
        else:
            values[name] = value
    return values, wrong


def _value(name: str, cell: str) -> tuple[Any, FieldError | None]:
    if name == "gender":
        gender = _GENDERS.get(cell.lower())
        message, remedy = _("看不懂这个性别。"), _("写男、女或未知。")
        return gender, FieldError(name, "import.gender", message, remedy) if gender is None else None
    if name == "mobile":
        number = spelling.canonical("phone", cell)
        fits = number.isascii() and number.isdigit() and 5 <= len(number) <= 15
        message, remedy = _("这不像电话号码。"), _("写成 13800138000 的样子。")
        return number, None if fits else FieldError(name, "import.phone", message, remedy)
    text = clean(cell, LONGEST[name] + 1)
    if len(text) > LONGEST[name]:
        message = _("最多 %(most)d 个字符。") % {"most": LONGEST[name]}
        return text, FieldError(name, "import.too_long", message, _("改短一些。"))
    return text, None


def _number(text: str) -> int | None:
    plain = text.strip().removeprefix("#")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 19 else (-1 if plain else None)


def _named_by(row: Row) -> str:
    return next((name for name in ("contact_id", *PERSONS) if row.cells.get(name)), "contact_id")
