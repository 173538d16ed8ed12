"""Who visits the demo brand's mini-program and what they do there, by seed."""

import random
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

ACTIVE_SHARE = 0.5
CATEGORIES = ("婴童", "家纺", "女装", "个护", "母婴")
_NAMES = uuid.UUID("0f0d5c52-94f1-55f6-b8f5-b3a3c7a2b6a1")


def week_of_visits(people: Iterable[dict[str, Any]], *, at: datetime, seed: int) -> list[dict[str, Any]]:
    """About a third of the people come by in the six days before `at`: they look, dwell, fill carts, sign in."""
    events: list[dict[str, Any]] = []
    for person in people:
        chance = random.Random(f"{seed}:{person['external_userid']}")
        if person["unionid"] is None or chance.random() > ACTIVE_SHARE:
            continue
        moment = at - timedelta(days=6) + timedelta(seconds=chance.randrange(6 * 86_400 - 3600))
        for view in range(chance.randrange(1, 6)):
            events.append(_event(person, "product_view", moment + timedelta(seconds=40 * view), _look(person, chance)))
        if chance.random() < 0.2:
            events.append(_event(person, "add_cart", moment + timedelta(minutes=5), {**_cart(person, chance)}))
        if chance.random() < 0.1:
            events.append(_event(person, "sign_in", moment + timedelta(minutes=6), {}))
    events.sort(key=lambda event: event["occurred_at"])
    return events


def come_back(people: Iterable[dict[str, Any]], *, at: datetime, seed: int) -> list[dict[str, Any]]:
    """Of those who were reached, 30 % sign in, and a quarter of these order."""
    events = []
    for person in people:
        chance = random.Random(f"{seed}:back:{person['external_userid']}")
        if chance.random() < 0.30:
            events.append(_event(person, "sign_in", at, {}))
            if chance.random() < 0.25:
                order = {"order_no": f"D{chance.randrange(10**9):09d}", "amount_fen": chance.randrange(3900, 39_900)}
                category = (person["interests"] or CATEGORIES)[0]
                events.append(_event(person, "order_paid", at, {**order, "category": category}))
    return events


def _look(person: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    category = chance.choice(person["interests"]) if person["interests"] and chance.random() < 0.8 else None
    category = category or chance.choice(CATEGORIES)
    dwell = int(chance.lognormvariate(2.8, 0.7)) + 1
    return {"product_id": f"{category}-{chance.randrange(40):02d}", "category": category, "dwell_seconds": dwell}


def _cart(person: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    look = _look(person, chance)
    del look["dwell_seconds"]
    return {**look, "amount_fen": chance.randrange(2900, 29_900)}


def _event(person: dict[str, Any], kind: str, moment: datetime, props: dict[str, Any]) -> dict[str, Any]:
    stamp = moment.isoformat(timespec="milliseconds")
    return {
        "id": str(uuid.uuid5(_NAMES, f"{person['external_userid']}:{kind}:{stamp}:{props.get('product_id', '')}")),
        "type": kind,
        "occurred_at": stamp,
        "identity": {"type": "unionid", "value": person["unionid"]},
        "props": props,
    }
