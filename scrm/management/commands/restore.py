"""`manage.py restore --file FILE`: put a saved database in place of the present one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from events.era import raise_era
from scrm.runtime import backup
from scrm.runtime.state import RuntimeProblem
from scrm.settings import database


class Command(BaseCommand):
    """Restore a backup, into this cluster or a new one; the product must be stopped."""

    help = __doc__
    requires_system_checks: list[str] = []  # works while the product does not

    def add_arguments(self, parser: CommandParser) -> None:
        """--file, --without-secrets."""
        parser.add_argument("--file", type=Path, required=True, help="a file that `backup` wrote")
        parser.add_argument(
            "--without-secrets", action="store_true", help="go on though the secrets in it cannot be decrypted"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Restore and say what was restored."""
        connections.close_all()
        try:
            manifest = backup.restore(
                source=options["file"], finish=raise_log_era, without_secrets=options["without_secrets"]
            )
        except RuntimeProblem as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"Restored the backup of {manifest.made_at}; the former database is kept until the next one.")


def raise_log_era(url: str) -> None:
    """Put the restored log's era above every transaction id in it: ids begin anew in a new cluster.

    `url`: of the restored database, as a role that sees every brand's rows.
    """
    connections.databases["restored"] = connections.databases["default"] | database(url, CONN_MAX_AGE=0)
    try:
        raise_era(using="restored")
    finally:
        connections["restored"].close()
        del connections.databases["restored"]
