"""The fidelity checklist of docs/simulator.md names every point and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
DOC = HERE.parents[1] / "docs" / "simulator.md"
POINTS = 17


def rows() -> list[tuple[int, list[tuple[str, str]]]]:
    """(number of the point, tests named for it) of each line of the table."""
    table = DOC.read_text(encoding="utf-8").split("### The fidelity checklist")[1]
    lines = re.findall(r"^\| (\d+) \|(.*)$", table, re.MULTILINE)
    return [(int(number), re.findall(r"`(test_\w+)::(test_\w+)`", text)) for number, text in lines]


def test_every_point_is_shown_by_a_test():
    assert {number for number, _ in rows()} == set(range(1, POINTS + 1))
    assert all(tests for _, tests in rows())


def test_the_tests_it_names_exist():
    named = [test for _, tests in rows() for test in tests]
    missing = [
        f"{module}::{name}"
        for module, name in named
        if f"def {name}(" not in (HERE / f"{module}.py").read_text(encoding="utf-8")
    ]
    assert missing == []
