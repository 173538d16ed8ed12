"""The points ledger's operations. All are scoped, and repeating a key returns what its first use did.

A **transfer** is one movement: a contact's entry and the programme's counter-entry, which sum to zero. A positive
entry opens a **lot**; a negative one uses lots up, first to expire first. So for every contact
balance = sum of entries = sum of what its lots have left, which `discrepancies` checks.

Locks: an operation first locks the accounts it touches, in primary-key order, so that two batches cannot deadlock
and no balance is read that another post is about to change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet, Sum
from django.utils.translation import gettext as _

from points import lots, merging, news
from points.accounts import account_id, lock, open_accounts
from points.expiry import expire_of
from points.models import Lot, LotUse, PointsAccount, PointsEntry, Transfer
from scrm.lib.errors import Conflict, FieldError, Invalid, Refused, found
from scrm.lib.ids import made_id
from tenants.scope import current_brand_id

MOST_POINTS = 100_000_000
"""in one movement: far above any programme, far below what a column holds"""

Programme = PointsAccount.Programme


class InsufficientPoints(Refused):
    """The account has fewer points than asked for; nothing was written."""

    code = "points.insufficient"


class KeyReused(Conflict):
    """The idempotency key stands for another movement already; nothing was written."""

    code = "key.reused"


class AlreadySpent(Refused):
    """A grant can't be reversed whole, because some of its points are gone."""

    code = "points.already_spent"


@dataclass(frozen=True, slots=True)
class Grant:
    """Points to give: `points` > 0 whole points to one contact, usable until `expires_at` (empty: for ever)."""

    contact_id: int
    points: int
    key: str
    reference: str = ""
    note: str = ""
    occurred_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """What a movement did. `points` is signed; `replayed` says that its key had been used before."""

    transfer_id: UUID
    contact_id: int
    points: int
    balance: int
    replayed: bool = False


def grant(
    *,
    contact_id: int,
    points: int,
    key: str,
    at: datetime,
    reference: str = "",
    note: str = "",
    actor: str = "",
    reason: str = "grant",
    expires_at: datetime | None = None,
) -> Posted:
    """Give whole points (> 0). Raises Invalid, or KeyReused if the key stands for another movement."""
    wanted = Grant(contact_id, points, f"grant:{key}", reference, note, at, expires_at)
    posted = grant_many(grants=[wanted], reason=reason, actor=actor, at=at)
    return posted[0] if posted else _replayed(wanted.key, contact_id, points)


def grant_many(*, grants: Sequence[Grant], reason: str, actor: str = "", at: datetime) -> list[Posted]:
    """Post many grants, set at a time; returns those that were new. A key posted before is left as it is.

    The same rules as a single grant, which is this with one row. Meant for up to some thousand rows a call."""
    for wanted in grants:
        _check_points(wanted.points)
    if not grants:
        return []
    brand_id = current_brand_id()
    counter = Programme.ADJUSTED if reason == "adjust" else Programme.ISSUED
    open_accounts(brand_id, {wanted.contact_id for wanted in grants}, counter, at)
    lock([made_id(brand_id, "points", wanted.contact_id) for wanted in grants])
    fresh = _write_transfers(brand_id, grants, reason, actor, at)
    posted = _write_grants(brand_id, [wanted for wanted in grants if wanted.key in fresh], counter, at)
    told = [(each.transfer_id, each.contact_id, each.points, each.balance) for each in posted]
    news.tell(told, reason=reason, at=at)
    return posted


def spend(
    *,
    contact_id: int,
    points: int,
    key: str,
    at: datetime,
    reference: str = "",
    note: str = "",
    actor: str = "",
    reason: str = "spend",
) -> Posted:
    """Take whole points (> 0), first to expire first.

    Raises InsufficientPoints (nothing is written), Invalid, or KeyReused if the key stands for another movement."""
    _check_points(points)
    account = _locked_account(contact_id)
    full_key, brand_id = f"spend:{key}", current_brand_id()
    if Transfer.objects.filter(pk=made_id(brand_id, "transfer", full_key)).exists():
        return _replayed(full_key, contact_id, -points)
    if account is None:
        raise _insufficient(points, 0)
    expire_of(accounts=[account.id], at=at)
    account.refresh_from_db(fields=["balance"])
    if account.balance < points:
        raise _insufficient(points, account.balance)
    counter = Programme.ADJUSTED if reason == "adjust" else Programme.REDEEMED
    open_accounts(brand_id, set(), counter, at)
    transfer = Transfer.objects.create(
        id=made_id(brand_id, "transfer", full_key),
        key=full_key,
        reason=reason,
        reference=reference,
        note=note,
        actor=actor,
        occurred_at=at,
        posted_at=at,
    )
    balance = account.balance - points
    entry = _write_pair(transfer, account, -points, balance, counter)
    lots.use(account.id, entry.id, points)
    PointsAccount.objects.filter(pk=account.pk).update(balance=balance)
    news.tell([(transfer.id, contact_id, -points, balance)], reason=reason, at=at)
    return Posted(transfer.id, contact_id, -points, balance)


