"""Whether a text matches a regular expression that `regex` takes, in time that grows with the text and no faster.

Python's own engine tries one way after the other, and `.*.*.*.*x` has more ways than anybody has time for. This one
walks all ways at once, as PostgreSQL does, whose answers it gives: `.` is any character, line ends too, `^` and `$`
are the two ends of the text, `\\d` is 0 to 9. What a set of states makes of a character is kept, so that a reactor
that asks the same expression of many events walks along known edges."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

Test = Callable[[str], bool]
MOST_EDGES = 20_000
"""kept for one expression: a few megabytes at most"""
DONE = 0
"""the state in which the expression has matched"""
_BOUNDS = re.compile(r"\{(\d+)(,?)(\d*)\}")
_CLASSES: dict[str, Test] = {
    "d": lambda char: "0" <= char <= "9",
    "s": str.isspace,
    "w": lambda char: char == "_" or "0" <= char <= "9" or char.isalpha(),
}


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern, one that `regex.problem` has nothing against, is found anywhere in the text."""
    return _machine(pattern).finds(text)


@lru_cache(maxsize=500)
def _machine(pattern: str) -> "_Machine":
    return _Machine(pattern)


class _Machine:
    """States are numbers: such that take a character, such that stand at an end of the text, and forks."""

    def __init__(self, pattern: str) -> None:
        self.taking: dict[int, tuple[Test, int]] = {}
        self.forks: dict[int, tuple[int, ...]] = {}
        self.at_start: dict[int, int] = {}
        self.at_end: dict[int, int] = {}
        self.number = DONE
        self.first = _Reader(pattern, self).read()
        self.begin = self._closure([self.first], first=True)
        self.edges: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def new(self) -> int:
        """A state that none is yet."""
        self.number += 1
        return self.number

    def finds(self, text: str) -> bool:
        """Walk the text once."""
        here = self.begin
        for char in text:
            if DONE in here:
                return True
            here = self._step(here, char)
        return DONE in here or DONE in self._closure(here, first=not text, last=True)

    def _step(self, here: frozenset[int], char: str) -> frozenset[int]:
        found = self.edges.get((here, char))
        if found is None:
            taken = [target for test, target in (self.taking[s] for s in here if s in self.taking) if test(char)]
            # It may begin at any character.
            found = self._closure([*taken, self.first])
            if len(self.edges) >= MOST_EDGES:
                self.edges.clear()
            self.edges[here, char] = found
        return found

    def _closure(self, states: Iterable[int], *, first: bool = False, last: bool = False) -> frozenset[int]:
        """The states, and all that are reached from them without a character."""
        seen, waiting = set[int](), list(states)
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            waiting += self.forks.get(state, ())
            if first and state in self.at_start:
                waiting.append(self.at_start[state])
            if last and state in self.at_end:
                waiting.append(self.at_end[state])
        return frozenset(seen)


class _Reader:
    """Reads an expression from its end to its beginning in effect: each piece is made knowing what follows it."""

    def __init__(self, pattern: str, machine: _Machine) -> None:
        self.pattern, self.machine, self.place = pattern, machine, 0

    def read(self) -> int:
        """The state in which the whole begins."""
        return self._alternatives()(DONE)

    def _alternatives(self) -> Callable[[int], int]:
        branches = [self._branch()]
        while self._next() == "|":
            self.place += 1
            branches.append(self._branch())
        return lambda following: self._fork(branch(following) for branch in branches)

    def _branch(self) -> Callable[[int], int]:
        pieces = []
        while self._next() not in ("", "|", ")"):
            pieces.append(self._piece())

        def made(following: int) -> int:
            for piece in reversed(pieces):
                following = piece(following)
            return following

        return made

    def _piece(self) -> Callable[[int], int]:
        char = self._next()
        self.place += 1
        if char == "(":
            self.place += 2 if self.pattern.startswith("?:", self.place) else 0
            inner = self._alternatives()
            self.place += 1
            return inner
        if char in "^$":
            ends = self.machine.at_start if char == "^" else self.machine.at_end
            return lambda following: self._end(ends, following)
        test = self._test(char)
        low, high = self._bounds()
        return lambda following: self._repeated(test, low, high, following)

    def _test(self, char: str) -> Test:
        if char == ".":
            return lambda _char: True
        if char == "\\":
            self.place += 1
            return _escaped(self.pattern[self.place - 1])
        if char == "[":
            return self._class()
        return char.__eq__

    def _class(self) -> Test:
        negated = self._next() == "^"
        self.place += negated
        tests: list[Test] = []
        while self._next() != "]":
            tests.append(self._range())
        self.place += 1
        return lambda char: any(test(char) for test in tests) != negated

    def _range(self) -> Test:
        low, is_class = self._in_class()
        if is_class or self._next() != "-" or self.pattern[self.place + 1 : self.place + 2] in ("]", ""):
            return _escaped(low) if is_class else low.__eq__
        self.place += 1
        high, _is_class = self._in_class()
        return lambda char: low <= char <= high

    def _in_class(self) -> tuple[str, bool]:
        """A character of a class, and whether it stands for several (\\d, \\w, \\s)."""
        char = self._next()
        self.place += 1
        if char != "\\":
            return char, False
        char = self._next()
        self.place += 1
        return char, char in _CLASSES

    def _bounds(self) -> tuple[int, int | None]:
        """How often the character before may be there; None: any number of times."""
        char = self._next()
        if char in ("?", "*", "+"):
            self.place += 1
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[char]
        found = _BOUNDS.match(self.pattern, self.place)
        if found is None:
            return 1, 1
        self.place = found.end()
        low, comma, high = found.groups()
        return int(low), (int(high) if high else None) if comma else int(low)

    def _repeated(self, test: Test, low: int, high: int | None, following: int) -> int:
        here = following
        if high is None:
            here = self.machine.new()
            self.machine.forks[here] = (self._taking(test, here), following)
        for _time in range(high - low if high is not None else 0):
            here = self._fork([self._taking(test, here), following])
        for _time in range(low):
            here = self._taking(test, here)
        return here

    def _taking(self, test: Test, following: int) -> int:
        state = self.machine.new()
        self.machine.taking[state] = (test, following)
        return state

    def _end(self, ends: dict[int, int], following: int) -> int:
        state = self.machine.new()
        ends[state] = following
        return state

    def _fork(self, ways: Iterable[int]) -> int:
        targets = tuple(ways)
        if len(targets) == 1:
            return targets[0]
        state = self.machine.new()
        self.machine.forks[state] = targets
        return state

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]


def _escaped(char: str) -> Test:
    """What a backslash and this character stand for."""
    known = _CLASSES.get(char.lower())
    if known is None:
        return char.__eq__
    return known if char.islower() else lambda other: not known(other)
