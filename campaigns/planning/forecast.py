"""预演: what a push would do if it were planned now. Reads only; the same decision SQL as the plan, aggregated."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from campaigns.models import Channel
from campaigns.planning import decide, groups
from campaigns.planning.audience import Question, question
from campaigns.planning.choose import draw_sql
from campaigns.planning.decide import Range, Statement
from campaigns.planning.tally import Figures
from contacts.models import Contact, GroupChat, Staff

CALLS_A_MINUTE, CALLS_AN_HOUR = 10_000, 150_000
"""of one API by one corp (api-reference §3.1); the 150,001st call waits for the next hour"""
HEAVIEST, SAMPLES = 10, 20


@dataclass(frozen=True, slots=True)
class GuideLoad:
    """How many of the planned recipients one guide would write to."""

    staff_id: int
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Loads:
    """The guides' work: how many guides, the most any of them has, and who has most (up to 10)."""

    count: int = 0
    max: int = 0
    heaviest: Sequence[GuideLoad] = ()


@dataclass(frozen=True, slots=True)
class VariantCount:
    """How many would get one variant."""

    variant_id: int
    name: str
    content: str
    planned: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One recipient drawn at random, with what they would see from whom. `key`: contact id, or group chat id."""

    key: int
    name: str
    variant_id: int
    text: str
    staff_id: int
    guide: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """selected = planned + holdout + the sum of `suppressed`; reachable: have a guide who could write to them.

    `mark_tag_calls` and `minutes` are Moments' only: one call per recipient, at WeCom's rate."""

    selected: int
    reachable: int
    planned: int
    holdout: int
    suppressed: Mapping[str, int]
    per_variant: Sequence[VariantCount]
    per_guide: Loads
    batches: int
    mark_tag_calls: int
    minutes: int
    sample: Sequence[Sample] = field(default=())


@dataclass(slots=True)
class _Sums:
    figures: Figures = field(default_factory=Figures)
    variants: Counter[int] = field(default_factory=Counter)
    guides: Counter[int] = field(default_factory=Counter)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    drawn: list[tuple[int, int, int]] = field(default_factory=list)


def dry_run(*, push_id: int, at: datetime) -> Forecast:
    """What planning the push at `at` would do. Scoped. Writes nothing. Raises NotFound, Invalid (see `question`)."""
    asked = question(push_id=push_id, at=at)
    sums = _sums(asked)
    moments = asked.push.channel == Channel.MOMENTS
    calls = sums.figures.planned if moments else 0
    figures = sums.figures
    return Forecast(
        selected=figures.selected,
        reachable=figures.reachable,
        planned=figures.planned,
        holdout=figures.holdout,
        suppressed=figures.as_counts()["suppressed"],
        per_variant=[
            VariantCount(row.pk, row.name, row.content.name, sums.variants.get(row.pk, 0)) for row in asked.variants
        ],
        per_guide=_loads(sums.guides),
        batches=_batches(asked, sums),
        mark_tag_calls=calls,
        minutes=minutes_for(calls),
        sample=_samples(asked, sums.drawn),
    )


def minutes_for(calls: int) -> int:
    """How long WeCom's rate makes this many calls of one API take, in whole minutes."""
    hours, rest = divmod(calls, CALLS_AN_HOUR)
    if not rest and hours:
        hours, rest = hours - 1, CALLS_AN_HOUR
    return hours * 60 + math.ceil(rest / CALLS_A_MINUTE)


def _sums(asked: Question) -> _Sums:
    """Run the decision over the whole brand, aggregated: as many rows come back as there are guides × variants."""
    made = (groups if asked.push.channel == Channel.GROUP else decide).decided(asked, Range())
    statement = Statement().add(made.text, *made.params)
    _add_final(statement, asked)
    statement.add(
        f"""SELECT status, reason, variant_id, staff_id, count(*), NULL::bigint FROM final GROUP BY 1, 2, 3, 4
UNION ALL
(SELECT '', '', variant_id, staff_id, 0, key FROM final WHERE status = 'planned'
 ORDER BY {draw_sql("key")} LIMIT %s)""",
        asked.push.pk + 1,  # not the order in which a maximum is drawn, or the sample would be its head
        SAMPLES,
    )
    sums = _Sums()
    with connection.cursor() as cursor:
        # The whole brand's audience is sorted and hashed once; 4 MB would spill to disk.
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(statement.text, statement.params)
        for row in cursor.fetchall():
            _add(sums, *row)
    return sums


def _add_final(statement: Statement, asked: Question) -> None:
    """`decided`, with a maximum of recipients applied: the same draw as campaigns.planning.choose makes."""
    most = asked.push.max_recipients
    if most is None:
        statement.add(", final AS (SELECT * FROM decided)")
        return
    statement.add(
        f""", final AS (SELECT key, variant_id, staff_id,
  CASE WHEN status = 'planned' AND drawn > %s THEN 'over_max' ELSE reason END AS reason,
  CASE WHEN status = 'planned' AND drawn > %s THEN 'suppressed' ELSE status END AS status
FROM (SELECT d.*, row_number() OVER (PARTITION BY d.status ORDER BY {draw_sql("d.key")}, d.key) AS drawn
      FROM decided d) n)""",
        most,
        most,
        asked.push.pk,
    )


def _add(
    sums: _Sums, status: str, reason: str, variant_id: int, staff_id: int, count: int, sampled: int | None
) -> None:
    if sampled is not None:
        sums.drawn.append((sampled, variant_id, staff_id))
        return
    sums.figures.add(status, reason, count)
    if status == "planned":
        sums.variants[variant_id] += count
        sums.guides[staff_id] += count
        sums.pairs[variant_id, staff_id] += count


def _loads(guides: Counter[int]) -> Loads:
    heaviest = guides.most_common(HEAVIEST)
    names = dict(Staff.objects.filter(pk__in=[pk for pk, _count in heaviest]).values_list("pk", "name"))
    return Loads(
        count=len(guides),
        max=heaviest[0][1] if heaviest else 0,
        heaviest=[GuideLoad(pk, names.get(pk, ""), count) for pk, count in heaviest],
    )


def _batches(asked: Question, sums: _Sums) -> int:
    if not asked.target.per_guide:
        return sum(1 for count in sums.variants.values() if count)
    return sum(math.ceil(count / asked.target.most) for count in sums.pairs.values())


def _samples(asked: Question, drawn: Sequence[tuple[int, int, int]]) -> list[Sample]:
    model: Any = GroupChat if asked.push.channel == Channel.GROUP else Contact
    names = dict(model.objects.filter(pk__in=[key for key, *_rest in drawn]).values_list("pk", "name"))
    guides = dict(Staff.objects.filter(pk__in={staff for *_rest, staff in drawn}).values_list("pk", "name"))
    texts = {row.pk: row.content.text for row in asked.variants}
    return [
        Sample(key, names.get(key, ""), variant, texts.get(variant, ""), staff, guides.get(staff, ""))
        for key, variant, staff in drawn
    ]
