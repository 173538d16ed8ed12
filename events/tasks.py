"""The log's doors to Celery. Any of these may run twice."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from events import health, partitions, reactors, wake
from events.imports import jobs

BATCHES_PER_RUN = 5
"""per reactor; then the brand goes to the end of the queue, so that its flood does not starve another's"""
IMPORT_FOR_SECONDS = 5
"""of one import; then it goes to the end of the queue"""
LOOK_AGAIN_SECONDS = 0.1
LOOK_AGAIN_AT_MOST_SECONDS = 1.0


@shared_task
def react_brand(*, brand_id: int, looks: int = 0, **_later_args: object) -> None:
    """Let the brand's reactors read what is new. `looks`: how often in a row it found all above the horizon."""
    wake.taken(brand_id)
    progress = reactors.run(brand_id=brand_id, at=timezone.now(), batches=BATCHES_PER_RUN)
    if progress.more:
        wake.now(brand_id)
    elif progress.waiting:
        # A transaction that somebody left open must not make every brand ask ten times a second for as long.
        looks = 0 if progress.read else looks + 1
        wait = min(LOOK_AGAIN_SECONDS * max(1, looks // 2), LOOK_AGAIN_AT_MOST_SECONDS)
        wake.now(brand_id, after_seconds=wait, looks=looks)


@shared_task
def sweep(**_later_args: object) -> None:
    """Wake the brands that a lost message left behind, and note how old the horizon is."""
    health.note_horizon(at=timezone.now())
    for brand_id in reactors.brands_with_unread():
        wake.now(brand_id)


@shared_task
def ensure_partitions(**_later_args: object) -> None:
    """Keep the log's months ahead, and let go of those that are too old."""
    partitions.ensure_ahead(at=timezone.now())
    partitions.drop_old()


@shared_task
def run_import(*, brand_id: int, import_id: int, **_later_args: object) -> None:
    """Go on with an import for some seconds."""
    jobs.taken(brand_id, import_id)
    until = timezone.now() + timedelta(seconds=IMPORT_FOR_SECONDS)
    while jobs.step(brand_id=brand_id, import_id=import_id, at=timezone.now()):
        if timezone.now() >= until:
            jobs.wake(brand_id, import_id)
            return


@shared_task
def sweep_imports(**_later_args: object) -> None:
    """Wake the imports that a lost message or a dead worker left behind."""
    jobs.sweep()


@shared_task
def clean_imports(**_later_args: object) -> None:
    """Throw away the rows of files that were imported a week ago."""
    jobs.clean(at=timezone.now())
