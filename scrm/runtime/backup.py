"""Saving the database to one file, and putting it back, here or in a new cluster.

A backup is a tar of `database.dump` (pg_dump's custom format), `manifest.json` and `media/`, the files that brands
keep. It holds no keys: secrets in it stay encrypted with ORCHARD_SECRET_KEYS, of which the manifest keeps fingerprints,
so that a restore can tell at once that the right key is missing. The broker is not saved: losing it loses no work.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from scrm.runtime import databases, environment
from scrm.runtime.databases import client, with_database
from scrm.runtime.embedded import Embedded
from scrm.runtime.state import RuntimeProblem

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a backup says about itself."""

    format: int
    made_at: str
    """UTC, ISO 8601"""
    server_version: str
    migrations: list[str]
    """app.name of each applied one"""
    secret_keys: list[str]
    """fingerprints of ORCHARD_SECRET_KEYS"""
    dump_bytes: int
    dump_sha256: str


def save(*, to: Path | None, at: datetime) -> Path:
    """Write a backup while the product may go on working; returns where.

    `to` defaults to `.orchard/backups/orchard-<UTC time>.backup`. A file appears under its name only when whole.
    Raises RuntimeProblem if no role that sees every brand's rows is known, or pg_dump fails.
    """
    url = all_seeing_url()
    target = to or environment.state_directory() / "backups" / f"orchard-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.backup"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as work:
        dump = Path(work) / "database.dump"
        client("pg_dump", "--format=custom", "--compress=zstd:3", f"--file={dump}", url=url)
        manifest = Manifest(
            format=FORMAT,
            made_at=at.astimezone(UTC).isoformat(timespec="seconds"),
            server_version=client("psql", "-XAtc", "SHOW server_version", url=url).strip(),
            migrations=client("psql", "-XAtc", _MIGRATIONS, url=url).split(),
            secret_keys=_fingerprints(),
            dump_bytes=dump.stat().st_size,
            dump_sha256=_sha256(dump),
        )
        (Path(work) / "manifest.json").write_text(json.dumps(asdict(manifest), indent=2))
        whole = Path(work) / "whole.tar"
        with tarfile.open(whole, "w") as tar:
            tar.add(Path(work) / "manifest.json", arcname="manifest.json")
            tar.add(dump, arcname="database.dump")
            if media_directory().is_dir():
                # After the dump: a file that came in between is one too many, none of the dump's is missing.
                tar.add(media_directory(), arcname="media")
        whole.chmod(0o600)
        whole.replace(target)
    return target


def restore(*, source: Path, finish: Callable[[str], None], without_secrets: bool = False) -> Manifest:
    """Put a backup in place of the present database, which is kept as NAME_before_restore until the next time.

    It is built beside the present one, brought up to the code's migrations, handed to `finish` by its all-seeing
    URL (to raise the log's era), and only then takes its place: until the last step nothing has changed. The
    product must be stopped. Raises RuntimeProblem, for a damaged or foreign file, a missing key, a running product.
    """
    url = all_seeing_url()
    name = urlsplit(url).path.lstrip("/")
    _refuse_while_running()
    with tempfile.TemporaryDirectory(prefix="orchard-restore-") as work:
        manifest, dump = _unpack(source, Path(work))
        if not without_secrets and manifest.secret_keys and not set(manifest.secret_keys) & set(_fingerprints()):
            raise RuntimeProblem(
                f"The secrets in {source} need a key that is not in ORCHARD_SECRET_KEYS: add the key of then behind "
                "today's (it is in the .env or .orchard/runtime.json of then), or pass --without-secrets."
            )
        fresh = f"{name}_restoring"
        owner = urlsplit(environment.load().get("DATABASE_OWNER_URL", "")).username or "orchard_owner"
        _maintain(url, f'DROP DATABASE IF EXISTS "{fresh}" WITH (FORCE)', f'CREATE DATABASE "{fresh}" OWNER "{owner}"')
        into = with_database(url, fresh)
        client("pg_restore", "--exit-on-error", "--jobs=2", f"--dbname={fresh}", str(dump), url=into)
        # Before the database takes its place: its rows name these files. Those that are here already stay.
        if (Path(work) / "media").is_dir():
            shutil.copytree(Path(work) / "media", media_directory(), dirs_exist_ok=True)
    databases.migrate(log=environment.state_directory() / "logs" / "restore.log", database=fresh)
    finish(into)
    _swap(url, name=name, fresh=fresh)
    Embedded().flush_broker()
    return manifest


def media_directory() -> Path:
    """Where the files are that brands keep (ORCHARD_MEDIA_DIR)."""
    return Path(environment.load().get("ORCHARD_MEDIA_DIR") or environment.state_directory() / "media")


def all_seeing_url() -> str:
    """How to connect as a role that row-level security lets see every brand's rows. Raises RuntimeProblem."""
    outside = environment.outside()
    if "DATABASE_URL" in outside:
        if "DATABASE_BACKUP_URL" not in outside:
            raise RuntimeProblem(
                "DATABASE_URL is yours, so DATABASE_BACKUP_URL must name a role that sees every brand's rows: "
                "a superuser, or one with BYPASSRLS and the right to create databases."
            )
        return outside["DATABASE_BACKUP_URL"]
    return Embedded().postgres().url("postgres")


_MIGRATIONS = "SELECT app || '.' || name FROM django_migrations ORDER BY 1"


def _refuse_while_running() -> None:
    path = environment.state_directory() / "supervisor.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeProblem("Orchard is running here: stop it (Ctrl-C), then restore.") from None


def _unpack(source: Path, work: Path) -> tuple[Manifest, Path]:
    try:
        with tarfile.open(source) as tar:
            tar.extractall(work, filter="data")
        manifest = Manifest(**json.loads((work / "manifest.json").read_text()))
    except FileNotFoundError as missing:
        raise RuntimeProblem(f"There is no backup at {source}.") from missing
    except (tarfile.TarError, OSError, TypeError, json.JSONDecodeError) as broken:
        raise RuntimeProblem(f"{source} is not a whole backup of Orchard: {broken}") from broken
    dump = work / "database.dump"
    if manifest.format != FORMAT:
        raise RuntimeProblem(f"{source} is of format {manifest.format}; this Orchard reads {FORMAT}.")
    if not dump.exists() or _sha256(dump) != manifest.dump_sha256:
        raise RuntimeProblem(f"{source} is damaged: its dump is not the one its manifest describes.")
    return manifest, dump


def _swap(url: str, *, name: str, fresh: str) -> None:
    former = f"{name}_before_restore"
    _maintain(url, f'DROP DATABASE IF EXISTS "{former}" WITH (FORCE)')
    literals = f"'{name}', '{fresh}'"
    _maintain(
        url,
        "BEGIN",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({literals})",  # noqa: S608
        f'ALTER DATABASE "{name}" RENAME TO "{former}"',
        f'ALTER DATABASE "{fresh}" RENAME TO "{name}"',
        "COMMIT",
    )


def _maintain(url: str, *statements: str) -> None:
    text = "".join(f"{statement};\n" for statement in statements)
    client("psql", "-Xq", "-v", "ON_ERROR_STOP=1", url=with_database(url, "postgres"), text=text)


def _fingerprints() -> list[str]:
    keys = environment.load().get("ORCHARD_SECRET_KEYS", "").split(",")
    return [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys if key]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
