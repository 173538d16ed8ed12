"""Planning a 1v1 push to all of a brand's contacts, beside one INSERT … SELECT of the rows it left behind.

The floor writes the same deliveries, as the runtime role, from a table that holds them ready. The plan also finds the
audience and each contact's guide, draws the control group, asks the budget's ledger and reserves in it, and gives
every delivery its batch, which is a second write of the row."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection
from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import People
from bench.scratch import Admin
from campaigns.budget import limits
from campaigns.contents import contents
from campaigns.models import Channel, Push
from campaigns.planning import plan
from campaigns.pushes import pushes
from campaigns.pushes.pushes import Draft, VariantDraft
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS, GUIDES = 200_000, 200
SAVED = "bench_deliveries"
WRITTEN = ("campaigns_delivery", "campaigns_reservation", "campaigns_batch")


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Contacts per second, from a scheduled push to batches that are due."""
    admin.empty(*people.EVERYTHING)
    crowd = people.make(
        admin,
        slug="bench-planning",
        contacts=max(500, round(CONTACTS * scale)),
        guides=max(2, round(GUIDES * scale)),
    )
    at = timezone.now()
    earlier = _earlier_push(crowd, at)
    took: list[float] = []
    floors: list[float] = []
    counts: dict[str, Any] = {}
    for _ in range(rounds):
        admin.empty(*WRITTEN)
        _spend(admin, crowd, earlier, at)
        push = _push(crowd, at)
        took.append(seconds(partial(plan.plan, brand_id=crowd.brand_id, push_id=push, at=at)))
        counts = _counts(crowd, push)
        floors.append(_inserted(admin, crowd))
    return [
        Measure(
            "push planning",
            crowd.contacts / min(took),
            "contacts/s",
            crowd.contacts / min(floors),
            note=f"1v1 to {crowd.contacts:,} contacts: {counts['planned']:,} planned, {counts['holdout']:,} control "
            f"group, {sum(counts['suppressed'].values()):,} held back by the budget, {counts['batches']} batches; "
            "floor: INSERT … SELECT of the same deliveries, runtime role, one statement",
        )
    ]


def _push(crowd: People, at: datetime) -> int:
    """A push with two variants and a control group, waiting to be planned."""
    female = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}
    with brand_scope(crowd.brand_id):
        text = [
            contents.save(name=name, channel=Channel.SINGLE, text=name, actor=SYSTEM, at=at).pk
            for name in ("会员日女装", "会员日签到")
        ]
        variants = (VariantDraft(text[0], female), VariantDraft(text[1]))
        draft = Draft(name="bench", channel=Channel.SINGLE, variants=variants, holdout_percent=5)
        push = pushes.create(draft=draft, actor=SYSTEM, at=at)
        Push.objects.filter(pk=push.pk).update(status=Push.Status.SCHEDULED, scheduled_at=at)
        return int(push.pk)


def _earlier_push(crowd: People, at: datetime) -> int:
    """A push of three days ago, and a cap of one message in seven days."""
    with brand_scope(crowd.brand_id):
        limits.set_cap(channel=Channel.SINGLE, cap=1, window_days=7, actor=SYSTEM, at=at)
    push_id = _push(crowd, at)
    with brand_scope(crowd.brand_id):
        Push.objects.filter(pk=push_id).update(status=Push.Status.DONE)
    return push_id


def _spend(admin: Admin, crowd: People, push_id: int, at: datetime) -> None:
    """That push reached every fifth contact: so the ledger has something to say."""
    admin.run(
        """INSERT INTO campaigns_reservation (brand_id, push_id, contact_id, corp_id, channel, day, status, priority,
                                              made_at, settled_at)
           SELECT brand_id, %s, id, %s, 'single', %s, 'posted', 50, %s, %s FROM contacts_contact
           WHERE brand_id = %s AND id %% 5 = 0""",
        [push_id, crowd.corp_id, (at - timedelta(days=3)).date(), at, at, crowd.brand_id],
    )
    admin.run("VACUUM ANALYZE campaigns_reservation")
    admin.settle()


def _counts(crowd: People, push_id: int) -> dict[str, Any]:
    with brand_scope(crowd.brand_id):
        push = Push.objects.get(pk=push_id)
    if push.status != Push.Status.SENDING:
        raise RuntimeError(f"The push is {push.status} after its plan: {push.error}")
    return dict(push.counts)


def _inserted(admin: Admin, crowd: People) -> float:
    """Write the deliveries that are there once more."""
    columns = ", ".join(admin.columns("campaigns_delivery"))
    admin.run(f"CREATE TABLE {SAVED} AS SELECT {columns} FROM campaigns_delivery ORDER BY contact_id")
    admin.run(f"GRANT SELECT ON {SAVED} TO PUBLIC")
    admin.run(f"VACUUM ANALYZE {SAVED}")
    admin.empty("campaigns_delivery")

    def insert() -> None:
        with brand_scope(crowd.brand_id), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO campaigns_delivery ({columns}) SELECT {columns} FROM {SAVED}")

    took = seconds(insert)
    admin.run(f"DROP TABLE {SAVED}")
    return took
