"""A random row for any table that is tied to contacts, found from the models, so that a new table needs no word."""

import uuid
from datetime import timedelta
from random import Random
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, models, transaction

from contacts.models import Contact, IdentityConflict, Merge
from tenants.scope import current_brand_id
from tenants.tables import TenantModel
from tests.cast import NOON

NOT_A_PERSONS = {Contact, IdentityConflict, Merge}
"""the contact itself, and what is written about merges"""


def tied() -> list[type[TenantModel]]:
    """Every model whose rows belong to a contact and may be changed: with a foreign key, or a column of that name."""
    return [
        model
        for model in apps.get_models()
        if issubclass(model, TenantModel) and model not in NOT_A_PERSONS and not model.append_only and _column(model)
    ]


def fill(model: type[TenantModel], contact: int, random: Random) -> bool:
    """Write a row of the contact's; whether its keys allowed it. Scoped."""
    values = {field.attname: _value(field, random) for field in _own_fields(model)}
    values[_column(model)] = contact
    try:
        with transaction.atomic():
            model(**values).save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _column(model: type[TenantModel]) -> str:
    for field in model._meta.local_fields:
        if field.attname == "contact_id":
            return str(field.attname)
    return ""


def _own_fields(model: type[TenantModel]) -> list[Any]:
    made_by_database = (models.AutoField, models.BigAutoField, models.CompositePrimaryKey, models.GeneratedField)
    return [
        field
        for field in model._meta.local_fields
        if not isinstance(field, made_by_database) and field.attname not in ("contact_id",)
    ]


def _value(field: Any, random: Random) -> Any:
    if field.name == "brand":
        return current_brand_id()
    if field.null and random.random() < 0.5:
        return None
    if field.is_relation:
        return _other(field.related_model, random)
    if field.choices:
        return random.choice([value for value, _label in field.flatchoices])
    return _PLAIN[next(kind for kind in _PLAIN if isinstance(field, kind))](random, field)


def _other(model: Any, random: Random) -> Any:
    """The key of some row of another table, made if there is none."""
    if found := list(model.objects.values_list("pk", flat=True)[:5]):
        return random.choice(found)
    row = model(**{field.attname: _value(field, random) for field in _own_fields(model)})
    row.save(force_insert=True)
    return row.pk


_PLAIN: dict[Any, Any] = {
    ArrayField: lambda _random, _field: [],
    models.JSONField: lambda _random, _field: {},
    models.UUIDField: lambda random, _field: uuid.UUID(int=random.getrandbits(128)),
    models.DateTimeField: lambda random, _field: NOON - timedelta(minutes=random.randrange(9)),
    models.DateField: lambda random, _field: (NOON - timedelta(days=random.randrange(9))).date(),
    models.BooleanField: lambda random, _field: random.random() < 0.5,
    models.FloatField: lambda random, _field: random.random(),
    models.IntegerField: lambda random, _field: random.randrange(1, 9),
    models.TextField: lambda random, _field: random.choice("abc"),
    models.CharField: lambda random, field: random.choice("abc")[: field.max_length],
}
