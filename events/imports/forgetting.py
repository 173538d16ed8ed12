"""Taking one person out of the files that a brand has imported, or is about to.

People write identities as they like: `138 1234 5678`, `ab-1001` for AB1001, full-width digits. So row and word are
compared without spaces, hyphens and case. A word of fewer than eight characters counts only as a whole cell: as a part
of something else it could be anything. Rows may also name the person by our own number, in the column that was chosen
for it."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection

from events.imports import files
from events.models import Import, ImportPart

SURE = 8
OWN_NUMBER = "contact_id"
"""the target that kinds of imports call our own number"""
_LOOSE = re.compile(r"[\s-]")
_SQUEEZED = r"regexp_replace(lower(normalize({}, NFKC)), '[ \t-]', '', 'g')"


@dataclass(frozen=True, slots=True)
class _Who:
    """The person, as rows may name them."""

    long: frozenset[str]
    short: frozenset[str]
    numbers: frozenset[str]

    def is_in(self, cells: Sequence[str], own: Sequence[int] = ()) -> bool:
        """Whether a row is about the person. `own`: places of the columns with our numbers."""
        text = ",".join(map(_squeezed, cells))
        if any(word in text and _stands_alone(word).search(text) for word in self.long):
            return True
        if self.short and any(_squeezed(cell) in self.short for cell in cells):
            return True
        return any(place < len(cells) and cells[place].strip().lstrip("#0") in self.numbers for place in own)


def forget(*, words: Sequence[str], contact_ids: Sequence[int]) -> int:
    """Empty every row about the person, and drop what was found wrong with it. Scoped; how many parts it changed."""
    who = _who(words, contact_ids)
    changed = 0
    for import_id, number in _places(who):
        part = ImportPart.objects.select_related("of").get(of=import_id, number=number)
        changed += _forget_in(part, who)
    return changed + _forget_heads(who)


def rows_about(*, words: Sequence[str], contact_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The rows about the person that we still keep: file, number of the row, and what stands in its columns. Scoped."""
    who, found = _who(words, contact_ids), list[dict[str, Any]]()
    for import_id, number in _places(who):
        part = ImportPart.objects.select_related("of").get(of=import_id, number=number)
        own = _own(part)
        for row, cells in files.rows_of(files.Part(part.first_row, part.rows, part.text), part.of.delimiter):
            if who.is_in(cells, own):
                columns = [*part.of.header, *(str(place) for place in range(len(part.of.header), len(cells)))]
                told = dict(zip(columns, cells, strict=False))
                found.append({"file": part.of.name, "row": row, "cells": told})
    return found


def _who(words: Sequence[str], contact_ids: Sequence[int]) -> _Who:
    squeezed = {word for each in words if (word := _squeezed(each))}
    return _Who(
        frozenset(word for word in squeezed if len(word) >= SURE),
        frozenset(word for word in squeezed if len(word) < SURE),
        frozenset(str(number) for number in contact_ids),
    )


def _own(part: ImportPart) -> list[int]:
    return [int(place) for place, target in part.of.mapping.items() if target == OWN_NUMBER]


def _places(who: _Who) -> list[tuple[int, int]]:
    """Parts in which something like the person stands; each is looked at closely then."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.of_id, p.number FROM events_importpart p JOIN events_import i"  # noqa: S608
            " ON i.brand_id = p.brand_id AND i.id = p.of_id"
            " CROSS JOIN LATERAL (SELECT "
            + _SQUEEZED.format("p.text || coalesce(p.problems::text, '')")
            + " AS text) AS s WHERE p.brand_id = current_setting('orchard.brand_id')::bigint"
            " AND (EXISTS (SELECT FROM unnest(%s::text[]) AS word WHERE strpos(s.text, word) > 0)"
            " OR i.mapping::text LIKE %s"
            " AND EXISTS (SELECT FROM unnest(%s::text[]) AS word WHERE strpos(p.text, word) > 0))",
            [[*who.long, *who.short], f'%"{OWN_NUMBER}"%', list(who.numbers)],
        )
        return list(cursor.fetchall())


def _forget_in(part: ImportPart, who: _Who) -> int:
    own = _own(part)
    kept = files.Part(part.first_row, part.rows, part.text)
    text, emptied = files.without(kept, part.of.delimiter, lambda cells: who.is_in(cells, own))
    problems = [
        line for line in part.problems if line[0] not in emptied and not who.is_in([str(each) for each in line])
    ]
    if not emptied and len(problems) == len(part.problems):
        return 0
    ImportPart.objects.filter(of=part.of_id, number=part.number).update(text=text, problems=problems)
    return 1


def _forget_heads(who: _Who) -> int:
    """A file's name, and its first row: a table without column names begins with a person."""
    changed = 0
    for job in Import.objects.only("name", "header"):
        header = ["" if who.is_in([cell]) else cell for cell in job.header]
        name = "import.csv" if who.is_in([job.name]) else job.name
        if (name, header) != (job.name, job.header):
            Import.objects.filter(pk=job.pk).update(name=name, header=header)
            changed += 1
    return changed


@lru_cache(maxsize=256)
def _stands_alone(word: str) -> re.Pattern[str]:
    """The word with nothing before or after that could make another of it; a phone number may have its country's."""
    return re.compile(rf"(?<![0-9a-z_])(?:(?:\+|00)?86)?{re.escape(word)}(?![0-9a-z_])")


def _squeezed(text: str) -> str:
    return _LOOSE.sub("", unicodedata.normalize("NFKC", text)).lower()
