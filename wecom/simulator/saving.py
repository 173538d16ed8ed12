"""Snapshots without a pause: a forked child writes the world as it was at the fork while the parent goes on answering.

The fork itself takes milliseconds; memory is shared until either side changes it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import os
import signal
import sys
from pathlib import Path

from wecom.simulator import snapshot
from wecom.simulator.engine import Engine

CHILDS_NICENESS = 10  # calls come first
HIGHEST_FD = 1 << 16


class Saver:
    """Writes one engine's snapshots to one file, one at a time; the file is replaced at once or not at all."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()
        self._child = 0

    def begin(self) -> None:
        """Note beside the file that it is in use, until `end`; one that is not there yet is noted when it is written.

        Raises OSError."""
        if self.path.exists():
            snapshot.mark_of(self.path).touch()

    def end(self) -> None:
        """Save what is not saved yet, in this process: nothing else is to be done any more. Raises OSError."""
        if self._engine.dirty:
            self._save_at_the_end()
        snapshot.mark_of(self.path).unlink(missing_ok=True)

    async def save(self) -> None:
        """Save the present state. Returns when the file is there; the loop is blocked for the fork only.

        Raises OSError when the file could not be written; the reason is on standard error."""
        async with self._one_at_a_time:
            self._engine.dirty = False
            self._child = self._fork()
            try:
                status = await asyncio.to_thread(_ended, self._child)
            finally:
                self._child = 0
            if status:
                self._engine.dirty = True
                raise OSError(f"{self.path} was not written")

    def _save_at_the_end(self) -> None:
        """Save after whatever is being written was stopped."""
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
        self._engine.dirty = False
        _write(self._engine, self.path)

    def _fork(self) -> int:
        gc.freeze()  # a collection in either process would copy what they share
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            _leave_the_parents_things()
            _write(self._engine, self.path)
            status = 0
        except OSError as error:
            os.write(2, f"cannot write the snapshot: {error}\n".encode())
        finally:
            os._exit(status)


def _leave_the_parents_things() -> None:
    """The child is nobody's server: it must not hold the port, nor the ends of pipes, nor hear the parent's signals."""
    gc.disable()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, HIGHEST_FD)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.nice(CHILDS_NICENESS)


def _write(engine: Engine, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    snapshot.mark_of(path).touch()
    temporary = path.with_name(f"{path.name}.tmp")
    with gzip.open(temporary, "wt", encoding="utf-8", compresslevel=1) as file:
        for piece in snapshot.pieces(engine):
            file.write(piece)
    os.replace(temporary, path)


def _ended(child: int) -> int:
    """Wait for the child; its exit status, not 0 when it was killed."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:  # somebody else waited for it
        sys.stderr.write("lost sight of the process that writes the snapshot\n")
        return 1
