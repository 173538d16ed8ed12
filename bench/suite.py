"""Which measures there are, by the names that `--only` takes."""

from collections.abc import Callable

from bench import callbacks, ingest, limiter, million, oneid, planning, questions, reading, soak, sync, tokens
from bench.measure import Measure
from bench.scratch import Admin

SUITE: dict[str, Callable[[Admin, float, int], list[Measure]]] = {
    "sync": sync.measure,
    "callbacks": callbacks.measure,
    "ingest": ingest.measure,
    "reading": reading.measure,
    "segments": questions.measure,
    "oneid": oneid.measure,
    "big": million.measure,
    "planning": planning.measure,
    "limiter": limiter.measure,
    "tokens": tokens.measure,
    "soak": soak.measure,
}
