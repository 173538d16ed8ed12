"""A brand of a million contacts beside twenty others: set-based SQL from row numbers, the same on every machine.

Partitions are loaded without their indexes, which are made afterwards; triggers and foreign keys rest meanwhile. What
is measured on these rows is in bench.million, bench.neighbours and bench.lag."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.utils import timezone

from bench import people
from bench.people import CATEGORIES
from bench.scratch import Admin
from events import partitions
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.models import Corp

CONTACTS, TAGS, EVENTS = 1_000_000, 6_000_000, 20_000_000
OTHERS, THEIR_CONTACTS, THEIR_EVENTS = 20, 1_000_000, 4_000_000
SMALL, SMALLEST = 50_000, 20_000
"""contacts of each of the others, at full scale; of the one that is compared at least, unless everything is minute"""
TAG_COUNT = 60
DAYS = 180
"""events lie in so many days before now, most of them lately"""
TYPES = ("product_view", "page_view", "add_cart", "sign_in", "order_paid")
GUIDES = 1000
SLICES, LOADERS = 16, 2
VACUUMED = (
    "events_event",
    "contacts_contact, contacts_identity, contacts_follow, tagging_contacttag, contacts_staff, contacts_store",
)


@dataclass(frozen=True, slots=True)
class Big:
    """The brand of a million, one of the others, and the big one's first tag."""

    brand_id: int
    other_id: int
    first_tag: int
    other_first_tag: int
    contacts: int
    events: int
    took: dict[str, float]
    """seconds: loading rows, making indexes, statistics"""


