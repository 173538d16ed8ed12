"""Random people with everything that can hang on a person, and a digest of all of it."""

import json
from datetime import timedelta
from random import Random
from typing import Any

from django.apps import apps
from django.db import connection

from campaigns.models import Batch, Content, Delivery, Enrolment, Push, Reservation, Sop, SopTouch, SopVersion, Variant
from contacts import gone, settling
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity, Staff
from events import log
from points import ledger
from scrm.lib.ids import made_id
from tagging.models import ContactTag, Tag
from tests.cast import NOON, Cast

UNDONE_BY_OTHERS = ("points_transfer", "points_pointsentry", "points_lotuse")
"""Append-only: they remember the merge and the split."""


def scalar(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]


def people(cast: Cast, random: Random, number: int) -> list[int]:
    """`number` contacts of the cast's brand with random rows in every table that is tied to contacts. Scoped."""
    brand = cast.brand.id
    staff = [cast.bob, Staff.objects.create(corp=cast.corp, userid="lily", name="丽丽", is_guide=True)]
    chat = GroupChat.objects.create(corp=cast.corp, chat_id="wr1", name="群")
    tags = [Tag.objects.create(name=name, created_at=NOON) for name in ("a", "b", "c")]
    content = Content.objects.create(name="c", text="你好", created_at=NOON)
    pushes = [Push.objects.create(name=f"p{n}", status="sending", corp=cast.corp, created_at=NOON) for n in range(2)]
    batches = []
    for push in pushes:
        variant, _other = (Variant.objects.create(push=push, position=n, content=content) for n in range(2))
        batches.append(
            Batch.objects.create(
                id=made_id(brand, "batch", push.pk),
                push=push,
                variant=variant,
                corp=cast.corp,
                staff=cast.bob,
                size=9,
                status=random.choice(["pending", "created"]),
                due_at=NOON,
            )
        )
    sop = Sop.objects.create(name="s", created_at=NOON)
    version = SopVersion.objects.create(sop=sop, number=1, trigger={}, steps=[], published_at=NOON)
    made = []
    for n in range(number):
        contact = Contact.objects.create(
            name=random.choice(["", f"人{n}"]),
            phone=random.choice(["", f"1380000{n:04}"]),
            gender=random.randrange(3),
            last_active_at=random.choice([None, NOON - timedelta(days=n)]),
            created_at=NOON,
        )
        made.append(contact.pk)
        _identities(cast, contact.pk, n, random)
        for guide in random.sample(staff, random.randrange(3)):
            lost = random.choice([None, NOON - timedelta(hours=n)])
            Follow.objects.create(
                brand_id=brand,
                staff=guide,
                contact=contact,
                external_userid=f"wm{n}",
                remark=f"备注{n}",
                state=random.choice(["", "shop"]),
                added_at=NOON - timedelta(days=random.randrange(1, 9)),
                lost_at=lost,
                lost_by="contact" if lost else "",
            )
        if random.random() < 0.5:
            GroupMember.objects.create(
                brand_id=brand, chat=chat, member_id=f"wm{n}", kind=2, contact=contact, joined_at=NOON
            )
        for tag in random.sample(tags, random.randrange(3)):
            ContactTag.objects.create(
                brand_id=brand,
                contact=contact,
                tag=tag,
                source=random.choice(["rule", "manual"]),
                evidence={"count": n},
                given_at=NOON - timedelta(days=n),
                expires_at=random.choice([None, NOON + timedelta(days=n + 1), NOON - timedelta(days=1)]),
            )
        events = [
            log.NewEvent("page_view", NOON - timedelta(hours=h), contact_id=contact.pk, props={"page": "x"})
            for h in range(random.randrange(3))
        ]
        events.append(log.NewEvent("sign_in", NOON, identity=("external_userid", f"{cast.corp.corpid}:wm{n}")))
        log.write(events, at=NOON)
        for k in range(random.randrange(3)):
            ledger.grant(
                contact_id=contact.pk,
                points=random.randrange(1, 99),
                key=f"{n}-{k}",
                at=NOON,
                expires_at=random.choice([None, NOON + timedelta(days=30 + k)]),
            )
        for push, batch in zip(pushes, batches, strict=True):
            if random.random() < 0.6:
                _delivery(cast, random, push, batch, contact, n)
        if random.random() < 0.5:
            Enrolment.objects.create(
                id=made_id(brand, "enrolment", n),
                sop_version=version,
                contact=contact,
                due_at=NOON,
                entered_at=NOON - timedelta(hours=random.randrange(4)),
            )
    settling.settle(made)
    return made


