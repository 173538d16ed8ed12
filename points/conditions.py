"""What a segment may ask about points."""

from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tagging import changes, compare, conditions
from tagging.conditions import Condition, Frame, Leaf, Names
from tagging.params import Param
from tagging.sql import Sql


class PointsBalance(Condition):
    """{"kind": "points_balance", "op": "gte", "value": 100}: usable points at the moment of asking."""

    kind = "points_balance"
    label = gettext_lazy("积分余额")
    group = "points"
    null_rule = gettext_lazy("从未有过积分的客户按 0 算。")
    params = (
        compare.OP,
        Param("value", gettext_lazy("积分"), "int", required=True, maximum=10**12, unit=gettext_lazy("积分")),
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Who holds fewer, or none, is found among those without enough: no row is a balance of 0."""
        op, value = leaf["op"], leaf["value"]
        if compare.holds(op, 0, value):
            return ~self._with_lots(compare.OPPOSITE[op], value, frame)
        return self._with_lots(op, value, frame)

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's lots."""
        return changes.by_sources("points")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the first of the open lots runs out."""
        return Sql(
            "(SELECT min(l.expires_at) FROM points_pointsaccount a"  # noqa: S608
            " JOIN points_lot l ON l.brand_id = a.brand_id AND l.account_id = a.id AND l.remaining > 0"
            f" WHERE a.brand_id = %s AND a.contact_id = {frame.alias}.id AND l.expires_at > %s)",
            (frame.brand_id, frame.at),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The balance."""
        return Sql(
            "(SELECT to_jsonb(coalesce(sum(l.remaining), 0)::bigint) FROM points_pointsaccount a"  # noqa: S608
            " JOIN points_lot l ON l.brand_id = a.brand_id AND l.account_id = a.id AND l.remaining > 0"
            f" WHERE a.brand_id = %s AND a.contact_id = {frame.alias}.id"
            " AND (l.expires_at IS NULL OR l.expires_at > %s))",
            (frame.brand_id, frame.at),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """1280 积分."""
        return _("%d 积分") % actual

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """积分余额 ≥ 100."""
        return _("积分余额 %(sign)s %(value)d") % {"sign": compare.SIGN_OF[leaf["op"]], "value": leaf["value"]}

    def _with_lots(self, op: str, value: int, frame: Frame) -> Sql:
        # Lots, not the account's balance: a lot that has run out counts no more, even before the sweep took it.
        within = " AND a.contact_id BETWEEN %s AND %s" if frame.within else ""
        return Sql(
            f"{frame.alias}.id IN (SELECT a.contact_id FROM points_pointsaccount a"  # noqa: S608 - operators are ours
            " JOIN points_lot l ON l.brand_id = a.brand_id AND l.account_id = a.id AND l.remaining > 0"
            f" WHERE a.brand_id = %s AND a.contact_id IS NOT NULL{within}"
            " AND (l.expires_at IS NULL OR l.expires_at > %s)"
            f" GROUP BY a.contact_id HAVING sum(l.remaining) {compare.SQL_OF[op]} %s)",
            (frame.brand_id, *(frame.within or ()), frame.at, value),
        )


def register() -> None:
    """Called when the app is ready."""
    conditions.register(PointsBalance())
