"""Acts of people on request: what `/_sim/acts/…` can make a customer, a guide or the console do."""

from __future__ import annotations

from wecom.simulator.acts import console, people, rooms, services
from wecom.simulator.acts.base import ACTS, BadAct, Request
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused

__all__ = ["ACTS", "BadAct", "console", "people", "perform", "rooms", "services"]


def perform(engine: Engine, name: str, request: Request) -> Request:
    """Carry out an act. Raises BadAct."""
    if name not in ACTS:
        raise BadAct(f"unknown act {name}; there are {', '.join(sorted(ACTS))}")
    corp = engine.world.corp(str(request.get("corpid", "")))
    if corp is None:
        raise BadAct("corpid: unknown")
    engine.dirty = True
    try:
        return {"ok": True, **ACTS[name](engine, corp, request)}
    except (TypeError, ValueError, OverflowError) as error:
        raise BadAct(f"malformed request: {error}") from error
    except Refused as refusal:
        raise BadAct(f"refused with errcode {refusal.errcode} {refusal.text or ''}".strip()) from refusal
