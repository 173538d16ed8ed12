"""A measure: what the product does in a second, beside a floor taken in the same run on the same machine."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the report. `value` and `floor` are in `unit`; more is better, unless `is_time`."""

    name: str
    value: float
    unit: str
    floor: float
    goal: float | None = None
    """the ratio to reach, where one was set"""
    note: str = ""
    is_time: bool = False
    """less is better: `floor` is what it may take, and reaching it is a ratio of 1"""

    @property
    def ratio(self) -> float:
        """How much of what is possible the product reaches."""
        return self.floor / self.value if self.is_time else self.value / self.floor

    def as_json(self) -> dict[str, Any]:
        """As `.orchard/bench.json` keeps it: four digits that count, however small the number."""
        numbers = {"value": self.value, "floor": self.floor, "ratio": self.ratio}
        return asdict(self) | {name: float(f"{number:.4g}") for name, number in numbers.items()}


def seconds(act: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def table(measures: list[Measure]) -> str:
    """The measures as text in columns."""
    head = ("measure", "value", "unit", "floor", "ratio", "goal")
    rows = [
        (
            each.name,
            _number(each.value),
            each.unit,
            _number(each.floor),
            f"{each.ratio:.2f}",
            "" if each.goal is None else f"{'reached' if each.ratio >= each.goal else 'MISSED'} ≥ {each.goal:.2f}",
        )
        for each in measures
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            text.rjust(width) if column in (1, 3, 4) else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    notes = [f"  {each.name}: {each.note}" for each in measures if each.note]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *notes])


def _number(value: float) -> str:
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
