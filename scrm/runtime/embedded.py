"""The embedded servers together: where they live, starting and stopping both, and telling settings about it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scrm.runtime import environment
from scrm.runtime.postgres import Postgres
from scrm.runtime.processes import can, service_uid
from scrm.runtime.state import RuntimeProblem, State
from scrm.runtime.valkey import Valkey

ROOT_HOMES = Path("/var/lib/orchard")


class Embedded:
    """PostgreSQL and Valkey of one state directory; whichever has a URL from outside is left out."""

    def __init__(self, path: Path | None = None) -> None:
        self.state = State(path or environment.state_directory())
        outside = environment.outside()
        self.wants_postgres = "DATABASE_URL" not in outside
        self.wants_redis = "REDIS_URL" not in outside

    def up(self, *, keep: bool = False) -> bool:
        """Start what does not run; True if anything was started. Safe to call from several processes at once.

        `keep` leaves the servers on when the last user of `held()` is gone, until `down()`.
        """
        with self.state.locked():
            self.state.fill()
            servers = self._servers()
            for server in servers:
                self.state.port(server.name)
            # Before any server is made with these passwords, and runs on these ports: whoever is killed from here on,
            # or finds that the second does not start, must find the first again.
            self.state.write()
            running = [server.start() for server in servers]
            if keep:
                self.state.data["keep"] = True
            self._write()
        return any(running)

    def down(self) -> None:
        """Stop both servers; the data stays."""
        with self.state.locked():
            self._stop()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Both servers run inside the block; the last one out stops them, unless `up(keep=True)` asked otherwise.

        Who is in is known by a shared lock, which the kernel drops with its holder, killed or not.
        """
        self.state.path.mkdir(parents=True, exist_ok=True)
        with (self.state.path / "users.lock").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                self.up()
                yield
            finally:
                with self.state.locked():
                    if self._is_last(users.fileno()) and not self.state.data.get("keep"):
                        self._stop()

    def fresh(self) -> None:
        """Empty database and broker; both must be running."""
        with self.state.locked():
            for server in self._servers():
                if isinstance(server, Postgres):
                    server.recreate_database()
                else:
                    server.flush()

    def flush_broker(self) -> None:
        """Empty the broker if it is ours: what it holds speaks of another database."""
        with self.state.locked():
            for server in self._servers():
                if isinstance(server, Valkey):
                    server.flush()

    def erase(self) -> None:
        """Stop both and delete all their data."""
        with self.state.locked():
            self._stop()
            home = self._home_link()
            if home.is_symlink():
                shutil.rmtree(home.resolve(), ignore_errors=True)
        shutil.rmtree(self.state.path, ignore_errors=True)

    def status(self) -> dict[str, str]:
        """Server → "running on port N", "stopped" or "yours" (a URL from outside)."""
        self.state.read()
        said = {"postgres": "yours (DATABASE_URL)", "redis": "yours (REDIS_URL)"}
        if not self._home_link().exists():
            return {name: text if self._is_outside(name) else "stopped" for name, text in said.items()}
        for server in self._servers():
            said[server.name] = f"running on port {self.state.port(server.name)}" if server.answers() else "stopped"
        return said

    def postgres(self) -> Postgres:
        """The PostgreSQL of this state directory, for backup and benches; it should be up."""
        self.state.read()
        return Postgres(state=self.state, home=self._home(), uid=self._uid())

    def _servers(self) -> list[Postgres | Valkey]:
        servers: list[Postgres | Valkey] = []
        if not (self.wants_postgres or self.wants_redis):
            return servers
        home, uid = self._home(), self._uid()
        if self.wants_postgres:
            servers.append(Postgres(state=self.state, home=home, uid=uid))
        if self.wants_redis:
            servers.append(Valkey(state=self.state, home=home, uid=uid))
        return servers

    def _stop(self) -> None:
        if self._home_link().exists():
            for server in reversed(self._servers()):
                server.stop()
        self.state.data.pop("keep", None)
        if self.state.data:
            self.state.write()

    def _write(self) -> None:
        """Tell `environment.load()` what there is."""
        variables = dict(self.state.data["secrets"])
        self.state.data.pop("superuser_url", None)
        for server in self._servers():
            if isinstance(server, Postgres):
                variables["DATABASE_URL"] = server.url("orchard_app")
                variables["DATABASE_OWNER_URL"] = server.url("orchard_owner")
                self.state.data["superuser_url"] = server.url("postgres")
            else:
                variables["REDIS_URL"] = server.url
        self.state.data["env"] = variables
        self.state.write()

    def _is_outside(self, name: str) -> bool:
        return not (self.wants_postgres if name == "postgres" else self.wants_redis)

    @staticmethod
    def _is_last(users: int) -> bool:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    # Where they live

    def _home_link(self) -> Path:
        return self.state.path / "services"

    def _uid(self) -> int:
        """Who runs them: the owner of the data if there is any, so that a new `postgres` user changes nothing."""
        home = self._home_link()
        if os.geteuid() == 0 and home.exists() and home.stat().st_uid != 0:
            return home.stat().st_uid
        return service_uid()

    def _home(self) -> Path:
        """The servers' own directory, made on first use, where their user can reach it."""
        link = self._home_link()
        if link.is_symlink() or link.is_dir():
            if not link.exists():
                raise RuntimeProblem(f"{link} points to {link.readlink()}, which is gone: `make clean` begins anew.")
            return link.resolve()
        uid = service_uid()
        link.mkdir(mode=0o700)
        os.chown(link, uid, -1)
        if can(uid, "test", "-w", str(link)):
            return link
        # Root in a checkout that the service user can't reach, below /root for one.
        link.rmdir()
        home = ROOT_HOMES / f"{self.state.path.parent.name}-{self.state.data['id']}"
        ROOT_HOMES.mkdir(parents=True, exist_ok=True)
        ROOT_HOMES.chmod(0o755)  # whatever root's umask: the service user must get through
        home.mkdir(mode=0o700)
        os.chown(home, uid, -1)
        link.symlink_to(home)
        return home
