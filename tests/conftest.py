"""The suite runs as the runtime role, which row-level security binds; the owner only makes the test database."""

import gc
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction
from django.test.utils import setup_databases, teardown_databases
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from events import partitions
from tests.cast import NOON, Cast

files = tempfile.TemporaryDirectory(prefix="orchard-media-")
NO_LIMITS = "-c transaction_timeout=0 -c idle_in_transaction_session_timeout=0"


# The same examples each time, however slow the machine: what a pull request must pass must not hang on chance. Whoever
# looks for what nobody thought of sets ORCHARD_RANDOM, and many ORCHARD_EXAMPLES.
hypothesis_settings.register_profile(
    "orchard",
    derandomize="ORCHARD_RANDOM" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("orchard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules begin first: of two workers none is to wait for the other's last minute (`--no-loadscope-reorder`
    keeps the order)."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_configure() -> None:
    """What differs from production; also in the environment, for the processes that tests start."""
    own = _own_redis(settings.REDIS_URL)
    os.environ.update(ORCHARD_TESTING="1", REDIS_URL=own)
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in the test thread
    settings.REDIS_URL = settings.CELERY_BROKER_URL = settings.CACHES["default"]["LOCATION"] = own
    current_app.conf.update(broker_url=own, broker_read_url=own, broker_write_url=own)
    # Hashing three passwords as production does would be most of each test's time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Kept files of tests are gone when the suite is over.
    os.environ["ORCHARD_MEDIA_DIR"] = files.name
    settings.STORAGES["kept"]["OPTIONS"]["location"] = files.name
    for alias in ("default", "owner"):
        # A live server's thread that kept its session would stand in the way of dropping the database.
        connections[alias].settings_dict["CONN_MAX_AGE"] = 0
        # A test, and what a module's tests share, is one transaction, however slow the machine.
        options = connections[alias].settings_dict["OPTIONS"]
        options["options"] = f"{options.get('options', '')} {NO_LIMITS}".strip()


def _own_redis(url: str) -> str:
    """A numbered database of the Redis server for this suite: its messages are nobody else's work."""
    server = url.split("://", 1)[1].split("/")[0]
    suite = os.environ.get("ORCHARD_TEST_DB", "test_orchard") + os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"redis://{server}/{1 + crc32(suite.encode()) % 15}"


@pytest.fixture(scope="session", autouse=True)
def empty_redis() -> None:
    """Begin without what an earlier run left: messages, tokens, counters."""
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()


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
        # Migrations make the months around today; the tests' own day may be long ago.
        partitions.ensure_ahead(at=NOON)
    yield
    with django_db_blocker.unblock():
        connections["default"].close()
        if not django_db_keepdb:
            _wait_until_alone()
            teardown_databases(made, verbosity=0)


def _wait_until_alone() -> None:
    """Sessions end a moment after their process or thread: of a thread, when the collector comes to its connection."""
    until = time.monotonic() + 60
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connections["owner"].cursor() as cursor:
        while True:
            gc.collect()
            cursor.execute(others)
            left = [pid for (pid,) in cursor]
            if not left:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"Tests left sessions open: {[_title(pid) for pid in left]}; {_stacks()}")
            time.sleep(0.2)


def _title(pid: int) -> str:
    """What PostgreSQL's process says of itself where /proc shows it: the owner may not see another role's query."""
    title = Path(f"/proc/{pid}/cmdline")
    return title.read_bytes().replace(b"\0", b" ").decode().strip() if title.exists() else str(pid)


def _stacks() -> str:
    """Where each thread of this process stands."""
    return "\n".join("".join(traceback.format_stack(frame)) for frame in sys._current_frames().values())


@pytest.fixture(scope="module")
def module_rows(django_db_setup, django_db_blocker) -> Iterator[None]:
    """A transaction around a module's tests: rows of its module fixtures are there for each of them, and undone last.

    Tests ask for `db` as ever and roll back to these rows; none may ask for `transactional_db`."""
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around._from_testcase = True  # so that a brand's scope may be durable in it, as in a TestCase
        with around:
            yield
            transaction.set_rollback(True)


@pytest.fixture(scope="module")
def committed_rows(django_db_setup, django_db_blocker) -> Iterator[None]:
    """As `module_rows`, for modules of more than seconds: what their fixtures write is committed, and emptied last.

    An open transaction holds back the log's horizon for everybody in the cluster, other workers' tests too."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(autouse=True)
def language_of_its_own() -> Iterator[None]:
    """A request in English leaves its thread in English, as a server's threads do until the next request."""
    yield
    translation.deactivate()


@pytest.fixture
def cast(db) -> Cast:
    """Alice runs one brand with bob as a guide, charlie another, dora is the agency of both."""
    return Cast.make()


@pytest.fixture
def live_cast(transactional_db) -> Cast:
    """The same people, committed, for tests with other processes, threads or the real log horizon."""
    return Cast.make()
