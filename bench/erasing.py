"""Erasing one person among many: how long the transaction takes, and which tables it has to read through."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import People
from bench.scratch import Admin
from contacts.models import Contact
from contacts.personal_data import erasure
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS, EVENTS_EACH = 200_000, 5
LONG_MS = 2000.0
"""no transaction that writes may be open for longer: it holds up every brand's reactors"""
LARGE = 20_000
"""rows; smaller tables are read through because that is quicker"""
SEARCHED = {"wecom_inboxitem", "tenants_auditentry", "tenants_idempotentresponse", "events_importpart", "events_import"}
"""what no key ties to a person, and is searched for their words"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Raises RuntimeError if a table that grows with contacts or events is read through."""
    admin.empty(*people.EVERYTHING)
    crowd = people.make(admin, slug="bench-erasing", contacts=max(1000, round(CONTACTS * scale)), guides=50)
    people.visits(admin, crowd, events=crowd.contacts * EVENTS_EACH)
    _traces(admin, crowd)
    with brand_scope(crowd.brand_id):
        some = list(Contact.objects.order_by("-pk").values_list("pk", "name")[: rounds + 1])
    _erase(crowd, *some[0])  # what a worker's first act has to load
    took, slow = [], ""
    with _read_through(admin) as read:
        for contact_id, name in some[1:]:
            with CaptureQueriesContext(connection) as asked:
                took.append(seconds(lambda who=(contact_id, name): _erase(crowd, *who)) * 1000)  # type: ignore[misc]
            slow = ", ".join(
                f"{float(each['time']) * 1000:.0f} ms {' '.join(each['sql'].split()[:3])}"
                for each in sorted(asked.captured_queries, key=lambda each: -float(each["time"]))[:3]
            )
        connection.close()  # its figures reach the statistics
    if wrong := read - SEARCHED:
        raise RuntimeError(f"Read through to erase one person: {sorted(wrong)}")
    through = ", ".join(sorted(read)) or "nothing"
    note = f"of {crowd.contacts:,} contacts with {EVENTS_EACH} events, 2 tags and a callback each"
    note += f"; read through: {through}; longest: {slow}"
    return [Measure("erasing one person", min(took), "ms", LONG_MS, 1.0, note, True)]


def _erase(crowd: People, contact_id: int, name: str) -> None:
    with brand_scope(crowd.brand_id):
        erasure.erase(contact_id=contact_id, typed_name=name, reason="bench", actor=SYSTEM, at=timezone.now())


def _traces(admin: Admin, crowd: People) -> None:
    """Two tags and a callback for everybody, a stored answer for every tenth, an act of an operator for every fifth."""
    words = {"brand": crowd.brand_id, "corp": crowd.corp_id}
    for statement in (
        """INSERT INTO tagging_tag (brand_id, "group", name, created_at)
           SELECT %(brand)s, '', 'bench' || n, now() FROM generate_series(1, 2) n""",
        """INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, evidence, given_at)
           SELECT c.brand_id, c.id, t.id, 'manual', '{}', now() FROM contacts_contact c
           JOIN tagging_tag t ON t.brand_id = c.brand_id WHERE c.brand_id = %(brand)s""",
        """INSERT INTO wecom_inboxitem (brand_id, corp_id, dedupe_key, event, change_type, payload, received_at, status,
                                        attempts, due_at, error, welcome_due)
           SELECT brand_id, %(corp)s, md5(id::text), 'change_external_contact', 'add_external_contact',
                  jsonb_build_object('ExternalUserID', 'wm' || id, 'UserID', 'guide1', 'State', 'code-1',
                                     'CreateTime', '1790000000'), now(), 'done', 1, now(), '', false
           FROM contacts_contact WHERE brand_id = %(brand)s""",
        """INSERT INTO tenants_idempotentresponse (brand_id, id, body_hash, status, response, created_at)
           SELECT brand_id, md5(id::text)::uuid, md5(id::text), 201, jsonb_build_object('contact_id', id), now()
           FROM contacts_contact WHERE brand_id = %(brand)s AND id %% 10 = 0""",
        """INSERT INTO tenants_auditentry (brand_id, at, actor, actor_label, action, object_type, object_id, after)
           SELECT brand_id, now(), 'user:1', 'bench', 'tag.give', 'contact', id::text, '{"tag": "bench1"}'
           FROM contacts_contact WHERE brand_id = %(brand)s AND id %% 5 = 0""",
    ):
        admin.run(statement, words)
    admin.run("VACUUM ANALYZE tagging_contacttag, wecom_inboxitem, tenants_idempotentresponse, tenants_auditentry")


@contextmanager
def _read_through(admin: Admin) -> Iterator[set[str]]:
    """The large tables of which the block reads a half or more, by whatever index or none: the server's own figures."""
    before, found = _read(admin), set[str]()
    yield found
    for name, (rows, read) in _read(admin).items():
        if rows >= LARGE and read - before.get(name, (0, 0))[1] >= rows / 2:
            found.add(name)


def _read(admin: Admin) -> dict[str, tuple[int, int]]:
    """Table (the log as one) → rows, and rows read so far."""
    return {
        str(name): (int(rows), int(read))
        for name, rows, read in admin.rows(
            """SELECT CASE WHEN relname LIKE 'events_event_%' THEN 'events_event' ELSE relname END, sum(n_live_tup),
                      sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables GROUP BY 1"""
        )
    }
