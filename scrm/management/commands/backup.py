"""`manage.py backup [--file FILE]`: save the database to one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from scrm.runtime import backup
from scrm.runtime.state import RuntimeProblem


class Command(BaseCommand):
    """Save the database; the product may go on working."""

    help = __doc__
    requires_system_checks: list[str] = []  # works while the product does not

    def add_arguments(self, parser: CommandParser) -> None:
        """--file."""
        parser.add_argument("--file", type=Path, help="where to (default: below .orchard/backups/)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Save and say where."""
        try:
            path = backup.save(to=options["file"], at=timezone.now())
        except RuntimeProblem as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"Saved {path} ({path.stat().st_size / 1e6:.1f} MB).")
        self.stdout.write("Keep ORCHARD_SECRET_KEYS too, elsewhere: without them its secrets cannot be read.")
