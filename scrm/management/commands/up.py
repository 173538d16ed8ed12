"""`manage.py up`: start everything and stay until Ctrl-C."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scrm.runtime.state import RuntimeProblem
from scrm.runtime.supervisor import Stack


class Command(BaseCommand):
    """Start the embedded servers, web, workers, beat and simulator; Ctrl-C stops what it started."""

    help = __doc__
    requires_system_checks: list[str] = []  # works while the product does not

    def add_arguments(self, parser: CommandParser) -> None:
        """--fresh."""
        parser.add_argument("--fresh", action="store_true", help="empty database, broker and simulated world first")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until told to stop."""
        self.stdout.write("Starting Orchard…")
        try:
            with Stack(fresh=options["fresh"]) as stack:
                self.stdout.write(f"Console    {stack.web_url}/")
                self.stdout.write(f"API        {stack.web_url}/api/docs/")
                if stack.simulator_url:
                    self.stdout.write(f"Simulator  {stack.simulator_url}/_sim/corps")
                self.stdout.write(f"Logs       {stack.state.logs}")
                self.stdout.write("Ctrl-C stops everything.")
                stack.wait_until_stopped()
                self.stdout.write("Stopping…")
        except RuntimeProblem as problem:
            raise CommandError(str(problem)) from problem
        except PermissionError as refused:
            raise CommandError(
                f"{refused.filename} belongs to another user: run as that user, or remove it."
            ) from refused
        except KeyboardInterrupt:
            self.stdout.write("Stopped before everything ran.")
