"""One word of a person's, planted wherever the product can carry it; after the erasure nothing has it any more.

Every table that is tied to contacts is found from the models and filled by its columns, so a table that somebody adds
is in this test without a word from them. Tables that no key ties to a person are filled by hand below."""

import json
import os
import re
import uuid
from io import BytesIO
from typing import Any

import pytest
import redis
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.utils import timezone

from contacts.merging import Wanted, merge
from contacts.models import Contact, Follow, Identity, IdentityConflict, Merge
from contacts.oneid import conflicts, identity
from contacts.oneid.identity import Claim, Draft
from contacts.personal_data import erasure, export
from events import log
from events.imports import jobs
from events.models import Event, Import, ImportPart
from points import ledger, operators
from points.models import PointsAccount, PointsEntry
from tagging.models import Tag
from tenants.actors import Actor
from tenants.models import AuditEntry, IdempotentResponse
from tenants.scope import brand_scope
from tenants.tables import TenantModel
from wecom.models import Corp, InboxItem

ALICE = Actor("user:1", "alice")
WORD = "zqxjkmv"
"""in names, notes, properties: what only this person's rows say"""
PHONE, MEMBER, EXTERNAL, UNIONID = "13912399887", "ZQ77", "wmZQexternal77", f"o-{WORD}-union"
SAYS = (WORD, PHONE, rf"{MEMBER}(?![0-9A-Za-z])", rf"{EXTERNAL}(?![0-9A-Za-z])")
OTHER_PHONE, OTHER_MEMBER = "13912399886", "ZQ778"
"""another person's, spelled almost like it: these must stay"""
STAYS: dict[str, set[str]] = {
    # Codes of ours, without `choices`; deliveries and reservations stay without the person (docs/oneid.md).
    "campaigns_delivery": {"status", "reason"},
    "tagging_contacttouch": {"source"},
}
ROWS_STAY = {"campaigns_delivery", "campaigns_reservation", "tagging_contacttouch"}
"""by number only: that something was sent and what it cost; and that segments have to look at the number again"""
NOT_TOLD = {
    "points_transfer": "told with the entries",
    "events_import": "the file's name; its rows are told",
    "tenants_idempotentresponse": "answers of ours that a caller may ask for again within a day",
}
BY_HAND = (Contact, Identity, Merge, IdentityConflict, Event, PointsAccount)


@pytest.fixture
def person(cast) -> Contact:
    """Known by four identities, merged once, with a word in each of the contact's own columns."""
    at = timezone.now()
    known = (
        ("external_userid", f"{cast.corp.corpid}:{EXTERNAL}"),
        ("unionid", UNIONID),
        ("phone", PHONE),
        ("member_id", MEMBER),
    )
    with brand_scope(cast.brand.pk):
        claims = [Claim(known, Draft(name=f"{WORD}小满")), Claim((("openid", f"wx1:o-{WORD}"),))]
        first, second = identity.attach(claims=claims, at=at).contact_ids
        Contact.objects.filter(pk=first).update(
            phone=PHONE, avatar=f"https://{WORD}.example.com/a.png", source_state=WORD, main_guide=cast.bob
        )
        merge(wanted=[Wanted(int(first or 0), int(second or 0))], at=at, actor=ALICE, reason=f"{WORD}说的")
        return Contact.objects.get(pk=first)


def test_nothing_of_the_word_is_left(cast, person, caplog):
    at = timezone.now()
    planted = plant(cast, person, at)
    with brand_scope(cast.brand.pk):
        before = found_in_database()
    carriers = {table for table, _column in before}
    assert planted <= carriers, f"not planted: {planted - carriers}"
    assert {"tenants_auditentry", "events_importpart", "wecom_inboxitem", "points_transfer"} <= carriers
    caplog.clear()

    with brand_scope(cast.brand.pk):
        erasure.erase(
            contact_id=person.pk, typed_name=erasure.name_to_type(person), reason="本人要求", actor=ALICE, at=at
        )
        left = {
            (table, column): text
            for (table, column), text in found_in_database().items()
            if column not in STAYS.get(table, set())
        }
        rows = {
            model._meta.db_table for model in tied_to_contacts() if model.objects.filter(contact_id=person.pk).exists()
        }

    assert left == {}
    assert rows <= ROWS_STAY
    assert found_in_redis() == []
    assert not any(re.search(word, caplog.text) for word in SAYS), "nor do the logs say it"


def test_what_others_own_stays(cast, person):
    """The books, the acts in the trail, and a neighbour whose numbers look alike."""
    at = timezone.now()
    plant(cast, person, at)
    with brand_scope(cast.brand.pk):
        entries, acts = PointsEntry.objects.count(), AuditEntry.objects.count()

        erasure.erase(
            contact_id=person.pk, typed_name=erasure.name_to_type(person), reason="本人要求", actor=ALICE, at=at
        )

        assert PointsEntry.objects.count() == entries
        assert ledger.discrepancies() == []
        assert AuditEntry.objects.count() == acts + 1
        text = "\n".join(ImportPart.objects.values_list("text", flat=True))
        assert OTHER_PHONE in text
        assert OTHER_MEMBER in text
        assert InboxItem.objects.get(dedupe_key="neighbour").payload == {"ExternalUserID": f"{EXTERNAL}2"}
        assert AuditEntry.objects.get(action="neighbour").after == {"phone": OTHER_PHONE, "member": OTHER_MEMBER}
        assert Event.objects.filter(identity_value=OTHER_PHONE).exists()


