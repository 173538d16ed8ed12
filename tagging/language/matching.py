"""Whether a text matches a regular expression that `regex` takes, in time that grows with the text and no faster.

Python's own engine tries one way after the other, and `.*.*.*.*x` has more ways than anybody has time for. RE2 walks
all ways at once, as PostgreSQL does, whose answers it is made to give: `.` is any character, line ends too, `^` and `$`
are the two ends of the text, `\\d` is 0 to 9, `\\w` and `\\s` know letters and spaces of all languages."""

import re
import sys
from functools import lru_cache

import re2

MOST_MEMORY = 32 << 20
"""bytes; what the largest expression of 100 characters needs"""
_SPACES = "".join(rf"\x{{{ord(char):x}}}" for char in map(chr, range(sys.maxunicode + 1)) if char.isspace())
_SETS = {"d": "0-9", "s": _SPACES, "w": r"_0-9\p{L}"}
_PIECE = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]|\\.|.", re.DOTALL)
_IN_CLASS = re.compile(r"\\([dsw])(-(?!\]))?|\\.|.", re.DOTALL)
_ENDS = {"^": r"\A", "$": r"\z"}


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern, one that `regex.problem` has nothing against, is found anywhere in the text."""
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=100)
def _compiled(pattern: str) -> "re2._Regexp[str]":
    options = re2.Options()
    options.dot_nl, options.max_mem, options.log_errors = True, MOST_MEMORY, False
    return re2.compile(_PIECE.sub(lambda piece: _spelled(piece.group()), pattern), options)


def _spelled(piece: str) -> str:
    """A class, an escape or a character as RE2 spells it."""
    if piece[0] == "[" and len(piece) > 1:
        return _IN_CLASS.sub(_spelled_in_class, piece)
    if piece[0] == "\\" and piece[1].lower() in _SETS:
        return f"[{'^' if piece[1].isupper() else ''}{_SETS[piece[1].lower()]}]"
    return _ENDS.get(piece, piece)


def _spelled_in_class(piece: re.Match[str]) -> str:
    name, hyphen = piece.groups()
    if name is None:
        return piece.group()
    # A hyphen after a set is itself, not a range.
    return _SETS[name] + (r"\-" if hyphen else "")
