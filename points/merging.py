"""How points follow a merge of contacts: the books are append-only, so by transfers, lot for lot.

Each open lot of the loser's goes to the survivor with its expiry, as a transfer of its own (reason `merge`). A split
moves what is left of these lots back into the lots they came from (reason `split`): what was spent or ran out
meanwhile is the survivor's. Nothing is issued or redeemed by either, and the log tells of neither."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from contacts.merging import FROM, Pairs, register
from contacts.models import Merge, MergeMoved
from contacts.sets import as_array, as_json, execute
from points.accounts import lock
from points.models import Lot, LotUse, PointsAccount, PointsEntry, Transfer
from scrm.lib.ids import made_id

KIND = "points"

OPEN = f"""
SELECT p.merge_id, a.id, a.balance, b.id, b.balance, l.id, l.remaining
FROM {FROM}
JOIN points_pointsaccount a ON a.brand_id = %(brand)s AND a.contact_id = p.loser
JOIN points_lot l ON l.brand_id = %(brand)s AND l.account_id = a.id AND l.remaining > 0
JOIN points_pointsaccount b ON b.brand_id = %(brand)s AND b.contact_id = p.survivor
ORDER BY a.id, l.expires_at NULLS LAST, l.earned_at, l.id
"""  # noqa: S608
MOVED = f"""
SELECT p.merge_id, a.id, a.balance, b.id, b.balance, l.id, l.remaining, k.lot
FROM {FROM}
JOIN contacts_mergemoved j ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{KIND}'
CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (lot uuid, made uuid)
JOIN points_lot l ON l.brand_id = %(brand)s AND l.id = k.made AND l.remaining > 0
JOIN points_pointsaccount a ON a.brand_id = %(brand)s AND a.id = l.account_id
JOIN points_pointsaccount b ON b.brand_id = %(brand)s AND b.contact_id = p.loser
ORDER BY a.id, l.expires_at NULLS LAST, l.earned_at, l.id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Move:
    """The rest of one lot goes from an account to another."""

    merge_id: int
    source: UUID
    target: UUID
    lot: UUID
    points: int
    source_balance: int
    target_balance: int
    """both after the move"""
    transfer: UUID
    home: UUID | None = None
    """the lot that takes the points back; none: a new one is made"""

    @property
    def out_entry(self) -> UUID:
        """The entry that takes."""
        return made_id(self.transfer, self.source)

    @property
    def in_entry(self) -> UUID:
        """The entry that gives, and the id of the new lot."""
        return made_id(self.transfer, self.target)


class Points:
    """The follower of accounts, lots and entries."""

    name = "points_pointsaccount"

    def merge(self, pairs: Pairs) -> None:
        """Open the survivors' accounts and move the open lots."""
        pairs.write(
            f"""INSERT INTO points_pointsaccount (brand_id, id, contact_id, code, balance, opened_at)
                SELECT %(brand)s, made_id(concat_ws(':', %(brand)s::bigint, 'points', p.survivor)), p.survivor,
                       '', 0, %(at)s
                FROM {FROM} JOIN points_pointsaccount a
                  ON a.brand_id = %(brand)s AND a.contact_id = p.loser AND a.balance > 0
                ORDER BY 2 ON CONFLICT DO NOTHING"""  # noqa: S608
        )
        _lock_accounts(pairs)
        moves = _moves(pairs.ask(OPEN))
        if not moves:
            return
        _post(moves, reason="merge", at=pairs.at)
        execute(
            """INSERT INTO points_lot (brand_id, id, account_id, amount, remaining, expires_at, earned_at)
               SELECT l.brand_id, r.made, r.target, r.points, r.points, l.expires_at, l.earned_at
               FROM json_to_recordset(%(rows)s) AS r (lot uuid, made uuid, target uuid, points bigint)
               JOIN points_lot l ON l.brand_id = %(brand)s AND l.id = r.lot""",
            brand=pairs.brand,
            rows=as_json({"lot": m.lot, "made": m.in_entry, "target": m.target, "points": m.points} for m in moves),
        )
        _empty(moves, pairs.brand)
        journal: dict[int, list[dict[str, str]]] = defaultdict(list)
        for move in moves:
            journal[move.merge_id].append({"lot": str(move.lot), "made": str(move.in_entry)})
        kept = {row.merge_id: row.rows for row in MergeMoved.objects.filter(merge__in=journal, kind=KIND)}
        MergeMoved.objects.bulk_create(
            [
                MergeMoved(brand_id=pairs.brand, merge_id=merge_id, kind=KIND, rows=kept.get(merge_id, []) + rows)
                for merge_id, rows in journal.items()
            ],
            update_conflicts=True,
            unique_fields=["brand", "merge", "kind"],
            update_fields=["rows"],
        )

    def split(self, pairs: Pairs) -> None:
        """Move what is left of the moved lots back into theirs."""
        _lock_accounts(pairs)
        moves = _moves(pairs.ask(MOVED))
        if not moves:
            return
        _post(moves, reason="split", at=pairs.at)
        _empty(moves, pairs.brand)
        execute(
            """UPDATE points_lot l SET remaining = l.remaining + r.points
               FROM (SELECT lot, sum(points) AS points FROM json_to_recordset(%(rows)s) AS r (lot uuid, points bigint)
                     GROUP BY lot) AS r
               WHERE l.brand_id = %(brand)s AND l.id = r.lot""",
            brand=pairs.brand,
            rows=as_json({"lot": m.home, "points": m.points} for m in moves),
        )