def _delivery(cast: Cast, random: Random, push: Push, batch: Batch, contact: Contact, n: int) -> None:
    """One of the states that a delivery of such a batch can be in, with what it reserves."""
    brand = cast.brand.id
    late = ["delivered", "unconfirmed", "failed", "created"] if batch.status == "created" else ["planned", "planned"]
    status = random.choice(["holdout", "suppressed", *late])
    has_batch = status not in ("holdout", "suppressed")
    Delivery.objects.create(
        brand_id=brand,
        push=push,
        contact=contact,
        variant=random.choice(list(Variant.objects.filter(push=push))),
        staff=cast.bob,
        batch=batch if has_batch else None,
        external_userid=f"wm{n}",
        status=status,
        reason={"suppressed": "brand_cap", "failed": "contact_gone", "unconfirmed": "not_confirmed"}.get(status, ""),
        updated_at=NOON + timedelta(minutes=n),
        delivered_at=NOON + timedelta(minutes=random.randrange(9)) if status == "delivered" else None,
    )
    if has_batch:
        kept = {"planned": "reserved", "created": "reserved", "delivered": "posted"}.get(status, "voided")
        Reservation.objects.create(
            brand_id=brand,
            push=push,
            contact=contact,
            corp=cast.corp,
            channel="single",
            day=NOON,
            status=kept,
            made_at=NOON,
            settled_at=None if kept == "reserved" else NOON,
        )
    if random.random() < 0.5:
        SopTouch.objects.create(brand_id=brand, push=push, contact=contact)


def _identities(cast: Cast, contact: int, n: int, random: Random) -> None:
    kinds = [("external_userid", f"{cast.corp.corpid}:wm{n}")]
    kinds += random.sample([("unionid", f"u{n}"), ("phone", f"1390000{n:04}"), ("openid", f"wx:o{n}")], 2)
    first = None
    for type_, value in kinds:
        row = Identity.objects.create(
            id=made_id(cast.brand.id, "identity", type_, value),
            contact_id=contact,
            type=type_,
            value=value,
            first_seen_at=NOON,
            seen_with=first,
        )
        first = first or row.pk


def digest() -> dict[str, list[str]]:
    """Every row of the brand that hangs on a contact, as text; of the ledger what it comes to. Scoped."""
    found = {}
    with gone.shown():
        for model in apps.get_models():
            table = model._meta.db_table
            tied = any(f.is_relation and f.related_model is Contact for f in model._meta.local_fields)
            if (tied or table == "contacts_contact") and not table.startswith(("points_", "contacts_merge")):
                found[table] = scalar(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1")
        found["events"] = scalar(
            """SELECT to_jsonb(t)::text FROM events_event t
               WHERE type NOT IN ('contact_merged', 'contact_split', 'profile_changed') ORDER BY 1"""
        )
        found["balances"] = scalar(
            "SELECT (contact_id, balance)::text FROM points_pointsaccount WHERE balance <> 0 ORDER BY 1"
        )
        found["lots"] = scalar("SELECT to_jsonb(t)::text FROM points_lot t WHERE remaining > 0 ORDER BY 1")
    return found


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, Any]:
    """Table → (rows only before, rows only after), for reading a failure."""
    return {
        table: (sorted(set(rows) - set(after[table])), sorted(set(after[table]) - set(rows)))
        for table, rows in before.items()
        if rows != after[table]
    }


def plain(value: Any) -> str:
    """For messages."""
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
