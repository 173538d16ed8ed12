"""What a file's rows can become. An app registers its kinds when it starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from scrm.lib.errors import FieldError, Missing, Text


@dataclass(frozen=True, slots=True)
class Target:
    """Something that a column can be."""

    name: str
    label: Text
    group: Text = ""


@dataclass(frozen=True, slots=True)
class Option:
    """Something that holds for the whole file. `type`: text, choice or flag."""

    name: str
    label: Text
    type: str
    choices: tuple[tuple[str, Text], ...] = ()
    help: Text = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the file, and what stands in the mapped columns; empty cells are left out."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row; `target` says in which column."""

    row: int
    target: str
    error: FieldError


@dataclass(slots=True)
class Read:
    """Rows as a kind understood them."""

    good: list[Any] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refused: int = 0
    """rows, each of which may have several problems"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What writing the good rows came to."""

    accepted: int
    duplicate: int = 0


class Kind(Protocol):
    """One kind of import. All but `prepare` are called in the brand's scope."""

    name: str
    label: Text
    hint: Text
    scope: str
    """what an API key must hold, besides the one of imports"""

    def targets(self) -> Sequence[Target]:
        """What columns can be."""

    def options(self) -> Sequence[Option]:
        """What is asked for besides."""

    def guess(self, header: Sequence[str]) -> dict[int, str]:
        """Which columns are obviously what: place → target."""

    def check(self, mapping: Mapping[int, str], options: Mapping[str, Any]) -> list[FieldError]:
        """What is missing or impossible in an operator's choice."""

    def read(self, rows: Sequence[Row], options: Mapping[str, Any], at: datetime) -> Read:
        """Check the rows. Writes nothing."""

    def prepare(self, read: Read) -> None:
        """Outside any scope, before `write`."""

    def write(self, read: Read, at: datetime) -> Outcome:
        """Write the good rows. Repeating it must be harmless. Within a second for a thousand rows."""


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Called from AppConfig.ready()."""
    if _KINDS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"There is an import named {kind.name} already.")


def kind_of(name: str) -> Kind:
    """The kind of that name; raises NotFound."""
    if name not in _KINDS:
        raise Missing("import kind")
    return _KINDS[name]


def kinds() -> list[Kind]:
    """All kinds, in order of registration."""
    return list(_KINDS.values())
