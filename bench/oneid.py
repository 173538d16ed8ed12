"""OneID at scale: people found to be one by evidence, merged, and some of them split again.

A golden set says who is who: `pairs` couples of a customer (external_userid, unionid) and a visitor (openid, phone) who
are one person, and one in a hundred who are not (the visitor has a unionid of their own). The evidence is the same for
both: a log-in that shows external_userid and openid together."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.scratch import Admin
from contacts import merging
from contacts.models import Merge
from contacts.oneid.identity import Claim, attach
from contacts.settling import settle
from tenants.actors import SYSTEM
from tenants.models import Brand
from tenants.scope import brand_scope

PAIRS, BYSTANDERS = 200_000, 100_000
"""1,000,000 identities: two per person, and customers who are nobody else"""
CHUNK = 500
"""log-ins in one transaction"""
TRAP_EVERY = 100

TABLES = {
    "contacts_contact": "id",
    "contacts_identity": "contact_id",
    "contacts_follow": "contact_id",
    "tagging_contacttag": "contact_id",
    "events_event": "contact_id",
}
FLOOR = (
    """UPDATE contacts_contact SET merged_into_id = id - 1, gone_at = now()
       WHERE brand_id = %(brand)s AND id = ANY (%(losers)s)""",
    *(
        f"UPDATE {table} SET contact_id = contact_id - 1 WHERE brand_id = %(brand)s AND contact_id = ANY (%(losers)s)"
        for table in list(TABLES)[1:]
    ),
)


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Merges and splits per second. Raises RuntimeError for one wrong merge, or one row that a split changed."""
    pairs, bystanders = max(200, round(PAIRS * scale)), max(100, round(BYSTANDERS * scale))
    admin.empty(*people.EVERYTHING)
    floor_brand = _populate(admin, "bench-oneid-floor", pairs, bystanders)
    brand = _populate(admin, "bench-oneid", pairs, bystanders)
    admin.run("VACUUM ANALYZE contacts_contact, contacts_identity, contacts_follow, tagging_contacttag, events_event")
    first = admin.rows("SELECT min(id) FROM contacts_contact WHERE brand_id = %s", [brand])[0][0]
    sample = _remember(admin, brand, first, pairs)
    admin.settle()
    raw = seconds(lambda: _by_hand(admin, floor_brand, pairs))
    admin.settle()
    took = seconds(lambda: _log_in(brand, pairs))
    _check_merges(admin, brand, first, pairs)
    losers = [first + 2 * n - 1 for n in sample]
    with brand_scope(brand):
        merges = list(Merge.objects.filter(loser__in=losers).values_list("pk", flat=True))
    split = seconds(lambda: _split(brand, merges))
    _check_split(admin, brand)
    traps = pairs // TRAP_EVERY
    merged = pairs - traps
    identities = admin.rows("SELECT count(*) FROM contacts_identity WHERE brand_id = %s", [brand])[0][0]
    note = (
        f"{merged:,} merges by evidence among {identities:,} identities in {took:.0f} s, none wrong, {traps:,} "
        f"contradictions held back; floor: UPDATEs of the same rows by hand, superuser, no journal, no decision"
    )
    return [
        Measure("OneID merges", merged / took, "merges/s", pairs / raw, note=note),
        Measure(
            "OneID splits",
            len(merges) / split,
            "splits/s",
            pairs / raw,
            note=f"{len(merges):,} merges split in {split:.1f} s, every row as before; the same floor",
        ),
    ]


def _populate(admin: Admin, slug: str, pairs: int, bystanders: int) -> int:
    """Contacts 1, 3, 5, … are customers, 2, 4, 6, … the visitors who are the same people, then bystanders."""
    crowd = people.make(admin, slug=slug, contacts=2 * pairs + bystanders, guides=20)
    brand = crowd.brand_id
    words: dict[str, Any] = {"brand": brand, "pairs": pairs, "trap": TRAP_EVERY}
    # Numbered by their name: "客户17" is the 17th.
    numbered = "(SELECT id, substr(name, 3)::int AS n FROM contacts_contact WHERE brand_id = %(brand)s) c"
    admin.run(
        f"""DELETE FROM contacts_identity i USING {numbered}
            WHERE i.brand_id = %(brand)s AND i.contact_id = c.id AND c.n <= 2 * %(pairs)s AND c.n %% 2 = 0
              AND (c.n / 2) %% %(trap)s <> 0""",
        words,
    )
    admin.run(
        f"""DELETE FROM contacts_follow f USING {numbered}
            WHERE f.brand_id = %(brand)s AND f.contact_id = c.id AND c.n <= 2 * %(pairs)s AND c.n %% 2 = 0""",
        words,
    )
    admin.run(
        """UPDATE contacts_contact SET first_added_at = NULL, main_guide_id = NULL, name = ''
           WHERE brand_id = %(brand)s AND substr(name, 3)::int <= 2 * %(pairs)s AND substr(name, 3)::int %% 2 = 0""",
        words,
    )
    first = admin.rows("SELECT min(id) FROM contacts_contact WHERE brand_id = %s", [brand])[0][0]
    words |= {"first": first, "corpid": f"ww-{slug}"}
    kinds = (
        ("external_userid", "%(corpid)s || ':wm' || n", "(n %% 2 = 1 OR n > 2 * %(pairs)s)"),
        ("openid", "'wx:o' || n", "(n %% 2 = 0 AND n <= 2 * %(pairs)s)"),
        ("phone", "(13000000000 + n)::text", "(n %% 2 = 0 AND n <= 2 * %(pairs)s AND (n / 2) %% %(trap)s <> 0)"),
    )
    for kind, value, where in kinds:
        admin.run(
            f"""INSERT INTO contacts_identity (brand_id, id, contact_id, type, value, first_seen_at, source)
                SELECT %(brand)s, made_id(%(brand)s::bigint || ':identity:{kind}:' || {value}), n.id, '{kind}', {value},
                       now(), 'bench'
                FROM (SELECT id, id - %(first)s + 1 AS n FROM contacts_contact WHERE brand_id = %(brand)s) n
                WHERE {where}""",
            words,
        )
    admin.run(
        "INSERT INTO tagging_tag (brand_id, \"group\", name, created_at) VALUES (%(brand)s, '', 'bench', now())", words
    )
    admin.run(
        """INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, evidence, given_at)
           SELECT c.brand_id, c.id, t.id, 'manual', '{}', now() FROM contacts_contact c
           JOIN tagging_tag t ON t.brand_id = c.brand_id WHERE c.brand_id = %(brand)s AND c.id %% 3 = 0""",
        words,
    )
    people.visits(admin, crowd, events=2 * pairs)
    for start in range(0, 2 * pairs, 5000):
        # As a sync leaves them: the generator chooses main guides by a rule of its own.
        with brand_scope(brand):
            settle(range(first + start, first + min(start + 5000, 2 * pairs)))
    return brand