def test_an_export_tells_the_person_all_of_it(cast, person):
    """Whatever an erasure would take, the person may ask for: each table that carries their word is in the export."""
    at = timezone.now()
    plant(cast, person, at)
    with brand_scope(cast.brand.pk):
        carriers = {table for table, _column in found_in_database()}
        told = export.everything(contact_id=person.pk, actor=ALICE, at=at)["tables"]

    says = {table for table, rows in told.items() if re.search("|".join(SAYS), json.dumps(rows, default=str))}
    assert carriers - says == NOT_TOLD.keys()
    keywords = {row["cells"].get("关键词") for row in told["events_importpart"]}
    assert {f"{WORD}{number}" for number in "一二三四"} <= keywords
    assert "别人" not in keywords
    notes = [row["transfer__note"] for row in told["points_pointsentry"]]
    assert sorted(notes) == sorted([f"{WORD}生日", WORD, WORD])


def plant(cast: Any, person: Contact, at: Any) -> set[str]:
    """The word everywhere; the tables it must be found in afterwards."""
    with brand_scope(cast.brand.pk):
        tied = {model._meta.db_table for model in tied_to_contacts() if fill(model, person.pk, cast)}
        by_hand(cast, person, at)
    file(cast, person, at)
    return tied


def by_hand(cast: Any, person: Contact, at: Any) -> None:
    """Tables that no key ties to the person."""
    log.write(
        [
            log.NewEvent("search", at, contact_id=person.pk, props={"keyword": f"给{WORD}的礼物"}),
            log.NewEvent("page_view", at, identity=("unionid", UNIONID), props={"page": WORD}),
            log.NewEvent("page_view", at, identity=("phone", OTHER_PHONE)),
        ],
        at=at,
    )
    # Waiting for a person who is known by now: a lost wake-up.
    Event.objects.filter(type="page_view", identity_value=UNIONID).update(contact_id=None)
    ledger.grant(contact_id=person.pk, points=50, key=WORD, reference=WORD, note=f"{WORD}生日", at=at)
    ledger.spend(contact_id=person.pk, points=20, key=WORD, note=WORD, at=at)
    operators.adjust(contact_id=person.pk, points=5, note=WORD, key=uuid.uuid4().hex, actor=ALICE, at=at)
    for key, payload in (
        (WORD[:3], {"ExternalUserID": EXTERNAL, "WelcomeCode": WORD}),
        ("neighbour", {"ExternalUserID": f"{EXTERNAL}2"}),
    ):
        InboxItem.objects.create(
            corp=cast.corp, dedupe_key=key, event="change_external_contact", payload=payload, received_at=at, due_at=at
        )
    said: list[tuple[str, dict[str, Any]]] = [
        ("by word", {"phone": PHONE}),
        ("by short word", {"who": [MEMBER], "note": WORD}),
        ("neighbour", {"phone": OTHER_PHONE, "member": OTHER_MEMBER}),
    ]
    for action, after in said:
        AuditEntry.objects.create(at=at, actor="user:1", action=action, object_type="x", after=after)
    AuditEntry.objects.create(
        at=at, actor="user:1", action="on", object_type="contact", object_id=str(person.pk), before={"x": WORD}
    )
    for answer in ({"unionid": UNIONID, "name": WORD}, {"items": [{"contact_id": person.pk, "name": WORD}]}):
        IdempotentResponse.objects.create(id=uuid.uuid4(), body_hash="h", status=200, response=answer, created_at=at)
    for other in (None, person):
        owner = person if other is None else Contact.objects.create(name="别人", created_at=at)
        IdentityConflict.objects.create(
            id=uuid.uuid4(), contact=owner, other=other, evidence={"value": UNIONID}, seen_at=at, reason=WORD
        )
    split = Contact.objects.create(name=WORD, created_at=at)
    [merge_id] = merge(wanted=[Wanted(person.pk, split.pk)], at=at, actor=ALICE, reason=WORD)
    conflicts.split_people(merge_id=merge_id, reason=f"{WORD}不是一个人", actor=ALICE, at=at)
    Contact.objects.filter(pk=split.pk).update(name="另一位")  # somebody else, and so are their rows
    export.everything(contact_id=person.pk, actor=ALICE, at=at)