def reverse(*, transfer_id: UUID, note: str, actor: str = "", at: datetime) -> Posted:
    """Undo a whole movement by an opposite one; reversing twice is reversing once.

    A spend gives its points back to the lots they came from, with the expiry they had. A grant is taken back from its
    own lot. Raises NotFound, AlreadySpent when that lot no longer has them all, Refused for other movements."""
    original = found(Transfer.objects.filter(pk=transfer_id))
    side = PointsEntry.objects.select_related("account").get(transfer=original, account__contact__isnull=False)
    contact_id = side.account.contact_id or 0
    lock([side.account_id])
    key = f"reverse:{transfer_id}"
    if Transfer.objects.filter(key=key).exists():
        return _replayed(key, contact_id, -side.amount)
    if original.reason in {"reverse", "expire"}:
        raise Refused(_("冲正和到期不能再冲正。"), remedy=_("如需补回，请做一次调整。"), code="points.not_reversible")
    sides = PointsEntry.objects.filter(transfer=original)
    counter = PointsAccount.objects.exclude(code="").get(pk__in=sides.values("account_id")).code
    uses = list(LotUse.objects.filter(entry_id=side.id))
    if side.amount > 0:
        merging.bring_home(lot_id=side.id, contact_id=contact_id, at=at)
        taken = Lot.objects.filter(pk=side.id, remaining=side.amount).update(remaining=0)
        if not taken:
            raise AlreadySpent(
                _("这笔积分已有部分被使用或到期，不能整笔冲正。"), remedy=_("请改用调整，扣除剩余的部分。")
            )
    transfer = Transfer.objects.create(
        id=made_id(current_brand_id(), "transfer", key),
        key=key,
        reason="reverse",
        reference=f"transfer:{transfer_id}",
        note=note,
        actor=actor,
        occurred_at=at,
        posted_at=at,
        reverses=original,
    )
    account = PointsAccount.objects.get(pk=side.account_id)
    balance = account.balance - side.amount
    entry = _write_pair(transfer, account, -side.amount, balance, counter)
    if side.amount > 0:
        LotUse.objects.create(brand_id=entry.brand_id, entry=entry, lot_id=side.id, amount=side.amount)
    for use in uses:
        lots.give_back(use)
    PointsAccount.objects.filter(pk=account.pk).update(balance=balance)
    news.tell([(transfer.id, contact_id, -side.amount, balance)], reason="reverse", at=at)
    merging.settle_reversal(contact_id=contact_id, at=at)
    return Posted(transfer.id, contact_id, -side.amount, balance)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a contact has: `balance` usable now, of which `expiring` within 30 days."""

    contact_id: int
    account_id: UUID
    balance: int
    expiring: int


def statement(*, contact_id: int, at: datetime) -> Statement:
    """The contact's points at `at`. Scoped; lots that have run out do not count, even before the sweep took them."""
    account = account_id(contact_id)
    open_lots = Lot.objects.filter(account_id=account, remaining__gt=0)
    usable = open_lots.exclude(expires_at__lte=at)
    expiring = usable.filter(expires_at__lte=at + timedelta(days=30))
    return Statement(contact_id, account, _sum(usable), _sum(expiring))


def discrepancies(*, limit: int = 100) -> list[tuple[UUID, int, int, int]]:
    """Accounts where balance, entries and open lots disagree: (account, balance, entries, lots). Must be empty."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, a.balance, coalesce(e.total, 0)::bigint, coalesce(l.total, 0)::bigint
            FROM points_pointsaccount a
            LEFT JOIN (SELECT account_id, sum(amount) AS total FROM points_pointsentry GROUP BY account_id) e
                   ON e.account_id = a.id
            LEFT JOIN (SELECT account_id, sum(remaining) AS total FROM points_lot GROUP BY account_id) l
                   ON l.account_id = a.id
            WHERE a.contact_id IS NOT NULL
              AND (a.balance <> coalesce(e.total, 0) OR a.balance <> coalesce(l.total, 0))
            LIMIT %s
            """,
            [limit],
        )
        return list(cursor.fetchall())


def _check_points(points: int) -> None:
    if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= MOST_POINTS:
        problem = FieldError("points", "points.range", _("积分应是 1 到 1 亿之间的整数。"), _("请改为正整数。"))
        raise Invalid(_("积分数量不正确。"), errors=[problem])


def _insufficient(wanted: int, balance: int) -> InsufficientPoints:
    return InsufficientPoints(
        _("积分没有扣减。需要 %(wanted)d 积分，可用 %(balance)d。") % {"wanted": wanted, "balance": balance},
        remedy=_("请减少数量，或等积分到账后再试。"),
    )


