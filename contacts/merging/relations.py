"""How the rows of `contacts` and the log follow a merge: identities, friendships, group members, aliases, events."""

from contacts.merging.followers import JOURNAL, Moves, register
from contacts.merging.pairs import FROM, Pairs
from contacts.models import Identity


class Identities(Moves):
    """An identity found since the merge goes back with the one it was shown with."""

    def split(self, pairs: Pairs) -> None:
        """Journal first; then, step by step, what was seen with one that has gone back."""
        super().split(pairs)
        while pairs.write(
            f"""UPDATE contacts_identity t SET contact_id = p.loser
                FROM {FROM} JOIN contacts_identity i ON i.brand_id = %(brand)s AND i.contact_id = p.loser
                JOIN contacts_merge m ON m.brand_id = %(brand)s AND m.id = p.merge_id
                WHERE t.brand_id = %(brand)s AND t.contact_id = p.survivor AND t.seen_with = i.id
                  AND t.first_seen_at >= m.merged_at"""  # noqa: S608
        ):
            pass


class Events:
    """The log's rows keep identity and place; only whose they are changes, so no reactor meets them again."""

    name = "events_event"

    def merge(self, pairs: Pairs) -> None:
        """Journal the keys, then move exactly these: the log has no foreign key that would hold back a writer."""
        select = f"""SELECT p.merge_id, jsonb_build_object('occurred_at', t.occurred_at, 'id', t.id)
                     FROM {FROM} JOIN events_event t ON t.brand_id = %(brand)s AND t.contact_id = p.loser"""  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind=self.name):
            self._move(pairs, "loser", "survivor")

    def split(self, pairs: Pairs) -> None:
        """Journal; then events since that name one of the loser's identities."""
        self._move(pairs, "survivor", "loser")
        pairs.write(
            f"""UPDATE events_event t SET contact_id = p.loser
                FROM {FROM} JOIN contacts_identity i ON i.brand_id = %(brand)s AND i.contact_id = p.loser
                WHERE t.brand_id = %(brand)s AND t.contact_id = p.survivor
                  AND t.identity_type = i.type AND t.identity_value = i.value"""  # noqa: S608
        )

    def _move(self, pairs: Pairs, source: str, target: str) -> None:
        # The key names the partition: one look-up by primary key for each event.
        pairs.write(
            f"""UPDATE events_event t SET contact_id = p.{target}
                FROM {FROM}
                JOIN contacts_mergemoved j
                  ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = 'events_event'
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (occurred_at timestamptz, id uuid)
                WHERE t.brand_id = %(brand)s AND t.occurred_at = k.occurred_at AND t.id = k.id
                  AND t.contact_id = p.{source}"""  # noqa: S608
        )