def file(cast: Any, person: Contact, at: Any) -> None:
    """A file whose rows name the person in four spellings, in a table without column names and by a telling name."""
    rows = [
        "手机号,会员号,客户编号,时间,关键词",
        f"139 1239 9887,,,2026-11-01,{WORD}一",
        f"+86-139-1239-9887,,,x,{WORD}二",
        f",zq77,,2026-11-01,{WORD}三",
        f",,{person.pk},2026-11-01,{WORD}四",
        f"{OTHER_PHONE},,,2026-11-01,别人",
        f",{OTHER_MEMBER},,2026-11-01,别人",
    ]
    for name, text in ((f"{PHONE} 的订单.csv", "\n".join(rows)), ("表.csv", f"{PHONE},{UNIONID},x\n1,2,3\n")):
        raw = text.encode()
        import_id = jobs.upload(
            brand_id=cast.brand.pk,
            kind="events",
            name=name,
            file=BytesIO(raw),
            size=len(raw),
            actor=ALICE,
            language="zh-hans",
            at=at,
        )
    with brand_scope(cast.brand.pk):
        problem = [3, "时间", "import.time", f"读不懂「{PHONE}」", ""]
        ImportPart.objects.filter(of=import_id).update(problems=[problem], refused=1)
        first = Import.objects.order_by("pk")[0]
        assert "contact_id" in first.mapping.values()


# ---- any table that is tied to contacts


def tied_to_contacts() -> list[type[TenantModel]]:
    """Every model with a column of contacts but the contact's own and the merge journal's."""
    found = []
    for model in apps.get_models():
        if not issubclass(model, TenantModel) or model in BY_HAND:
            continue
        if any(field.attname == "contact_id" for field in model._meta.local_fields) and not model.append_only:
            found.append(model)
    return found


def fill(model: type[TenantModel], contact: int, cast: Any) -> bool:
    """A row of the person's with the word in every column that takes one; False if no column does."""
    values = {field.attname: _value(field, cast, marked=True) for field in _columns(model)}
    values["contact_id"] = contact
    if model is Follow:
        values |= {"staff_id": cast.bob.pk, "external_userid": EXTERNAL, "lost_at": timezone.now(), "lost_by": "staff"}
    model(**values, brand_id=cast.brand.pk).save(force_insert=True)
    return any(WORD in json.dumps(value, default=str) for value in values.values())


def _columns(model: type[models.Model]) -> list[Any]:
    made = (models.AutoField, models.CompositePrimaryKey, models.GeneratedField)
    return [
        field
        for field in model._meta.local_fields
        if not isinstance(field, made) and field.attname not in ("brand_id", "contact_id")
    ]


def _value(field: Any, cast: Any, *, marked: bool) -> Any:
    if field.is_relation:
        if field.null and field.related_model is not Tag:
            return None
        return _parent(field.related_model, cast)
    if field.choices:
        return field.flatchoices[0][0]
    plain: dict[Any, Any] = {
        ArrayField: [WORD] if marked else [],
        models.JSONField: {"said": WORD} if marked else {},
        models.UUIDField: uuid.uuid4(),
        models.DateTimeField: timezone.now(),
        models.DateField: timezone.now().date(),
        models.BooleanField: True,
        models.FloatField: 1.0,
        models.IntegerField: 1,
        models.TextField: WORD if marked else "x",
        models.CharField: WORD[: field.max_length] if marked else uuid.uuid4().hex[: min(field.max_length or 8, 8)],
    }
    if field.null and isinstance(field, models.DateTimeField | models.DateField):
        return None
    return next(value for kind, value in plain.items() if isinstance(field, kind))


def _parent(model: Any, cast: Any) -> Any:
    """A row of another table, which is not the person's: made without the word."""
    if model is Corp:
        return cast.corp.pk
    if (row := model.objects.order_by("pk").first()) is not None:
        return row.pk
    row = model(**{field.attname: _value(field, cast, marked=False) for field in _columns(model)})
    row.save(force_insert=True)
    return row.pk


# ---- looking for it


def found_in_database() -> dict[tuple[str, str], str]:
    """(table, column) → a value in which one of the person's words stands. Scoped."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.relname, a.attname FROM pg_class c
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               JOIN pg_type t ON t.oid = a.atttypid
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                 AND (t.typcategory IN ('S', 'A') OR t.typname IN ('jsonb', 'json', 'bytea'))
                 AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1, 2"""
        )
        found = {}
        for table, column in cursor.fetchall():
            says = " OR ".join(f'"{column}"::text ~* %s' for _word in SAYS)
            cursor.execute(f'SELECT "{column}"::text FROM "{table}" WHERE {says} LIMIT 1', SAYS)
            for (text,) in cursor.fetchall():
                found[table, column] = text[:200]
    return found


def found_in_redis() -> list[str]:
    """Keys that name the person, or whose values do."""
    server = redis.Redis.from_url(os.environ["REDIS_URL"])
    found = []
    for key in server.scan_iter():
        told = key.decode(errors="replace") + repr(server.dump(key))
        found += [told[:200]] if any(re.search(word, told, re.I) for word in SAYS) else []
    return found
