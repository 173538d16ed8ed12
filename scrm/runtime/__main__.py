"""`python -m scrm.runtime up | down | status | run -- COMMAND | erase`: the embedded servers, without Django."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys

from scrm.runtime.embedded import Embedded
from scrm.runtime.state import RuntimeProblem


def main(arguments: list[str]) -> int:
    """Do one of the actions; the exit status of `run` is its command's."""
    parser = argparse.ArgumentParser(prog="python -m scrm.runtime", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("up", help="start PostgreSQL and Valkey and leave them on")
    actions.add_parser("down", help="stop them")
    actions.add_parser("status", help="say which of them run")
    actions.add_parser("erase", help="stop them and delete their data")
    run = actions.add_parser("run", help="run a command while they are up")
    run.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    try:
        return _act(given.action, given.command[1:] if given.action == "run" else [])
    except RuntimeProblem as problem:
        print(problem, file=sys.stderr)
        return 1


def _act(action: str, command: list[str]) -> int:
    embedded = Embedded()
    if action == "up":
        embedded.up(keep=True)
    elif action == "down":
        embedded.down()
    elif action == "erase":
        embedded.erase()
        return 0
    elif action == "run":
        with embedded.held():
            return run(command)
    for name, text in embedded.status().items():
        print(f"{name}: {text}")
    return 0


def run(command: list[str]) -> int:
    """Run a command in the foreground and hand signals on; returns its exit status."""
    child = subprocess.Popen(command)
    # Ctrl-C reaches the child from the terminal by itself; we stay, to stop the servers after it.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: child.send_signal(received))
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
