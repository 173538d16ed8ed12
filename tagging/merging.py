"""How tags follow a merge of contacts: both persons' tags, each with its evidence and the later expiry; and how stays
in segments do: who was in with both numbers is in once."""

from contacts.merging import FROM, Moves, Pairs, register, wait_for
from contacts.merging.followers import JOURNAL
from tagging.models import ContactTag
from tagging.segments import flips

KIND = "tagging_contacttag.union"
ENDED = "tagging_membership.ended"

# A tag that has run out counts as gone: then the other's row is the whole truth.
_DEAD = "(s.expires_at IS NOT NULL AND s.expires_at <= %(at)s)"
_LOOK_AGAIN = """
INSERT INTO tagging_contacttouch (brand_id, contact_id, source, txid)
SELECT %(brand)s, c.id, 'person', pg_current_xact_id()::text::bigint
FROM unnest(%(losers)s::bigint[] || %(survivors)s::bigint[]) AS c (id)
WHERE EXISTS (SELECT FROM tagging_followed_brands() AS f (brand_id) WHERE f.brand_id = %(brand)s)
ON CONFLICT DO NOTHING
"""
"""Events changed hands, which no trigger sees: segments and stages look at both."""
_LATER = (
    "CASE WHEN s.expires_at IS NULL OR l.expires_at IS NULL THEN NULL ELSE GREATEST(s.expires_at, l.expires_at) END"
)
UNITED = {
    "source": f"CASE WHEN {_DEAD} THEN l.source ELSE s.source END",
    "rule_id": f"CASE WHEN {_DEAD} THEN l.rule_id ELSE s.rule_id END",
    "given_at": f"CASE WHEN {_DEAD} THEN l.given_at ELSE s.given_at END",
    "expires_at": f"CASE WHEN {_DEAD} THEN l.expires_at ELSE {_LATER} END",
    "evidence": f"""CASE WHEN {_DEAD} THEN l.evidence ELSE s.evidence || jsonb_build_object('merged',
        coalesce(s.evidence -> 'merged', '[]') || jsonb_build_array(jsonb_build_object(
            'contact_id', l.contact_id, 'source', l.source, 'given_at', l.given_at, 'evidence', l.evidence))) END""",
}


class Tags:
    """Rows that clash stay with the loser; the survivor's row takes in what they say, and the journal keeps it."""

    name = "tagging_contacttag"
    _moves = Moves("tagging_contacttag", "tagging_contacttag", [("tag_id", "bigint")], unique=[["tag_id"]])

    def merge(self, pairs: Pairs) -> None:
        """Unite what both have, then move the rest."""
        after = ", ".join(f"'{name}', {expression}" for name, expression in UNITED.items())
        clash = f"""{FROM}
            JOIN tagging_contacttag l ON l.brand_id = %(brand)s AND l.contact_id = p.loser
            JOIN tagging_contacttag s
              ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.tag_id = l.tag_id
            WHERE (l.expires_at IS NULL OR l.expires_at > %(at)s) AND NOT EXISTS (
              SELECT FROM contacts_mergemoved j, jsonb_to_recordset(j.rows) AS k (tag_id bigint)
              WHERE j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{KIND}' AND k.tag_id = l.tag_id)"""
        select = f"""SELECT p.merge_id, jsonb_build_object('tag_id', s.tag_id, 'before', to_jsonb(s),
                       'after', to_jsonb(s) || jsonb_build_object({after})) FROM {clash}"""  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind=KIND):
            self._write(pairs, "before", "after")
        self._moves.merge(pairs)

    def split(self, pairs: Pairs) -> None:
        """The survivor's row is as it was, unless somebody has changed it since."""
        self._moves.split(pairs)
        self._write(pairs, "after", "before")

    def _write(self, pairs: Pairs, old: str, new: str) -> None:
        key = {None, "brand_id", "contact_id", "tag_id"}
        columns = [each.column for each in ContactTag._meta.local_fields if each.column not in key]
        values = ", ".join(f"{name} = n.{name}" for name in columns)
        pairs.write(
            f"""UPDATE tagging_contacttag t SET {values}
                FROM {FROM}
                JOIN contacts_mergemoved j ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{KIND}'
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (tag_id bigint, before jsonb, after jsonb)
                CROSS JOIN LATERAL jsonb_populate_record(NULL::tagging_contacttag, k.{new}) AS n
                WHERE t.brand_id = %(brand)s AND t.contact_id = p.survivor AND t.tag_id = k.tag_id
                  AND to_jsonb(t) = k.{old}"""  # noqa: S608
        )


class Stays:
    """Stays in segments move; of a segment that knew both, the loser's stay with the loser, and end if they were open.

    Nobody has left: so the log is not told, and a split opens them again as they were."""

    name = "tagging_membership"
    _moves = Moves(
        "tagging_membership",
        "tagging_membership",
        [("segment_id", "bigint"), ("entered_at", "timestamptz")],
        unique=[["segment_id"]],
    )

    def merge(self, pairs: Pairs) -> None:
        """Move what does not meet another, end the rest."""
        pairs.write(_LOOK_AGAIN)
        self._moves.merge(pairs)
        opened = f"""{FROM} JOIN tagging_membership t
            ON t.brand_id = %(brand)s AND t.contact_id = p.loser AND t.left_at IS NULL"""
        select = f"SELECT p.merge_id, to_jsonb(t) FROM {opened}"  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind=ENDED):
            pairs.write(
                f"""UPDATE tagging_membership m
                    SET left_at = greatest(%(at)s, t.entered_at + interval '1 microsecond'),
                        left_version = t.entered_version, left_reason = '{{"cause": "merged"}}'
                    FROM {opened}
                    WHERE m.brand_id = %(brand)s AND m.contact_id = p.loser AND m.segment_id = t.segment_id
                      AND m.entered_at = t.entered_at"""  # noqa: S608
            )

    def split(self, pairs: Pairs) -> None:
        """Back, and open again."""
        pairs.write(_LOOK_AGAIN)
        self._moves.split(pairs)
        pairs.write(
            f"""UPDATE tagging_membership m
                SET left_at = NULL, left_version = k.left_version, left_reason = k.left_reason
                FROM {FROM}
                JOIN contacts_mergemoved j ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{ENDED}'
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (segment_id bigint, entered_at timestamptz,
                    left_version int, left_reason jsonb)
                WHERE m.brand_id = %(brand)s AND m.contact_id = p.loser AND m.segment_id = k.segment_id
                  AND m.entered_at = k.entered_at AND m.left_reason = '{{"cause": "merged"}}'
                  AND NOT EXISTS (SELECT FROM tagging_membership o WHERE o.brand_id = %(brand)s
                    AND o.contact_id = p.loser AND o.segment_id = k.segment_id AND o.left_at IS NULL)"""  # noqa: S608
        )


def register_own() -> None:
    """Called when the app starts."""
    wait_for(flips.hold)
    register(Tags(), tables=["tagging_contacttag"])
    register(Stays(), tables=["tagging_membership"])
    # The survivor's own history goes on; the loser's stays with them, and comes back with them after a split.
    register(
        Moves(
            "tagging_lifecyclespell",
            "tagging_lifecyclespell",
            [("since", "timestamptz")],
            unique=[["since"]],
            also=" AND FALSE",
        ),
        tables=["tagging_lifecyclespell"],
    )
