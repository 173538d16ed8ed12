"""What a segment may ask about tiers: which one, and since when."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from points.models import Tier
from scrm.lib.errors import FieldError
from tagging.language import changes, params, references, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, exists

OPS = (
    ("is", gettext_lazy("是")),
    ("is_not", gettext_lazy("不是")),
    ("at_least", gettext_lazy("不低于")),
)


class InTier(Condition):
    """{"kind": "tier", "op": "is", "tier": "gold" or ["gold", "black"], "days": 30}; with a window: came to it then.

    No tier said: any; so "is_not" without one asks for who has none."""

    kind = "tier"
    label = gettext_lazy("会员等级")
    group = "points"
    null_rule = gettext_lazy("没有等级的客户不符合“是”和“不低于”，符合“不是”。")
    params = (
        Param("op", gettext_lazy("比较"), "choice", choices=OPS, default="is"),
        Param("tier", gettext_lazy("等级"), "tier", many=True),
        *windows.PARAMS,
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The window must be possible; "at least" needs one tier."""
        yield from windows.check(leaf, path)
        if leaf.get("op") == "at_least" and len(params.values(leaf.get("tier") or [])) != 1:
            yield FieldError(
                f"{path}.tier", "tagging.missing_field", _("“不低于”要指定一个等级。"), _("只填一个等级的代号。")
            )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the spells in force."""
        made = [*self._in_force(frame), self._wanted(leaf, frame), Sql(f"s.contact_id = {frame.alias}.id")]
        made += frame.in_range("s.contact_id")
        if windows.is_said(leaf):
            made += windows.inside("s.held_since", frame.window(leaf))
        found = exists(self._spells(frame), made)
        return ~found if leaf.get("op") == "is_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's spells."""
        return changes.by_sources("points")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the day they came to the tier leaves the window; the tier itself changes by being written."""
        if not windows.is_said(leaf):
            return None
        flip, spells = changes.row_flip(leaf, frame, "s.held_since"), self._spells(frame)
        where = all_of([*self._in_force(frame), self._wanted(leaf, frame), Sql(f"s.contact_id = {frame.alias}.id")])
        return Sql(
            f"(SELECT min({flip.text}) FROM {spells.text} WHERE {where.text})",  # noqa: S608
            (*flip.params, *spells.params, *where.params),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{tier, name, since, ends_at, metric}, or null."""
        spells, where = self._spells(frame), all_of([*self._in_force(frame), Sql("s.tier <> ''")])
        return Sql(
            "(SELECT jsonb_build_object('tier', s.tier, 'name', coalesce(t.name, s.tier), 'since', s.held_since,"  # noqa: S608
            f" 'ends_at', s.ends_at, 'metric', s.metric) FROM {spells.text}"
            " LEFT JOIN points_tier t ON t.brand_id = s.brand_id AND t.code = s.tier"
            f" WHERE {where.text} AND s.contact_id = {frame.alias}.id)",
            (*spells.params, *where.params),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """金卡，2026-11-20 12:00 起."""
        if not actual:
            return _("没有等级")
        return _("%(tier)s，%(at)s 起") % {
            "tier": actual["name"],
            "at": windows.local_text(actual["since"], zone),
        }

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """会员等级是 金卡; 近 30 天 起会员等级不低于 银卡."""
        said = self._said(leaf, names)
        if not windows.is_said(leaf):
            return said
        return _("%(said)s（%(window)s 达到）") % {"window": windows.phrase(leaf), "said": said}

    def _said(self, leaf: Leaf, names: Names) -> str:
        op, tier = leaf.get("op") or "is", leaf.get("tier")
        if tier is None:
            return _("没有会员等级") if op == "is_not" else _("有会员等级")
        said = {"is": _("会员等级是 %(tiers)s"), "is_not": _("会员等级不是 %(tiers)s")}
        return said.get(op, _("会员等级不低于 %(tiers)s")) % {"tiers": names.of("tier", tier)}

    def _wanted(self, leaf: Leaf, frame: Frame) -> Sql:
        tier = leaf.get("tier")
        if tier is None:
            return Sql("s.tier <> ''")
        if leaf.get("op") == "at_least":
            # Thresholds rise with the position. A tier that is no more is reached by nobody.
            return Sql(
                "s.tier = ANY (ARRAY(SELECT t.code FROM points_tier t JOIN points_tier l ON l.brand_id = t.brand_id"
                " AND l.position <= t.position WHERE l.brand_id = %s AND l.code = %s))",
                (frame.brand_id, params.values(tier)[0]),
            )
        return Sql("s.tier = ANY (%s::text[])", (params.values(tier),))

    def _in_force(self, frame: Frame) -> list[Sql]:
        """The open spell; of the past, the last that had been written by then."""
        made = [Sql("s.brand_id = %s", (frame.brand_id,))]
        return made if frame.known_at is not None else [*made, Sql("s.until IS NULL")]

    def _spells(self, frame: Frame) -> Sql:
        if frame.known_at is None:
            return Sql("points_tierspell s")
        return Sql(
            f"(SELECT * FROM points_tierspell p WHERE p.brand_id = %s AND p.contact_id = {frame.alias}.id"  # noqa: S608
            " AND p.noted_at <= %s ORDER BY p.since DESC LIMIT 1) s",
            (frame.brand_id, frame.known_at),
        )


REFERENCE = references.Rows(
    Tier.objects.all,
    gettext_lazy("会员等级"),
    gettext_lazy("填一个现有等级的代号，先在「会员等级」里建好。"),
    order="position",
)
