"""What came of a push: the funnel, who was left out and why, per guide and variant, and what customers did after.

Scoped. Each figure here is a count of delivery rows that `people` lists again: the number and its rows agree."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet

from campaigns.models import Batch, Channel, Delivery, DeliveryStatus, GroupDelivery, LeftOut, Push
from campaigns.reasons import Reason
from contacts import gone

AFTER_HOURS = 72
CAME_TYPES = ["page_view", "product_view", "search", "add_cart", "share", "draw", "sign_in", "order_paid"]
PAGE_ROWS = 50
S = DeliveryStatus
PLANNED = (S.PLANNED, S.CREATED, S.DELIVERED, S.FAILED, S.UNCONFIRMED, S.CANCELLED)
HANDED = (S.CREATED, S.DELIVERED, S.FAILED, S.UNCONFIRMED)
"""WeCom had a task for these"""


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of the funnel."""

    key: str
    label: str
    count: int
    before: int


@dataclass(frozen=True, slots=True)
class Lacking:
    """One reason, and how many."""

    status: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class After:
    """What customers did within 72 hours after they got the message. Proxies: nobody says it was because of it."""

    came: int
    signed_in: int
    ordered: int
    lost: int
    of: int
    """customers it was delivered to, without those who count in no comparison"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of the result page."""

    counts: dict[str, int]
    total: int
    planned: int
    handed: int
    delivered: int
    confirmed: int
    holdout: int
    contaminated: int
    """people who were in two groups before a merge: in no comparison, and not in `holdout`"""
    left_out: list[Lacking]
    batches: dict[str, int]
    batches_confirmed: int
    batches_all: int
    next_poll: datetime | None
    last_poll: datetime | None


def rows_of(push: Push) -> QuerySet[Any]:
    """The push's deliveries: contacts, or group chats."""
    table: Any = GroupDelivery if push.channel == Channel.GROUP else Delivery
    return table.objects.filter(push=push)


def outcome(push: Push) -> Outcome:
    """The figures of the push. One aggregate over its deliveries and one over its batches."""
    counts: dict[str, int] = {}
    left_out = []
    confirmed = contaminated = not_compared = 0
    for line in _delivery_lines(push):
        status, number = line["status"], line["n"]
        counts[status] = counts.get(status, 0) + number
        if status in (S.SUPPRESSED, S.FAILED, S.UNCONFIRMED, S.CANCELLED):
            left_out.append(Lacking(status, line["reason"], number))
        if status in HANDED:
            confirmed += line["confirmed"]
        contaminated += line.get("contaminated", 0)
        if status == S.HOLDOUT:
            not_compared += line.get("not_compared", 0)
    batches = Batch.objects.filter(push=push).values("status")
    lines = batches.annotate(
        n=Count("pk"),
        confirmed=Count("pk", filter=Q(confirmed_at__isnull=False)),
        next_poll=Min("poll_due_at", filter=Q(status=Batch.Status.CREATED)),
        last_poll=Max("polled_at"),
    )
    by_status = {line["status"]: line for line in lines}
    return Outcome(
        counts=counts,
        total=sum(counts.values()),
        planned=sum(counts.get(status, 0) for status in PLANNED),
        handed=sum(counts.get(status, 0) for status in HANDED),
        delivered=counts.get(S.DELIVERED, 0),
        confirmed=max(confirmed, counts.get(S.DELIVERED, 0)),
        holdout=counts.get(S.HOLDOUT, 0) - not_compared,
        contaminated=contaminated,
        left_out=sorted(left_out, key=lambda line: -line.count),
        batches={status: line["n"] for status, line in by_status.items()},
        batches_confirmed=sum(line["confirmed"] for line in by_status.values()),
        batches_all=sum(line["n"] for line in by_status.values()),
        next_poll=min((at for line in by_status.values() if (at := line["next_poll"])), default=None),
        last_poll=max((at for line in by_status.values() if (at := line["last_poll"])), default=None),
    )


