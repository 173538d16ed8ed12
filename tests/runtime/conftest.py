"""A runtime of its own for each test: state directory, ports, servers; nothing of the one that the suite uses."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scrm.runtime import environment
from scrm.runtime.processes import started, working_in
from scrm.runtime.state import is_free

OURS = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_BACKUP_URL",
    "REDIS_URL",
    "ORCHARD_MEDIA_DIR",
    "ORCHARD_STATE_DIR",
    "ORCHARD_TESTING",
)


class Machine:
    """One installation below a temporary directory, driven by its commands as a person would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        ports = free_ports(4)
        names = ("POSTGRES", "REDIS", "WEB", "SIMULATOR")
        self.environ = {name: value for name, value in os.environ.items() if name not in OURS}
        self.environ |= {f"ORCHARD_{name}_PORT": str(port) for name, port in zip(names, ports, strict=True)}
        self.environ["ORCHARD_STATE_DIR"] = str(path)
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start a command of this installation; its output comes by a pipe, errors included."""
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=environment.ROOT,
            env=self.environ,
            text=True,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command to its end and return what it said; its exit status must be `status`."""
        process = self.start(*command)
        said, _ = process.communicate(timeout=180)
        assert process.returncode == status, said
        return said

    def runtime(self, *arguments: str, status: int = 0) -> str:
        """Run `python -m scrm.runtime …`."""
        return self.run("-m", "scrm.runtime", *arguments, status=status)

    @property
    def written(self) -> dict:
        """What runtime.json says."""
        return json.loads((self.path / "runtime.json").read_text())

    def sql(self, text: str, *, role: str = "superuser_url") -> str:
        """Ask the database as a role of runtime.json: superuser_url, DATABASE_URL or DATABASE_OWNER_URL."""
        from scrm.runtime.databases import client

        written = self.written
        url = written["superuser_url"] if role == "superuser_url" else written["env"][role]
        return client("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url=url, text=text).strip()

    def servers(self, name: str) -> list[int]:
        """Pids of the living processes of "postgres" or "redis"."""
        home = (self.path / "services" / name).resolve()
        return working_in(home)

    def postmaster(self) -> int:
        """The pid of the PostgreSQL server."""
        return int((self.path / "services" / "postgres" / "postmaster.pid").read_text().split()[0])

    def wait_for(self, process: subprocess.Popen[str], text: str) -> str:
        """Read a command's output until a line holds `text`; returns everything so far."""
        said = ""
        assert process.stdout
        for line in process.stdout:
            said += line
            if text in line:
                return said
        raise AssertionError(f"{text!r} never came: {said}")

    def close(self) -> None:
        """End whatever the test left, and delete the data."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
            if process.stdout:
                process.stdout.close()
        self.runtime("erase")


# Below the ports that the kernel gives to outgoing connections, of which one may be taken before we listen on it, and
# a hundred for each process: two that run tests at the same time must not choose the same.
_ports = itertools.count(20_000 + os.getpid() % 100 * 100)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that nobody of us was given before."""
    return list(itertools.islice(filter(is_free, _ports), count))


def eventually(check: Callable[[], object], *, seconds: float = 60) -> None:
    """Poll until `check()` is true; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether no such process lives."""
    return started(pid) is None


@contextmanager
def machines(path: Path) -> Iterator[Callable[[str], Machine]]:
    """Makes installations by name below `path`; all are erased at the end."""
    if "DATABASE_URL" in environment.read_dotenv(environment.ROOT / ".env"):
        pytest.skip("the checkout's .env names a database: no embedded one can be tried")
    made: list[Machine] = []

    def make(name: str) -> Machine:
        made.append(Machine(path / name))
        return made[-1]

    yield make
    for machine in made:
        machine.close()


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[[str], Machine]]:
    """Installations by name."""
    with machines(tmp_path) as make:
        yield make


@pytest.fixture
def machine(make_machine: Callable[[str], Machine]) -> Machine:
    """One installation."""
    return make_machine("here")
