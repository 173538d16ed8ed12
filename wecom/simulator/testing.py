"""Start a simulator for a test: a subprocess, told by `with running_simulator(...) as simulator`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60.0


class Simulator:
    """A running simulator, spoken to over HTTP."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False  # a proxy of the environment is not for 127.0.0.1

    @property
    def api_base(self) -> str:
        """What a WeCom client takes for https://qyapi.weixin.qq.com/cgi-bin/."""
        return f"{self.base_url}/cgi-bin/"

    def get(self, path: str, **params: Any) -> Any:
        """GET a path; its JSON. Raises requests.HTTPError."""
        return self._json(self.session.get(self.base_url + path, params=params, timeout=TIMEOUT))

    def post(self, path: str, json: dict[str, Any] | None = None) -> Any:
        """POST JSON to a path; its JSON. Raises requests.HTTPError."""
        return self._json(self.session.post(self.base_url + path, json=json or {}, timeout=TIMEOUT))

    def delete(self, path: str) -> Any:
        """DELETE a path; its JSON. Raises requests.HTTPError."""
        return self._json(self.session.delete(self.base_url + path, timeout=TIMEOUT))

    def corps(self) -> list[dict[str, Any]]:
        """The corps with their secrets; the first app of each may read customers."""
        found: list[dict[str, Any]] = self.get("/_sim/corps")
        return found

    def act(self, name: str, /, **request: Any) -> dict[str, Any]:
        """Make somebody do something; the first corp unless `corpid` says otherwise."""
        request.setdefault("corpid", self.corps()[0]["corpid"])
        done: dict[str, Any] = self.post(f"/_sim/acts/{name}", request)
        return done

    def token(self, corp: int = 0, app: int = 0) -> str:
        """An access token of a corp's app."""
        chosen = self.corps()[corp]
        secret = chosen["apps"][app]["secret"]
        return str(self.get("/cgi-bin/gettoken", corpid=chosen["corpid"], corpsecret=secret)["access_token"])

    def journal(self, **query: Any) -> list[dict[str, Any]]:
        """All receipts that match."""
        items: list[dict[str, Any]] = self.get("/_sim/journal", limit=20_000, **query)["items"]
        return items

    @staticmethod
    def _json(response: requests.Response) -> Any:
        if not response.ok:
            raise requests.HTTPError(f"{response.status_code} {response.url}: {response.text}", response=response)
        return response.json()


class SimulatorProcess:
    """The subprocess. It ends with `stop()`, or when this process is gone."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and arguments)
            [sys.executable, "-m", "wecom.simulator", "--exit-with-stdin", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"the simulator did not start (status {self._process.returncode}): {line!r}")
        self.simulator = Simulator(line.removeprefix("listening on ").strip())

    def kill(self) -> None:
        """End it as SIGKILL does: nothing is saved."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it gracefully, so that a snapshot is written."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def running_simulator(
    *,
    guides: int = 4,
    contacts: int = 60,
    corps: int = 1,
    seed: int = 7,
    pace: float = 1.0,
    port: int = 0,
    confirm_rate: float = 0.88,
    snapshot: Path | None = None,
    stopped_at: int | None = None,
) -> Iterator[Simulator]:
    """A simulator of its own for the length of the block. At pace 1 nobody confirms until `settle` or `confirm`.
    `stopped_at`: its clock stands there and goes on by POST /_sim/clock alone."""
    arguments = [
        *("--port", str(port), "--seed", str(seed), "--guides", str(guides), "--contacts", str(contacts)),
        *("--corps", str(corps), "--pace", str(pace), "--confirm-rate", str(confirm_rate)),
        *(("--snapshot", str(snapshot)) if snapshot else ()),
        *(("--stopped-at", str(stopped_at)) if stopped_at is not None else ()),
    ]
    process = SimulatorProcess(*arguments)
    try:
        yield process.simulator
    finally:
        process.stop()
