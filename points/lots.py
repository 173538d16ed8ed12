"""Lots: what grants left on an account, used up first to expire first."""

from uuid import UUID

from django.db import connection

from points.models import Lot, LotUse


def use(account: UUID, entry: UUID, points: int) -> None:
    """Take `points` from the account's open lots, first to expire first; the lots must have them. Scoped."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO points_lotuse (brand_id, entry_id, lot_id, amount)
            SELECT brand_id, %s, id, least(remaining, %s - before) FROM (
                SELECT brand_id, id, remaining, sum(remaining) OVER (
                    ORDER BY expires_at NULLS LAST, earned_at, id ROWS UNBOUNDED PRECEDING) - remaining AS before
                FROM points_lot WHERE account_id = %s AND remaining > 0) open
            WHERE before < %s
            """,
            [entry, points, account, points],
        )
        cursor.execute(
            """
            UPDATE points_lot l SET remaining = l.remaining - u.amount
            FROM points_lotuse u WHERE u.entry_id = %s AND l.id = u.lot_id AND l.brand_id = u.brand_id
            """,
            [entry],
        )


def give_back(use: LotUse) -> None:
    """Put back into its lot what a use took, with the expiry the lot had. Scoped, the account locked."""
    lot = Lot.objects.get(pk=use.lot_id)
    Lot.objects.filter(pk=lot.pk).update(remaining=lot.remaining + use.amount)
