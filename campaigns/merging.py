"""How outreach follows a merge of contacts.

A push knows a contact once. Where both were in one push, each row stays with the id it was written for (the loser's
is hidden with it); one that has not been sent yet is taken out, so that nobody reads the same twice. Of two
enrolments in one SOP the earlier goes on."""

from contacts.merging import FROM, Moves, Pairs, register
from contacts.merging.followers import JOURNAL

CLASH = "campaigns_delivery.twice"
LEFT = "campaigns_enrolment.left"

_BY_ID = """i.type = 'external_userid' AND i.value = (
    SELECT c.corpid || ':' || t.external_userid FROM contacts_staff g
    JOIN wecom_corp c ON c.brand_id = g.brand_id AND c.id = g.corp_id
    WHERE g.brand_id = t.brand_id AND g.id = t.staff_id)"""


class Deliveries:
    """Deliveries and what they reserve. Made since a merge, they go by the external_userid they were sent to."""

    name = "campaigns_delivery"
    _moves = Moves(
        "campaigns_delivery", "campaigns_delivery", [("push_id", "bigint")], unique=[["push_id"]], since=_BY_ID
    )

    def merge(self, pairs: Pairs) -> None:
        """Move; of two in one push, take out the loser's while its batch waits."""
        self._moves.merge(pairs)
        select = f"""SELECT p.merge_id, jsonb_build_object('push_id', l.push_id, 'before', to_jsonb(l))
            FROM {FROM} JOIN campaigns_delivery l ON l.brand_id = %(brand)s AND l.contact_id = p.loser
            JOIN campaigns_delivery s
              ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.push_id = l.push_id
            LEFT JOIN campaigns_batch b ON b.brand_id = %(brand)s AND b.id = l.batch_id
            WHERE l.status = 'planned' AND coalesce(b.status, 'pending') = 'pending'
              AND s.status IN ('planned', 'created', 'delivered', 'holdout')"""  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind=CLASH):
            twice = f"""{FROM} JOIN contacts_mergemoved j
                  ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{CLASH}'
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (push_id bigint)"""
            pairs.write(
                f"""UPDATE campaigns_delivery t SET status = 'suppressed', reason = 'merged', updated_at = %(at)s
                    FROM {twice} WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = p.loser
                      AND t.status = 'planned'"""  # noqa: S608
            )
            pairs.write(
                f"""UPDATE campaigns_reservation t SET status = 'voided', settled_at = %(at)s
                    FROM {twice} WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = p.loser
                      AND t.status = 'reserved'"""  # noqa: S608
            )

    def split(self, pairs: Pairs) -> None:
        """Back, and back in while the batch still waits; after that the push has gone without them."""
        self._moves.split(pairs)
        back = f"""{FROM} JOIN contacts_mergemoved j
              ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{CLASH}'
            CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (push_id bigint, before jsonb)
            CROSS JOIN LATERAL jsonb_populate_record(NULL::campaigns_delivery, k.before) AS w
            LEFT JOIN campaigns_batch b ON b.brand_id = %(brand)s AND b.id = w.batch_id"""
        pairs.write(
            f"""UPDATE campaigns_reservation t SET status = 'reserved', settled_at = NULL
                FROM {back} JOIN campaigns_delivery d ON d.brand_id = %(brand)s AND d.push_id = k.push_id
                  AND d.contact_id = p.loser AND d.reason = 'merged'
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = p.loser
                  AND t.status = 'voided' AND coalesce(b.status, 'pending') = 'pending'"""  # noqa: S608
        )
        pairs.write(
            f"""UPDATE campaigns_delivery t SET status = w.status, reason = w.reason, updated_at = w.updated_at
                FROM {back}
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = p.loser
                  AND t.reason = 'merged' AND coalesce(b.status, 'pending') = 'pending'"""  # noqa: S608
        )


class Enrolments:
    """Whoever is in one SOP twice after the merge goes on with the earlier enrolment only."""

    name = "campaigns_enrolment"
    _moves = Moves("campaigns_enrolment", "campaigns_enrolment", [("id", "uuid")])

    def merge(self, pairs: Pairs) -> None:
        """Move, then let the later ones leave."""
        self._moves.merge(pairs)
        select = f"""SELECT p.merge_id, jsonb_build_object('id', e.id, 'before', to_jsonb(e))
            FROM {FROM} JOIN campaigns_enrolment e ON e.brand_id = %(brand)s AND e.contact_id = p.survivor
            JOIN campaigns_sopversion v ON v.brand_id = %(brand)s AND v.id = e.sop_version_id
            WHERE e.status = 'active' AND EXISTS (
              SELECT FROM campaigns_enrolment o
              JOIN campaigns_sopversion w ON w.brand_id = %(brand)s AND w.id = o.sop_version_id
              WHERE o.brand_id = %(brand)s AND o.contact_id = p.survivor AND o.status = 'active'
                AND w.sop_id = v.sop_id AND (o.entered_at, o.id) < (e.entered_at, e.id))"""  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind=LEFT):
            pairs.write(
                f"""UPDATE campaigns_enrolment t
                    SET status = 'exited', reason = 'merged', left_at = %(at)s, due_at = NULL
                    FROM {FROM} JOIN contacts_mergemoved j
                      ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{LEFT}'
                    CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (id uuid)
                    WHERE t.brand_id = %(brand)s AND t.id = k.id AND t.status = 'active'"""  # noqa: S608
            )

    def split(self, pairs: Pairs) -> None:
        """Back, and back in."""
        self._moves.split(pairs)
        pairs.write(
            f"""UPDATE campaigns_enrolment t
                SET status = w.status, reason = w.reason, left_at = w.left_at, due_at = w.due_at
                FROM {FROM} JOIN contacts_mergemoved j
                  ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{LEFT}'
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (id uuid, before jsonb)
                CROSS JOIN LATERAL jsonb_populate_record(NULL::campaigns_enrolment, k.before) AS w
                WHERE t.brand_id = %(brand)s AND t.id = k.id AND t.status = 'exited' AND t.reason = 'merged'"""  # noqa: S608
        )


RESERVATIONS = Moves(
    "campaigns_reservation",
    "campaigns_reservation",
    [("push_id", "bigint")],
    unique=[["push_id"]],
    since="""i.type = 'external_userid' AND EXISTS (
        SELECT FROM campaigns_delivery d
        WHERE d.brand_id = t.brand_id AND d.push_id = t.push_id AND d.contact_id = p.loser)""",
)
"""After the deliveries, whose way they go."""


def register_own() -> None:
    """Called when the app starts."""
    register(Deliveries(), tables=["campaigns_delivery"])
    register(RESERVATIONS, tables=["campaigns_reservation"])
    register(Enrolments(), tables=["campaigns_enrolment"])
