"""The whole product started, disturbed and stopped as a person does it, all on one small simulated world."""

import os
import signal
import subprocess
import urllib.request

import pytest

from scrm.runtime import processes
from tests.runtime.conftest import Machine, eventually, is_gone

pytestmark = pytest.mark.slow

STACK = """
from scrm.runtime.supervisor import Stack

try:
    with Stack(simulator_args=["--seed", "3", "--guides", "2", "--contacts", "10"]) as stack:
        print("pids", stack.pids, flush=True)
        print("ready", stack.web_url, stack.simulator_url, flush=True)
        stack.wait_until_stopped()
except KeyboardInterrupt:
    pass  # the signal may come between "ready" and the wait
print("stopped", flush=True)
"""


def start(machine: Machine) -> tuple[subprocess.Popen[str], str]:
    """Start a stack; returns its process and what it said until it was ready."""
    process = machine.start("-c", STACK)
    return process, machine.wait_for(process, "ready http")


def descendants(machine: Machine) -> list[int]:
    """Every living process of this installation's stack, by the mark that it gives them."""
    return processes.marked(f"ORCHARD_STACK={machine.path}")


def answers(machine: Machine, name: str, path: str) -> bool:
    """Whether web or simulator answers 200 on its port."""
    port = machine.environ[f"ORCHARD_{name}_PORT"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.long
def test_a_day_in_the_life(machine):
    process, _said = start(machine)
    assert answers(machine, "WEB", "/healthz")
    assert answers(machine, "SIMULATOR", "/_sim/health")
    for pid in descendants(machine):
        environ = open(f"/proc/{pid}/environ").read()  # noqa: SIM115 - a file of the kernel's
        assert "DATABASE_URL=" in environ
        assert "DATABASE_OWNER_URL=" not in environ

    # Somebody starts it a second time.
    assert "runs here already" in machine.run("manage.py", "up", status=1)

    # A restore would pull the database away below it.
    backup = machine.path / "backups"
    machine.run("manage.py", "backup", "--file", str(backup / "now"))
    assert "is running here" in machine.run("manage.py", "restore", "--file", str(backup / "now"), status=1)

    # The web server crashes, workers and all.
    web = [pid for pid in descendants(machine) if b"granian" in open(f"/proc/{pid}/cmdline", "rb").read()]  # noqa: SIM115
    for pid in web:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: answers(machine, "WEB", "/healthz"), seconds=60)

    # The supervisor itself is killed: the next start clears up and goes on.
    left = descendants(machine)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process, said = start(machine)
    assert "left behind" in said
    assert all(is_gone(pid) for pid in left)
    assert answers(machine, "WEB", "/healthz")

    # The end: SIGTERM, as from a service manager.
    servers = [machine.postmaster(), *machine.servers("redis")]
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=90)
    assert (process.returncode, said.splitlines()[-1]) == (0, "stopped")
    assert descendants(machine) == []
    assert all(is_gone(pid) for pid in servers)


def test_a_start_that_fails_says_why_and_leaves_nothing(machine):
    failing = STACK.replace('"--seed", "3"', '"--no-such-option"').replace("])", "], migrate=False)")

    said = machine.run("-c", failing, status=1)

    assert "RuntimeProblem: simulator did not start:" in said.splitlines()[-1]
    assert "--no-such-option" in said.splitlines()[-1]
    assert descendants(machine) == []
    assert machine.servers("postgres") == []
