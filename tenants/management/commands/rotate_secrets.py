"""Puts every stored secret under the newest of ORCHARD_SECRET_KEYS, so that the older keys can be dropped."""

from collections.abc import Iterator
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, models, transaction

from tenants.models import Brand
from tenants.scope import brand_scope
from tenants.secrets import EncryptedField, reencrypt
from tenants.tables import TenantModel

BATCH = 500


class Command(BaseCommand):
    help = "Encrypt all stored secrets anew under the first of ORCHARD_SECRET_KEYS. Safe to repeat and to interrupt."

    def handle(self, *args: Any, **options: Any) -> None:
        """Goes on past secrets that fit no key, names their rows, and fails at the end if there were any."""
        done, lost = 0, list[str]()
        for model, field in encrypted_fields():
            for brand_id in _brands(model):
                after: Any = None
                while True:
                    after, count, misfits = _rotate_batch(model, field, brand_id, after)
                    done += count
                    lost += [f"{model._meta.label}.{field.name} brand={brand_id} id={pk}" for pk in misfits]
                    if after is None:
                        break
        self.stdout.write(f"{done} secrets are under the newest key.")
        if lost:
            raise CommandError("These fit none of ORCHARD_SECRET_KEYS; put their old key back: " + "; ".join(lost))


def encrypted_fields() -> Iterator[tuple[type[models.Model], EncryptedField]]:
    """Every column of the house that holds a secret."""
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedField):
                yield model, field


def _brands(model: type[models.Model]) -> list[int | None]:
    """The brands to walk; a global table is walked once, as brand None."""
    if not issubclass(model, TenantModel):
        return [None]
    return list(Brand.objects.order_by("pk").values_list("pk", flat=True))


def _rotate_batch(
    model: type[models.Model], field: EncryptedField, brand_id: int | None, after: Any
) -> tuple[Any, int, list[Any]]:
    """(last key of a full batch, None at the end; how many secrets were rotated; keys of rows that fit no key)."""
    with brand_scope(brand_id) if brand_id is not None else transaction.atomic():
        rows = _locked(model, field, after)
        misfits: list[Any] = []
        for pk, token in rows:
            try:
                _store(model, field, pk, reencrypt(token))
            except InvalidToken:
                misfits.append(pk)
    return (rows[-1][0] if len(rows) == BATCH else None), len(rows) - len(misfits), misfits


def _locked(model: type[models.Model], field: EncryptedField, after: Any) -> list[tuple[Any, str]]:
    """The next rows as they are stored, locked: a secret that is changed meanwhile must not be put back."""
    table, key, column = _quoted(model._meta.db_table, _key(model), str(field.column))
    beyond, values = (f"AND {key} > %s", [after]) if after is not None else ("", [])
    found = f"SELECT {key}, {column} FROM {table} WHERE {column} <> '' {beyond}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"{found} ORDER BY {key} LIMIT {BATCH} FOR UPDATE", values)
        return list(cursor.fetchall())


def _store(model: type[models.Model], field: EncryptedField, pk: Any, token: str) -> None:
    table, key, column = _quoted(model._meta.db_table, _key(model), str(field.column))
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE {key} = %s", [token, pk])  # noqa: S608


def _key(model: type[models.Model]) -> str:
    return str(model._meta.pk.column)


def _quoted(*names: str) -> tuple[str, ...]:
    return tuple(connection.ops.quote_name(name) for name in names)
