"""Whom an event is about. `events` does not know contacts; the app that does registers itself here when it starts."""

from collections.abc import Callable, Collection, Iterable

Pair = tuple[str, str]
"""(identity type, canonical value): ("external_userid", "corpid:wm…"), ("openid", "appid:o…"), ("unionid", …)"""

_resolve: Callable[[Iterable[Pair]], dict[Pair, int]] | None = None
_current: Callable[[Collection[int]], dict[int, int]] | None = None


def register(fn: Callable[[Iterable[Pair]], dict[Pair, int]]) -> None:
    """`fn` maps identities to contact ids, leaving out those it does not know. It is called inside a scope."""
    global _resolve
    _resolve = fn


def register_current(fn: Callable[[Collection[int]], dict[int, int]]) -> None:
    """`fn` tells which contact of the scope's brand each of the numbers means today; unknown ones are missing."""
    global _current
    _current = fn


def resolve(identities: Iterable[Pair]) -> dict[Pair, int]:
    """The contacts behind these identities; unknown ones are missing from the answer. Scoped."""
    wanted = set(identities)
    return _resolve(wanted) if _resolve and wanted else {}


def current(contact_ids: Collection[int]) -> dict[int, int]:
    """For each number the contact it means: itself, or the one it was merged into. Scoped. Strangers are missing."""
    return _current(contact_ids) if _current and contact_ids else {}
