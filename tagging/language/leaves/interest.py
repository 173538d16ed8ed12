"""Conditions on what contacts are drawn to."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError
from tagging.language import changes, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, exists
from tagging.models.interests import CATEGORY, HALF_LIFE_DAYS, PRODUCT

OPS = (("gte", gettext_lazy("≥")), ("lt", gettext_lazy("<")))


class Interest(Condition):
    """{"kind": "interest", "category": "婴童" (or "product_id": "A1"; a list: any of), "op": "gte", "value": 3}.

    `value` is in hundredths of a point, a whole number: 300 is a score of 3."""

    kind = "interest"
    label = gettext_lazy("兴趣分")
    group = "behaviour"
    null_rule = gettext_lazy("没有看过的客户兴趣分是 0。")
    has_history = False
    params = (
        Param("category", gettext_lazy("品类"), "text", many=True),
        Param("product_id", gettext_lazy("商品"), "text", many=True),
        Param("op", gettext_lazy("比较"), "choice", choices=OPS, default="gte"),
        Param(
            "value",
            gettext_lazy("兴趣分"),
            "int",
            required=True,
            minimum=1,
            maximum=10**9,
            unit=gettext_lazy("百分之一分"),
        ),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """Exactly one of category and product_id."""
        if (leaf.get("category") is None) == (leaf.get("product_id") is None):
            yield FieldError(
                f"{path}.category",
                "tagging.missing_field",
                _("要写 category 或 product_id 中的一个。"),
                _("写品类的名称，或商品的编号。"),
            )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the scores, faded to now."""
        now = self._now(frame)
        enough = Sql(f"{now.text} >= %s", (*now.params, leaf["value"] / 100))
        found = exists("tagging_interestscore s", [*self._mine(leaf, frame), enough])
        return ~found if leaf.get("op") == "lt" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's scores: reckoned from events, and all anew when the brand weighs them otherwise."""
        return changes.by_sources("interest")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the first of the scores that are high enough has faded to the threshold."""
        now, half = self._now(frame), self._half(frame)
        value = leaf["value"] / 100
        where = all_of([*self._mine(leaf, frame), Sql(f"{now.text} >= %s", (*now.params, value))])
        return Sql(
            f"(SELECT min(s.as_of + make_interval(secs => {half.text} * log(2, (s.score / %s)::numeric)::float8))"  # noqa: S608
            f" FROM tagging_interestscore s WHERE {where.text})",
            (*half.params, value, *where.params),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The highest of the scores with its heaviest events: {key, score, top}, or null."""
        now, where = self._now(frame), all_of(self._mine(leaf, frame))
        return Sql(
            f"(SELECT jsonb_build_object('key', s.key, 'score', {now.text}, 'as_of', s.as_of, 'top', s.top)"  # noqa: S608
            f" FROM tagging_interestscore s WHERE {where.text} ORDER BY {now.text} DESC LIMIT 1)",
            (*now.params, *where.params, *now.params),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """婴童 3.2 分，最近 2026-11-20 12:00."""
        if not actual:
            return _("没有看过")
        return _("%(key)s %(score)s 分，最近 %(at)s") % {
            "key": actual["key"],
            "score": f"{actual['score']:.1f}",
            "at": windows.local_text(actual["as_of"], zone),
        }

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """对 婴童 的兴趣分 ≥ 3."""
        subject = leaf.get("category") if leaf.get("product_id") is None else leaf.get("product_id")
        return _("对 %(subject)s 的兴趣分 %(op)s %(value)s") % {
            "subject": " / ".join(str(each) for each in params.values(subject)),
            "op": dict(OPS)[leaf.get("op") or "gte"],
            "value": f"{leaf['value'] / 100:g}",
        }

    def _mine(self, leaf: Leaf, frame: Frame) -> list[Sql]:
        kind, field = (CATEGORY, "category") if leaf.get("product_id") is None else (PRODUCT, "product_id")
        return [
            Sql("s.brand_id = %s AND s.kind = %s", (frame.brand_id, kind)),
            Sql("s.key = ANY (%s::text[])", (params.values(leaf[field]),)),
            Sql(f"s.contact_id = {frame.alias}.id"),
            *frame.in_range("s.contact_id"),
        ]

    def _now(self, frame: Frame) -> Sql:
        half = self._half(frame)
        return Sql(
            f"s.score * power(2, -extract(epoch FROM %s::timestamptz - s.as_of)::float8 / {half.text})",
            (frame.at, *half.params),
        )

    def _half(self, frame: Frame) -> Sql:
        """Seconds; asked once per statement."""
        usual = timedelta(days=HALF_LIFE_DAYS).total_seconds()
        return Sql(
            "coalesce((SELECT p.half_life_days * 86400 FROM tagging_interestpolicy p WHERE p.brand_id = %s), %s)",
            (frame.brand_id, usual),
        )
