"""The contact's own row in a merge: what the survivor takes over, and how a split gives it back."""

from contacts.merging.pairs import FROM, Pairs
from contacts.models import Contact

BEFORE = f"""
UPDATE contacts_merge m SET before = to_jsonb(c), after = NULL
FROM {FROM} JOIN contacts_contact c ON c.brand_id = %(brand)s AND c.id = p.survivor
WHERE m.brand_id = %(brand)s AND m.id = p.merge_id
"""  # noqa: S608
TAKE = f"""
UPDATE contacts_contact s
SET name = COALESCE(NULLIF(s.name, ''), l.name),
    avatar = COALESCE(NULLIF(s.avatar, ''), l.avatar),
    gender = COALESCE(NULLIF(s.gender, 0), l.gender),
    phone = COALESCE(NULLIF(s.phone, ''), l.phone),
    source_state = CASE WHEN s.first_added_at IS NULL OR l.first_added_at < s.first_added_at THEN l.source_state
                        ELSE s.source_state END,
    first_added_at = LEAST(s.first_added_at, l.first_added_at),
    last_active_at = GREATEST(s.last_active_at, l.last_active_at),
    lost_at = CASE WHEN s.first_added_at IS NULL THEN l.lost_at WHEN l.first_added_at IS NULL THEN s.lost_at
                   WHEN s.lost_at IS NULL OR l.lost_at IS NULL THEN NULL ELSE GREATEST(s.lost_at, l.lost_at) END,
    main_guide_id = COALESCE(s.main_guide_id, l.main_guide_id)
FROM {FROM} JOIN contacts_contact l ON l.brand_id = %(brand)s AND l.id = p.loser
WHERE s.brand_id = %(brand)s AND s.id = p.survivor
"""  # noqa: S608
AFTER = f"""
UPDATE contacts_merge m SET after = to_jsonb(c)
FROM {FROM} JOIN contacts_contact c ON c.brand_id = %(brand)s AND c.id = p.survivor
WHERE m.brand_id = %(brand)s AND m.id = p.merge_id
"""  # noqa: S608
HIDE = f"""
UPDATE contacts_contact c SET merged_into_id = p.survivor, gone_at = %(at)s
FROM {FROM} WHERE c.brand_id = %(brand)s AND c.id = p.loser
"""  # noqa: S608
SHOW = f"""
UPDATE contacts_contact c SET merged_into_id = NULL, gone_at = NULL
FROM {FROM} WHERE c.brand_id = %(brand)s AND c.id = p.loser
"""  # noqa: S608


def take_over(pairs: Pairs) -> None:
    """The survivor's empty fields are filled from the loser; moments become the earlier or later of both."""
    pairs.write(BEFORE)
    pairs.write(TAKE)


def note_after(pairs: Pairs) -> None:
    """Keep how the survivor's row looks when all is done: what differs from it at the split was changed since."""
    pairs.write(AFTER)


def hide(pairs: Pairs) -> None:
    """The losers are aliases from now on."""
    pairs.write(HIDE)


def show(pairs: Pairs) -> None:
    """The losers are contacts again, with the rows they had."""
    pairs.write(SHOW)


def give_back(pairs: Pairs) -> None:
    """Column by column: what still is as the merge left it becomes what it was; what changed since stays."""
    own = ("id", "brand_id", "merged_into_id", "gone_at", "erased_at")
    columns = [f.column for f in Contact._meta.local_fields if f.column not in own and not f.generated]
    values = ", ".join(
        f"{name} = CASE WHEN now.row -> '{name}' IS NOT DISTINCT FROM m.after -> '{name}'"
        f" THEN b.{name} ELSE c.{name} END"
        for name in columns
    )
    pairs.write(
        f"""UPDATE contacts_contact c SET {values}
            FROM {FROM} JOIN contacts_merge m ON m.brand_id = %(brand)s AND m.id = p.merge_id
            JOIN contacts_contact n ON n.brand_id = %(brand)s AND n.id = p.survivor
            CROSS JOIN LATERAL to_jsonb(n) AS now (row)
            CROSS JOIN LATERAL jsonb_populate_record(NULL::contacts_contact, m.before) AS b
            WHERE c.brand_id = %(brand)s AND c.id = p.survivor"""  # noqa: S608
    )
