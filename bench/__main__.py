"""`python -m bench --scale 1`: measure, print a table, write `.orchard/bench.json`."""

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path

import django

from bench.measure import Measure, table
from bench.scratch import scratch
from scrm.runtime import environment
from scrm.runtime.state import RuntimeProblem

MEASURES = (
    "sync",
    "callbacks",
    "ingest",
    "reading",
    "rules",
    "segments",
    "history",
    "oneid",
    "erasing",
    "big",
    "lag",
    "planning",
    "limiter",
    "tokens",
    "soak",
)


def main(arguments: list[str]) -> int:
    """Run the measures asked for; 0 when all of them ran, whether or not goals were reached."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", type=_positive, default=1.0, help="share of the full number of rows")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is repeated; the best counts")
    parser.add_argument("--only", action="append", choices=MEASURES, help="measure this only; may be repeated")
    parser.add_argument("--out", type=Path, default=None, help="where the JSON goes (.orchard/bench.json)")
    parser.add_argument("--keep", action="store_true", help="leave the scratch database for a look")
    given = parser.parse_args(arguments)
    began, failed = time.perf_counter(), list[str]()
    try:
        with scratch(keep=given.keep) as admin:
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scrm.settings")
            django.setup()
            # What follows needs Django's settings, and they the scratch database.
            from bench import suite

            measures: list[Measure] = []
            for name in given.only or MEASURES:
                print(f"{time.perf_counter() - began:5.0f} s  {name} …", flush=True)
                try:
                    measures += suite.SUITE[name](admin, given.scale, given.rounds)
                except Exception:
                    # An hour of other figures must not be lost with it.
                    traceback.print_exc()
                    failed.append(name)
    except RuntimeProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    out = given.out or environment.state_directory() / "bench.json"
    out.write_text(json.dumps([each.as_json() for each in measures], ensure_ascii=False, indent=1) + "\n")
    print(f"\n{table(measures)}\n\n{time.perf_counter() - began:.0f} s at scale {given.scale:g}; figures in {out}")
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
