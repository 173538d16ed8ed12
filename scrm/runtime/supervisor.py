"""Web, workers, beat and simulator as one thing that starts, is looked after, and stops without a trace.

    with Stack() as stack:
        print(stack.web_url)
        stack.wait_until_stopped()

Each process leads a group of its own and logs to `.orchard/logs/NAME.log`; a crashed one is started again after a
pause that grows. Whatever way the block is left, every process of it is gone, grandchildren too, and the embedded
servers stop last, unless somebody else uses them. After a `kill -9` of the supervisor the next start clears up.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import IO, Any

from scrm.runtime import databases, environment, processes, programs
from scrm.runtime.embedded import Embedded
from scrm.runtime.programs import Program
from scrm.runtime.state import RuntimeProblem, State, is_free, preferred_port

READY_SECONDS = 90
STOP_SECONDS = 20  # a worker finishes the task in hand; after that the task is done again by another
UNREADY_STOP_SECONDS = 2  # who never answered has nothing in hand; a web server that is still starting hears no SIGTERM
LONGEST_PAUSE_SECONDS = 30
STEADY_SECONDS = 60  # whoever ran that long starts its pauses anew


class Child:
    """One running program and how often it had to be started again."""

    def __init__(self, program: Program, log: IO[bytes], environ: dict[str, str]) -> None:
        self.program, self.log, self.environ = program, log, environ
        self.has_answered = program.ready_url is None
        self.crashes = 0
        self.start()

    def start(self) -> None:
        """Start it as the leader of its own session, so that a terminal's Ctrl-C does not reach it before us."""
        self.process = subprocess.Popen(
            self.program.command,
            cwd=environment.ROOT,
            env={**self.environ, **self.program.environ},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.since = time.monotonic()
        self.start_ticks = processes.started(self.process.pid)
        self.again_at: float | None = None

    def stop(self) -> None:
        """Ask the leader, wait, then kill what is left of its group."""
        patience = STOP_SECONDS if self.has_answered else UNREADY_STOP_SECONDS
        if self.process.poll() is None:
            # Only the leader: Celery's pool must not be interrupted in the middle of a task.
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
        processes.end(processes.group_members(self.process.pid), patience=0)
        self.process.wait()

    def look_after(self, now: float) -> str | None:
        """Notice a crash, and start again when its pause is over. Returns a line to tell, if there is one."""
        if self.process.poll() is None:
            return None
        if self.again_at is None:
            processes.end(processes.group_members(self.process.pid), patience=0)
            self.crashes = 1 if now - self.since > STEADY_SECONDS else self.crashes + 1
            pause = min(2.0 ** (self.crashes - 1), LONGEST_PAUSE_SECONDS)
            self.again_at = now + pause
            return f"{self.program.name} ended with status {self.process.returncode}; again in {pause:.0f} s."
        if now >= self.again_at:
            self.start()
        return None


class Stack:
    """The running product. Raises RuntimeProblem from `__enter__` with one clear line, having stopped everything.

    fresh: begin with an empty database, broker and simulated world.
    simulator_args: options of `manage.py wecom_simulator`; remembered, so that a later `up` goes on with the same.
    ports: fixed ports by name ("web", "simulator"); the others are remembered from start to start.
    migrate: bring the database's tables up to date first.

    SIGTERM and SIGHUP arrive as KeyboardInterrupt inside the block.
    """

    def __init__(
        self,
        *,
        fresh: bool = False,
        simulator_args: Sequence[str] | None = None,
        ports: dict[str, int] | None = None,
        migrate: bool = True,
    ) -> None:
        self.fresh, self.simulator_args, self.fixed_ports = fresh, simulator_args, ports or {}
        self.migrate = migrate
        self.state = State(environment.state_directory())
        self.children: list[Child] = []
        self.web_url = ""
        self.simulator_url: str | None = None
        self._exit = ExitStack()
        self._caught: list[signal.Signals] = []
        self._stopping = threading.Event()

    # Use

    def wait_until_stopped(self) -> None:
        """Come back on Ctrl-C or SIGTERM."""
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return

    @property
    def pids(self) -> dict[str, int]:
        """Name → pid of each process started here."""
        return {child.program.name: child.process.pid for child in self.children}

    # Life

    def __enter__(self) -> Stack:
        try:
            self._take_the_only_place()
            self._catch_signals()
            embedded = Embedded(self.state.path)
            self._exit.enter_context(embedded.held())
            if self.fresh:
                self._begin_anew(embedded)
            if self.migrate:
                databases.migrate(log=self.state.logs / "migrate.log")
            self._start_programs()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        # Nothing may interrupt the clearing up; closing restores the handlers last.
        for number in self._caught:
            signal.signal(number, signal.SIG_IGN)
        self._exit.close()

    def _take_the_only_place(self) -> None:
        self.state.path.mkdir(parents=True, exist_ok=True)
        lock = self._exit.enter_context((self.state.path / "supervisor.lock").open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = self._last_run()
            raise RuntimeProblem(
                f"Orchard runs here already (process {running.get('pid')}): {running.get('web_url')}"
            ) from None
        self._stop_orphans()

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            if before is signal.SIG_IGN:  # started by nohup, or in the background: the starter wants it so
                continue
            self._exit.callback(signal.signal, number, before)
            signal.signal(number, _interrupt)
            self._caught.append(number)

    def _begin_anew(self, embedded: Embedded) -> None:
        databases.begin_anew(embedded)
        for name in ("simulator.json.gz", *(f"beat-schedule{end}" for end in ("", ".bak", ".dat", ".dir", ".db"))):
            (self.state.path / name).unlink(missing_ok=True)

    # Programs

    def _start_programs(self) -> None:
        with self.state.locked():
            self.state.fill()
            if self.simulator_args is not None:
                self.state.data["simulator_args"] = list(self.simulator_args)
            web, simulator = self._port("web"), self._port("simulator")
            self.state.write()
        self.web_url = f"http://127.0.0.1:{web}"
        environ = self._environ(web)
        wanted = [programs.web(port=web), *programs.workers(), programs.beat(self.state.path / "beat-schedule")]
        if "WECOM_API_BASE" not in environment.outside():
            self.simulator_url = f"http://127.0.0.1:{simulator}"
            environ["WECOM_API_BASE"] = f"{self.simulator_url}/cgi-bin/"
            environ["WECHAT_API_BASE"] = f"{self.simulator_url}/api.weixin.qq.com/"
            environ["WECOM_AUTHORIZE_URL"] = f"{self.simulator_url}/open.weixin.qq.com/connect/oauth2/authorize"
            environ["WECOM_INSTALL_URL"] = f"{self.simulator_url}/open.work.weixin.qq.com/3rdapp/install"
            arguments = self.state.data.get("simulator_args", programs.SIMULATOR_DEFAULTS)
            snapshot = self.state.path / "simulator.json.gz"
            wanted.insert(0, programs.simulator(port=simulator, snapshot=snapshot, arguments=arguments))
        self._exit.callback(self._stop_all)
        for program in wanted:
            log = self._exit.enter_context(_open_log(self.state, program.name))
            self.children.append(Child(program, log, environ))
            self._write_down()
        self._wait_until_ready()
        keeper = threading.Thread(target=self._keep_running, name="supervisor", daemon=True)
        keeper.start()
        self._exit.callback(keeper.join)
        self._exit.callback(self._stopping.set)

    def _port(self, name: str) -> int:
        if name in self.fixed_ports:
            return self.fixed_ports[name]
        if f"ORCHARD_{name.upper()}_PORT" in os.environ:
            wanted = preferred_port(name)
            if not is_free(wanted):
                self.state.data["ports"][name] = wanted
                return self.state.move_port(name)
            self.state.data["ports"][name] = wanted
        remembered = self.state.port(name)
        usual = preferred_port(name)
        if remembered != usual and is_free(usual) and usual not in self.state.data["ports"].values():
            self.state.data["ports"][name] = usual  # whoever held the usual port is gone
        return self.state.port(name) if is_free(self.state.port(name)) else self.state.move_port(name)

    def _environ(self, web_port: int) -> dict[str, str]:
        known = environment.without_owner(environment.load())
        known.setdefault("ORCHARD_PUBLIC_URL", f"http://127.0.0.1:{web_port}")
        if "ORCHARD_ALLOWED_HOSTS" in known:
            known["ORCHARD_ALLOWED_HOSTS"] += ",127.0.0.1"  # we ask it there whether it is ready
        ours = {"ORCHARD_STATE_DIR": str(self.state.path), "ORCHARD_STACK": str(self.state.path)}
        return {**known, **ours, "PYTHONUNBUFFERED": "1"}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for child in self.children:
            while problem := programs.not_ready(child.program):
                self._check_alive()
                if time.monotonic() > deadline:
                    log = self.state.logs / f"{child.program.name}.log"
                    raise RuntimeProblem(f"{child.program.name} did not start: {problem} (see {log})")
                time.sleep(0.1)
            child.has_answered = True
        self._check_alive()

    def _check_alive(self) -> None:
        for child in self.children:
            if child.process.poll() is not None:
                raise RuntimeProblem(f"{child.program.name} did not start: {_last_words(self.state, child)}")

    def _keep_running(self) -> None:
        while not self._stopping.wait(0.5):
            for child in self.children:
                before = child.process.pid
                if told := child.look_after(time.monotonic()):
                    print(f"{told} See {self.state.logs / child.program.name}.log", flush=True)
                if child.process.pid != before:
                    self._write_down()

    def _stop_all(self) -> None:
        # All at once, but for the simulator: whoever talks to it finishes first.
        last = [child for child in self.children if child.program.name == "simulator"]
        _stop_together([child for child in self.children if child not in last])
        _stop_together(last)
        processes.end(processes.marked(self._mark), patience=2)
        (self.state.path / "supervisor.json").unlink(missing_ok=True)

    # What a killed supervisor leaves

    @property
    def _mark(self) -> str:
        return f"ORCHARD_STACK={self.state.path}"

    def _write_down(self) -> None:
        running = [{"pid": child.process.pid, "start": child.start_ticks} for child in self.children]
        text = json.dumps({"pid": os.getpid(), "web_url": self.web_url, "children": running})
        fresh = self.state.path / "supervisor.json.new"
        fresh.write_text(text)
        fresh.rename(self.state.path / "supervisor.json")

    def _last_run(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.state.path / "supervisor.json").read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def _stop_orphans(self) -> None:
        found = set(processes.marked(self._mark))
        for child in self._last_run().get("children", []):
            # With its leader gone a group keeps its number, which no new process gets meanwhile.
            if processes.started(child["pid"]) in (None, child["start"]):
                found.update(processes.group_members(child["pid"]))
        if found:
            print(f"Stopping {len(found)} processes that a killed Orchard left behind.", flush=True)
            processes.end(sorted(found), patience=5)


def _stop_together(children: list[Child]) -> None:
    stopping = [threading.Thread(target=child.stop) for child in children]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


def _open_log(state: State, name: str) -> IO[bytes]:
    path = state.logs / f"{name}.log"
    if path.exists() and path.stat().st_size > 10_000_000:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _last_words(state: State, child: Child) -> str:
    path = state.logs / f"{child.program.name}.log"
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1].strip() if lines else 'it said nothing'} (see {path})"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
