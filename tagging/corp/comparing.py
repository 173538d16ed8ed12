"""Who carries what on both sides: the statements that find and write down differences. Scoped throughout.

`said` names brand, corp, the first and last contact of a range, and the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from contacts import gone
from contacts.models import Follow
from tagging import exclusion, giving
from tagging.grants import Grant
from tagging.language import compiler
from tagging.models import ContactTag, CorpTag
from tagging.segments import memberships
from tenants.scope import current_brand_id

STEP = 5000
"""contacts compared at a time"""
CALLS = 200
"""pairs marked, or customers asked about, between two looks at the database"""


@dataclass(frozen=True, slots=True)
class Pair:
    """What to change of one pair of guide and customer."""

    staff_id: int
    contact_id: int
    userid: str
    external_userid: str
    add: tuple[int, ...]
    """ids of our CorpTag rows"""
    remove: tuple[int, ...]


_LIVE_PAIRS = """
    contacts_follow f
    JOIN contacts_staff s ON s.brand_id = f.brand_id AND s.id = f.staff_id AND s.corp_id = %(corp)s
    WHERE f.brand_id = %(brand)s AND f.contact_id BETWEEN %(first)s AND %(last)s AND f.lost_at IS NULL
"""
_LINKED = "t.brand_id = %(brand)s AND t.corp_id = %(corp)s AND t.state = 'linked'"


def tidy(said: dict[str, Any]) -> None:
    """Forget marks of friendships that ended, and what was lost long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_corptagmark m USING contacts_follow f, tagging_corptag t"
            " WHERE m.brand_id = %(brand)s AND m.contact_id BETWEEN %(first)s AND %(last)s"
            " AND t.brand_id = m.brand_id AND t.id = m.corp_tag_id AND t.corp_id = %(corp)s"
            " AND f.brand_id = m.brand_id AND f.staff_id = m.staff_id AND f.contact_id = m.contact_id"
            " AND (f.lost_at IS NOT NULL OR (NOT m.has AND m.agreed_at < %(at)s - interval '1 day'))",
            said,
        )


def pull(said: dict[str, Any], *, at: datetime) -> None:
    """Pairs that carry a tag of which nothing was agreed: a guide marked them, or the corp had it before us.

    Contacts are held in order of id, as everywhere (tagging.giving); a transaction pulls one range."""
    found = f"""
        (SELECT f.* FROM {_LIVE_PAIRS}) AS f CROSS JOIN LATERAL unnest(f.corp_tag_ids) AS x (wecom_id)
        JOIN tagging_corptag t ON {_LINKED} AND t.wecom_id = x.wecom_id
        WHERE NOT EXISTS (
            SELECT FROM tagging_corptagmark m WHERE m.brand_id = t.brand_id AND m.corp_tag_id = t.id
              AND m.contact_id = f.contact_id AND m.staff_id = f.staff_id)"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT f.contact_id FROM {found}", said)  # noqa: S608
        who = [contact_id for (contact_id,) in cursor.fetchall()]
        if not who:
            return
        exclusion.hold(who)
        cursor.execute(
            f"""INSERT INTO tagging_corptagmark (brand_id, corp_tag_id, contact_id, staff_id, has, agreed_at)
                SELECT DISTINCT t.brand_id, t.id, f.contact_id, f.staff_id, TRUE, %(at)s::timestamptz
                FROM {found} AND f.contact_id = ANY (%(held)s)
                ORDER BY 3, 4, 2 ON CONFLICT DO NOTHING
                RETURNING corp_tag_id, contact_id""",  # noqa: S608
            {**said, "held": who},
        )
        rows = cursor.fetchall()
    _change(rows, (), at=at)


def _change(got: Sequence[tuple[int, int]], lost: Sequence[tuple[int, int]], *, at: datetime) -> None:
    """Our tags to and from the contacts of (corp tag, contact)."""
    named = {corp_tag for corp_tag, _contact in (*got, *lost)}
    tags = dict(CorpTag.objects.filter(pk__in=named, tag__isnull=False).values_list("id", "tag_id"))
    giving.change(
        grants=[Grant(contact, tags[each], None, {"corp_tag": each}) for each, contact in got if each in tags],
        losers={(contact, tags[each]) for each, contact in lost if each in tags},
        source=ContactTag.Source.WECOM,
        at=at,
    )


def doubtful(said: dict[str, Any]) -> list[str]:
    """External userids of customers of whom the last list contradicts what was agreed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT DISTINCT f.external_userid FROM (SELECT f.* FROM {_LIVE_PAIRS}) AS f
                JOIN tagging_corptagmark m
                  ON m.brand_id = %(brand)s AND m.contact_id = f.contact_id AND m.staff_id = f.staff_id
                JOIN tagging_corptag t ON {_LINKED} AND t.id = m.corp_tag_id
                WHERE m.has <> (t.wecom_id = ANY (f.corp_tag_ids))
                ORDER BY 1 LIMIT {CALLS}""",  # noqa: S608
            said,
        )
        return [row[0] for row in cursor.fetchall()]


_ASKED = """
    m.brand_id = %(brand)s AND f.brand_id = m.brand_id AND f.staff_id = m.staff_id AND f.contact_id = m.contact_id
    AND f.external_userid = ANY (%(who)s) AND s.brand_id = f.brand_id AND s.id = f.staff_id AND s.corp_id = %(corp)s
    AND t.brand_id = m.brand_id AND t.id = m.corp_tag_id AND t.corp_id = %(corp)s
    AND m.has <> (t.wecom_id = ANY (f.corp_tag_ids))
