"""Where a contact stands with the brand: visitor, new, active, silent, lost.

visitor  never befriended a guide (known from the mini-program only)
lost     befriended once, no guide is followed any more
new      befriended less than 7 days ago
active   did something within the last 30 days
silent   the others, also those who never did anything
The first that fits, in the order lost, visitor, new, active, silent."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.models import Contact
from scrm.lib.errors import FieldError, Text
from tagging.language import changes, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of

NEW_DAYS = 7
SILENT_DAYS = 30
STAGES: tuple[tuple[str, Text], ...] = (
    ("visitor", gettext_lazy("访客")),
    ("new", gettext_lazy("新客")),
    ("active", gettext_lazy("活跃")),
    ("silent", gettext_lazy("沉默")),
    ("lost", gettext_lazy("流失")),
)
LOST_OPS = (("is", gettext_lazy("已流失")), ("is_not", gettext_lazy("未流失")))


def stage_of(contact: Contact, *, at: datetime, silent_days: int = SILENT_DAYS) -> str:
    """The stage of one contact in hand; the same rules as in SQL."""
    if contact.lost_at is not None:
        return "lost"
    if contact.first_added_at is None:
        return "visitor"
    if contact.first_added_at >= at - timedelta(days=NEW_DAYS):
        return "new"
    if contact.last_active_at is not None and contact.last_active_at >= at - timedelta(days=silent_days):
        return "active"
    return "silent"


class Lifecycle(Condition):
    """{"kind": "lifecycle", "stage": "silent" or ["new", "active"], "silent_days": 30}."""

    kind = "lifecycle"
    label = gettext_lazy("阶段")
    group = "profile"
    null_rule = gettext_lazy("每位客户总在一个阶段：访客（从未加好友）、流失、新客（7 天内添加）、活跃、沉默。")
    params = (
        Param("stage", gettext_lazy("阶段"), "choice", required=True, many=True, choices=STAGES),
        Param(
            "silent_days",
            gettext_lazy("几天没有互动算沉默"),
            "int",
            minimum=1,
            maximum=windows.MAX_DAYS,
            default=SILENT_DAYS,
        ),
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """The stage's own columns; one pass over the contacts."""
        stage = _stage(leaf, frame)
        return Sql(f"{stage.text} = ANY (%s::text[])", (*stage.params, params.values(leaf["stage"])))

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's own row."""
        return changes.by_sources("contact")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When a new one is no longer new, or an active one becomes silent."""
        silent = timedelta(days=leaf.get("silent_days") or SILENT_DAYS)
        ends = (("first_added_at", timedelta(days=NEW_DAYS)), ("last_active_at", silent))
        return changes.earliest([changes.passing(f"{frame.alias}.{name}", long, frame.at) for name, long in ends])

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{stage, last_active_at}."""
        stage = _stage(leaf, frame)
        alias = frame.alias
        return Sql(
            f"jsonb_build_object('stage', {stage.text}, 'last_active_at', {alias}.last_active_at,"
            f" 'first_added_at', {alias}.first_added_at, 'lost_at', {alias}.lost_at)",
            stage.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """沉默，最近互动 2026-10-15 09:00."""
        stage = str(dict(STAGES)[actual["stage"]])
        if actual["last_active_at"] is None:
            return _("%(stage)s，没有互动过") % {"stage": stage}
        return _("%(stage)s，最近互动 %(at)s") % {
            "stage": stage,
            "at": windows.local_text(actual["last_active_at"], zone),
        }

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """阶段是 沉默（30 天没有互动）."""
        labels = dict(STAGES)
        stages = " / ".join(str(labels[stage]) for stage in params.values(leaf["stage"]))
        said = _("阶段是 %(stages)s") % {"stages": stages}
        if leaf.get("silent_days") is None:
            return said
        return _("%(said)s（%(time)s没有互动算沉默）") % {"said": said, "time": windows.span(leaf["silent_days"])}


class Lost(Condition):
    """{"kind": "lost", "op": "is", "days": 30}: no guide is followed any more, since within the window."""

    kind = "lost"
    label = gettext_lazy("流失")
    group = "relation"
    null_rule = gettext_lazy("从未加过好友的客户算未流失。")
    params = (Param("op", gettext_lazy("比较"), "choice", choices=LOST_OPS, default="is"), *windows.PARAMS)

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The window must be possible."""
        yield from windows.check(leaf, path)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """On the contact's lost_at."""
        window = frame.window(leaf)
        column = f"{frame.alias}.lost_at"
        found = Sql(f"{column} IS NOT NULL")
        if windows.is_said(leaf):
            found = all_of([found, *windows.inside(column, window)])
        return ~found if leaf.get("op") == "is_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's own row."""
        return changes.by_sources("contact")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the loss leaves the window."""
        return changes.row_flip(leaf, frame, f"{frame.alias}.lost_at")

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """lost_at, or null."""
        return Sql(f"to_jsonb({frame.alias}.lost_at)")

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """2026-10-15 09:00 流失."""
        return _("%(at)s 流失") % {"at": windows.local_text(actual, zone)} if actual else _("未流失")

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 30 天 流失; 未流失."""
        lost = leaf.get("op") != "is_not"
        if not windows.is_said(leaf):
            return _("已流失") if lost else _("未流失")
        said = _("%(window)s 流失") if lost else _("%(window)s 没有流失")
        return said % {"window": windows.phrase(leaf)}


def _stage(leaf: Leaf, frame: Frame) -> Sql:
    alias = frame.alias
    silent = leaf.get("silent_days") or SILENT_DAYS
    return Sql(
        f"(CASE WHEN {alias}.lost_at IS NOT NULL THEN 'lost' WHEN {alias}.first_added_at IS NULL THEN 'visitor'"
        f" WHEN {alias}.first_added_at >= %s THEN 'new' WHEN {alias}.last_active_at >= %s THEN 'active'"
        " ELSE 'silent' END)",
        (frame.at - timedelta(days=NEW_DAYS), frame.at - timedelta(days=silent)),
    )
