"""What a segment may ask about points: how many there are, how many run out soon."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from points.tiers.condition import REFERENCE, InTier
from tagging.language import changes, compare, conditions, references, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of


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
        if frame.known_at is not None:
            return compare.sql(_balance_then(frame), op, value)
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
        if frame.known_at is not None:
            return Sql(f"to_jsonb({_balance_then(frame).text})", _balance_then(frame).params)
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
        near = all_of([Sql("a.contact_id IS NOT NULL"), *frame.in_range("a.contact_id")])
        return Sql(
            f"{frame.alias}.id IN (SELECT a.contact_id FROM points_pointsaccount a"  # noqa: S608 - operators are ours
            " JOIN points_lot l ON l.brand_id = a.brand_id AND l.account_id = a.id AND l.remaining > 0"
            f" WHERE a.brand_id = %s AND {near.text}"
            " AND (l.expires_at IS NULL OR l.expires_at > %s)"
            f" GROUP BY a.contact_id HAVING sum(l.remaining) {compare.SQL_OF[op]} %s)",
            (frame.brand_id, *near.params, frame.at, value),
        )


class PointsExpiring(Condition):
    """{"kind": "points_expiring", "days": 30, "op": "gte", "value": 1}: usable points that run out within the days."""

    kind = "points_expiring"
    label = gettext_lazy("快到期的积分")
    group = "points"
    null_rule = gettext_lazy("没有快到期积分的客户按 0 算；不会到期的积分不计。")
    has_history = False
    params = (
        Param("days", gettext_lazy("几天内到期"), "int", required=True, minimum=1, maximum=3650, default=30),
        compare.OP,
        Param("value", gettext_lazy("积分"), "int", required=True, maximum=10**12, unit=gettext_lazy("积分")),
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Found among the lots that run out; no such lot is 0."""
        op, value = leaf["op"], leaf["value"]
        if compare.holds(op, 0, value):
            return ~self._with_lots(compare.OPPOSITE[op], value, leaf, frame)
        return self._with_lots(op, value, leaf, frame)

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's points."""
        return changes.by_sources("points")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When a lot comes within the days, or runs out."""
        days = timedelta(days=leaf["days"])
        return Sql(
            "(SELECT min(CASE WHEN l.expires_at - %s > %s THEN l.expires_at - %s ELSE l.expires_at END)"
            f"{_LOTS} WHERE a.brand_id = %s AND a.contact_id = {frame.alias}.id AND l.expires_at > %s)",
            (days, frame.at, days, frame.brand_id, frame.at),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{points, first: when the first of them run out}."""
        return Sql(
            "(SELECT jsonb_build_object('points', coalesce(sum(l.remaining), 0), 'first', min(l.expires_at))"
            f"{_LOTS} WHERE a.brand_id = %s AND a.contact_id = {frame.alias}.id"
            " AND l.expires_at > %s AND l.expires_at <= %s)",
            (frame.brand_id, frame.at, frame.at + timedelta(days=leaf["days"])),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """400 积分，最早 2026-12-01 00:00 到期."""
        if not actual["points"]:
            return _("没有")
        first = windows.local_text(actual["first"], zone)
        return _("%(n)d 积分，最早 %(first)s 到期") % {"n": actual["points"], "first": first}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """30 天内到期的积分 ≥ 1."""
        said = ngettext(
            "%(days)d 天内到期的积分 %(sign)s %(value)d", "%(days)d 天内到期的积分 %(sign)s %(value)d", leaf["days"]
        )
        return said % {"days": leaf["days"], "sign": compare.SIGN_OF[leaf["op"]], "value": leaf["value"]}

    def _with_lots(self, op: str, value: int, leaf: Leaf, frame: Frame) -> Sql:
        near = all_of([Sql("a.contact_id IS NOT NULL"), *frame.in_range("a.contact_id")])
        return Sql(
            f"{frame.alias}.id IN (SELECT a.contact_id{_LOTS}"
            f" WHERE a.brand_id = %s AND {near.text} AND l.expires_at > %s AND l.expires_at <= %s"
            f" GROUP BY a.contact_id HAVING sum(l.remaining) {compare.SQL_OF[op]} %s)",
            (frame.brand_id, *near.params, frame.at, frame.at + timedelta(days=leaf["days"]), value),
        )


_LOTS = (
    " FROM points_pointsaccount a"
    " JOIN points_lot l ON l.brand_id = a.brand_id AND l.account_id = a.id AND l.remaining > 0"
)


def _balance_then(frame: Frame) -> Sql:
    """Usable points at a past moment: what had been posted by then, without lots that had run out unswept."""
    at, who = frame.known_at, f"{frame.alias}.id"
    mine = f"a.brand_id = %s AND a.contact_id = {who}"
    return Sql(
        "(coalesce((SELECT sum(n.amount) FROM points_pointsaccount a JOIN points_pointsentry n"  # noqa: S608
        f"  ON n.brand_id = a.brand_id AND n.account_id = a.id WHERE {mine} AND n.posted_at <= %s), 0)"
        " + coalesce((SELECT sum(n.amount) FROM points_pointsaccount a JOIN points_pointsentry n"
        "  ON n.brand_id = a.brand_id AND n.account_id = a.id"
        "  JOIN points_transfer t ON t.brand_id = n.brand_id AND t.id = n.transfer_id"
        f"  WHERE {mine} AND t.reason = 'expire' AND t.occurred_at <= %s AND n.posted_at > %s), 0)"
        f" - coalesce((SELECT sum(l.remaining){_LOTS} WHERE {mine} AND l.expires_at <= %s), 0))::bigint",
        (frame.brand_id, at, frame.brand_id, at, at, frame.brand_id, at),
    )


def register() -> None:
    """Called when the app is ready."""
    conditions.register(PointsBalance())
    conditions.register(PointsExpiring())
    conditions.register(InTier())
    references.register("tier", REFERENCE)
