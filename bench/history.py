"""A year of history of one brand, and what the console and the API ask of it: who moved between stages, which
friendships ended and after what, what somebody is drawn to, how many carry each tag.

These grow with the brand's past, not with its day, so they are measured at size. Each has a time that an operator
waits without wondering; the plans are written beside it for a look (`.orchard/plans-history.txt`)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import People
from bench.scratch import Admin
from contacts import churn
from contacts.models import Contact
from events import partitions
from scrm.runtime import environment
from tagging import bulk, of_contact
from tagging.models import Tag
from tagging.rules import lifecycle, spells
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS = 1_000_000
STAYS = 6
"""in a year and a contact, the open one among them"""
TAGS = 60
TAGS_EACH = 4
YEAR = timedelta(days=365)
EXPLAINED = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF)"

Report = tuple[str, float, Callable[[], object]]
"""(name, seconds that it may take of a million contacts, how to ask)"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Seconds of each report, the best of the rounds."""
    admin.empty(*people.EVERYTHING)
    partitions.ensure(timezone.now() - timedelta(days=28 * back) for back in range(16))
    contacts = max(500, round(CONTACTS * scale))
    crowd = people.make(admin, slug="bench-history", contacts=contacts, guides=max(10, round(500 * scale)))
    with brand_scope(crowd.brand_id):
        lifecycle.save(wanted=lifecycle.defaults(), actor=SYSTEM, at=timezone.now() - YEAR)
    _stays(admin, crowd)
    _losses(admin, crowd)
    _scores(admin, crowd)
    _tags(admin, crowd)
    results, plans = [], []
    for name, may_take, ask in _reports(crowd):
        took = min(seconds(lambda ask=ask: _asked(crowd, ask)) for _ in range(rounds))  # type: ignore[misc]
        results.append(Measure(name, took, "s", may_take, goal=1.0, is_time=True))
        plans.append(f"## {name}\n{_plans(crowd, ask)}")
    path = environment.state_directory() / "plans-history.txt"
    path.write_text("\n\n".join(plans) + "\n")
    return results


