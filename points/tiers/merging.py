"""How tiers follow a merge of contacts: the higher tier wins, with the time it has left.

The loser's spells stay with them, hidden. What was the survivor's open spell is put into the journal, so that a split
puts it back; what happened since is then looked at anew, of each by their own facts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contacts.merging import FROM, Pairs, register
from contacts.merging.followers import JOURNAL
from contacts.sets import as_array, execute
from points.models import TierRules, TierSpell
from points.tiers import keeping
from points.tiers.course import Spell
from points.tiers.periods import TICK

KIND = "points_tierspell"
_NOTED = f"""
    SELECT p.merge_id, jsonb_build_object('spell', to_jsonb(s)) FROM {FROM}
    LEFT JOIN points_tierspell s ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.until IS NULL
    WHERE NOT EXISTS (SELECT FROM contacts_mergemoved j
                      WHERE j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{KIND}')
"""  # noqa: S608
_HIGHER = f"""
    SELECT p.survivor, coalesce(s.tier, ''), s.since, l.tier, l.metric, l.held_since, l.ends_at, l.protected_until,
           l.by_hand, l.base_tier, l.base_ends_at, l.due_at
    FROM {FROM}
    JOIN points_tierspell l ON l.brand_id = %(brand)s AND l.contact_id = p.loser AND l.until IS NULL
    LEFT JOIN points_tierspell s ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.until IS NULL
    JOIN points_tier lt ON lt.brand_id = %(brand)s AND lt.code = l.tier
    LEFT JOIN points_tier st ON st.brand_id = %(brand)s AND st.code = s.tier
    WHERE lt.position > coalesce(st.position, 0)
    ORDER BY p.survivor
"""  # noqa: S608
_JOURNALED = f"""
    FROM {FROM} JOIN contacts_mergemoved j
      ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{KIND}'
    CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (spell jsonb)
"""
_NOW = f"""
    SELECT p.merge_id, p.survivor, s.tier, s.metric, coalesce(k.spell ->> 'tier', '')
    {_JOURNALED}
    JOIN points_tierspell s ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.until IS NULL
    WHERE s.tier <> coalesce(k.spell ->> 'tier', '')
"""
_FORGET = f"""
    DELETE FROM points_tierspell t USING (
      SELECT p.survivor, coalesce((k.spell ->> 'since')::timestamptz, '-infinity') AS since {_JOURNALED}) x
    WHERE t.brand_id = %(brand)s AND t.contact_id = x.survivor AND t.since >= x.since
"""  # noqa: S608
_PUT_BACK = f"""
    INSERT INTO points_tierspell
    SELECT n.* {_JOURNALED} CROSS JOIN LATERAL jsonb_populate_record(NULL::points_tierspell, k.spell) AS n
    WHERE jsonb_typeof(k.spell) = 'object'
"""


class Tiers:
    """The follower of tier spells."""

    name = KIND

    def merge(self, pairs: Pairs) -> None:
        """Keep what is the survivor's, then let the higher tier win."""
        if not TierRules.objects.exists():
            return
        pairs.write(JOURNAL.format(select=_NOTED), kind=KIND)
        rows = pairs.ask(_HIGHER)
        if rows:
            self._win(pairs, rows)

    def split(self, pairs: Pairs) -> None:
        """The survivor's spells are as they were; the loser's had stayed."""
        news = [
            (survivor, _told(at=pairs.at, tier=before, was=now, metric=metric))
            for _merge, survivor, now, metric, before in pairs.ask(_NOW)
        ]
        pairs.write(_FORGET)
        pairs.write(_PUT_BACK)
        keeping.tell(news, at=pairs.at)

    def _win(self, pairs: Pairs, rows: Sequence[tuple[Any, ...]]) -> None:
        spells = []
        for survivor, was, since, tier, metric, held_since, ends_at, protected, by_hand, base, base_end, due in rows:
            spell = Spell(
                since=max(pairs.at, since + TICK) if since else pairs.at,
                tier=tier,
                was=was,
                reason=TierSpell.Reason.MERGED,
                metric=metric,
                held_since=held_since,
                ends_at=ends_at,
                protected_until=protected,
                by_hand=by_hand,
                base_tier=base,
                base_ends_at=base_end,
            )
            spells.append((survivor, spell, due))
        execute(
            """UPDATE points_tierspell s SET until = r.moment, due_at = NULL
               FROM unnest(%(ids)s::bigint[], %(moments)s::timestamptz[]) AS r (id, moment)
               WHERE s.brand_id = %(brand)s AND s.contact_id = r.id AND s.until IS NULL""",
            brand=pairs.brand,
            ids=as_array(survivor for survivor, _spell, _due in spells),
            moments=[spell.since for _survivor, spell, _due in spells],
        )
        TierSpell.objects.bulk_create(
            [
                keeping.row_of(pairs.brand, survivor, spell, until=None, due=due, at=pairs.at)
                for survivor, spell, due in spells
            ]
        )
        keeping.tell([(survivor, spell) for survivor, spell, _due in spells], at=pairs.at)


def _told(*, at: datetime, tier: str, was: str, metric: int) -> Spell:
    """A change that a split brings: told, but not kept, since it never should have been."""
    return Spell(at, tier, was, "split", metric, at, None)


def register_own() -> None:
    """Called when the app starts."""
    register(Tiers(), tables=[KIND])
