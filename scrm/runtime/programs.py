"""The product's processes: how each is started and how one sees that it is ready."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scrm.runtime.environment import ROOT

BIN = Path(sys.executable).parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]

# A world for `make up` on a machine where no demo ran: two corps, so that brands can be switched.
SIMULATOR_DEFAULTS = ("--seed", "7", "--guides", "40", "--contacts", "20000", "--corps", "2")


@dataclass(frozen=True)
class Program:
    """A name for its log, a command, and an address that answers 200 once it is ready (none: at once)."""

    name: str
    command: list[str]
    ready_url: str | None = None
    environ: dict[str, str] = field(default_factory=dict)


def web(*, port: int) -> Program:
    """The console and the API. Threads, not async: every view is a database transaction."""
    host = os.environ.get("ORCHARD_HOST", "127.0.0.1")
    command = [str(BIN / "granian"), "--interface", "wsgi", "scrm.wsgi:application", "--host", host]
    command += ["--port", str(port), "--workers", "2", "--blocking-threads", "4", "--respawn-failed-workers"]
    command += ["--working-dir", str(ROOT), "--log-level", "warning"]
    return Program("web", command, f"http://127.0.0.1:{port}/healthz", {"ORCHARD_PROCESS": "web"})


def workers() -> list[Program]:
    """Celery workers: reactions are short and must not wait behind a plan or a slow WeCom, a welcome waits behind
    nothing, since its code is dead after 20 seconds, and a brand's slow receiver holds up webhooks only."""
    return [
        _worker("worker-react", queues="react,default", pool=("-c", "2")),
        _worker("worker-wecom", queues="wecom,plan", pool=("-c", "2")),
        _worker("worker-welcome", queues="welcome", pool=("-P", "solo")),
        # Threads: their work is to wait for other people's servers.
        _worker("worker-webhooks", queues="webhooks", pool=("-P", "threads", "-c", "4")),
    ]


def _worker(name: str, *, queues: str, pool: Sequence[str]) -> Program:
    command = [str(BIN / "celery"), "-A", "scrm", "worker", "-Q", queues, *pool]
    command += ["-n", f"{name}@%h", "--without-gossip", "--without-mingle", "-l", "INFO"]
    return Program(name, command, environ={"ORCHARD_PROCESS": "worker"})


def beat(schedule: Path) -> Program:
    """The clock: one, and its memory in a file."""
    command = [str(BIN / "celery"), "-A", "scrm", "beat", "-s", str(schedule), "--pidfile=", "-l", "INFO"]
    return Program("beat", command, environ={"ORCHARD_PROCESS": "beat"})


def simulator(*, port: int, snapshot: Path, arguments: Sequence[str]) -> Program:
    """WeCom's servers, played by us; the snapshot is its memory between starts."""
    command = [*MANAGE, "wecom_simulator", "--port", str(port), "--snapshot", str(snapshot), *arguments]
    return Program("simulator", command, f"http://127.0.0.1:{port}/_sim/health", {"ORCHARD_PROCESS": "simulator"})


def not_ready(program: Program) -> str | None:
    """Ask it once; None when it is ready, else what it answered."""
    if program.ready_url is None:
        return None
    try:
        with urllib.request.urlopen(program.ready_url, timeout=5) as answer:  # noqa: S310 - our own http address
            return None if answer.status == 200 else f"{program.ready_url} answers {answer.status}"
    except urllib.error.HTTPError as refused:
        return f"{program.ready_url} answers {refused.code}"
    except OSError as silent:
        return f"{program.ready_url} does not answer ({silent})"
