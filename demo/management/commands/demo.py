"""`manage.py demo`: the main loop on a fresh database, from a full sync to customers who come back."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo import people
from demo.screen import Screen
from demo.story import SIMULATOR, Story, StoryFailed
from demo.world import World
from scrm.runtime.state import RuntimeProblem
from scrm.runtime.supervisor import Stack


class Command(BaseCommand):
    """Start everything on a fresh database and world, play the story, and stay until Ctrl-C."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """--once."""
        parser.add_argument("--once", action="store_true", help="stop everything after the summary")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Exit status 1 and one clear line when a chapter does not come to its end."""
        screen = Screen()
        try:
            with ExitStack() as running:
                stack = self._play(screen, running)
                if not options["once"]:
                    stack.wait_until_stopped()
        except (RuntimeProblem, StoryFailed) as problem:
            raise CommandError(str(problem)) from problem
        except KeyboardInterrupt:
            screen.console.print("Stopped.")

    def _play(self, screen: Screen, running: ExitStack) -> Stack:
        """Start the stack, which `running` will stop, tell the story in it and show what came of it."""
        started = time.monotonic()
        with screen.chapter("Starting PostgreSQL, Valkey, web, workers, beat and the WeCom simulator"):
            stack = running.enter_context(Stack(fresh=True, simulator_args=SIMULATOR))
        if stack.simulator_url is None:
            raise StoryFailed("WECOM_API_BASE is set: the demo plays against its own simulator only. Unset it.")
        # This process connects the corps; the others got the address from the stack.
        settings.WECOM_API_BASE = f"{stack.simulator_url}/cgi-bin/"
        story = Story(stack.web_url, World(stack.simulator_url), screen)
        story.tell()
        story.facts["seconds_total"] = round(time.monotonic() - started, 1)
        (stack.state.path / "demo.json").write_text(json.dumps(story.facts, ensure_ascii=False, indent=2))
        screen.summary(story.facts)
        _say_where(screen, stack)
        return stack


def _say_where(screen: Screen, stack: Stack) -> None:
    screen.console.print(f"\nConsole    {stack.web_url}/   password of all: [bold]{people.PASSWORD}[/bold]")
    for name, _label, what in people.LOGINS:
        screen.console.print(f"           {name:<8} {what}")
    screen.console.print(f"API        {stack.web_url}/api/docs/")
    screen.console.print(f"Simulator  {stack.simulator_url}/_sim/corps")
    screen.console.print("Figures    .orchard/demo.json")