def make(admin: Admin, scale: float, *, others: bool = True) -> Big:
    """Load everything; the tables are empty before. `others` False: the first of the others only, alone."""
    admin.empty(*people.EVERYTHING)
    now = timezone.now()
    partitions.ensure(now - timedelta(days=28 * back) for back in range(DAYS // 28 + 2))
    began = time.perf_counter()
    sizes = (
        [(max(2000, round(CONTACTS * scale)), max(20_000, round(EVENTS * scale)), TAGS / CONTACTS)] if others else []
    )
    count = OTHERS if others else 1
    # In a table of a few pages every plan is a scan: the brand that is compared stays large enough to mean something.
    compared = max(scale, min(SMALLEST / SMALL, 20 * scale))
    sizes += [_other(compared), *[_other(scale)] * (count - 1)]
    dropped = _indexes(admin)
    made: list[tuple[int, int]] = []
    before = Brand.objects.count()  # another measure may have made such brands in the same database
    admin.run("SET session_replication_role = replica")
    admin.run("SET work_mem = '64MB'")
    _autovacuum(admin, "SET (autovacuum_enabled = off)")  # what it does meanwhile is done once more at the end
    for index in dropped:
        admin.run(f"DROP INDEX {index[0]}")
    for number, (contacts, events, tags_each) in enumerate(sizes):
        seed = number if others else 1  # the brand that is alone is the first of the others, row by row
        slug = f"bench-big-{before + number}"
        made.append(_brand(admin, slug, contacts, events, tags_each, seed))
    loaded = time.perf_counter()
    admin.run("SET session_replication_role = origin")
    admin.run("SET maintenance_work_mem = '1GB'")
    for _name, definition in dropped:
        admin.run(definition)
    indexed = time.perf_counter()
    with ThreadPoolExecutor(LOADERS) as cleaners:
        for done in [cleaners.submit(_vacuum, admin, tables) for tables in VACUUMED]:
            done.result()
    _autovacuum(admin, "RESET (autovacuum_enabled)")
    admin.settle()
    ended = time.perf_counter()
    big, other = made[0], made[1] if others else made[0]
    return Big(
        big[0],
        other[0],
        big[1],
        other[1],
        sizes[0][0],
        sum(events for _contacts, events, _tags in sizes),
        {"rows": loaded - began, "indexes": indexed - loaded, "statistics": ended - indexed},
    )


def _other(scale: float) -> tuple[int, int, float]:
    """Contacts, events and tags each of one of the others."""
    return max(500, round(SMALL * scale)), max(2000, round(THEIR_EVENTS / OTHERS * scale)), 2.0


def _autovacuum(admin: Admin, what: str) -> None:
    for (table,) in admin.rows(
        "SELECT relid::regclass::text FROM pg_partition_tree('events_event') WHERE isleaf UNION ALL SELECT unnest(%s)",
        [["contacts_contact", "contacts_identity", "contacts_follow", "tagging_contacttag"]],
    ):
        admin.run(f"ALTER TABLE {table} {what}")


def _vacuum(admin: Admin, tables: str) -> None:
    cleaner = admin.beside()
    cleaner.run(f"VACUUM ANALYZE {tables}")
    cleaner.close()


def _indexes(admin: Admin) -> list[tuple[str, str]]:
    """(name, definition) of the indexes that carry no constraint, of the tables with millions of rows.

    A partitioned table's index goes, and comes back, with those of its partitions."""
    return [
        # "ON ONLY" is how a partitioned table's index is told: made so, its partitions would go without.
        (name, definition.replace(" ON ONLY ", " ON ", 1))
        for name, definition in admin.rows(
            """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
               JOIN pg_class t ON t.oid = i.indrelid
               WHERE t.relname IN ('contacts_contact', 'tagging_contacttag', 'events_event', 'contacts_follow')
                 AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"""
        )
    ]


def _brand(admin: Admin, slug: str, contacts: int, events: int, tags_each: float, seed: int) -> tuple[int, int]:
    """(brand, id of its first tag)."""
    brand = Brand.objects.create(name=slug, slug=slug)
    now = timezone.now()
    with brand_scope(brand.pk):
        corp = Corp.objects.create(corpid=f"ww-{slug}", name=slug, connected_at=now)
    guides = max(5, GUIDES * contacts // CONTACTS)
    admin.run(
        "INSERT INTO contacts_store (brand_id, corp_id, department_id, name)"
        " SELECT %s, %s, n, '门店' || n FROM generate_series(1, 20) n",
        [brand.pk, corp.pk],
    )
    admin.run(
        """INSERT INTO contacts_staff (brand_id, corp_id, userid, name, store_id, is_guide, wecom_status)
           SELECT %s, %s, 'guide' || n, '导购' || n, (SELECT min(id) FROM contacts_store WHERE brand_id = %s) + n %% 20,
                  true, 1 FROM generate_series(1, %s) n""",
        [brand.pk, corp.pk, brand.pk, guides],
    )
    ((guide,),) = admin.rows("SELECT min(id) FROM contacts_staff WHERE brand_id = %s", [brand.pk])
    first = _contacts(admin, brand.pk, contacts, guide, guides)
    tag = _tags(admin, brand.pk, first, contacts, tags_each)
    _events(admin, brand.pk, first, contacts, events, seed)
    return brand.pk, tag


def _contacts(admin: Admin, brand_id: int, contacts: int, guide: int, guides: int) -> int:
    """The first contact's id; the others follow without a gap."""
    ((before,),) = admin.rows("SELECT coalesce(max(id), 0) FROM contacts_contact")
    words = {"brand": brand_id, "before": before, "n": contacts, "guide": guide, "guides": guides}
    admin.run(
        """INSERT INTO contacts_contact (brand_id, id, name, avatar, gender, kind, phone, main_guide_id, source_state,
                                         first_added_at, last_active_at, created_at)
           SELECT %(brand)s, %(before)s + n, '客户' || n, '', n %% 3, 1, CASE WHEN n %% 4 = 0 THEN '138' ELSE '' END,
                  %(guide)s + n %% %(guides)s, 'code-' || n %% 10, now() - make_interval(days => 1 + n %% 400),
                  CASE WHEN n %% 5 > 0 THEN now() - make_interval(mins => abs(hashint4(n)) %% 172800) END, now()
           FROM generate_series(1, %(n)s) n""",
        words,
    )
    admin.run(
        """INSERT INTO contacts_identity (brand_id, id, contact_id, type, value, first_seen_at)
           SELECT %(brand)s, made_id(%(brand)s || ':identity:unionid:ou' || n), %(before)s + n, 'unionid', 'ou' || n,
                  now() FROM generate_series(1, %(n)s) n""",
        words,
    )
    admin.run(
        """INSERT INTO contacts_follow (brand_id, staff_id, contact_id, external_userid, remark, description, add_way,
                                        state, corp_tag_ids, added_at, lost_by, seen_run)
           SELECT %(brand)s, %(guide)s + n %% %(guides)s, %(before)s + n, 'wm' || n, '', '', 0, 'code-' || n %% 10,
                  '{}', now() - make_interval(days => 1 + n %% 400), '', 0 FROM generate_series(1, %(n)s) n""",
        words,
    )
    admin.run("SELECT setval(pg_get_serial_sequence('contacts_contact', 'id'), %s)", [before + contacts])
    return int(before) + 1


def _tags(admin: Admin, brand_id: int, first: int, contacts: int, each: float) -> int:
    """Tags of all sizes: the first ones many have, the last ones few. Returns the first tag's id."""
    rows = admin.rows(
        """INSERT INTO tagging_tag (brand_id, "group", name, created_at)
           SELECT %s, '兴趣', '标签' || n, now() FROM generate_series(1, %s) n RETURNING id""",
        [brand_id, TAG_COUNT],
    )
    tag = int(rows[0][0])
    admin.run(
        """INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, evidence, given_at, expires_at)
           SELECT %(brand)s, %(first)s + n, %(tag)s + (k * k + (n * 13 + k) %% (2 * k + 1)) %% %(tags)s, 'manual', '{}',
                  now() - make_interval(hours => abs(hashint4(n + k)) %% 2400),
                  CASE WHEN (n + k) %% 5 = 0 THEN now() + make_interval(hours => 1 + abs(hashint4(n - k)) %% 2400) END
           FROM generate_series(0, %(n)s - 1) n, generate_series(0, %(each)s - 1) k ON CONFLICT DO NOTHING""",
        {"brand": brand_id, "first": first, "n": contacts, "tag": tag, "tags": TAG_COUNT, "each": round(each)},
    )
    return tag


def _events(admin: Admin, brand_id: int, first: int, contacts: int, events: int, seed: int) -> None:
    """Written by two connections at once when there are many."""
    slices = SLICES if events > 1_000_000 else 1
    bounds = [1 + events * part // slices for part in range(slices + 1)]
    jobs = [
        partial(_slice, admin, brand_id, first, contacts, events, seed, start, end - 1)
        for start, end in itertools.pairwise(bounds)
    ]
    with ThreadPoolExecutor(LOADERS) as loaders:
        for done in [loaders.submit(job) for job in jobs]:
            done.result()


def _slice(
    admin: Admin, brand_id: int, first: int, contacts: int, events: int, seed: int, start: int, end: int
) -> None:
    """A few contacts do much and many do little; half of what was done was done within the last 45 days.

    In order of time, as a log is written: each month's partition is filled from its beginning."""
    loader = admin.beside()
    loader.run("SET session_replication_role = replica")
    loader.run(
        """INSERT INTO events_event (brand_id, id, occurred_at, received_at, type, source, contact_id, props, fires,
                                     txid)
           SELECT %(brand)s, md5('%(brand)s:' || n)::uuid, x.at, x.at,
                  CASE WHEN x.h %% 100 < 60 THEN 'product_view' WHEN x.h %% 100 < 80 THEN 'page_view'
                       WHEN x.h %% 100 < 88 THEN 'add_cart' WHEN x.h %% 100 < 96 THEN 'sign_in' ELSE 'order_paid' END,
                  'api', %(first)s + (%(n)s * power((x.h %% 1000003) / 1000003.0::float8, 2))::bigint %% %(n)s,
                  CASE WHEN x.h %% 100 < 96
                       THEN jsonb_build_object('category', (%(categories)s::text[])[1 + n %% 5],
                                               'product_id', 'P' || n %% 500, 'dwell_seconds', n %% 60)
                       ELSE jsonb_build_object('category', (%(categories)s::text[])[1 + n %% 5],
                                               'order_no', 'o' || n, 'amount_fen', 1000 + n %% 50000) END,
                  true, 1 + n / 500
           FROM (SELECT n, abs(hashint8(n::bigint + %(seed)s * 1000003)::bigint) AS h,
                        now() - make_interval(secs => %(seconds)s * power(1 - n / (%(events)s + 1.0::float8), 2)) AS at
                 FROM generate_series(%(start)s, %(end)s) n) x""",
        {
            "brand": brand_id,
            "first": first,
            "n": contacts,
            "events": events,
            "categories": list(CATEGORIES),
            "seconds": DAYS * 86_400,
            "seed": seed,
            "start": start,
            "end": end,
        },
    )
    loader.close()
