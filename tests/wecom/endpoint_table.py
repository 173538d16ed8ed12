"""The table of WeCom's endpoints in docs/wecom.md, made from what there is: the simulator's registry, the paths that
the client's calls name, and the tests that use either.

    .venv/bin/python -m tests.wecom.endpoint_table     writes it anew; a test compares"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from wecom.simulator.endpoints import ENDPOINTS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "wecom.md"
BEGIN, END = "<!-- endpoints: begin -->", "<!-- endpoints: end -->"
WECOM = ROOT / "wecom"
SOURCES = [*sorted((WECOM / "calls").glob("*.py")), WECOM / "transport.py", WECOM / "provider" / "calls.py"]
PREFIXES = "externalcontact|idconvert|service|user|department|message|media|auth|agent|batch|sns|ticket"
PATH = re.compile(rf"(?:{PREFIXES})(?:/\w+)+")
OTHER_HOSTS = (WECOM / "simulator" / "hosts.py").read_text()


@dataclass
class Method:
    """A method of the client: the paths it names, and the methods of its class that it uses."""

    owner: str
    name: str
    paths: set[str]
    uses: set[str]


def methods(source: Path) -> list[Method]:
    """All methods of the module."""
    tree = ast.parse(source.read_text())
    constants = {
        target.id: value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target, value in zip(_names(node.targets[0]), _values(node.value), strict=False)
    }
    return [
        Method(cls.name, member.name, set(_paths(member, constants)), _used(member))
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
        for member in cls.body
        if isinstance(member, ast.FunctionDef)
    ]


def _names(target: ast.expr) -> list[ast.Name]:
    return [each for each in getattr(target, "elts", [target]) if isinstance(each, ast.Name)]


def _values(value: ast.expr) -> list[ast.expr]:
    return list(getattr(value, "elts", [value]))


def _used(method: ast.FunctionDef) -> set[str]:
    return {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def _paths(method: ast.FunctionDef, constants: dict[str, ast.expr]) -> Iterator[str]:
    inside = {id(part) for node in ast.walk(method) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(method):
        if id(node) not in inside and isinstance(node, ast.JoinedStr | ast.Constant):
            yield from (text for text in _texts(node, constants) if text in ENDPOINTS or PATH.fullmatch(text))


def _texts(node: ast.expr, constants: dict[str, ast.expr]) -> list[str]:
    """What an expression of strings may be."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Name):
        return _texts(constants[node.id], constants) if node.id in constants else []
    if isinstance(node, ast.IfExp):
        return _texts(node.body, constants) + _texts(node.orelse, constants)
    if isinstance(node, ast.FormattedValue):
        return _texts(node.value, constants)
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*(_texts(part, constants) for part in node.values))]
    return []


def client_calls() -> dict[str, set[str]]:
    """path → public methods that call it."""
    found: dict[str, set[str]] = {}
    for source in SOURCES:
        known = methods(source)
        for each in known:
            if each.name.startswith("_"):
                continue
            by_name = {other.name: other for other in known if other.owner == each.owner}
            reached, todo = set(), {each.name}
            while todo:
                name = todo.pop()
                reached.add(name)
                todo |= {used for used in by_name[name].uses if used in by_name and used.startswith("_")} - reached
            for path in set().union(*(by_name[name].paths for name in reached)):
                found.setdefault(path, set()).add(each.name)
    return found


def rows() -> list[tuple[str, str, str, str]]:
    """(path, client's methods, simulator, which tests use it)."""
    tests = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)}
    ours = "\n".join(text for path, text in tests.items() if "simulator" not in path.parts)
    theirs = "\n".join(text for path, text in tests.items() if "simulator" in path.parts)
    client = client_calls()
    table = []
    for path in sorted({*client, *ENDPOINTS}):
        names = sorted(client.get(path, ()))
        tested = [
            *(["client"] if any(re.search(rf"\.{name}\b", ours) for name in names) else []),
            *(["simulator"] if re.search(rf"""["/']{re.escape(path)}\b(?!/)""", theirs) else []),
        ]
        called = ", ".join(f"`{name}`" for name in names)
        there = path in ENDPOINTS or f"/{path}" in OTHER_HOSTS
        table.append((path, called, "yes" if there else "", ", ".join(tested)))
    return table


def rendered() -> str:
    """The table as Markdown, between its marks."""
    lines = ["| API | client | simulator | tests |", "|---|---|---|---|"]
    lines += [" | ".join(["", f"`{path}`", *rest, ""]).strip().replace("|  |", "| |") for path, *rest in rows()]
    return "\n".join([BEGIN, *lines, END])


def written() -> str:
    """The table as it stands in the document."""
    text = DOCUMENT.read_text()
    return text[text.index(BEGIN) : text.index(END) + len(END)]


def documented() -> dict[str, tuple[str, str, set[str]]]:
    """path → (client, simulator, tests) as the document says."""
    found = {}
    for line in written().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = (cells[1], cells[2], {each.strip() for each in cells[3].split(",") if each})
    return found


if __name__ == "__main__":
    DOCUMENT.write_text(DOCUMENT.read_text().replace(written(), rendered()))
