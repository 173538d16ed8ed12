"""What the demo shows in the terminal: chapters with seconds, progress bars, and the summary."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


class Screen:
    """A terminal, or a plain log when it is none."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def chapter(self, title: str) -> Iterator[Callable[[str], None]]:
        """Announce a part of the story; the block may tell what came of it in a few words."""
        said: list[str] = []
        started = time.monotonic()
        self.console.print(f"[bold]•[/bold] {title}")
        yield said.append
        self.seconds[title] = round(time.monotonic() - started, 1)
        self.console.print(f"  [green]✓[/green] {self.seconds[title]:>5.1f} s  {said[0] if said else ''}")

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A bar that goes away when its block ends; call what it yields with the amount done."""
        columns = (
            SpinnerColumn(),
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bars:
            task = bars.add_task(what, total=total)
            yield lambda done: bars.update(task, completed=done)

    def summary(self, facts: dict[str, Any]) -> None:
        """The figures as a table, and the seconds of each chapter."""
        table = Table(title="Orchard 果园 · demo", title_justify="left", show_header=False)
        for key, value in facts.items():
            if isinstance(value, dict):
                table.add_row(key, f"{sum(value.values()):,}")
                for reason, count in value.items():
                    table.add_row(f"    {reason}", f"{count:,}")
            else:
                table.add_row(key, f"{value:,}" if isinstance(value, int | float) else str(value))
        self.console.print(table)
        for title, spent in self.seconds.items():
            self.console.print(f"  {spent:>6.1f} s  {title}", soft_wrap=True)
