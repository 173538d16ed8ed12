"""Rows of a file as tags: who, which tag, until when. A repeat gives nothing twice; unknown persons are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts import gone
from contacts.oneid import identity
from events.imports import kinds
from events.imports.kinds import Option, Outcome, Problem, Read, Row, Target
from scrm.lib.errors import DomainError, FieldError, Text
from tagging import giving
from tagging.grants import Grant
from tagging.language.params import is_clean_text
from tagging.models import ContactTag, Tag
from tagging.tags import MAX_NAME
from tenants.models import Brand
from tenants.scope import current_brand_id

PERSONS: dict[str, Text] = {
    "unionid": gettext_lazy("unionid"),
    "external_userid": gettext_lazy("企微客户 external_userid"),
    "phone": gettext_lazy("手机号"),
    "member_id": gettext_lazy("会员号"),
}
_NAMES = {
    "contact_id": ("contact_id", "客户id", "客户编号"),
    "unionid": ("unionid",),
    "external_userid": ("external_userid",),
    "phone": ("phone", "mobile", "手机", "手机号"),
    "member_id": ("member_id", "会员号"),
    "group": ("group", "分组", "标签组"),
    "tag": ("tag", "标签", "标签名"),
    "expires_at": ("expires_at", "到期", "到期时间", "到期日"),
}
_GUESS = {name: target for target, names in _NAMES.items() for name in names}


@dataclass(frozen=True, slots=True)
class Line:
    """One good row."""

    contact_id: int
    group: str
    tag: str
    expires_at: datetime | None


class TagRows:
    """The kind "tags"."""

    name = "tags"
    scope = "tags:write"
    label: Text = gettext_lazy("标签")
    hint: Text = gettext_lazy("每行一位客户和一个标签。没有的标签会建好；已有标签的客户不会重复打。")

    def targets(self) -> list[Target]:
        """Who, and which tag."""
        who, what = gettext_lazy("是谁"), gettext_lazy("标签")
        return [
            Target("contact_id", gettext_lazy("客户 ID"), who),
            *(Target(name, label, who) for name, label in PERSONS.items()),
            Target("group", gettext_lazy("标签分组"), what),
            Target("tag", gettext_lazy("标签名"), what),
            Target("expires_at", gettext_lazy("到期时间"), what),
        ]

    def options(self) -> list[Option]:
        """One tag for all rows, and the corp of external userids."""
        return [
            Option("tag", gettext_lazy("所有行都打这个标签"), "text", help=gettext_lazy("写“分组·名称”，或名称。")),
            Option("corpid", gettext_lazy("企业 corpid"), "text", help=gettext_lazy("用 external_userid 时填写。")),
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
        """A person and a tag are needed; no target twice."""
        targets, wrong = list(mapping.values()), []
        if set(targets) - {target.name for target in self.targets()} or len(set(targets)) < len(targets):
            wrong.append(FieldError("mapping", "import.target", _("有一列的用途不对，或用了两次。"), _("重新选择。")))
        if not {"contact_id", *PERSONS} & set(targets):
            wrong.append(
                FieldError(
                    "mapping", "import.no_person", _("还没有选哪一列说明是谁。"), _("选手机号、unionid 等任一列。")
                )
            )
        if "tag" not in targets and not str(options.get("tag") or "").strip():
            wrong.append(FieldError("tag", "import.no_tag", _("还没有说明是哪个标签。"), _("选一列，或写一个标签。")))
        if "external_userid" in targets and not options.get("corpid"):
            wrong.append(
                FieldError("corpid", "import.no_space", _("用 external_userid 时要写 corpid。"), _("填企业 corpid。"))
            )
        return wrong

    def read(self, rows: Sequence[Row], options: Mapping[str, Any], at: datetime) -> Read:
        """Two look-ups whatever the number of rows."""
        zone = ZoneInfo(Brand.objects.values_list("timezone", flat=True).get(pk=current_brand_id()))
        people = _people(rows, options)
        made = Read()
        for row in rows:
            line, problems = _line(row, people.get(row.number), options, zone, at)
            if line is None:
                made.problems += problems
                made.refused += 1
            else:
                made.good.append(line)
        return made

    def prepare(self, read: Read) -> None:
        """Nothing is needed beforehand."""

    def write(self, read: Read, at: datetime) -> Outcome:
        """Make the tags that are missing, then give all of them in one pass."""
        lines: list[Line] = read.good
        tags = {
            pair: Tag.objects.get_or_create(group=pair[0], name=pair[1], defaults={"created_at": at})[0].pk
            for pair in sorted({(line.group, line.tag) for line in lines})
        }
        # Between reading and writing somebody may have been merged into another.
        now = gone.current({line.contact_id for line in lines})
        grants = [
            Grant(now[line.contact_id], tags[line.group, line.tag], line.expires_at, {"import": True})
            for line in lines
            if line.contact_id in now
        ]
        given = giving.give(grants=grants, source=ContactTag.Source.IMPORT, at=at)
        return Outcome(len(given), duplicate=len(lines) - len(given))


def register_own() -> None:
    """Called when the app starts."""
    kinds.register(TagRows())


def _people(rows: Sequence[Row], options: Mapping[str, Any]) -> dict[int, int]:
    """Row number → contact, of rows whose person is known."""
    said_ids = {row.number: row.cells.get("contact_id", "") for row in rows}
    ids = {
        number: int(text) for number, text in said_ids.items() if text.isascii() and text.isdigit() and len(text) < 19
    }
    known = gone.current(set(ids.values()))
    keys: dict[int, identity.Key] = {}
    for row in rows:
        said = next((kind for kind in PERSONS if row.cells.get(kind)), None)
        if said is None or row.number in ids:
            continue
        ref = {said: row.cells[said]}
        if said == "external_userid":
            ref["corpid"] = str(options.get("corpid") or "")
        try:
            keys[row.number] = identity.key_of(ref)
        except DomainError:
            continue  # not a possible identity: nobody's
    by_key = identity.resolve(keys.values())
    found = {number: known[contact] for number, contact in ids.items() if contact in known}
    return found | {number: by_key[key] for number, key in keys.items() if key in by_key}


def _line(
    row: Row, contact_id: int | None, options: Mapping[str, Any], zone: ZoneInfo, at: datetime
) -> tuple[Line | None, list[Problem]]:
    wrong: list[Problem] = []
    if contact_id is None:
        error = FieldError("contact", "not_found", _("没有这位客户。"), _("先同步客户，或检查这一行的编号。"))
        wrong.append(Problem(row.number, "contact_id", error))
    group, name = row.cells.get("group", "").strip(), row.cells.get("tag", "").strip()
    if not name:
        said = str(options.get("tag") or "").strip()
        head, dot, tail = said.partition("·")
        group, name = (head, tail) if dot else (group, said)
    if not is_clean_text(name) or len(name) > MAX_NAME or len(group) > MAX_NAME:
        error = FieldError(
            "tag", "tagging.bad_name", _("标签的名称和分组最长 30 个字符，名称不能为空。"), _("改短一些。")
        )
        wrong.append(Problem(row.number, "tag", error))
    expires_at = _moment(row.cells.get("expires_at", ""), zone)
    if row.cells.get("expires_at") and (expires_at is None or expires_at <= at):
        error = FieldError(
            "expires_at", "tagging.past_expiry", _("到期时间看不懂，或已经过去。"), _("例如 2027-01-31。")
        )
        wrong.append(Problem(row.number, "expires_at", error))
    if wrong or contact_id is None:
        return None, wrong
    return Line(contact_id, group, name, expires_at), []


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    """A moment, or the end of a day in the brand's time."""
    try:
        moment = parse_datetime(text.strip())
        day = parse_date(text.strip().replace("/", "-")) if moment is None or len(text.strip()) <= 10 else None
    except ValueError:
        return None
    if day is not None:
        return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=zone)
    return moment.replace(tzinfo=moment.tzinfo or zone) if moment else None
