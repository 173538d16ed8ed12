"""A database and a corner of Redis of the bench's own, gone when it ends; and a superuser to prepare and to compare.

Before Django is set up: what it finds in the environment is the scratch database, as the runtime role and no other."""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2  # type: ignore[import-untyped]
import redis

from scrm.runtime import environment
from scrm.runtime.databases import migrate, with_database
from scrm.runtime.state import RuntimeProblem

PREFIX = "bench_orchard_"
REDIS_DATABASES = range(15, 0, -1)

Params = Sequence[Any] | Mapping[str, Any]


class Admin:
    """The superuser in the scratch database; every statement is a transaction. Row-level security does not bind it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def beside(self) -> "Admin":
        """A second connection to the same database, for work at the same time. The caller closes it."""
        return Admin(self._url)

    def run(self, sql: str, params: Params | None = None) -> int:
        """Run one statement; how many rows it touched."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.rowcount)

    def rows(self, sql: str, params: Params | None = None) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def columns(self, table: str) -> list[str]:
        """The columns that can be written: all but generated ones."""
        found = self.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = '' ORDER BY attnum",
            [table],
        )
        return [name for (name,) in found]

    def copy_out(self, query: str) -> bytes:
        """The rows of a query in COPY's text form."""
        kept = io.BytesIO()
        with self._connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({query}) TO STDOUT", kept)
        return kept.getvalue()

    def copy_in(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        """Append rows that `copy_out` gave."""
        with self._connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", io.BytesIO(rows))

    def empty(self, *tables: str) -> None:
        """Truncate tables with all that points to them, and let the disk come to rest."""
        self.run(f"TRUNCATE {', '.join(tables)} CASCADE")
        self.settle()

    def settle(self) -> None:
        """Write out what is dirty, so that no measure pays for what was done before it."""
        self.run("CHECKPOINT")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@contextmanager
def scratch(*, keep: bool = False) -> Iterator[Admin]:
    """A migrated database of our own, which the environment then names as DATABASE_URL, with no owner's URL beside it.

    Raises RuntimeProblem when no superuser is known. `keep` leaves the database for somebody to look at."""
    known = environment.load()
    superuser = _superuser_url(known)
    name = f"{PREFIX}{os.getpid()}"
    server = Admin(with_database(superuser, "postgres"))
    try:
        _drop_orphans(server)
        owner = unquote(urlsplit(known["DATABASE_OWNER_URL"]).username or "")
        server.run(f'CREATE DATABASE {name} OWNER "{owner}"')
        try:
            migrate(log=environment.state_directory() / "logs" / "bench-migrate.log", database=name)
            with _own_redis(known["REDIS_URL"]) as redis_url:
                os.environ.update(DATABASE_URL=with_database(known["DATABASE_URL"], name), REDIS_URL=redis_url)
                os.environ.pop("DATABASE_OWNER_URL", None)
                os.environ.setdefault("ORCHARD_LOG_LEVEL", "WARNING")
                admin = Admin(with_database(superuser, name))
                try:
                    yield admin
                finally:
                    admin.close()
        finally:
            if not keep:
                server.run(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        server.close()


def _superuser_url(known: dict[str, str]) -> str:
    """Who may COPY into a table with a policy, and empty tables: the embedded server's, or the one that was set."""
    if "DATABASE_OWNER_URL" not in known:
        raise RuntimeProblem("The bench makes its own database: set DATABASE_OWNER_URL beside DATABASE_URL.")
    if url := known.get("DATABASE_SUPERUSER_URL"):
        return url
    if "DATABASE_URL" in environment.outside():
        raise RuntimeProblem(
            "The bench compares with a superuser's COPY: set DATABASE_SUPERUSER_URL beside your DATABASE_URL."
        )
    return str(json.loads((environment.state_directory() / "runtime.json").read_text())["superuser_url"])


def _drop_orphans(server: Admin) -> None:
    """Databases of benches that were killed."""
    for (name,) in server.rows("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{PREFIX}%"]):
        pid = re.fullmatch(rf"{PREFIX}(\d+)", name)
        if pid and not os.path.exists(f"/proc/{pid[1]}"):
            server.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def _own_redis(url: str) -> Iterator[str]:
    """A numbered database of the Redis server that nobody uses: our messages are no worker's work."""
    server = urlsplit(url)._replace(path="").geturl()
    for number in REDIS_DATABASES:
        own = f"{server}/{number}"
        broker = redis.Redis.from_url(own)
        if broker.dbsize() == 0:
            broker.set("orchard-bench", os.getpid())
            try:
                yield own
            finally:
                broker.flushdb()
            return
    raise RuntimeProblem("The bench wants a numbered Redis database for itself, and none of 1 to 15 is empty.")