class Follows:
    """Friendships move. Of two with one guide there can be one row: the living one, else the later, as in a sync.

    The loser's row leaves the table then, since a guide has an external_userid once, and waits in the journal."""

    name = "contacts_follow"
    _moves = Moves("contacts_follow", "contacts_follow", [("staff_id", "bigint")], unique=[["staff_id"]])
    _wins = "(l.lost_at IS NULL, l.added_at) > (s.lost_at IS NULL, s.added_at)"
    _taken = [
        "external_userid",
        "remark",
        "description",
        "add_way",
        "state",
        "corp_tag_ids",
        "added_at",
        "lost_at",
        "lost_by",
        "last_interacted_at",
    ]

    def merge(self, pairs: Pairs) -> None:
        """Move what does not clash; replace or drop what does."""
        clash = f"""{FROM}
            JOIN contacts_follow l ON l.brand_id = %(brand)s AND l.contact_id = p.loser
            JOIN contacts_follow s
              ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.staff_id = l.staff_id"""
        select = f"""SELECT p.merge_id, jsonb_build_object('loser', to_jsonb(l), 'before', to_jsonb(s),
                       'wins', {self._wins}) FROM {clash}"""  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind="contacts_follow.clash"):
            rows = f"""{FROM}
                JOIN contacts_mergemoved j
                  ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = 'contacts_follow.clash'
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (loser jsonb, before jsonb, wins boolean)
                CROSS JOIN LATERAL jsonb_populate_record(NULL::contacts_follow, k.loser) AS l"""
            pairs.write(
                f"""DELETE FROM contacts_follow t USING {rows}
                    WHERE t.brand_id = %(brand)s AND t.staff_id = l.staff_id AND t.contact_id = p.loser"""  # noqa: S608
            )
            values = ", ".join(f"{name} = l.{name}" for name in self._taken)
            pairs.write(
                f"""UPDATE contacts_follow t SET {values} FROM {rows}
                    WHERE t.brand_id = %(brand)s AND t.staff_id = l.staff_id AND t.contact_id = p.survivor
                      AND k.wins AND t.external_userid = k.before ->> 'external_userid'"""  # noqa: S608
            )
        self._moves.merge(pairs)

    def split(self, pairs: Pairs) -> None:
        """Moved rows go back, replaced ones are put back unless WeCom has told otherwise since."""
        self._moves.split(pairs)
        rows = f"""{FROM}
            JOIN contacts_mergemoved j
              ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = 'contacts_follow.clash'
            CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (loser jsonb, before jsonb, wins boolean)
            CROSS JOIN LATERAL jsonb_populate_record(NULL::contacts_follow, k.loser) AS l
            CROSS JOIN LATERAL jsonb_populate_record(NULL::contacts_follow, k.before) AS s"""
        taken = ", ".join(f"{name} = s.{name}" for name in self._taken)
        # The survivor's row shows the loser's friendship: because the merge put it there, or a sync did since.
        pairs.write(
            f"""UPDATE contacts_follow t SET {taken} FROM {rows}
                WHERE t.brand_id = %(brand)s AND t.staff_id = s.staff_id AND t.contact_id = p.survivor
                  AND t.external_userid = l.external_userid AND l.external_userid <> s.external_userid"""  # noqa: S608
        )
        pairs.write(f"INSERT INTO contacts_follow SELECT l.* FROM {rows} ON CONFLICT DO NOTHING")  # noqa: S608
        pairs.write(
            f"""UPDATE contacts_follow t SET contact_id = p.loser
                FROM {FROM} JOIN contacts_identity i ON i.brand_id = %(brand)s AND i.contact_id = p.loser
                CROSS JOIN contacts_staff g JOIN wecom_corp c ON c.brand_id = g.brand_id AND c.id = g.corp_id
                WHERE t.brand_id = %(brand)s AND t.contact_id = p.survivor
                  AND g.brand_id = %(brand)s AND g.id = t.staff_id
                  AND i.type = %(external)s AND i.value = c.corpid || ':' || t.external_userid
                  AND NOT EXISTS (SELECT FROM contacts_follow o WHERE o.brand_id = %(brand)s
                                  AND o.contact_id = p.loser AND o.staff_id = t.staff_id)""",  # noqa: S608
            external=Identity.Type.EXTERNAL_USERID.value,
        )


GROUP_MEMBERS = Moves(
    "contacts_groupmember",
    "contacts_groupmember",
    [("chat_id", "bigint"), ("member_id", "varchar")],
    since="""i.type = 'external_userid' AND i.value = (
        SELECT c.corpid || ':' || t.member_id FROM contacts_groupchat g
        JOIN wecom_corp c ON c.brand_id = g.brand_id AND c.id = g.corp_id
        WHERE g.brand_id = t.brand_id AND g.id = t.chat_id)""",
)
ALIASES = Moves("contacts_contact", "contacts_contact", [("id", "bigint")], column="merged_into_id")
"""Those who were merged into the loser before are aliases of the survivor now."""


def register_own() -> None:
    """Called when the app starts."""
    register(Identities("contacts_identity", "contacts_identity", [("id", "uuid")]), tables=["contacts_identity"])
    register(Follows(), tables=["contacts_follow"])
    register(GROUP_MEMBERS, tables=["contacts_groupmember"])
    register(ALIASES, tables=["contacts_contact"])
    register(Events(), tables=["events_event"])
