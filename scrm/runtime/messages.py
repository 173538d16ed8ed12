"""`python -m scrm.runtime.messages [--check]`: compile every locale/*/LC_MESSAGES/*.po, or say which are stale.

Pure Python, so that a machine without gettext can do both. The .mo files are committed; the check compares what
they say, not their bytes, since gettext's own msgfmt arranges them otherwise.
"""

from __future__ import annotations

import ast
import re
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

from scrm.runtime.environment import ROOT

MAGIC = 0x950412DE
ENTRY_LINE = re.compile(r'^(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)?\s*(".*")$')


@dataclass
class Entry:
    """One message of a .po file."""

    fuzzy: bool = False
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """As a .mo file spells it: context, EOT, id, NUL, plural id."""
        context = self.parts["msgctxt"] + "\x04" if "msgctxt" in self.parts else ""
        plural = "\0" + self.parts["msgid_plural"] if "msgid_plural" in self.parts else ""
        return context + self.parts["msgid"] + plural

    @property
    def translations(self) -> list[str]:
        """One, or one per plural form, in order."""
        return [self.parts[name] for name in sorted(self.parts, key=_plural_number) if name.startswith("msgstr")]

    @property
    def is_done(self) -> bool:
        """Whether it is translated; the header (empty id) always is."""
        return self.parts["msgid"] == "" or (not self.fuzzy and all(self.translations))


def read_po(path: Path) -> list[Entry]:
    """The messages of a .po file, without the obsolete ones. Raises ValueError naming the line it can't read."""
    entries: list[Entry] = []
    entry, part = Entry(), ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            if "msgid" in entry.parts:
                entries.append(entry)
                entry = Entry()
            entry.fuzzy = entry.fuzzy or (text.startswith("#,") and "fuzzy" in text)
            continue
        match = ENTRY_LINE.match(text)
        if not match:
            raise ValueError(f"{path}:{number}: not a line of a .po file: {text}")
        if match[1] in ("msgctxt", "msgid") and "msgid" in entry.parts and part.startswith("msgstr"):
            entries.append(entry)
            entry = Entry()
        part = match[1] or part
        entry.parts[part] = entry.parts.get(part, "") + ast.literal_eval(match[2])
    return [*entries, entry] if "msgid" in entry.parts else entries


def catalogue(entries: list[Entry]) -> dict[str, str]:
    """What the .mo file must hold."""
    found = {entry.key: "\0".join(entry.translations) for entry in entries if entry.is_done}
    if "" in found:  # as msgfmt: when the strings were collected is nothing a translation depends on
        found[""] = re.sub(r"POT-Creation-Date:.*\n", "", found[""])
    return found


def write_mo(path: Path, messages: dict[str, str]) -> None:
    """Write a .mo file: header, two tables of (length, offset), then the texts (GNU gettext manual, §11.3)."""
    pairs = sorted((key.encode(), text.encode()) for key, text in messages.items())
    tables_at, count = 28, len(pairs)
    offset = tables_at + 16 * count
    tables, texts = b"", b""
    for column in (0, 1):
        for pair in pairs:
            tables += struct.pack("<II", len(pair[column]), offset + len(texts))
            texts += pair[column] + b"\0"
    header = struct.pack("<7I", MAGIC, 0, count, tables_at, tables_at + 8 * count, 0, 0)
    path.write_bytes(header + tables + texts)


def read_mo(path: Path) -> dict[str, str]:
    """What a .mo file holds; empty when it is missing."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    order = "<" if struct.unpack("<I", data[:4])[0] == MAGIC else ">"
    count, ids_at, texts_at = struct.unpack(order + "3I", data[8:20])

    def text(table: int, index: int) -> str:
        length, offset = struct.unpack_from(order + "II", data, table + 8 * index)
        return data[offset : offset + length].decode()

    return {text(ids_at, index): text(texts_at, index) for index in range(count)}


def main(arguments: list[str]) -> int:
    """Compile, or with --check complain about stale files and missing translations; the exit status tells."""
    complaints = []
    for po in sorted(ROOT.glob("**/locale/*/LC_MESSAGES/*.po")):
        if ".venv" in po.parts:
            continue
        name, entries = po.relative_to(ROOT), read_po(po)
        if arguments == ["--check"]:
            if read_mo(po.with_suffix(".mo")) != catalogue(entries):
                complaints.append(f"{name}: its .mo file is stale; run `make messages`.")
            complaints += [f"{name}: not translated: {entry.key!r}" for entry in entries if not entry.is_done]
        else:
            write_mo(po.with_suffix(".mo"), catalogue(entries))
    print("\n".join(complaints), file=sys.stderr, end="\n" if complaints else "")
    return 1 if complaints else 0


def _plural_number(part: str) -> int:
    digits = re.sub(r"\D", "", part)
    return int(digits) if digits else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
