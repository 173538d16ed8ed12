"""Bringing the database to the code's state, and emptying it, embedded or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from scrm.runtime import environment
from scrm.runtime.embedded import Embedded
from scrm.runtime.postgres import find_programs
from scrm.runtime.state import RuntimeProblem


def migrate(*, log: Path, database: str | None = None) -> None:
    """Run the migrations as the owner, in a process of their own: nobody else is to see the owner's URL.

    `database`: another one on the same server than the URLs name. Raises RuntimeProblem with the reason when they
    fail or the owner's URL is missing.
    """
    known = environment.load()
    if "DATABASE_OWNER_URL" not in known:
        raise RuntimeProblem("DATABASE_URL is yours, so DATABASE_OWNER_URL must be too: migrations run as the owner.")
    if database:
        known |= {name: with_database(known[name], database) for name in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    command = [sys.executable, str(environment.ROOT / "manage.py"), "migrate", "--database", "owner"]
    command += ["--no-input", "--skip-checks"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        done = subprocess.run(
            command, env=known, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=environment.ROOT, check=False
        )
    if done.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise RuntimeProblem(f"The migrations failed: {lines[-1] if lines else 'no reason given'} (see {log})")


def with_database(url: str, name: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def begin_anew(embedded: Embedded) -> None:
    """An empty database and an empty broker. One that is not ours is emptied only if ORCHARD_WIPE names it."""
    outside = environment.outside()
    if "DATABASE_URL" in outside:
        _check_permission(outside["DATABASE_URL"])
    embedded.fresh()
    if "DATABASE_URL" in outside:
        _empty_schema(outside)
    if "REDIS_URL" in outside:
        _empty_broker(outside["REDIS_URL"])


def _check_permission(url: str) -> None:
    name = urlsplit(url).path.lstrip("/")
    if os.environ.get("ORCHARD_WIPE") != name:
        raise RuntimeProblem(
            f"Beginning anew would empty your database {name!r} (DATABASE_URL): set ORCHARD_WIPE={name} to allow it."
        )


def _empty_schema(outside: dict[str, str]) -> None:
    if "DATABASE_OWNER_URL" not in outside:
        raise RuntimeProblem("DATABASE_OWNER_URL is missing: only the owner can empty the database.")
    runtime_role = (urlsplit(outside["DATABASE_URL"]).username or "orchard_app").replace('"', '""')
    statements = f'DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO "{runtime_role}";'
    client("psql", "-Xq1", "-v", "ON_ERROR_STOP=1", url=outside["DATABASE_OWNER_URL"], text=statements)


def _empty_broker(url: str) -> None:
    import redis

    redis.Redis.from_url(url).flushdb()


def client(program: str, *arguments: str, url: str, text: str = "") -> str:
    """Run one of PostgreSQL's own client programs (psql, pg_dump, pg_restore) against `url`; returns its output.

    The URL goes in through the environment, so that no process list shows the password. Raises RuntimeProblem
    with what the program said.
    """
    path = find_programs(environment.state_directory(), os.geteuid()) / program
    done = subprocess.run(
        [path, *arguments], env=libpq_environment(url), input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeProblem(f"{program} failed: {done.stderr.strip()}")
    return done.stdout


def libpq_environment(url: str) -> dict[str, str]:
    """What PostgreSQL's programs read instead of a URL on their command line."""
    parts = urlsplit(url)
    found = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": "-c client_min_messages=warning",
    }
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **{name: value for name, value in found.items() if value}}
