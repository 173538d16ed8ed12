"""`manage.py wecom_simulator`: run the WeCom simulator (docs/simulator.md)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from wecom.simulator import cli


class Command(BaseCommand):
    """Serve a simulated WeCom until stopped."""

    help = "Run a server that behaves as WeCom does, with a world of guides and customers."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options of `python -m wecom.simulator`."""
        cli.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run; the exit status says whether it could start."""
        sys.exit(cli.run(options))
