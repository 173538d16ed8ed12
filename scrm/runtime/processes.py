"""Processes as the kernel knows them: who is alive, who belongs to us, and running as somebody else."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path
from typing import Any


def started(pid: int) -> int | None:
    """The kernel's start time of a process in ticks since boot, or None when it is gone or a zombie.

    With the pid it identifies a process: pids are used again, start times are not.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def group_members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for entry in _pids():
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(entry)
    return found


def marked(mark: str) -> list[int]:
    """Living processes that were started with `mark` (NAME=value) in their environment, ourselves excepted."""
    wanted = mark.encode()
    found = []
    for entry in _pids():
        try:
            environ = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:  # gone, or another user's
            continue
        if wanted in environ.split(b"\0") and entry != os.getpid() and started(entry) is not None:
            found.append(entry)
    return found


def end(pids: list[int], *, patience: float) -> None:
    """Ask these processes to stop, and after `patience` seconds kill those that did not."""
    _signal(pids, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while any(started(pid) is not None for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal([pid for pid in pids if started(pid) is not None], signal.SIGKILL)


def working_in(directory: Path) -> list[int]:
    """Living processes whose working directory is this one: a PostgreSQL server works in its data directory."""
    found = []
    for entry in _pids():
        try:
            if os.readlink(f"/proc/{entry}/cwd") == str(directory) and started(entry) is not None:
                found.append(entry)
        except OSError:
            continue
    return found


def run_as(uid: int) -> dict[str, Any]:
    """Arguments for `subprocess` that run a program as `uid`: nothing unless that means changing user."""
    if os.geteuid() == uid:
        return {"cwd": "/"}
    return {"cwd": "/", "user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}


def service_uid() -> int:
    """Who runs the embedded servers: ourselves, but for root `postgres` or `nobody` (PostgreSQL refuses root)."""
    if os.geteuid() != 0:
        return os.geteuid()
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return pwd.getpwnam("nobody").pw_uid


def can(uid: int, *command: str) -> bool:
    """Whether this command succeeds as `uid`; not being allowed to run it at all is a no."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **run_as(uid))
    except PermissionError:
        return False
    return done.returncode == 0


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
