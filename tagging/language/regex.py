"""Which regular expressions conditions take: those that cannot explode.

A small language that PostgreSQL and Python read alike: literals, `.`, `^`, `$`, classes, groups, `|`, and one of
`? * + {m,n}` (n ≤ 50) after a character or a class. A quantifier after a group, back-references and look-around are
refused: nested repetition is what lets an expression run for ever, and everybody's data stands behind the same
database."""

import re

MAX_LENGTH = 100
MAX_REPEATS = 50
_QUANTIFIER = re.compile(r"[?*+]|\{(\d{1,3})(?:(,)(\d{0,3}))?\}")
_ESCAPES = set("dDwWsS") | set(r"\.^$*+?()[]{}|-/")


def problem(pattern: str) -> str:
    """Why the expression is not taken: too_long, quantified_group, too_many_repeats, syntax; "" if it is."""
    if len(pattern) > MAX_LENGTH:
        return "too_long"
    return _Reader(pattern).read()


class _Reader:
    """One pass over the expression."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.place, self.depth = pattern, 0, 0

    def read(self) -> str:
        """The first problem from the left."""
        quantifiable, after_group = False, False
        while self.place < len(self.pattern):
            char = self.pattern[self.place]
            found = _QUANTIFIER.match(self.pattern, self.place)
            if found:
                if after_group:
                    return "quantified_group"
                if not quantifiable:
                    return "syntax"
                if not _is_small(found):
                    return "too_many_repeats"
                self.place, quantifiable = found.end(), False
                continue
            wrong = self._one(char)
            if wrong:
                return wrong
            quantifiable, after_group = char not in "^$|()", char == ")"
        return "" if self.depth == 0 else "syntax"

    def _one(self, char: str) -> str:
        if char in "{}]":
            return "syntax"
        if char == "[":
            return self._class()
        if char == "\\":
            if self.pattern[self.place + 1 : self.place + 2] not in _ESCAPES or self.place + 1 >= len(self.pattern):
                return "syntax"
            self.place += 2
            return ""
        if char == "(":
            if self.pattern.startswith("(?", self.place):
                if not self.pattern.startswith("(?:", self.place):
                    return "syntax"
                self.place += 2
            self.depth += 1
        elif char == ")":
            self.depth -= 1
        self.place += 1
        return "syntax" if self.depth < 0 else ""

    def _class(self) -> str:
        end = re.compile(r"\[\^?((?:\\[dws\\.^$*+?()\[\]{}|/-]|[^\]\[\\])+)\]").match(self.pattern, self.place)
        if end is None:
            return "syntax"
        try:
            re.compile(end.group())
        except re.error:  # a range that runs backwards
            return "syntax"
        self.place = end.end()
        return ""


def _is_small(found: re.Match[str]) -> bool:
    low, _comma, high = found.groups()
    if low is None:
        return True
    numbers = [int(low), int(high) if high else int(low)]
    return max(numbers) <= MAX_REPEATS and numbers[0] <= numbers[1]
