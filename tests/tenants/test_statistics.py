"""After much was written at once, the planner may be told at once."""

import pytest
from django.db import Error, connection, transaction

from contacts.models import Contact
from tenants import statistics


def test_the_runtime_role_can_refresh_a_tables_statistics(live_cast):
    for _number in range(20):
        live_cast.contact()

    statistics.refresh([Contact])

    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'contacts_contact'")
        assert cursor.fetchone()[0] == 20


@pytest.mark.parametrize("name", ["tenants_user", "nothing; DROP TABLE tenants_user"])
def test_it_touches_tenant_tables_only(db, name):
    with pytest.raises(Error, match="no tenant table"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT refresh_statistics(%s)", [[name]])
