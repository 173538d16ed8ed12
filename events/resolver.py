"""Whom an event is about. `events` does not know contacts; the app that does registers itself here when it starts."""

from collections.abc import Callable, Collection, Iterable

Pair = tuple[str, str]
"""(identity type, canonical value): ("external_userid", "corpid:wm…"), ("openid", "appid:o…"), ("unionid", …)"""

_resolve: Callable[[Iterable[Pair]], dict[Pair, int]] | None = None
_known: Callable[[Collection[int]], set[int]] | None = None


def register(fn: Callable[[Iterable[Pair]], dict[Pair, int]]) -> None:
    """`fn` maps identities to contact ids, leaving out those it does not know. It is called inside a scope."""
    global _resolve
    _resolve = fn


def register_known(fn: Callable[[Collection[int]], set[int]]) -> None:
    """`fn` tells which of the given numbers are contacts of the scope's brand."""
    global _known
    _known = fn


def resolve(identities: Iterable[Pair]) -> dict[Pair, int]:
    """The contacts behind these identities; unknown ones are missing from the answer. Scoped."""
    wanted = set(identities)
    return _resolve(wanted) if _resolve and wanted else {}


def known(contact_ids: Collection[int]) -> set[int]:
    """Those of the numbers that are contacts of the brand. Scoped. While nobody has registered, none is."""
    return _known(contact_ids) if _known and contact_ids else set()
