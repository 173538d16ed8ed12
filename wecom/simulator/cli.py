"""The command line, shared by `python -m wecom.simulator` and `manage.py wecom_simulator`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

DEFAULT_PORT = 8090


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: any free port, told on standard output")
    parser.add_argument("--seed", type=int, default=7, help="decides people, ids, secrets and habits")
    parser.add_argument("--guides", type=_positive, default=40, help="members with 客户联系")
    parser.add_argument("--contacts", type=_positive, default=2000, help="customers")
    parser.add_argument("--corps", type=_positive, default=1, help="further corps are smaller")
    parser.add_argument("--pace", type=_pace, default=1.0, help="human delays are divided by this")
    parser.add_argument("--confirm-rate", type=float, default=0.88, help="share of guides who ever confirm")
    parser.add_argument("--stopped-at", type=float, default=None, help="Unix time at which the clock stands still")
    parser.add_argument("--snapshot", type=Path, default=None, help="go on with this file, and save to it")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input closes")


def run(options: dict[str, Any]) -> int:
    """Run the server with parsed options. Returns the exit status."""
    from wecom.simulator import server

    return server.run(
        host=options["host"],
        port=options["port"],
        seed=options["seed"],
        guides=options["guides"],
        contacts=options["contacts"],
        corps=options["corps"],
        pace=options["pace"],
        confirm_rate=options["confirm_rate"],
        snapshot_path=options["snapshot"],
        exit_with_stdin=options["exit_with_stdin"],
        stopped_at=options["stopped_at"],
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _pace(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
