"""A push with a maximum of recipients: who of those that could be written to is. A draw, so no age or shop is favoured.

The plan has left everybody who could be written to as "over the maximum". They are drawn in a fixed random order, a
few thousand at a time; the budget is asked again for them, since other pushes may have taken places meanwhile."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

from typing import Any

from django.db import connection

from campaigns.budget import ledger
from campaigns.models import Channel
from campaigns.planning.audience import Question
from campaigns.planning.decide import Statement, budget_reason, spent
from campaigns.reasons import Reason
from contacts import gone

AT_ONCE = 10_000


def draw_sql(key: str) -> str:
    """An order of drawing at random that repeats itself within one database; the push's id is its parameter (%s)."""
    return f"hashint8extended({key}, %s)"


def some(*, question: Question, state: dict[str, Any]) -> bool:
    """Plan the next few thousand; False when the maximum is reached or nobody is left. Scoped, under the budget's lock.

    Keeps in `state` how many are planned (`chosen`)."""
    wanted = min((question.push.max_recipients or 0) - state.get("chosen", 0), AT_ONCE)
    keys = _drawn(question, wanted) if wanted > 0 else []
    if not keys:
        return False
    planned = _confirm(question, keys)
    if question.push.channel != Channel.GROUP:
        ledger.reserve_these(
            push_id=question.push.pk,
            priority=question.push.priority,
            rules=question.rules,
            contact_ids=keys,
            at=question.at,
        )
    state["chosen"] = state.get("chosen", 0) + planned
    return True


def _drawn(question: Question, wanted: int) -> list[int]:
    """The next keys of the draw, at most `wanted`. Those drawn before no longer wait."""
    target = question.target
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT d.{target.key} FROM {target.table} d"
            f" WHERE d.brand_id = %s AND d.push_id = %s AND d.status = 'suppressed' AND d.reason = 'over_max'"
            f" ORDER BY {draw_sql('d.' + target.key)}, d.{target.key} LIMIT %s",
            [question.brand_id, question.push.pk, question.push.pk, wanted],
        )
        return [row[0] for row in cursor.fetchall()]


def _confirm(question: Question, keys: list[int]) -> int:
    """Set the drawn ones to planned, or to suppressed: the budget now says no, or they were erased or merged since the
    range was decided. Returns how many are planned."""
    target = question.target
    made = Statement()
    made.add("WITH verdict AS MATERIALIZED (SELECT k AS key,")
    if question.push.channel == Channel.GROUP:
        made.add("'' AS reason FROM unnest(%s::bigint[]) AS k", keys)
    else:
        made.add(
            "CASE WHEN c.erased_at IS NOT NULL THEN %s WHEN c.merged_into_id IS NOT NULL THEN %s",
            Reason.CONTACT_GONE,
            Reason.MERGED,
        )
        if question.rules.limited:
            budget_reason(made, question)
        made.add("ELSE '' END AS reason FROM unnest(%s::bigint[]) AS k", keys)
        made.add("JOIN contacts_contact c ON c.brand_id = %s AND c.id = k", question.brand_id)
        if question.rules.limited:
            spent(made, question, "k")
    made.add(")")
    made.add(
        f"UPDATE {target.table} d SET reason = v.reason, updated_at = %s,"
        f" status = CASE v.reason WHEN '' THEN 'planned' ELSE 'suppressed' END"
        f" FROM verdict v WHERE d.brand_id = %s AND d.push_id = %s AND d.{target.key} = ANY (%s)"
        f" AND d.{target.key} = v.key AND d.reason = %s"
        f" RETURNING d.reason",
        question.at,
        question.brand_id,
        question.push.pk,
        keys,
        Reason.OVER_MAX,
    )
    with gone.shown(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")  # see campaigns.planning.batches
        cursor.execute(made.text, made.params)
        return sum(1 for (reason,) in cursor.fetchall() if not reason)
