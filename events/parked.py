"""Events that a reactor could not take: what an operator sees of them, replays or lets go."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import Count, F, Max, Min

from events import declared, poison, reactors
from events.models import ParkedEvent
from events.reactors import Batch
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

logger = logging.getLogger(__name__)

AT_ONCE = 500
"""events of one replay; a second one takes the next"""


@dataclass(frozen=True, slots=True)
class Parked:
    """What one reactor could not take."""

    reactor: str
    count: int
    types: list[str]
    problem: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Again:
    """What a replay came to: `went` of `tried` went well, `gone` are no longer in the log."""

    tried: int
    went: int
    gone: int


def shown() -> list[Parked]:
    """Per reactor what is parked. Scoped."""
    rows = ParkedEvent.objects.values("reactor").annotate(
        count=Count("event_id"),
        types=ArrayAgg("type", distinct=True, default=[]),
        problem=Max("problem"),
        since=Min("parked_at"),
    )
    return [
        Parked(
            row["reactor"],
            row["count"],
            [declared.label(name) for name in row["types"]],
            row["problem"],
            row["since"],
        )
        for row in rows.order_by("reactor")
    ]


def replay(*, reactor: str, actor: Actor, at: datetime) -> Again:
    """Give a reactor its parked events once more, the oldest first, each by itself. Scoped, audited.

    What goes well is no longer parked; what fails stays. An unknown reactor has none."""
    waiting = ParkedEvent.objects.filter(reactor=reactor).order_by("occurred_at", "event_id")
    mine = list(waiting.select_for_update(of=("self",), skip_locked=True)[:AT_ONCE])
    this = reactors.REGISTRY.get(reactor)
    brand_id, went = current_brand_id(), list[ParkedEvent]()
    rows = {row.id: row for row in reactors.rows_by_key([(each.occurred_at, each.event_id) for each in mine])}
    gone = [each for each in mine if each.event_id not in rows]
    for each in mine if this else []:
        if each.event_id not in rows:
            continue
        try:
            with transaction.atomic():
                this.handle(Batch(brand_id, [rows[each.event_id]], at))  # type: ignore[union-attr]
        except poison.TRANSIENT:
            raise
        except Exception as problem:
            logger.exception("events.parked.failed_again", extra={"brand": brand_id, "reactor": reactor})
            same = ParkedEvent.objects.filter(pk=each.pk)
            same.update(tries=F("tries") + 1, tried_at=at, problem=poison.told(problem))
        else:
            went.append(each)
    ParkedEvent.objects.filter(pk__in=[each.pk for each in [*went, *gone]]).delete()
    again = Again(len(mine), len(went), len(gone))
    after = {"tried": again.tried, "went": again.went, "gone": again.gone}
    audit.record(actor=actor, action="parked.replay", object_type="reactor", object_id=reactor, after=after, at=at)
    return again


def discard(*, reactor: str, actor: Actor, at: datetime) -> int:
    """Let a reactor's parked events go: they stay in the log, and it never reacts to them. Scoped, audited."""
    gone, _models = ParkedEvent.objects.filter(reactor=reactor).delete()
    after = {"events": gone}
    audit.record(actor=actor, action="parked.discard", object_type="reactor", object_id=reactor, after=after, at=at)
    return gone
