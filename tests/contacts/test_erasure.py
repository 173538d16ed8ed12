"""Export and erasure of one person's data."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from contacts.merging import Wanted, merge
from contacts.models import Contact, Follow, Identity
from contacts.oneid.identity import find, resolve
from contacts.oneid.settling_claims import Key
from contacts.personal_data import erasure, export
from events import log
from events.models import Event
from points import ledger
from points.models import PointsEntry
from scrm.lib.errors import Invalid, NotFound
from scrm.lib.ids import made_id
from tagging.models import ContactTag, Tag
from tenants import audit
from tenants.actors import Actor
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from wecom.models import InboxItem

ALICE = Actor("user:1", "alice")


def everything_that_is_kept() -> str:
    """Every row of every table, as text. Scoped."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'brand_id'
               WHERE relkind IN ('r', 'p') AND NOT relispartition AND relname NOT LIKE 'tenants_seat%'
                 AND has_table_privilege(c.oid, 'SELECT')"""
        )
        texts = []
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t")
            texts.append(cursor.fetchone()[0])
    return "\n".join(texts)


def fill(cast, contact, at):
    """A life with traces everywhere. Scoped."""
    keys: list[Key] = [("unionid", "o-chenxm"), ("phone", "13812345678")]
    for type_, value in keys:
        Identity.objects.create(
            id=made_id(cast.brand.id, "identity", type_, value),
            contact=contact,
            type=type_,
            value=value,
            first_seen_at=at,
        )
    Follow.objects.filter(contact=contact).update(remark="陈姐", description="住静安", external_userid="wm-chenxm")
    log.write([log.NewEvent("search", at, contact_id=contact.pk, props={"keyword": "给陈小满的礼物"})], at=at)
    log.write([log.NewEvent("page_view", at, identity=("unionid", "o-chenxm"))], at=at)
    tag = Tag.objects.create(name="t", created_at=at)
    ContactTag.objects.create(brand_id=cast.brand.id, contact=contact, tag=tag, source="manual", given_at=at)
    ledger.grant(contact_id=contact.pk, points=10, key="k", at=at)
    InboxItem.objects.create(
        corp=cast.corp,
        dedupe_key="d",
        event="change_external_contact",
        payload={"ExternalUserID": "wm-chenxm"},
        received_at=at,
        due_at=at,
    )
    audit.record(actor=ALICE, action="x", object_type="y", after={"phone": "13812345678"}, at=at)


def test_nothing_of_the_person_is_left_but_the_books(cast):
    at = timezone.now()
    contact = cast.contact("陈小满", phone="13812345678")
    with brand_scope(cast.brand.id):
        fill(cast, contact, at)
        Follow.objects.filter(contact=contact).update(lost_at=at, lost_by="contact")
        before = everything_that_is_kept()
        assert all(word in before for word in ("陈小满", "13812345678", "o-chenxm", "wm-chenxm", "陈姐"))

        erasure.erase(contact_id=contact.pk, typed_name="陈小满", reason="本人要求", actor=ALICE, at=at)

        left = everything_that_is_kept()
        for word in ("陈小满", "13812345678", "o-chenxm", "wm-chenxm", "陈姐", "住静安"):
            assert word not in left, word
        assert not Event.objects.filter(contact_id=contact.pk).exists()
        assert PointsEntry.objects.filter(account__contact=contact.pk, amount=10).exists()
        assert ledger.discrepancies() == []
        with pytest.raises(NotFound):
            find({"id": contact.pk})
        assert AuditEntry.objects.get(action="contact.erase").object_id == str(contact.pk)


def test_a_friend_stays_as_a_bare_follow_that_a_sync_does_not_fill_again(world):
    world.sync()
    userid, external, _at = min(world.listed())
    pair = world.follow(userid, external)
    name = pair.contact.name
    with world.scope():
        erasure.erase(contact_id=pair.contact_id, typed_name=name, reason="本人要求", actor=ALICE, at=timezone.now())
        people = Contact.objects.count()

    world.sync(at=timezone.now() + timedelta(seconds=1))

    with world.scope():
        follow = Follow.objects.get(staff__userid=userid, external_userid=external)
        assert (follow.contact_id, follow.lost_at) == (pair.contact_id, None)
        assert (follow.remark, follow.description, follow.corp_tag_ids) == ("", "", [])
        assert Contact.objects.count() == people, "no new contact is made of the same person"
        [kept] = Identity.objects.filter(contact=pair.contact_id)
        assert kept.type == "external_userid"
        assert not Event.objects.filter(contact_id=pair.contact_id, type="profile_changed").exists()


def test_the_name_has_to_be_typed_and_a_reason_given(cast):
    contact = cast.contact("陈小满")
    with brand_scope(cast.brand.id), pytest.raises(Invalid) as refusal:
        erasure.erase(contact_id=contact.pk, typed_name="陈小", reason=" ", actor=ALICE, at=timezone.now())
    assert [each.field for each in refusal.value.errors] == ["typed_name", "reason"]


def test_an_export_has_everything_of_the_person_and_of_who_was_merged_into_them(cast):
    at = timezone.now()
    contact, other = cast.contact("陈小满", phone="13812345678"), cast.contact("小满")
    with brand_scope(cast.brand.id):
        fill(cast, contact, at)
        merge(wanted=[Wanted(contact.pk, other.pk)], at=at)
        told = export.everything(contact_id=contact.pk, actor=ALICE, at=at)

    text = json.dumps(told, default=str, ensure_ascii=False)
    assert all(word in text for word in ("陈小满", "13812345678", "o-chenxm", "陈姐", "给陈小满的礼物"))
    assert told["also_known_as"] == [other.pk]
    assert {"contacts_contact", "contacts_identity", "events_event", "tagging_contacttag"} <= told["tables"].keys()
    with brand_scope(cast.brand.id):
        assert resolve([("unionid", "o-chenxm")]) != {}
        assert AuditEntry.objects.filter(action="contact.export").exists()


def test_the_number_of_a_merged_contact_means_the_person_here_too(cast):
    at = timezone.now()
    contact, other = cast.contact("陈小满"), cast.contact("小满")
    with brand_scope(cast.brand.id):
        merge(wanted=[Wanted(contact.pk, other.pk)], at=at)

    told = cast.alice.api("get", f"/api/v1/contacts/{other.pk}/export").json()
    assert (told["contact_id"], told["also_known_as"]) == (contact.pk, [other.pk])
    body = {"typed_name": "陈小满", "reason": "本人要求"}
    assert cast.alice.api("post", f"/api/v1/contacts/{other.pk}/erase", body).status_code == 200
    assert cast.alice.api("get", f"/api/v1/contacts/{contact.pk}").status_code == 404
