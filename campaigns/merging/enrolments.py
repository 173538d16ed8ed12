"""How SOPs follow a merge of contacts: of two enrolments in one SOP the earlier goes on."""

from contacts.merging import FROM, Moves, Pairs
from contacts.merging.followers import JOURNAL

LEFT = "campaigns_enrolment.left"


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