"""
_TOLD = "(lower(s.userid), f.external_userid) IN (SELECT * FROM unnest(%(userids)s::text[], %(externals)s::text[]))"


def hold(external_userids: Sequence[str]) -> None:
    """Before these customers' lists are written: contacts first, then pairs in the order of a sync. Scoped."""
    asked = Follow.objects.filter(external_userid__in=external_userids)
    exclusion.hold(set(asked.values_list("contact_id", flat=True)))
    _hold_pairs(asked)


def _hold_pairs(asked: QuerySet[Follow]) -> None:
    list(asked.order_by("staff_id", "contact_id").select_for_update(of=("self",), no_key=True).values_list("staff_id"))


def believe(said: dict[str, Any], *, at: datetime) -> None:
    """Take over what guides changed of these customers; of pairs that WeCom does not show nothing is agreed. Scoped.

    The customers are held (`hold`)."""
    others = "contacts_follow f, contacts_staff s, tagging_corptag t"
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM tagging_corptagmark m USING {others} WHERE {_ASKED} AND NOT {_TOLD}",  # noqa: S608
            said,
        )
        cursor.execute(
            f"UPDATE tagging_corptagmark m SET has = NOT m.has, agreed_at = %(at)s FROM {others} WHERE {_ASKED}"  # noqa: S608
            f" AND {_TOLD} RETURNING m.corp_tag_id, m.contact_id, m.has",
            said,
        )
        rows = cursor.fetchall()
    got = [(corp_tag, contact) for corp_tag, contact, has in rows if has]
    _change(got, [(corp_tag, contact) for corp_tag, contact, has in rows if not has], at=at)


