"""`make bench` at a minute scale: it runs from an empty database to its file, and leaves nothing behind.

The measures that watch running workers take their time at any scale: they run where ORCHARD_WHOLE_BENCH is set, as
.ci/run does."""

import json
import os
import subprocess
import sys

import psycopg2
import pytest

from scrm.runtime import environment
from scrm.runtime.databases import with_database

needs_superuser = pytest.mark.skipif(
    "DATABASE_URL" in environment.outside() and "DATABASE_SUPERUSER_URL" not in environment.load(),
    reason="the bench wants a superuser to compare with: DATABASE_SUPERUSER_URL",
)

GOALS = {
    "full sync": 0.5,
    "event ingest, http 500": 0.1,
    "event ingest, in-process 500": 0.1,
    "limiter": 0.9,
    "limiter, fair share": 0.9,
    "token, after expiry": 1.0,
    "token, Redis emptied": 1.0,
    "ingest for a minute": 1.0,
    "20 rules over arriving events": 1.0,
    "event → tag, 95th of 100": 1.0,
    "event → dynamic segment, 95th of 100": 1.0,
    "time-driven exit after its moment, the latest": 1.0,
    "count of 5 nested leaves, beside SQL by hand": 1.0,
    "count of 5 nested leaves, in all": 1.0,
    "estimate, 95th of 100": 1.0,
    "estimates whose interval holds": 1.0,
    "small brand beside the large, segment": 1.0,
    "small brand beside the large, rules": 1.0,
}


BRIEF = ("sync", "reading", "rules", "segments", "oneid", "planning")
EVERY_TIME = {"full sync", "reactors, tag rules and points", "segment count", "push planning"}


@pytest.mark.slow
@needs_superuser
def test_every_measure_gives_a_figure_beside_its_floor(tmp_path):
    out, is_whole = tmp_path / "bench.json", bool(os.environ.get("ORCHARD_WHOLE_BENCH"))
    chosen = [] if is_whole else [f"--only={name}" for name in BRIEF]

    done = subprocess.run(
        [sys.executable, "-m", "bench", "--scale", "0.001", "--rounds", "1", "--out", str(out), *chosen],
        cwd=environment.ROOT,
        env={name: value for name, value in os.environ.items() if name != "ORCHARD_TESTING"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = {each["name"]: each for each in json.loads(out.read_text())}
    assert set(found) >= EVERY_TIME | (set(GOALS) if is_whole else set())
    for name, each in found.items():
        assert set(each) == {"name", "value", "unit", "floor", "ratio", "goal", "note", "is_time"}
        assert each["value"] > 0
        assert each["floor"] > 0
        assert each["goal"] == GOALS.get(name, each["goal"])
        ratio = each["floor"] / each["value"] if each["is_time"] else each["value"] / each["floor"]
        assert each["ratio"] == pytest.approx(ratio, rel=0.01)
        assert name in done.stdout
    assert not _left_behind()


def _left_behind() -> list[str]:
    """Scratch databases of benches that run no more."""
    owner = environment.load()["DATABASE_OWNER_URL"]
    with psycopg2.connect(with_database(owner, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench\\_orchard\\_%'")
        names = [name for (name,) in cursor.fetchall()]
    return [name for name in names if not os.path.exists(f"/proc/{name.rpartition('_')[2]}")]
