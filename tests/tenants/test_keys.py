"""API keys: made and shown once, usable, revoked at once."""

import pytest
from django.utils import timezone

from scrm.lib.errors import Invalid, NotFound
from tenants import keys
from tenants.actors import Actor
from tenants.models import ApiKey, AuditEntry
from tenants.scope import brand_scope

ALICE = Actor("user:1", "alice")


def made(cast, **more) -> keys.NewKey:
    options = {"name": "小程序", "scopes": ["points:read"], **more}
    with brand_scope(cast.brand.pk):
        return keys.make(brand_id=cast.brand.pk, actor=ALICE, at=timezone.now(), **options)


def test_a_key_works_until_it_is_revoked(cast):
    new = made(cast)
    cast.alice.key = new.key
    path = "/api/v1/points/balance?id=1"
    assert cast.alice.api("get", path).status_code != 401

    with brand_scope(cast.brand.pk):
        keys.revoke(brand_id=cast.brand.pk, key_id=new.id, actor=ALICE, at=timezone.now())

    assert cast.alice.api("get", path).status_code == 401


def test_the_key_itself_is_kept_nowhere(cast):
    new = made(cast)

    row = ApiKey.objects.get(pk=new.id)
    assert new.key not in (row.key_hash, row.prefix)
    with brand_scope(cast.brand.pk):
        entry = AuditEntry.objects.get(action="key.make")
    assert new.key not in str(entry.after)


@pytest.mark.parametrize(
    ("_case", "options", "field"),
    [
        ("no name", {"name": " "}, "name"),
        ("no scope", {"scopes": []}, "scopes"),
        ("an unknown scope", {"scopes": ["everything"]}, "scopes"),
        ("no requests", {"per_minute": 0}, "per_minute"),
    ],
)
def test_refuses_a_wrong_key(cast, _case, options, field):
    with pytest.raises(Invalid) as refusal:
        made(cast, **options)

    assert [error.field for error in refusal.value.errors] == [field]


def test_another_brands_key_is_not_there(cast):
    theirs = ApiKey.objects.get(brand=cast.other)

    with brand_scope(cast.brand.pk), pytest.raises(NotFound):
        keys.revoke(brand_id=cast.brand.pk, key_id=theirs.pk, actor=ALICE, at=timezone.now())
    theirs.refresh_from_db()
    assert theirs.revoked_at is None
