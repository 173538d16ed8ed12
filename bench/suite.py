"""Which measures there are, by the names that `--only` takes."""

from collections.abc import Callable

from bench import (
    callbacks,
    erasing,
    history,
    importing,
    ingest,
    lag,
    limiter,
    million,
    oneid,
    planning,
    questions,
    reading,
    sustained,
    sync,
    tag_rules,
    tokens,
)
from bench.measure import Measure
from bench.scratch import Admin
from bench.soak import long as soak


def _ingest(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    parts = (ingest.measure, sustained.measure, importing.measure)
    return [each for part in parts for each in part(admin, scale, rounds)]


SUITE: dict[str, Callable[[Admin, float, int], list[Measure]]] = {
    "sync": sync.measure,
    "callbacks": callbacks.measure,
    "ingest": _ingest,
    "reading": reading.measure,
    "rules": tag_rules.measure,
    "segments": questions.measure,
    "history": history.measure,
    "oneid": oneid.measure,
    "erasing": erasing.measure,
    "big": million.measure,
    "lag": lag.measure,
    "planning": planning.measure,
    "limiter": limiter.measure,
    "tokens": tokens.measure,
    "soak": soak.measure,
}
