"""The decision, in SQL: for each contact of the audience, from which guide, with which variant, or why not.

One chain of CTEs serves the dry run and the plan, so that what is shown is what is done:

    audience → judged (friend: the sender; spent: the budget's ledger; the reason) → decided (status)

In order: no sender, no variant, WeCom's quota, the brand's cap, places that pushes of higher priority keep; of those
left the control group is drawn, and the rest is planned. So control group and recipients differ in nothing but luck.

Follows and ledger are looked up per contact by index (LATERAL), not joined as sets. A join's plan hangs on statistics,
and those know nothing yet of a brand just synchronised or a push just planned: expecting one row where there were
10,000, the planner compared all with all, 16 s instead of 0.1 s. A look-up costs the same whatever is expected."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

from dataclasses import dataclass, field
from typing import Any

from campaigns.experiments.control_group import share_sql, threshold
from campaigns.planning.audience import Ahead, Question
from campaigns.reasons import Reason

TOUCHES = "coalesce(sum(e.touches) FILTER"
"""Caps add up when two contacts become one: a reservation may stand for several messages."""


@dataclass
class Statement:
    """SQL text that grows with its positional parameters."""

    text: str = ""
    params: list[Any] = field(default_factory=list)

    def add(self, text: str, *params: Any) -> "Statement":
        """Append a piece; its %s stand for `params`."""
        self.text += text + "\n"
        self.params += params
        return self


@dataclass(frozen=True, slots=True)
class Range:
    """Keys in (after, last]; `last` None: to the end."""

    after: int = 0
    last: int | None = None

    @property
    def within(self) -> tuple[int, int] | None:
        """As conditions take it."""
        return None if self.last is None else (self.after + 1, self.last)

    def of(self, column: str) -> tuple[str, tuple[int, ...]]:
        """The range as a condition on a column."""
        if self.last is None:
            return f"{column} > %s", (self.after,)
        return f"{column} > %s AND {column} <= %s", (self.after, self.last)


def decided(question: Question, span: Range) -> Statement:
    """`WITH … decided AS (key, variant_id, staff_id, external_userid, status, reason)` for the contacts of a range."""
    made = Statement()
    _audience(made, question, span)
    _judged(made, question)
    conclude(made, question, key="contact_id")
    return made


def conclude(made: Statement, question: Question, *, key: str) -> None:
    """The table `decided` from the table `judged`: held back for a reason, in the control group, or planned.

    `key`: the column of `judged` that names a receiver, by whose hash the control group is drawn."""
    made.add(
        f""", decided AS (
SELECT j.{key} AS key, j.variant_id, j.staff_id, j.external_userid, j.reason,
  CASE WHEN j.reason <> '' THEN 'suppressed'
       WHEN {share_sql(f"j.{key}")} < %s THEN 'holdout' ELSE 'planned' END AS status
FROM judged j)""",
        question.push.pk,
        threshold(question.push.holdout_percent),
    )


def _audience(made: Statement, question: Question, span: Range) -> None:
    variant, chosen = question.variant(span.within), question.chosen(span.within)
    made.add(f"WITH audience AS MATERIALIZED (SELECT c.id AS contact_id, {variant.text} AS variant_id", *variant.params)
    for number, other in enumerate(question.ahead):
        wanted = question.wanted_by(other, span.within)
        made.add(f", ({wanted.text})::int AS wanted{number}", *wanted.params)
    where, bounds = span.of("c.id")
    made.add(
        f"FROM contacts_contact c WHERE c.brand_id = %s AND {where} AND {chosen.text})",
        question.brand_id,
        *bounds,
        *chosen.params,
    )


def _friend(made: Statement, question: Question) -> None:
    """`f`: who of the corp follows contact `a`: a guide if any does. Ties by who talked last, came last, the id."""
    made.add(
        """LEFT JOIN LATERAL (
  SELECT f.staff_id AS follower_id, f.external_userid, f.staff_id = ANY (%s) AS is_guide FROM contacts_follow f
  WHERE f.brand_id = %s AND f.contact_id = a.contact_id AND f.lost_at IS NULL AND f.staff_id = ANY (%s)
  ORDER BY is_guide DESC, f.last_interacted_at DESC NULLS LAST, f.added_at DESC, f.staff_id LIMIT 1) f ON TRUE""",
        list(question.guides),
        question.brand_id,
        list(question.colleagues),
    )


def spent(made: Statement, question: Question, contact: str) -> None:
    """`LEFT JOIN LATERAL … u`: what the ledger holds against the contact, in the windows that matter.

    An open reservation counts from its own day on, see campaigns.budget.limits."""
    rules = question.rules
    sums = Statement("SELECT 1")
    if rules.quota:
        inside = f"{TOUCHES} (WHERE e.corp_id = %s AND e.day BETWEEN %s AND %s"
        bounds = (rules.corp_id, rules.quota.first, rules.quota.last)
        sums.add(f", {inside}), 0) AS quota_used, {inside} AND e.posted), 0) AS quota_posted", *bounds, *bounds)
    if rules.cap:
        days = [(rules.cap.first(rules.day), "")]
        days += [(rules.cap.first(other.day), str(number)) for number, other in enumerate(question.ahead)]
        for first, number in days:
            sums.add(f", {TOUCHES} (WHERE e.day >= %s), 0) AS cap_used{number}", first)
        sums.add(f", {TOUCHES} (WHERE e.day >= %s AND e.posted), 0) AS cap_posted", days[0][0])
    made.add(f"LEFT JOIN LATERAL ({sums.text}", *sums.params)
    made.add(
        f"""FROM (SELECT r.corp_id, r.touches, r.status = 'posted' AS posted,
    CASE WHEN r.status = 'reserved' THEN greatest(r.day, %s) ELSE r.day END AS day
  FROM campaigns_reservation r
  WHERE r.brand_id = %s AND r.contact_id = {contact} AND r.channel = %s AND r.day >= %s
    AND r.status <> 'voided' AND r.push_id <> %s) e) u ON TRUE""",
        rules.day,
        question.brand_id,
        rules.channel,
        rules.first_day,
        question.push.pk,
    )


def budget_reason(made: Statement, question: Question) -> None:
    """CASE branches over `u` (a row of `spent`): why the budget says no."""
    rules = question.rules
    if rules.quota:
        made.add("WHEN u.quota_posted >= %s THEN %s", rules.quota.limit, rules.quota.reason)
    if rules.cap:
        made.add("WHEN u.cap_posted >= %s THEN %s", rules.cap.limit, Reason.BRAND_CAP)
    if rules.quota:
        made.add("WHEN u.quota_used >= %s THEN %s", rules.quota.limit, Reason.ALREADY_RESERVED)
    if rules.cap:
        made.add("WHEN u.cap_used >= %s THEN %s", rules.cap.limit, Reason.ALREADY_RESERVED)


def _judged(made: Statement, question: Question) -> None:
    made.add(
        """, judged AS (
SELECT a.contact_id, a.variant_id, CASE WHEN f.is_guide THEN f.follower_id END AS staff_id,
  coalesce(f.external_userid, '') AS external_userid, CASE
WHEN f.follower_id IS NULL THEN %s WHEN NOT f.is_guide THEN %s WHEN a.variant_id IS NULL THEN %s""",
        Reason.NOT_FRIEND,
        Reason.NO_GUIDE,
        Reason.NO_VARIANT,
    )
    budget_reason(made, question)
    _outranked(made, question)
    made.add("ELSE '' END AS reason FROM audience a")
    _friend(made, question)
    if question.rules.limited:
        spent(made, question, "a.contact_id")
    made.add(")")


def _outranked(made: Statement, question: Question) -> None:
    """With this touch and those that pushes of higher priority want, does some window hold too many?"""
    rules, ahead = question.rules, question.ahead
    if rules.quota:
        inside = [
            number
            for number, other in enumerate(ahead)
            if other.corp_id == rules.corp_id and other.day <= rules.quota.last
        ]
        if inside:
            made.add(
                f"WHEN {_any(inside)} AND u.quota_used + {_sum(inside)} >= %s THEN %s",
                rules.quota.limit,
                Reason.OUTRANKED,
            )
    if rules.cap:
        for number, other in enumerate(ahead):
            if rules.cap.first(other.day) > rules.day:
                continue
            until = [index for index, each in enumerate(ahead) if _counts_until(each, other)]
            made.add(
                f"WHEN {_any([number])} AND u.cap_used{number} + {_sum(until)} >= %s THEN %s",
                rules.cap.limit,
                Reason.OUTRANKED,
            )


def _counts_until(each: Ahead, other: Ahead) -> bool:
    return each.day <= other.day


def _any(numbers: list[int]) -> str:
    return f"({_sum(numbers)}) > 0"


def _sum(numbers: list[int]) -> str:
    return " + ".join(f"a.wanted{number}" for number in numbers)
