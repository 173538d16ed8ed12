"""What a contact's row says of its friendships: main guide, beginning, source and loss, always computed anew."""

from collections.abc import Collection

from contacts.sets import execute

# A guide who left or lost 客户联系 still has the friendship, but cannot be the one we write through.
# LATERAL: one index look-up per contact, also while the tables grow too fast for their statistics.
SETTLE = """
UPDATE contacts_contact c
SET main_guide_id = s.guide,
    source_state = CASE WHEN c.first_added_at <= s.first_added_at THEN c.source_state ELSE s.state END,
    first_added_at = LEAST(c.first_added_at, s.first_added_at),
    lost_at = s.lost_at
FROM unnest(%(ids)s) AS wanted (id) CROSS JOIN LATERAL (
    SELECT min(f.added_at) AS first_added_at,
           (array_agg(f.state ORDER BY f.added_at, f.staff_id))[1] AS state,
           CASE WHEN bool_or(f.lost_at IS NULL) THEN NULL ELSE max(f.lost_at) END AS lost_at,
           (array_agg(f.staff_id ORDER BY COALESCE(f.last_interacted_at, f.added_at) DESC, f.staff_id)
              FILTER (WHERE f.lost_at IS NULL AND g.is_guide AND g.left_at IS NULL))[1] AS guide
    FROM contacts_follow f
    JOIN contacts_staff g ON g.brand_id = f.brand_id AND g.id = f.staff_id
    WHERE f.brand_id = current_setting('orchard.brand_id')::bigint AND f.contact_id = wanted.id
) AS s
WHERE c.brand_id = current_setting('orchard.brand_id')::bigint AND c.id = wanted.id AND s.first_added_at IS NOT NULL
  AND ((c.main_guide_id, c.lost_at) IS DISTINCT FROM (s.guide, s.lost_at)
       OR c.first_added_at IS NULL OR s.first_added_at < c.first_added_at)
"""


def settle(contact_ids: Collection[int]) -> None:
    """Make main guide, first friendship, source and loss of these contacts agree with their friendships. Scoped."""
    if contact_ids:
        execute(SETTLE, ids=sorted(contact_ids))