def _reports(crowd: People) -> list[Report]:
    now = timezone.now()
    year: dict[str, Any] = {"start": now - YEAR, "end": now}
    cohort: dict[str, Any] = {**year, "days": 30, "at": now}
    with brand_scope(crowd.brand_id):
        someone = Contact.objects.order_by("pk").values_list("pk", flat=True)[crowd.contacts // 2]
        some_tags = list(Tag.objects.values_list("pk", flat=True))
    return [
        ("matrix of 28 days", 10.0, lambda: lifecycle.matrix(start=now - timedelta(days=28), end=now)),
        ("matrix of a year", 10.0, lambda: lifecycle.matrix(**year)),
        ("since when stages are kept", 0.1, lifecycle.kept_since),
        ("who is in which stage", 2.0, lifecycle.counts),
        ("whose stage may change by time", 0.1, lambda: spells.waits(at=now)),
        ("churn by week", 3.0, lambda: churn.by_week(**year, zone="Asia/Shanghai")),
        ("churn by source", 3.0, lambda: churn.by_source(**cohort)),
        ("churn by guide", 3.0, lambda: churn.by_guide(**cohort)),
        ("churn by last touch", 5.0, lambda: churn.by_last_touch(**year)),
        ("churn, hazard", 3.0, lambda: churn.hazard(**year, at=now)),
        ("somebody's interests", 0.1, lambda: of_contact.drawn_to(someone, at=now)),
        ("holders of 60 tags", 2.0, lambda: bulk.holders(some_tags, at=now)),
    ]


def _asked(crowd: People, ask: Callable[[], object]) -> None:
    with brand_scope(crowd.brand_id):
        ask()


def _plans(crowd: People, ask: Callable[[], object]) -> str:
    """The plan of every SELECT that is sent."""
    told: list[str] = []

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip()[:6].upper() in ("SELECT", "WITH"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"{EXPLAINED} {sql}", params)
                told.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with brand_scope(crowd.brand_id), connection.execute_wrapper(explained):
        ask()
    return "\n\n".join(told)


def _stays(admin: Admin, crowd: People) -> None:
    """Six stays a contact, of two months each and some days apart; the first is no move."""
    admin.run(
        """INSERT INTO tagging_lifecyclespell (brand_id, contact_id, since, until, stage, cause, due_at)
           SELECT c.brand_id, c.id, s.since,
                  CASE WHEN k < %(stays)s - 1 THEN s.since + interval '60 days' END,
                  (%(stages)s::text[])[1 + abs(hashint8(c.id * 7 + k)::bigint) %% 6],
                  CASE WHEN k = 0 THEN 'first' WHEN k %% 2 = 0 THEN 'time' ELSE 'event' END,
                  CASE WHEN k = %(stays)s - 1 AND c.id %% 3 = 0 THEN now() + make_interval(days => c.id::int %% 90) END
           FROM contacts_contact c, generate_series(0, %(stays)s - 1) k,
                LATERAL (SELECT now() - interval '360 days' + make_interval(days => 60 * k + c.id::int %% 50)
                         AS since) s
           WHERE c.brand_id = %(brand)s ORDER BY c.id, k""",
        {
            "brand": crowd.brand_id,
            "stays": STAYS,
            "stages": [stage.key for stage in lifecycle.defaults()],
        },
    )
    admin.run("VACUUM ANALYZE tagging_lifecyclespell")


def _losses(admin: Admin, crowd: People) -> None:
    """A fifth of the friendships ended, from forty sources; a message reached every second of them shortly before."""
    admin.run(
        """UPDATE contacts_follow SET state = 'code' || contact_id %% 40,
                  lost_at = CASE WHEN contact_id %% 5 = 0
                            THEN least(added_at + make_interval(days => contact_id::int %% 80), now()) END,
                  lost_by = CASE WHEN contact_id %% 5 <> 0 THEN '' WHEN contact_id %% 15 = 0 THEN 'staff'
                            ELSE 'contact' END
           WHERE brand_id = %s""",
        [crowd.brand_id],
    )
    admin.run(
        """INSERT INTO events_event (brand_id, id, occurred_at, received_at, type, source, contact_id, props, fires,
                                     txid)
           SELECT f.brand_id, gen_random_uuid(), x.at, x.at, x.type, 'api', f.contact_id, '{}', true, 1
           FROM contacts_follow f, LATERAL (VALUES
               ('message_delivered', coalesce(f.lost_at, now()) - interval '2 days'),
               ('product_view', coalesce(f.lost_at, now()) - interval '1 day'),
               ('sign_in', f.added_at)) AS x (type, at)
           WHERE f.brand_id = %s AND f.contact_id %% 10 < 6 AND x.at > now() - interval '400 days'""",
        [crowd.brand_id],
    )
    admin.run("VACUUM ANALYZE contacts_follow, events_event")


def _scores(admin: Admin, crowd: People) -> None:
    """Every contact is drawn to two categories and three products."""
    admin.run(
        """INSERT INTO tagging_interestscore (brand_id, contact_id, kind, key, score, as_of, top)
           SELECT c.brand_id, c.id, CASE WHEN k < 2 THEN 'category' ELSE 'product' END,
                  CASE WHEN k < 2 THEN 'K' || (c.id + k) %% 30 ELSE 'P' || (c.id * 3 + k) %% 2000 END,
                  1 + c.id %% 17, now() - make_interval(days => c.id::int %% 120), '[]'
           FROM contacts_contact c, generate_series(0, 4) k WHERE c.brand_id = %s ORDER BY c.id, k""",
        [crowd.brand_id],
    )
    admin.run("VACUUM ANALYZE tagging_interestscore")


def _tags(admin: Admin, crowd: People) -> None:
    """Sixty tags, four each."""
    admin.run(
        """INSERT INTO tagging_tag (brand_id, "group", name, created_at)
           SELECT %s, '分组' || n %% 6, '标签' || n, now() FROM generate_series(1, %s) n""",
        [crowd.brand_id, TAGS],
    )
    admin.run(
        """WITH tag AS (SELECT array_agg(id ORDER BY id) AS ids FROM tagging_tag WHERE brand_id = %(brand)s)
           INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, evidence, given_at)
           SELECT c.brand_id, c.id, tag.ids[1 + (c.id + k * 13) %% cardinality(tag.ids)], 'manual', '{}', now()
           FROM contacts_contact c, tag, generate_series(0, %(each)s - 1) k
           WHERE c.brand_id = %(brand)s ORDER BY c.id, k""",
        {"brand": crowd.brand_id, "each": TAGS_EACH},
    )
    admin.run("VACUUM ANALYZE tagging_contacttag, tagging_tag")
