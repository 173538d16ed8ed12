"""Lost friendships: when, from where, at whom, after what, and how soon after they began. Reads only.

A friendship handed on to another guide is not lost. A friendship that was lost and came back counts as it stands now:
a pair has one row. Every read takes a cohort, the friendships of [start, end), and asks as of `at`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from contacts.sets import execute

TOUCHES = ("message_delivered", "welcome_sent")
TOUCHED_WITHIN = timedelta(days=7)
MOST = 20


@dataclass(frozen=True, slots=True)
class Share:
    """Of `created` friendships of a kind `lost` have ended within the asked-for days."""

    label: str
    created: int
    lost: int

    @property
    def rate(self) -> float:
        """0 to 1; 0 of none."""
        return self.lost / self.created if self.created else 0.0


@dataclass(frozen=True, slots=True)
class Week:
    """A week by its Monday: friendships that began and that ended in it, by who ended them."""

    monday: date
    created: int
    by_contact: int
    by_staff: int


@dataclass(frozen=True, slots=True)
class Hazard:
    """Day n of friendships: how many were alive on its morning and could be watched all day, and how many ended."""

    day: int
    alive: int
    lost: int

    @property
    def rate(self) -> float:
        """0 to 1."""
        return self.lost / self.alive if self.alive else 0.0


def by_week(*, start: datetime, end: datetime, zone: str) -> list[Week]:
    """Friendships that began and that ended, week by week in the brand's time. Scoped."""
    rows = execute(
        """
        SELECT monday::date, sum(created)::int, sum(contact)::int, sum(staff)::int FROM (
            SELECT date_trunc('week', added_at AT TIME ZONE %(zone)s) AS monday, 1 AS created, 0 AS contact, 0 AS staff
            FROM contacts_follow WHERE brand_id = current_setting('orchard.brand_id')::bigint
              AND added_at >= %(start)s AND added_at < %(end)s
            UNION ALL
            SELECT date_trunc('week', lost_at AT TIME ZONE %(zone)s), 0, (lost_by = 'contact')::int,
                   (lost_by = 'staff')::int
            FROM contacts_follow WHERE brand_id = current_setting('orchard.brand_id')::bigint
              AND lost_at >= %(start)s AND lost_at < %(end)s AND lost_by <> 'transfer'
        ) AS x GROUP BY 1 ORDER BY 1
        """,
        start=start,
        end=end,
        zone=zone,
    )
    return [Week(*row) for row in rows]


_COHORT = """
    SELECT f.*, f.lost_at IS NOT NULL AND f.lost_by <> 'transfer'
                AND f.lost_at < f.added_at + %(days)s * interval '1 day' AS is_lost
    FROM contacts_follow f
    WHERE f.brand_id = current_setting('orchard.brand_id')::bigint AND f.added_at >= %(start)s AND f.added_at < %(end)s
      AND f.added_at <= %(at)s - %(days)s * interval '1 day'
"""


def loss(*, start: datetime, end: datetime, days: int, at: datetime) -> Share:
    """loss_N: friendships ended within N days ÷ friendships created, of those whose N days are over. Scoped."""
    ((created, lost),) = execute(
        f"SELECT count(*), count(*) FILTER (WHERE is_lost) FROM ({_COHORT}) AS f",  # noqa: S608
        start=start,
        end=end,
        days=days,
        at=at,
    )
    return Share("", created, lost)


def by_source(*, start: datetime, end: datetime, days: int, at: datetime) -> list[Share]:
    """loss_N by the source (the code's state; empty: none), the most numerous first. Scoped."""
    rows = execute(
        f"""SELECT f.state, count(*), count(*) FILTER (WHERE is_lost) FROM ({_COHORT}) AS f
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST}""",  # noqa: S608
        start=start,
        end=end,
        days=days,
        at=at,
    )
    return [Share(*row) for row in rows]


def by_guide(*, start: datetime, end: datetime, days: int, at: datetime) -> list[Share]:
    """loss_N by guide, those who lost most first. Scoped."""
    rows = execute(
        f"""SELECT coalesce(nullif(max(s.name), ''), max(s.userid)), count(*), count(*) FILTER (WHERE is_lost)
            FROM ({_COHORT}) AS f JOIN contacts_staff s ON s.brand_id = f.brand_id AND s.id = f.staff_id
            GROUP BY f.staff_id ORDER BY 3 DESC, 2 DESC, 1 LIMIT {MOST}""",  # noqa: S608
        start=start,
        end=end,
        days=days,
        at=at,
    )
    return [Share(*row) for row in rows]


def by_last_touch(*, start: datetime, end: datetime) -> list[tuple[str, int]]:
    """Friendships that ended in [start, end) by what last reached the customer in the seven days before: the event
    type, "" for nothing. Scoped; one look by key into the log for each loss."""
    rows = execute(
        """
        SELECT coalesce(e.type, ''), count(*) FROM contacts_follow f
        LEFT JOIN LATERAL (
            SELECT e.type FROM events_event e
            WHERE e.brand_id = f.brand_id AND e.contact_id = f.contact_id AND e.type = ANY (%(types)s)
              AND e.occurred_at >= f.lost_at - %(within)s AND e.occurred_at < f.lost_at
              AND e.occurred_at >= %(first)s AND e.occurred_at < %(end)s
            ORDER BY e.occurred_at DESC LIMIT 1
        ) AS e ON TRUE
        WHERE f.brand_id = current_setting('orchard.brand_id')::bigint
          AND f.lost_at >= %(start)s AND f.lost_at < %(end)s AND f.lost_by <> 'transfer'
        GROUP BY 1 ORDER BY 2 DESC, 1
        """,
        types=list(TOUCHES),
        within=TOUCHED_WITHIN,
        first=start - TOUCHED_WITHIN,
        start=start,
        end=end,
    )
    return [(str(kind), int(count)) for kind, count in rows]


def hazard(*, start: datetime, end: datetime, at: datetime, days: int = 30) -> list[Hazard]:
    """Day by day after a friendship began: of those alive that morning, how many ended that day. Scoped.

    A friendship too young to have lived a day whole is not counted for that day (it would make the late days look
    safer than they are); one that was handed on counts until it was."""
    rows = execute(
        """
        WITH life AS (
            SELECT floor(extract(epoch FROM coalesce(f.lost_at, %(at)s) - f.added_at) / 86400)::int AS lived,
                   f.lost_at IS NOT NULL AND f.lost_by <> 'transfer' AS is_lost
            FROM contacts_follow f
            WHERE f.brand_id = current_setting('orchard.brand_id')::bigint
              AND f.added_at >= %(start)s AND f.added_at < %(end)s
        ), by_day AS (SELECT lived, is_lost, count(*) AS n FROM life WHERE lived >= 0 GROUP BY 1, 2)
        SELECT d.day, coalesce(sum(b.n) FILTER (WHERE b.lived > d.day OR (b.lived = d.day AND b.is_lost)), 0)::int,
               coalesce(sum(b.n) FILTER (WHERE b.lived = d.day AND b.is_lost), 0)::int
        FROM generate_series(0, %(days)s - 1) AS d (day) LEFT JOIN by_day b ON b.lived >= d.day
        GROUP BY 1 ORDER BY 1
        """,
        start=start,
        end=end,
        at=at,
        days=days,
    )
    return [Hazard(*row) for row in rows]