def _replayed(key: str, contact_id: int, amount: int) -> Posted:
    entries = PointsEntry.objects.filter(transfer__key=key, account__contact__isnull=False).select_related("account")
    entry = entries.first()
    # Without an entry the key was that of a person who has been erased since: it stays taken.
    if entry is None or entry.account.contact_id != contact_id or entry.amount != amount:
        raise KeyReused(_("这个幂等键已用于另一笔积分。"), remedy=_("新的操作请用新的键。"))
    return Posted(entry.transfer_id, contact_id, amount, entry.balance_after or 0, replayed=True)


def _sum(lots: QuerySet[Lot]) -> int:
    return int(lots.aggregate(total=Sum("remaining"))["total"] or 0)


def _locked_account(contact_id: int) -> PointsAccount | None:
    return PointsAccount.objects.filter(contact_id=contact_id).select_for_update(of=("self",)).first()


def _write_transfers(brand_id: int, grants: Sequence[Grant], reason: str, actor: str, at: datetime) -> set[str]:
    """Insert the transfers whose keys are new; returns those keys."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO points_transfer (brand_id, id, key, reason, reference, note, actor, occurred_at, posted_at)
            SELECT %s, made_id(%s || ':transfer:' || g.key), g.key, %s, g.reference, g.note, %s, g.occurred_at, %s
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS g (key, reference, note, occurred_at)
            ON CONFLICT DO NOTHING
            RETURNING key
            """,
            [
                brand_id,
                str(brand_id),
                reason,
                actor,
                at,
                [g.key for g in grants],
                [g.reference for g in grants],
                [g.note for g in grants],
                [g.occurred_at or at for g in grants],
            ],
        )
        return {row[0] for row in cursor.fetchall()}


def _write_grants(brand_id: int, grants: Sequence[Grant], counter: str, at: datetime) -> list[Posted]:
    """Both entries of each new transfer, its lot, and the balances. The accounts are locked."""
    transfers = [made_id(brand_id, "transfer", g.key) for g in grants]
    contacts, amounts = [g.contact_id for g in grants], [g.points for g in grants]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO points_pointsentry (brand_id, id, transfer_id, account_id, amount, balance_after, posted_at)
            SELECT a.brand_id, made_id(g.transfer_id || ':' || a.id), g.transfer_id, a.id, g.points,
                   a.balance + sum(g.points) OVER (PARTITION BY a.id ORDER BY g.place), %s
            FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[])
                 WITH ORDINALITY AS g (transfer_id, contact_id, points, place)
            JOIN points_pointsaccount a ON a.brand_id = %s AND a.contact_id = g.contact_id
            UNION ALL
            SELECT %s, made_id(g.transfer_id || ':' || p.id), g.transfer_id, p.id, -g.points, NULL, %s
            FROM unnest(%s::uuid[], %s::bigint[]) AS g (transfer_id, points), points_pointsaccount p
            WHERE p.brand_id = %s AND p.code = %s
            RETURNING transfer_id, account_id, amount, balance_after
            """,
            [at, transfers, contacts, amounts, brand_id, brand_id, at, transfers, amounts, brand_id, counter],
        )
        after = {transfer: balance for transfer, _account, _amount, balance in cursor.fetchall() if balance is not None}
        cursor.execute(
            """
            INSERT INTO points_lot (brand_id, id, account_id, amount, remaining, expires_at, earned_at)
            SELECT e.brand_id, e.id, e.account_id, e.amount, e.amount, g.expires_at, g.earned_at
            FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS g (transfer_id, expires_at, earned_at)
            JOIN points_pointsentry e ON e.brand_id = %s AND e.transfer_id = g.transfer_id AND e.amount > 0
            """,
            [transfers, [g.expires_at for g in grants], [g.occurred_at or at for g in grants], brand_id],
        )
        cursor.execute(
            """
            UPDATE points_pointsaccount a SET balance = a.balance + g.points
            FROM (SELECT contact_id, sum(points) AS points
                  FROM unnest(%s::bigint[], %s::bigint[]) AS g (contact_id, points) GROUP BY contact_id) g
            WHERE a.brand_id = %s AND a.contact_id = g.contact_id
            """,
            [contacts, amounts, brand_id],
        )
    return [
        Posted(transfer, grant.contact_id, grant.points, after[transfer])
        for transfer, grant in zip(transfers, grants, strict=True)
    ]


def _write_pair(transfer: Transfer, account: PointsAccount, amount: int, balance: int, counter: str) -> PointsEntry:
    """The contact's entry, returned, and the programme's opposite one."""
    programme = made_id(account.brand_id, "points", counter)
    entry = PointsEntry(
        id=made_id(transfer.id, account.id),
        transfer=transfer,
        account=account,
        amount=amount,
        balance_after=balance,
        posted_at=transfer.posted_at,
    )
    opposite = PointsEntry(
        id=made_id(transfer.id, programme),
        transfer=transfer,
        account_id=programme,
        amount=-amount,
        posted_at=transfer.posted_at,
    )
    PointsEntry.objects.bulk_create([entry, opposite])
    entry.brand_id = account.brand_id
    return entry
