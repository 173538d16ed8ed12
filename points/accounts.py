"""Accounts of the ledger: their made keys, opening them, and holding them still while they are posted to."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from points.models import PointsAccount
from scrm.lib.ids import made_id
from tenants.scope import current_brand_id


def account_id(contact_id: int) -> UUID:
    """The made key of a contact's account in the scope's brand."""
    return made_id(current_brand_id(), "points", contact_id)


def open_accounts(brand_id: int, contacts: Collection[int], code: str, at: datetime) -> None:
    """Make sure of these contacts' accounts and of the programme's account `code`. Scoped."""
    wanted = [PointsAccount(id=made_id(brand_id, "points", c), contact_id=c, opened_at=at) for c in contacts]
    wanted.append(PointsAccount(id=made_id(brand_id, "points", code), code=code, opened_at=at))
    wanted.sort(key=lambda account: account.id)
    PointsAccount.objects.bulk_create(wanted, ignore_conflicts=True)


def lock(accounts: Collection[UUID]) -> None:
    """These accounts FOR UPDATE, in primary-key order so two batches cannot deadlock."""
    list(PointsAccount.objects.filter(pk__in=set(accounts)).order_by("pk").select_for_update(of=("self",)).values("pk"))
