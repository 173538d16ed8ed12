"""The files by which others start the product."""

import re
import subprocess

import yaml

from scrm.runtime import programs
from scrm.runtime.environment import ROOT


def test_make_alone_lists_the_commands():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for command in ("demo", "up", "test", "check", "bench", "backup", "restore"):
        assert re.search(rf"^\s+make {command}\s+\w", said, re.MULTILINE), command


def test_only_migrations_get_the_owner_in_compose():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    owners = [name for name, service in services.items() if "DATABASE_OWNER_URL" in service.get("environment", {})]

    assert owners == ["migrate"]
    assert {"postgres", "redis", "web", "worker", "beat", "simulator"} <= services.keys()
    assert services["simulator"]["profiles"] == ["simulator"]


def test_every_queue_has_a_worker_in_compose_too():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = [" ".join(service["command"]) for service in services.values() if "worker" in service.get("command", [])]

    queues = {queue for command in commands for queue in re.findall(r"-Q (\S+)", command)[0].split(",")}

    ours = {queue for each in programs.workers() for queue in each.command[each.command.index("-Q") + 1].split(",")}
    assert queues == ours == {"wecom", "welcome", "react", "plan", "default", "webhooks"}


def test_development_and_production_lock_the_same_versions():
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))

    production, development = versions("requirements.lock"), versions("requirements-dev.lock")

    assert production
    assert {name: development.get(name) for name in production} == production


def test_locks_name_no_registry():
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / name).read_text()
