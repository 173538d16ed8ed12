"""The suite runs as the runtime role, which row-level security binds; the owner only makes the test database."""

import os

os.environ.setdefault("ORCHARD_TESTING", "1")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in the test thread

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import setup_databases, teardown_databases

from tests.cast import Cast


def pytest_configure() -> None:
    """Everybody in the cast has a password; hashing three as production does would be most of each test's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment, django_db_blocker, django_db_modify_db_settings, django_db_keepdb, django_db_createdb
) -> Iterator[None]:
    """Create the test database as the owner; `default` is the same database as the runtime role."""
    with django_db_blocker.unblock():
        made = setup_databases(
            verbosity=0,
            interactive=False,
            aliases={"owner"},
            serialized_aliases=set(),
            keepdb=django_db_keepdb and not django_db_createdb,
        )
        connections["default"].creation.set_as_test_mirror(connections["owner"].settings_dict)
    yield
    with django_db_blocker.unblock():
        connections["default"].close()
        if not django_db_keepdb:
            teardown_databases(made, verbosity=0)


@pytest.fixture
def cast(db) -> Cast:
    """Alice runs one brand with bob as a guide, charlie another, dora is the agency of both."""
    return Cast.make()


@pytest.fixture
def live_cast(transactional_db) -> Cast:
    """The same people, committed, for tests with other processes, threads or the real log horizon."""
    return Cast.make()
