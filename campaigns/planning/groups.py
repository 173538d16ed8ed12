"""Pushes to group chats (客户群): which groups, from whom, or why not. The same shape as campaigns.planning.decide has.

A group is in the audience if at least one of its members is; without a segment, every group is. Its variant is the
first that one of those members matches. WeCom's quota and the brand's cap count per group: what a group was sent is
told by its own deliveries, there are few enough of them. Nothing is reserved against the members."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

from campaigns.planning.audience import Question
from campaigns.planning.decide import Range, Statement, budget_reason, conclude
from campaigns.reasons import Reason

MEMBER = """EXISTS (SELECT 1 FROM contacts_groupmember m
  JOIN contacts_contact c ON c.brand_id = m.brand_id AND c.id = m.contact_id
  WHERE m.brand_id = %s AND m.chat_id = g.id AND m.left_at IS NULL"""


def decided(question: Question, span: Range) -> Statement:
    """`WITH … decided AS (key, variant_id, staff_id, external_userid, status, reason)` for the groups of a range."""
    made = Statement()
    _audience(made, question, span)
    _spent(made, question, span)
    _judged(made, question)
    conclude(made, question, key="chat_id")
    return made


def _audience(made: Statement, question: Question, span: Range) -> None:
    where, bounds = span.of("g.id")
    chosen = question.chosen()
    made.add("WITH audience AS MATERIALIZED (SELECT g.id AS chat_id, g.chat_id AS wecom_id, g.owner_id, (CASE")
    for row in question.variants:
        if row.condition is None:
            made.add("WHEN TRUE THEN %s", row.pk)
        else:
            held = question.condition(row.condition)
            made.add(
                f"WHEN {MEMBER} AND {chosen.text} AND {held.text}) THEN %s",
                question.brand_id,
                *chosen.params,
                *held.params,
                row.pk,
            )
    made.add(
        f"END)::bigint AS variant_id FROM contacts_groupchat g WHERE g.brand_id = %s AND {where} AND g.corp_id = %s"
        " AND g.dismissed_at IS NULL",
        question.brand_id,
        *bounds,
        question.corp_id,
    )
    if question.tree is not None:
        made.add(f"AND {MEMBER} AND {chosen.text})", question.brand_id, *chosen.params)
    made.add(")")


def _spent(made: Statement, question: Question, span: Range) -> None:
    rules = question.rules
    where, bounds = span.of("d.chat_id")
    made.add(", spent AS (SELECT e.chat_id")
    if rules.quota:
        inside = "count(*) FILTER (WHERE e.day BETWEEN %s AND %s"
        window = (rules.quota.first, rules.quota.last)
        made.add(f", {inside}) AS quota_used, {inside} AND e.posted) AS quota_posted", *window, *window)
    if rules.cap:
        first = rules.cap.first(rules.day)
        made.add(
            ", count(*) FILTER (WHERE e.day >= %s) AS cap_used,"
            " count(*) FILTER (WHERE e.day >= %s AND e.posted) AS cap_posted",
            first,
            first,
        )
    made.add(
        f"""FROM (SELECT d.chat_id, d.status = 'delivered' AS posted,
    CASE WHEN d.status = 'delivered' THEN (coalesce(d.delivered_at, d.updated_at) AT TIME ZONE %s)::date
         ELSE greatest((d.updated_at AT TIME ZONE %s)::date, %s) END AS day
  FROM campaigns_groupdelivery d
  WHERE d.brand_id = %s AND {where} AND d.push_id <> %s AND d.status IN ('planned', 'created', 'delivered')) e
GROUP BY e.chat_id)""",
        question.zone,
        question.zone,
        rules.day,
        question.brand_id,
        *bounds,
        question.push.pk,
    )


def _judged(made: Statement, question: Question) -> None:
    made.add(
        """, judged AS (
SELECT a.chat_id, a.variant_id, s.id AS staff_id, a.wecom_id AS external_userid, CASE
WHEN s.id IS NULL THEN %s WHEN a.variant_id IS NULL THEN %s""",
        Reason.NO_GUIDE,
        Reason.NO_VARIANT,
    )
    budget_reason(made, question)
    made.add(
        """ELSE '' END AS reason
FROM audience a
LEFT JOIN contacts_staff s ON s.brand_id = %s AND s.id = a.owner_id AND s.is_guide AND s.left_at IS NULL
LEFT JOIN spent u ON u.chat_id = a.chat_id)""",
        question.brand_id,
    )
