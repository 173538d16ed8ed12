"""The figures of a plan: how many were selected, are reachable, planned, held out, suppressed and why."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

import logging
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns.models import Push
from campaigns.planning import batches
from campaigns.planning.audience import Question
from campaigns.reasons import Reason

logger = logging.getLogger(__name__)
UNREACHABLE = (Reason.NOT_FRIEND, Reason.NO_GUIDE)


@dataclass
class Figures:
    """selected = reachable + not_friend + no_guide = planned + holdout + the sum of suppressed."""

    selected: int = 0
    planned: int = 0
    holdout: int = 0
    suppressed: dict[str, int] = field(default_factory=dict)

    @property
    def reachable(self) -> int:
        """Have a guide who could write to them."""
        return self.selected - sum(self.suppressed.get(reason, 0) for reason in UNREACHABLE)

    def add(self, status: str, reason: str, count: int) -> None:
        """Count rows of one outcome."""
        self.selected += count
        if status == "holdout":
            self.holdout += count
        elif status == "suppressed":
            self.suppressed[reason] = self.suppressed.get(reason, 0) + count
        else:
            self.planned += count

    def as_counts(self) -> dict[str, Any]:
        """As Push.counts keeps them."""
        return {
            "selected": self.selected,
            "reachable": self.reachable,
            "planned": self.planned,
            "holdout": self.holdout,
            "suppressed": dict(sorted(self.suppressed.items(), key=lambda item: -item[1])),
        }


def finish(*, question: Question, state: dict[str, Any]) -> None:
    """Sum up a plan whose rows are complete, make its batches due and the push sending. Scoped.

    With nobody to send to the push has failed, and says why; a step of an SOP is simply done."""
    figures = of_push(question)
    push_id = question.push.pk
    counts = {**figures.as_counts(), "began_at": state.get("began_at")}
    state["stage"] = "done"
    if not figures.planned:
        with override("zh-hans"):
            error = f"{empty_sentence(figures)}{empty_remedy()}"
        over = Push.Status.DONE if question.push.sop_version_id else Push.Status.FAILED
        Push.objects.filter(pk=push_id).update(
            status=over, counts=counts, error=error, planned_at=question.at, done_at=question.at
        )
        return
    counts["batches"] = batches.release_to_dispatch(push_id=push_id, at=question.at)
    Push.objects.filter(pk=push_id).update(
        status=Push.Status.SENDING, counts=counts, planned_at=question.at, corp_id=question.corp_id
    )
    logger.info(
        "campaigns.plan.done",
        extra={"brand": question.brand_id, "push": push_id, "planned": figures.planned, "batches": counts["batches"]},
    )


def of_push(question: Question) -> Figures:
    """Count the push's deliveries. Scoped; reads all of them."""
    figures = Figures()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT status, reason, count(*) FROM {question.target.table}"
            " WHERE brand_id = %s AND push_id = %s GROUP BY 1, 2",
            [question.brand_id, question.push.pk],
        )
        for status, reason, count in cursor.fetchall():
            figures.add(status, reason, count)
    return figures


def of_counts(push: Push) -> Figures:
    """The figures that a finished plan left with the push."""
    counts = push.counts
    return Figures(
        counts.get("selected", 0),
        counts.get("planned", 0),
        counts.get("holdout", 0),
        dict(counts.get("suppressed", {})),
    )


def trouble(push: Push) -> str:
    """Why the push failed, in the active language; empty when it did not. `Push.error` itself is Chinese."""
    figures = of_counts(push)
    if push.status == Push.Status.FAILED and "selected" in push.counts and not figures.planned:
        return f"{empty_sentence(figures)}{empty_remedy()}"
    return push.error


def empty_remedy() -> str:
    """What to do when there is nobody to send to."""
    return _("请调整人群，或改期。")


def empty_sentence(figures: Figures) -> str:
    """Why there is nobody to send to, in the active language."""
    if not figures.selected:
        return _("没有可发送的客户。这个人群现在是空的。")
    why = _("、").join(
        f"{Reason(reason).label} {count:,}"
        for reason, count in sorted(figures.suppressed.items(), key=lambda item: -item[1])
    )
    if figures.holdout:
        why = _("、").join([*([why] if why else []), _("对照组 %(n)s") % {"n": f"{figures.holdout:,}"}])
    return _("没有可发送的客户。圈选的 %(n)s 人都不能发：%(why)s。") % {
        "n": f"{figures.selected:,}",
        "why": why,
    }