def _log_in(brand: int, pairs: int) -> None:
    slug = Brand.objects.values_list("slug", flat=True).get(pk=brand)
    at = timezone.now()
    for chunk in _chunks(pairs):
        claims = [Claim((("external_userid", f"ww-{slug}:wm{2 * n - 1}"), ("openid", f"wx:o{2 * n}"))) for n in chunk]
        with brand_scope(brand):
            attach(claims=claims, at=at, source="mini_program")


def _by_hand(admin: Admin, brand: int, pairs: int) -> None:
    first = admin.rows("SELECT min(id) FROM contacts_contact WHERE brand_id = %s", [brand])[0][0]
    for chunk in _chunks(pairs):
        losers = [first + 2 * n - 1 for n in chunk]
        for statement in FLOOR:
            # A tag that both have clashes; by hand the loser's goes.
            if "contacttag" in statement:
                admin.run(
                    """DELETE FROM tagging_contacttag t WHERE brand_id = %(brand)s AND contact_id = ANY (%(losers)s)
                       AND EXISTS (SELECT FROM tagging_contacttag o WHERE o.brand_id = t.brand_id
                                   AND o.contact_id = t.contact_id - 1 AND o.tag_id = t.tag_id)""",
                    {"brand": brand, "losers": losers},
                )
            admin.run(statement, {"brand": brand, "losers": losers})


def _split(brand: int, merges: Sequence[int]) -> None:
    at = timezone.now()
    for start in range(0, len(merges), CHUNK):
        with brand_scope(brand):
            merging.split(merge_ids=merges[start : start + CHUNK], actor=SYSTEM, at=at)


def _remember(admin: Admin, brand: int, first: int, pairs: int) -> list[int]:
    """Copies of all rows of every hundredth pair that will be merged; their numbers."""
    sample = [n for n in range(1, pairs + 1) if n % 100 == 1]
    ids = [first + 2 * n - 2 + both for n in sample for both in (0, 1)]
    admin.run("DROP TABLE IF EXISTS bench_sample, bench_before")
    admin.run("CREATE TABLE bench_sample AS SELECT unnest(%s) AS id", [ids])
    admin.run(f"CREATE TABLE bench_before AS {_rows(brand)}")
    return sample


def _rows(brand: int) -> str:
    parts = [
        f"SELECT '{table}' AS name, to_jsonb(t)::text AS row FROM {table} t"
        f" WHERE brand_id = {brand} AND {column} IN (SELECT id FROM bench_sample)"
        + (" AND type NOT IN ('contact_merged', 'contact_split', 'profile_changed')" if "event" in table else "")
        for table, column in TABLES.items()
    ]
    return " UNION ALL ".join(parts)


def _check_merges(admin: Admin, brand: int, first: int, pairs: int) -> None:
    wrong = admin.rows(
        """SELECT count(*) FROM (SELECT id - %(first)s + 1 AS n, merged_into_id, id FROM contacts_contact
                                 WHERE brand_id = %(brand)s) c
           WHERE merged_into_id IS DISTINCT FROM CASE
             WHEN n <= 2 * %(pairs)s AND n %% 2 = 0 AND (n / 2) %% %(trap)s <> 0 THEN id - 1 END""",
        {"brand": brand, "first": first, "pairs": pairs, "trap": TRAP_EVERY},
    )[0][0]
    if wrong:
        raise RuntimeError(f"{wrong} contacts are not what the golden set says")


def _check_split(admin: Admin, brand: int) -> None:
    now = _rows(brand)
    differing = admin.rows(
        f"""SELECT count(*) FROM ((SELECT * FROM bench_before EXCEPT ALL ({now}))
            UNION ALL (({now}) EXCEPT ALL SELECT * FROM bench_before)) d"""
    )[0][0]
    admin.run("DROP TABLE bench_sample, bench_before")
    connection.close()
    if differing:
        raise RuntimeError(f"{differing} rows differ after the split")


def _chunks(pairs: int) -> Iterator[range]:
    for start in range(1, pairs + 1, CHUNK):
        yield range(start, min(start + CHUNK, pairs + 1))
