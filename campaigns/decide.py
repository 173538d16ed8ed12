"""The decision, in SQL: for each contact of the audience, from which guide, with which variant, or why not.

One chain of CTEs serves the dry run and the plan, so that what is shown is what is done:

    audience → friend (sender) → spent (the budget's ledger) → judged (reason) → decided (status)

In order: no sender, no variant, WeCom's quota, the brand's cap, places that pushes of higher priority keep; of those
left the control group is drawn, and the rest is planned. So control group and recipients differ in nothing but luck."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

from dataclasses import dataclass, field
from typing import Any

from campaigns.assignment import share_sql, threshold
from campaigns.audience import Ahead, Question
from campaigns.reasons import Reason


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
    _friend(made, question)
    made.add(", spent AS (")
    spent(made, question, "SELECT contact_id FROM audience", span)
    made.add(")")
    _judged(made, question)
    made.add(
        f""", decided AS (
SELECT j.contact_id AS key, j.variant_id, j.staff_id, j.external_userid, j.reason,
  CASE WHEN j.reason <> '' THEN 'suppressed'
       WHEN {share_sql("j.contact_id")} < %s THEN 'holdout' ELSE 'planned' END AS status
FROM judged j)""",
        question.push.pk,
        threshold(question.push.holdout_percent),
    )
    return made


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
    # Ties by who talked last, then who came last, then the id: the same guide whenever it is asked.
    made.add(
        """, friend AS (
SELECT DISTINCT ON (f.contact_id) f.contact_id, f.external_userid,
  CASE WHEN s.is_guide AND s.left_at IS NULL THEN f.staff_id END AS staff_id
FROM audience a
JOIN contacts_follow f ON f.brand_id = %s AND f.contact_id = a.contact_id AND f.lost_at IS NULL
JOIN contacts_staff s ON s.brand_id = f.brand_id AND s.id = f.staff_id AND s.corp_id = %s
ORDER BY f.contact_id, (s.is_guide AND s.left_at IS NULL) DESC, f.last_interacted_at DESC NULLS LAST, f.added_at DESC,
  f.staff_id)""",
        question.brand_id,
        question.corp_id,
    )


def spent(made: Statement, question: Question, contacts: str, span: Range, *params: Any) -> None:
    """SELECT of what the ledger holds against each of `contacts`, in the windows that matter; nothing held, no row.

    An open reservation counts from its own day on, see campaigns.budget."""
    rules = question.rules
    day = "CASE WHEN r.status = 'reserved' THEN greatest(r.day, %s) ELSE r.day END"
    made.add("SELECT e.contact_id")
    if rules.quota:
        inside = "count(*) FILTER (WHERE e.corp_id = %s AND e.day BETWEEN %s AND %s"
        bounds = (rules.corp_id, rules.quota.first, rules.quota.last)
        made.add(f", {inside}) AS quota_used, {inside} AND e.posted) AS quota_posted", *bounds, *bounds)
    if rules.cap:
        first = rules.cap.first(rules.day)
        made.add(
            ", count(*) FILTER (WHERE e.day >= %s) AS cap_used,"
            " count(*) FILTER (WHERE e.day >= %s AND e.posted) AS cap_posted",
            first,
            first,
        )
        for number, other in enumerate(question.ahead):
            made.add(f", count(*) FILTER (WHERE e.day >= %s) AS cap_used{number}", rules.cap.first(other.day))
    where, bounds_ = span.of("r.contact_id")
    made.add(
        f"""FROM (SELECT r.contact_id, r.corp_id, r.status = 'posted' AS posted, {day} AS day
  FROM campaigns_reservation r
  WHERE r.brand_id = %s AND {where} AND r.contact_id IN ({contacts}) AND r.channel = %s AND r.day >= %s
    AND r.status <> 'voided' AND r.push_id <> %s) e
GROUP BY e.contact_id""",
        rules.day,
        question.brand_id,
        *bounds_,
        *params,
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
SELECT a.contact_id, a.variant_id, f.staff_id, coalesce(f.external_userid, '') AS external_userid, CASE
WHEN f.contact_id IS NULL THEN %s WHEN f.staff_id IS NULL THEN %s WHEN a.variant_id IS NULL THEN %s""",
        Reason.NOT_FRIEND,
        Reason.NO_GUIDE,
        Reason.NO_VARIANT,
    )
    budget_reason(made, question)
    _outranked(made, question)
    made.add(
        """ELSE '' END AS reason
FROM audience a LEFT JOIN friend f ON f.contact_id = a.contact_id LEFT JOIN spent u ON u.contact_id = a.contact_id)"""
    )


def _outranked(made: Statement, question: Question) -> None:
    """With this touch and those that pushes of higher priority want, does some window hold too many?"""
    rules, ahead = question.rules, question.ahead
    if rules.quota:
        inside = [number for number, other in enumerate(ahead) if other.day <= rules.quota.last]
        if inside:
            made.add(
                f"WHEN {_any(inside)} AND coalesce(u.quota_used, 0) + {_sum(inside)} >= %s THEN %s",
                rules.quota.limit,
                Reason.OUTRANKED,
            )
    if rules.cap:
        for number, other in enumerate(ahead):
            if rules.cap.first(other.day) > rules.day:
                continue
            until = [index for index, each in enumerate(ahead) if _counts_until(each, other)]
            made.add(
                f"WHEN {_any([number])} AND coalesce(u.cap_used{number}, 0) + {_sum(until)} >= %s THEN %s",
                rules.cap.limit,
                Reason.OUTRANKED,
            )


def _counts_until(each: Ahead, other: Ahead) -> bool:
    return each.day <= other.day


def _any(numbers: list[int]) -> str:
    return f"({_sum(numbers)}) > 0"


def _sum(numbers: list[int]) -> str:
    return " + ".join(f"a.wanted{number}" for number in numbers)
