"""The state directory (`.orchard/`): what the runtime remembers between starts, and who may change it now."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PREFERRED_PORTS = {"postgres": 15432, "redis": 16379, "web": 8000, "simulator": 8090}


class RuntimeProblem(Exception):
    """Something the person at the keyboard can put right; the message is one line that says what and how."""


class State:
    """`runtime.json` with its passwords (mode 0600), and the lock around changing it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "runtime.json"
        self.data: dict[str, Any] = {}

    @property
    def logs(self) -> Path:
        """Where every process of ours logs to."""
        directory = self.path / "logs"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One changer at a time, across processes; waits. What is on disk is read afresh.

        The kernel drops the lock with its holder, so there is no stale lock to clear after a kill.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("w")
        except PermissionError as refused:
            raise RuntimeProblem(f"{self.path} belongs to another user: run as that user, or remove it.") from refused
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.read()
            yield

    def read(self) -> None:
        """Take up what is on disk."""
        try:
            self.data = json.loads(self.file.read_text())
        except FileNotFoundError:
            self.data = {}
        except PermissionError as refused:
            raise RuntimeProblem(
                f"{self.file} belongs to another user: run as that user, or remove {self.path}."
            ) from refused
        except json.JSONDecodeError as broken:
            raise RuntimeProblem(f"{self.file} is damaged ({broken}): put it back, or `make clean`.") from broken

    def write(self) -> None:
        """Replace the file at once, so that a reader or a crash never meets half of it."""
        fresh = self.file.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(self.data, out, indent=2)
            out.flush()
            os.fsync(out.fileno())
            if os.geteuid() == 0:  # root in a user's checkout must not lock the user out
                os.chown(out.fileno(), self.path.stat().st_uid, -1)
        fresh.rename(self.file)

    def fill(self) -> None:
        """Draw whatever is not drawn yet: an id, passwords, the product's secrets."""
        self.data.setdefault("id", secrets.token_hex(6))
        passwords = self.data.setdefault("passwords", {})
        for name in ("postgres", "orchard_owner", "orchard_app", "redis"):
            passwords.setdefault(name, secrets.token_urlsafe(24))
        drawn = self.data.setdefault("secrets", {})
        drawn.setdefault("DJANGO_SECRET_KEY", secrets.token_urlsafe(48))
        # A Fernet key: 32 random bytes in url-safe base64.
        drawn.setdefault("ORCHARD_SECRET_KEYS", base64.urlsafe_b64encode(os.urandom(32)).decode())
        self.data.setdefault("ports", {})

    def port(self, name: str) -> int:
        """The remembered port of a server, or a free one near its preferred one, remembered from now on."""
        ports = self.data.setdefault("ports", {})
        if name not in ports:
            ports[name] = free_port(preferred_port(name), taken=set(ports.values()))
        return int(ports[name])

    def move_port(self, name: str) -> int:
        """Another free port for this server, because somebody else holds the remembered one."""
        ports = self.data["ports"]
        held = ports.pop(name)
        ports[name] = free_port(held + 1, taken={held, *ports.values()})
        self.write()  # before anything runs there: a start that is killed must not forget it
        print(f"Port {held} is in use by another program: {name} now uses {ports[name]}.", flush=True)
        return int(ports[name])


def preferred_port(name: str) -> int:
    """`ORCHARD_WEB_PORT` and its like, else the usual one."""
    given = os.environ.get(f"ORCHARD_{name.upper()}_PORT")
    if given and not given.isdecimal():
        raise RuntimeProblem(f"ORCHARD_{name.upper()}_PORT is {given!r}: it must be a port number.")
    return int(given) if given else PREFERRED_PORTS[name]


def free_port(first: int, *, taken: set[int], host: str = "127.0.0.1") -> int:
    """The first port from `first` on that nobody listens on. Raises RuntimeProblem after 500 tries."""
    for port in range(first, first + 500):
        if port not in taken and is_free(port, host=host):
            return port
    raise RuntimeProblem(f"No free port between {first} and {first + 499}.")


def is_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether this process could listen there now."""
    with socket.socket() as probe:
        # As the servers do: a connection of the last run in TIME_WAIT is no reason to move.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
