"""The database keeps brands apart, and a forgotten scope is an error someone sees."""

import uuid

import pytest
from django.db import Error, connection, transaction

from contacts.models import Contact
from scrm.lib.ids import made_id
from tenants.scope import brand_scope


def test_a_brand_sees_its_own_rows_only(cast):
    cast.contact("陈小满")

    with brand_scope(cast.other.id):
        assert list(Contact.objects.all()) == []
    with brand_scope(cast.brand.id):
        assert [contact.name for contact in Contact.objects.all()] == ["陈小满"]


def test_outside_a_scope_a_tenant_table_raises(cast):
    with pytest.raises(Error), transaction.atomic():
        Contact.objects.count()


def test_a_row_cannot_be_written_for_another_brand(cast):
    with pytest.raises(Error, match="row-level security"), brand_scope(cast.brand.id):
        Contact.objects.create(brand_id=cast.other.id, created_at="2026-11-20T00:00:00Z")


def test_scopes_do_not_nest(cast):
    with pytest.raises(RuntimeError), brand_scope(cast.brand.id), brand_scope(cast.other.id):
        pass


@pytest.mark.parametrize("parts", [(1, "points", 7), ("渠道", "a:b"), ("",)])
def test_sql_makes_the_same_ids_as_python(db, parts):
    with connection.cursor() as cursor:
        cursor.execute("SELECT made_id(%s)", [":".join(map(str, parts))])
        assert cursor.fetchone()[0] == made_id(*parts)
        assert isinstance(made_id(*parts), uuid.UUID)
