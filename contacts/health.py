"""How fresh our picture of each corp is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contacts.models import SyncRun
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.models import Corp


@dataclass(frozen=True, slots=True)
class SyncState:
    """The latest sync of one corp."""

    brand_id: int
    corp_id: int
    status: str
    """of the latest run; empty if there was none"""
    age: timedelta | None
    """since the latest run ended, or began if it is still running; None if there was none"""
    complete_age: timedelta | None
    """since the last run that was complete ended"""

    def is_due(self, *, every: timedelta, after_trouble: timedelta) -> bool:
        """Whether a worker should start a sync, or go on with one."""
        # One that ends tomorrow was written by a clock that was wrong.
        if self.age is None or self.age < timedelta() or self.status == SyncRun.Status.RUNNING:
            return True
        return self.age >= (every if self.status == SyncRun.Status.DONE else after_trouble)


def last_syncs(*, at: datetime) -> list[SyncState]:
    """The state of every connected corp of every brand. Crosses brands: opens each brand's scope in turn."""
    states = []
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        with brand_scope(brand_id):
            corps = Corp.objects.exclude(connected_at=None).order_by("id").values_list("id", flat=True)
            states += [_state(brand_id, corp_id, at) for corp_id in corps]
    return states


def _state(brand_id: int, corp_id: int, at: datetime) -> SyncState:
    runs = SyncRun.objects.filter(corp_id=corp_id)
    # By number, not by time: a clock may have been wrong.
    latest = runs.order_by("-id").first()
    complete = runs.filter(status=SyncRun.Status.DONE).order_by("-id").first()
    return SyncState(
        brand_id=brand_id,
        corp_id=corp_id,
        status=latest.status if latest else "",
        age=at - (latest.finished_at or latest.started_at) if latest else None,
        complete_age=at - complete.finished_at if complete and complete.finished_at else None,
    )
