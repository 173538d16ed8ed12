"""Where the servers are, and the secrets: process environment first, then `.env`, then the embedded servers.

Read-only, standard library only, and quick: `scrm/settings.py` calls `load()` on every start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A group comes whole from the first place that names its first variable: a real DATABASE_URL together with the
# embedded servers' owner URL would migrate the wrong database.
GROUPS = (("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_BACKUP_URL"), ("REDIS_URL",))


def state_directory() -> Path:
    """The directory of everything the runtime keeps: `ORCHARD_STATE_DIR`, or `.orchard/` in the checkout."""
    return Path(os.environ.get("ORCHARD_STATE_DIR") or ROOT / ".orchard").absolute()


def load() -> dict[str, str]:
    """Every variable known, from the process, `.env` and `.orchard/runtime.json`, in that order.

    Unset variables are absent. Starts nothing and writes nothing; a missing file is an empty one.
    """
    return merge([dict(os.environ), read_dotenv(ROOT / ".env"), embedded_variables()])


def outside() -> dict[str, str]:
    """What the operator set, in the process environment or `.env`; nothing of the embedded servers."""
    return merge([dict(os.environ), read_dotenv(ROOT / ".env")])


def merge(layers: list[dict[str, str]]) -> dict[str, str]:
    """One mapping from several, earlier ones first; empty values count as unset, groups are kept whole."""
    filled = [{name: value for name, value in layer.items() if value != ""} for layer in layers]
    merged: dict[str, str] = {}
    for layer in reversed(filled):
        for group in GROUPS:
            if group[0] in layer:
                for name in group:
                    merged.pop(name, None)
        merged.update(layer)
    return merged


def embedded_variables() -> dict[str, str]:
    """The variables that the embedded manager wrote down, or none when it never ran here."""
    try:
        written = json.loads((state_directory() / "runtime.json").read_text())
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return {}
    return dict(written.get("env", {}))


def read_dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines of a file; `#` comments, `export ` and one pair of quotes are understood."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, PermissionError):
        return {}
    found = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def without_owner(variables: Mapping[str, str]) -> dict[str, str]:
    """The same without what only migrations, backup and restore may see."""
    return {
        name: value
        for name, value in variables.items()
        if name not in ("DATABASE_OWNER_URL", "DATABASE_BACKUP_URL", "DATABASE_SUPERUSER_URL")
    }
