"""Conditions on the brand's own lifecycle stages, as they are kept."""

from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tagging.language import changes, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, exists


class InStage(Condition):
    """{"kind": "stage", "stage": "won_back" or ["new", "won_back"], "days": 7}; with a window: since it."""

    kind = "stage"
    label = gettext_lazy("品牌阶段")
    group = "profile"
    null_rule = gettext_lazy("品牌没有设置阶段时，谁都不在任何阶段。")
    params = (Param("stage", gettext_lazy("阶段"), "stage", required=True, many=True), *windows.PARAMS)

    def check(self, leaf: Leaf, path: str) -> Any:
        """The window must be possible."""
        yield from windows.check(leaf, path)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the open spells."""
        return exists("tagging_lifecyclespell s", self._spell(leaf, frame))

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """A move is an event; a first stage, and what changed stages make of somebody, is none."""
        return changes.by_events("lifecycle_changed") | changes.by_sources("stage")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the beginning of the spell leaves the window."""
        if not windows.is_said(leaf):
            return None
        flip, where = changes.row_flip(leaf, frame, "s.since"), all_of(self._open(leaf, frame))
        return Sql(
            f"(SELECT min({flip.text}) FROM tagging_lifecyclespell s WHERE {where.text})",  # noqa: S608
            (*flip.params, *where.params),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{stage, name, since}, or null."""
        in_force = _in_force(frame)
        return Sql(
            "(SELECT jsonb_build_object('stage', s.stage, 'name', coalesce(g.name, s.stage), 'since', s.since)"  # noqa: S608
            " FROM tagging_lifecyclespell s"
            " LEFT JOIN tagging_lifecyclestage g ON g.brand_id = s.brand_id AND g.key = s.stage"
            f" WHERE s.contact_id = {frame.alias}.id AND {in_force.text})",
            in_force.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """赢回，2026-11-20 12:00 起."""
        if not actual:
            return _("还没有划分阶段")
        return _("%(stage)s，%(at)s 起") % {
            "stage": actual["name"] or _("未归类"),
            "at": windows.local_text(actual["since"], zone),
        }

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """品牌阶段是 赢回."""
        said = _("品牌阶段是 %(stages)s") % {"stages": names.of("stage", leaf["stage"])}
        if not windows.is_said(leaf):
            return said
        return _("%(said)s（%(window)s 进入）") % {"window": windows.phrase(leaf), "said": said}

    def _open(self, leaf: Leaf, frame: Frame) -> list[Sql]:
        return [
            _in_force(frame),
            Sql("s.stage = ANY (%s::text[])", (params.values(leaf["stage"]),)),
            Sql(f"s.contact_id = {frame.alias}.id"),
            *frame.in_range("s.contact_id"),
        ]

    def _spell(self, leaf: Leaf, frame: Frame) -> list[Sql]:
        made = self._open(leaf, frame)
        return [*made, *windows.inside("s.since", frame.window(leaf))] if windows.is_said(leaf) else made


def _in_force(frame: Frame) -> Sql:
    """Spells that are open, or were at the moment that is asked about."""
    if frame.known_at is None:
        return Sql("s.brand_id = %s AND s.until IS NULL", (frame.brand_id,))
    return Sql(
        "s.brand_id = %s AND s.since <= %s AND (s.until IS NULL OR s.until > %s)",
        (frame.brand_id, frame.known_at, frame.known_at),
    )