def settle_reversal(*, contact_id: int, at: datetime) -> None:
    """After a reversal gave points to an account whose contact has been merged: they go to the survivor too. Scoped."""
    # Whoever splits needs the account that we have locked, so the merge stays as we find it.
    merge = Merge.objects.filter(loser=contact_id, split_at=None).first()
    if merge:
        Points().merge(Pairs(merge.brand_id, [merge.pk], [contact_id], [merge.survivor_id], at))
        settle_reversal(contact_id=merge.survivor_id, at=at)


def bring_home(*, lot_id: UUID, contact_id: int, at: datetime) -> None:
    """Move what is left of a lot that merges took along back into it, so that its grant can be reversed. Scoped."""
    merge = Merge.objects.filter(loser=contact_id, split_at=None).first()
    kept = MergeMoved.objects.filter(merge=merge, kind=KIND).first() if merge else None
    if merge is None or kept is None:
        return
    for row in kept.rows:
        if row["lot"] == str(lot_id):
            bring_home(lot_id=UUID(row["made"]), contact_id=merge.survivor_id, at=at)
            _return_one(Lot.objects.get(pk=row["made"]), lot_id, merge, at)


def _return_one(lot: Lot, home: UUID, merge: Merge, at: datetime) -> None:
    target = Lot.objects.get(pk=home).account_id
    lock([lot.account_id, target])
    lot.refresh_from_db(fields=["remaining"])
    if lot.remaining:
        balances = dict(PointsAccount.objects.filter(pk__in=[lot.account_id, target]).values_list("pk", "balance"))
        found = [(merge.pk, lot.account_id, balances[lot.account_id], target, balances[target], lot.pk)]
        moves = _moves([(*found[0], lot.remaining, home)])
        _post(moves, reason="split", at=at)
        _empty(moves, merge.brand_id)
        Lot.objects.filter(pk=home).update(remaining=F("remaining") + moves[0].points)


def _lock_accounts(pairs: Pairs) -> None:
    found = pairs.ask(
        """SELECT id FROM points_pointsaccount WHERE brand_id = %(brand)s
             AND contact_id = ANY (%(losers)s::bigint[] || %(survivors)s::bigint[])"""
    )
    lock([account for (account,) in found])


def _moves(found: list[tuple[Any, ...]]) -> list[Move]:
    """With the balances after each, in the order given."""
    balances: dict[UUID, int] = {}
    moves = []
    for merge_id, source, source_balance, target, target_balance, lot, points, *home in found:
        left = balances[source] = balances.get(source, source_balance) - points
        right = balances[target] = balances.get(target, target_balance) + points
        # Drawn, not made: a lot may go and come back any number of times; the journal sees to it that it goes once.
        moves.append(Move(merge_id, source, target, lot, points, left, right, uuid4(), *home))
    return moves


def _post(moves: list[Move], *, reason: str, at: datetime) -> None:
    """Transfers, both entries of each, what they used, and the balances."""
    Transfer.objects.bulk_create(
        [
            Transfer(
                id=move.transfer,
                key=f"{reason}:{move.merge_id}:{move.transfer}",
                reason=reason,
                reference=f"merge:{move.merge_id}",
                actor="system",
                occurred_at=at,
                posted_at=at,
            )
            for move in moves
        ]
    )
    entries, balances = [], {}
    for move in moves:
        for entry, account, amount, balance in (
            (move.out_entry, move.source, -move.points, move.source_balance),
            (move.in_entry, move.target, move.points, move.target_balance),
        ):
            balances[account] = balance
            entries.append(
                PointsEntry(
                    id=entry,
                    transfer_id=move.transfer,
                    account_id=account,
                    amount=amount,
                    balance_after=balance,
                    posted_at=at,
                )
            )
    PointsEntry.objects.bulk_create(entries)
    execute(
        """UPDATE points_pointsaccount a SET balance = r.balance
           FROM json_to_recordset(%(rows)s) AS r (id uuid, balance bigint)
           WHERE a.brand_id = current_setting('orchard.brand_id')::bigint AND a.id = r.id""",
        rows=as_json({"id": account, "balance": balance} for account, balance in balances.items()),
    )


def _empty(moves: list[Move], brand: int) -> None:
    LotUse.objects.bulk_create(
        [LotUse(brand_id=brand, entry_id=m.out_entry, lot_id=m.lot, amount=m.points) for m in moves]
    )
    execute(
        "UPDATE points_lot SET remaining = 0 WHERE brand_id = %(brand)s AND id = ANY (%(ids)s::uuid[])",
        brand=brand,
        ids=as_array(m.lot for m in moves),
    )


def register_own() -> None:
    """Called when the app starts."""
    register(Points(), tables=["points_pointsaccount"])
