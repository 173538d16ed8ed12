"""Where settings find their servers."""

import json
from pathlib import Path

import pytest

from scrm.runtime import environment


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own: no variables, an empty .env, an embedded runtime that wrote its URLs."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_BACKUP_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("ORCHARD_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    written = {"DATABASE_URL": "embedded", "DATABASE_OWNER_URL": "embedded-owner", "REDIS_URL": "embedded-redis"}
    (tmp_path / "state" / "runtime.json").write_text(json.dumps({"env": written}))
    return tmp_path


def test_embedded_servers_are_the_default(layers):
    found = environment.load()

    assert (found["DATABASE_URL"], found["REDIS_URL"]) == ("embedded", "embedded-redis")


def test_process_environment_beats_dotenv_beats_embedded(layers, monkeypatch):
    (layers / ".env").write_text("REDIS_URL=from-dotenv\nORCHARD_PUBLIC_URL=https://dotenv.example\n")
    monkeypatch.setenv("ORCHARD_PUBLIC_URL", "https://process.example")

    found = environment.load()

    assert found["REDIS_URL"] == "from-dotenv"
    assert found["ORCHARD_PUBLIC_URL"] == "https://process.example"


def test_an_outside_database_never_gets_the_embedded_owner(layers, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "outside")

    found = environment.load()

    assert found["DATABASE_URL"] == "outside"
    assert "DATABASE_OWNER_URL" not in found  # else migrations would run on the wrong database


def test_a_process_given_only_the_runtime_role_does_not_find_the_owner(layers, monkeypatch):
    (layers / ".env").write_text("DATABASE_URL=outside\nDATABASE_OWNER_URL=outside-owner\n")
    assert environment.load()["DATABASE_OWNER_URL"] == "outside-owner"

    for name, value in environment.without_owner(environment.load()).items():
        monkeypatch.setenv(name, value)

    assert "DATABASE_OWNER_URL" not in environment.load()


def test_empty_counts_as_unset(layers, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "")

    assert environment.load()["DATABASE_URL"] == "embedded"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X=plain", "plain"),
        ("export X=plain", "plain"),
        ("X = 'quoted # kept'", "quoted # kept"),
        ('X="quoted"', "quoted"),
        ("X=value # comment", "value"),
        ("X=a=b", "a=b"),
    ],
)
def test_dotenv_lines(tmp_path, line, value):
    (tmp_path / ".env").write_text(f"# a comment\n\n{line}\n#Y=no\n")

    assert environment.read_dotenv(tmp_path / ".env") == {"X": value}