def to_mark(said: dict[str, Any], *, at: datetime) -> list[Pair]:
    """The next pairs of the range on which our side has changed. Scoped."""
    wanted, params = _wanted(said, at=at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH pair AS MATERIALIZED (
                    SELECT f.staff_id, f.contact_id, f.external_userid, f.corp_tag_ids, s.userid FROM {_LIVE_PAIRS}
                ), wanted AS MATERIALIZED ({wanted}),
                change AS (
                    SELECT p.staff_id, p.contact_id, w.id, TRUE AS adds FROM wanted w
                    JOIN pair p ON p.contact_id = w.contact_id AND (w.staff_id IS NULL OR w.staff_id = p.staff_id)
                    WHERE NOT EXISTS (
                        SELECT FROM tagging_corptagmark m WHERE m.brand_id = %(brand)s AND m.corp_tag_id = w.id
                          AND m.contact_id = p.contact_id AND m.staff_id = p.staff_id AND m.has)
                    UNION ALL
                    SELECT p.staff_id, p.contact_id, t.id, FALSE FROM tagging_corptagmark m
                    JOIN tagging_corptag t ON {_LINKED} AND t.id = m.corp_tag_id
                    JOIN pair p ON p.contact_id = m.contact_id AND p.staff_id = m.staff_id
                    WHERE m.brand_id = %(brand)s AND m.contact_id BETWEEN %(first)s AND %(last)s AND m.has
                      AND (t.tag_id IS NOT NULL OR t.segment_id IS NOT NULL)
                      AND NOT EXISTS (SELECT FROM wanted w WHERE w.id = t.id AND w.contact_id = m.contact_id
                                      AND (w.staff_id IS NULL OR w.staff_id = m.staff_id))
                )
                SELECT p.staff_id, p.contact_id, p.userid, p.external_userid,
                       coalesce(array_agg(c.id) FILTER (WHERE c.adds), '{{}}'),
                       coalesce(array_agg(c.id) FILTER (WHERE NOT c.adds), '{{}}')
                FROM change c JOIN pair p USING (staff_id, contact_id)
                GROUP BY 1, 2, 3, 4 ORDER BY 2, 1 LIMIT {CALLS}""",  # noqa: S608
            {**said, **params},
        )
        rows = cursor.fetchall()
    return [
        Pair(staff, contact, userid, external, tuple(add), tuple(remove))
        for staff, contact, userid, external, add, remove in rows
    ]


def _wanted(said: dict[str, Any], *, at: datetime) -> tuple[str, dict[str, Any]]:
    """SQL for (corp tag, contact, guide or null for every guide) as our side wants it, and its parameters."""
    parts = [
        f"SELECT t.id, h.contact_id, NULL::bigint AS staff_id FROM tagging_corptag t"  # noqa: S608
        f" JOIN tagging_contacttag h ON h.brand_id = t.brand_id AND h.tag_id = t.tag_id"
        f" WHERE {_LINKED} AND h.contact_id BETWEEN %(first)s AND %(last)s"
        f" AND (h.expires_at IS NULL OR h.expires_at > %(at)s)"
    ]
    params: dict[str, Any] = {}
    shadows = CorpTag.objects.filter(corp_id=said["corp"], state=CorpTag.State.LINKED, segment__isnull=False)
    for number, row in enumerate(shadows.select_related("segment")):
        if row.segment is None or row.segment.archived_at is not None:
            continue
        condition = compiler.condition_sql(
            memberships.tree_of(row.segment),
            brand_id=current_brand_id(),
            at=at,
            within=(said["first"], said["last"]),
        )
        text = condition.text
        for index, value in enumerate(condition.params):
            name = f"s{number}_{index}"
            text = text.replace("%s", f"%({name})s", 1)
            params[name] = value
        parts.append(
            f"SELECT %(tag{number})s::bigint, c.id, c.main_guide_id FROM contacts_contact c"  # noqa: S608
            f" WHERE c.brand_id = %(brand)s AND c.id BETWEEN %(first)s AND %(last)s AND c.main_guide_id IS NOT NULL"
            f" AND {text}"
        )
        params[f"tag{number}"] = row.pk
    return " UNION ALL ".join(parts), params


def remember(done: Sequence[Pair], names: dict[int, str], *, brand_id: int, at: datetime) -> None:
    """Both sides agree now on these pairs, and our copy of WeCom's list says so, too. Scoped."""
    rows = [
        (each, pair.contact_id, pair.staff_id, names[each], has)
        for pair in done
        for has, ids in ((True, pair.add), (False, pair.remove))
        for each in ids
    ]
    if not rows:
        return
    contact_ids = {pair.contact_id for pair in done}
    gone.keep(contact_ids)
    _hold_pairs(Follow.objects.filter(staff__in={pair.staff_id for pair in done}, contact__in=contact_ids))
    columns = [list(column) for column in zip(*sorted(rows), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tagging_corptagmark AS m (brand_id, corp_tag_id, contact_id, staff_id, has, agreed_at)"
            " SELECT %s, r.corp_tag, r.contact, r.staff, r.has, %s"
            " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::boolean[])"
            " AS r (corp_tag, contact, staff, wecom_id, has)"
            " ON CONFLICT (brand_id, corp_tag_id, contact_id, staff_id)"
            " DO UPDATE SET has = excluded.has, agreed_at = excluded.agreed_at",
            [brand_id, at, *columns],
        )
        cursor.execute(
            "UPDATE contacts_follow f SET corp_tag_ids = ("
            "   SELECT coalesce(array_agg(DISTINCT x ORDER BY x), '{}') FROM unnest(f.corp_tag_ids || r.added) AS x"
            "   WHERE x <> ALL (r.removed))"
            " FROM (SELECT contact, staff, coalesce(array_agg(wecom_id::varchar) FILTER (WHERE has), '{}') AS added,"
            "   coalesce(array_agg(wecom_id::varchar) FILTER (WHERE NOT has), '{}') AS removed"
            "   FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::boolean[])"
            "   AS u (corp_tag, contact, staff, wecom_id, has) GROUP BY contact, staff) AS r"
            " WHERE f.brand_id = %s AND f.contact_id = r.contact AND f.staff_id = r.staff",
            [*columns, brand_id],
        )


def range_end(first: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(id) FROM (SELECT c.id FROM contacts_contact c WHERE c.brand_id = %s AND c.id >= %s"
            " ORDER BY c.id LIMIT %s) AS x",
            [current_brand_id(), first, STEP],
        )
        end = cursor.fetchone()[0]
    return None if end is None else int(end)
