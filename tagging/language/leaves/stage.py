"""Conditions on the brand's own lifecycle stages, as they are kept."""

from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tagging.language import changes, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, exists
from tagging.models import LifecycleStage
from tenants import scope


class InStage(Condition):
    """{"kind": "stage", "stage": "won_back" or ["new", "won_back"], "days": 7}; with a window: since it."""

    kind = "stage"
    label = gettext_lazy("品牌阶段")
    group = "profile"
    null_rule = gettext_lazy("品牌没有设置阶段时，谁都不在任何阶段。")
    params = (Param("stage", gettext_lazy("阶段代号"), "text", required=True, many=True), *windows.PARAMS)

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
        """{stage, since}, or null."""
        in_force = _in_force(frame)
        return Sql(
            "(SELECT jsonb_build_object('stage', s.stage, 'since', s.since) FROM tagging_lifecyclespell s"  # noqa: S608
            f" WHERE s.contact_id = {frame.alias}.id AND {in_force.text})",
            in_force.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """won_back，2026-11-20 12:00 起."""
        if not actual:
            return _("还没有划分阶段")
        return _("%(stage)s，%(at)s 起") % {
            "stage": _named(actual["stage"]),
            "at": windows.local_text(actual["since"], zone),
        }

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """品牌阶段是 赢回."""
        said = _("品牌阶段是 %(stages)s") % {
            "stages": " / ".join(_named(each) for each in params.values(leaf["stage"]))
        }
        if not windows.is_said(leaf):
            return said
        return _("%(window)s 起%(said)s") % {"window": windows.phrase(leaf), "said": said}

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


def _named(key: str) -> str:
    """The stage's name; outside a scope nobody knows it, and its key has to do."""
    if not scope.is_open():
        return key
    return LifecycleStage.objects.filter(key=key).values_list("name", flat=True).first() or key