def _delivery_lines(push: Push) -> QuerySet[Any, dict[str, Any]]:
    """Deliveries by status and reason, with how many of them the guide has confirmed. Of contacts also whom merges took
    out of comparisons: `contaminated` people, and all that are `not_compared`."""
    lines = rows_of(push).values("status", "reason")
    lines = lines.annotate(n=Count("*"), confirmed=Count("status", filter=Q(batch__confirmed_at__isnull=False)))
    if push.channel == Channel.GROUP:
        return lines
    return lines.annotate(
        contaminated=Count("status", filter=Q(left_out=LeftOut.CONTAMINATED)),
        not_compared=Count("status", filter=~Q(left_out="")),
    )


def per_guide(push: Push, limit: int = 50) -> list[dict[str, Any]]:
    """Guides with what they had to send and what arrived; most to send first."""
    rows = rows_of(push).filter(status__in=PLANNED).values("staff_id", "staff__name", "staff__store__name")
    delivered = Count("status", filter=Q(status=S.DELIVERED))
    confirmed = Count("status", filter=Q(batch__confirmed_at__isnull=False))
    return list(
        rows.annotate(planned=Count("*"), delivered=delivered, confirmed=confirmed).order_by("-planned")[:limit]
    )


def per_variant(push: Push) -> list[dict[str, Any]]:
    """Variants with planned and delivered."""
    rows = rows_of(push).filter(status__in=PLANNED, variant__isnull=False)
    lines = rows.values("variant_id", "variant__name", "variant__content__text", "variant__position")
    return list(
        lines.annotate(planned=Count("*"), delivered=Count("status", filter=Q(status=S.DELIVERED))).order_by(
            "variant__position"
        )
    )


def after(push: Push) -> After | None:
    """What followed; None for a push to groups, whose messages are no person's."""
    if push.channel == Channel.GROUP:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FILTER (WHERE a.came), count(*) FILTER (WHERE a.signed_in),
                   count(*) FILTER (WHERE a.ordered), count(*) FILTER (WHERE EXISTS (
                       SELECT 1 FROM contacts_follow f WHERE f.brand_id = d.brand_id AND f.contact_id = d.contact_id
                          AND f.staff_id = d.staff_id
                          AND f.lost_at BETWEEN d.delivered_at AND d.delivered_at + interval '24 hours')),
                   count(*)
            FROM campaigns_delivery d
            LEFT JOIN LATERAL (
                SELECT count(*) > 0 AS came,
                       bool_or(e.type = 'sign_in') AS signed_in, bool_or(e.type = 'order_paid') AS ordered
                FROM events_event e
                WHERE e.brand_id = d.brand_id AND e.contact_id = d.contact_id AND e.type = ANY (%(types)s)
                  AND e.occurred_at BETWEEN d.delivered_at AND d.delivered_at + make_interval(hours => %(within)s)
            ) a ON TRUE
            WHERE d.push_id = %(push)s AND d.status = 'delivered' AND d.left_out = ''
            """,
            {"push": push.pk, "within": AFTER_HOURS, "types": CAME_TYPES},
        )
        return After(*cursor.fetchone())


def people(push: Push, *, status: str, reason: str | None, before: int | None) -> tuple[list[Any], int | None]:
    """The rows behind a figure, by keyset, and where the next page begins."""
    key = "chat_id" if push.channel == Channel.GROUP else "contact_id"
    rows = rows_of(push).select_related("staff", "batch", "chat" if push.channel == Channel.GROUP else "contact")
    if status == "planned_all":
        rows = rows.filter(status__in=PLANNED)
    elif status == "handed":
        rows = rows.filter(status__in=HANDED)
    elif status == LeftOut.CONTAMINATED and push.channel != Channel.GROUP:
        rows = rows.filter(left_out=status)
    elif status == S.HOLDOUT and push.channel != Channel.GROUP:
        rows = rows.filter(status=status, left_out="")
    elif status in DeliveryStatus.values:
        rows = rows.filter(status=status)
    if reason is not None and reason in Reason.values:
        rows = rows.filter(reason=reason)
    if before is not None:
        rows = rows.filter(**{f"{key}__lt": before})
    with gone.shown():  # figures count what was sent to somebody who was merged into another since
        shown = list(rows.order_by(f"-{key}")[: PAGE_ROWS + 1])
    more = getattr(shown[PAGE_ROWS - 1], key) if len(shown) > PAGE_ROWS else None
    return shown[:PAGE_ROWS], more
