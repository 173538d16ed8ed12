"""Points run out: expired lots leave their accounts, one transfer each."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from points.accounts import lock, open_accounts
from points.models import Lot, LotUse, PointsAccount, PointsEntry, Transfer
from scrm.lib.ids import made_id
from tenants.scope import current_brand_id

Programme = PointsAccount.Programme


def expire(*, at: datetime, limit: int = 5000) -> int:
    """Take out what expired by `at`, at most `limit` lots; returns how many. Run again while it returns `limit`.

    Scoped."""
    due = Lot.objects.filter(remaining__gt=0, expires_at__lte=at).order_by("expires_at").values_list("account_id", "id")
    rows = list(due[:limit])
    if not rows:
        return 0
    accounts = sorted({account for account, _lot in rows})
    lock(accounts)
    return expire_of(accounts=accounts, at=at, lots=[lot for _account, lot in rows])


def expire_of(*, accounts: Collection[UUID], at: datetime, lots: Sequence[UUID] | None = None) -> int:
    """Empty the expired lots of these locked accounts: one transfer each, keyed by lot, so a repeat is none. Scoped."""
    due = Lot.objects.filter(account_id__in=list(accounts), remaining__gt=0, expires_at__lte=at).order_by("account_id")
    if lots is not None:
        due = due.filter(pk__in=lots)
    rows = list(due)
    if not rows:
        return 0
    brand_id = current_brand_id()
    open_accounts(brand_id, set(), Programme.EXPIRED, at)
    balances = dict(PointsAccount.objects.filter(pk__in={lot.account_id for lot in rows}).values_list("pk", "balance"))
    programme = made_id(brand_id, "points", Programme.EXPIRED)
    transfers, entries, uses = [], [], []
    for lot in rows:
        # The moment is part of the key: a reversal may give points back to a lot that had run out before.
        key = f"expire:{lot.id}:{at.isoformat()}"
        transfer = made_id(brand_id, "transfer", key)
        balances[lot.account_id] -= lot.remaining
        transfers.append(
            Transfer(id=transfer, key=key, reason="expire", occurred_at=lot.expires_at or at, posted_at=at)
        )
        entry = made_id(transfer, lot.account_id)
        entries += [
            PointsEntry(
                id=entry,
                transfer_id=transfer,
                account_id=lot.account_id,
                amount=-lot.remaining,
                balance_after=balances[lot.account_id],
                posted_at=at,
            ),
            PointsEntry(
                id=made_id(transfer, programme),
                transfer_id=transfer,
                account_id=programme,
                amount=lot.remaining,
                posted_at=at,
            ),
        ]
        uses.append(LotUse(brand_id=brand_id, entry_id=entry, lot_id=lot.id, amount=lot.remaining))
    Transfer.objects.bulk_create(transfers)
    PointsEntry.objects.bulk_create(entries)
    LotUse.objects.bulk_create(uses)
    Lot.objects.filter(pk__in=[lot.pk for lot in rows]).update(remaining=0)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE points_pointsaccount a SET balance = b.balance
            FROM unnest(%s::uuid[], %s::bigint[]) AS b (id, balance) WHERE a.brand_id = %s AND a.id = b.id
            """,
            [list(balances), list(balances.values()), brand_id],
        )
    return len(rows)
