"""OneID in the console: the overview, the review of conflicts, merging, splitting, exporting and erasing a person."""

import json

import pytest
from django.utils import timezone

from contacts.models import Contact, IdentityConflict, Merge
from contacts.oneid.identity import Claim, Draft, attach
from tenants.scope import brand_scope


class Desk:
    """Alice at her brand's console."""

    def __init__(self, client, brand):
        self.client, self.home = client, f"/b/{brand.slug}/console/"

    def get(self, path):
        return self.client.get(self.home + path)

    def post(self, path, body=None):
        return self.client.post(self.home + path, body or {})


@pytest.fixture
def desk(cast, console):
    return Desk(console(cast.alice.user), cast.brand)


def two_people(cast):
    """Two contacts with unionids of their own, and evidence that they are one."""
    at = timezone.now()
    with brand_scope(cast.brand.id):
        one, other = attach(
            claims=[
                Claim((("external_userid", "ww-alice:wm1"), ("unionid", "u1")), Draft(name="陈小满")),
                Claim((("phone", "13812345678"), ("unionid", "u2")), Draft(name="小满")),
            ],
            at=at,
        ).contact_ids
        attach(claims=[Claim((("external_userid", "ww-alice:wm1"), ("unionid", "u2")))], at=at)
    return one, other


def test_the_overview_shows_the_matrix_and_the_queue_leads_to_a_merge_and_back(cast, desk):
    one, other = two_people(cast)

    shown = desk.get("oneid/").content.decode()
    assert "统一身份" in shown
    assert "50.0%" in shown  # half of those with a unionid have an external_userid

    review = desk.get("oneid/conflicts/").content.decode()
    assert all(text in review for text in ("陈小满", "小满", "u2"))
    with brand_scope(cast.brand.id):
        conflict = IdentityConflict.objects.get()
    body = {"conflict": conflict.pk, "act": "merge", "survivor": one, "reason": "电话核实过"}
    assert desk.post("oneid/conflicts/", body).status_code == 302

    assert desk.get(f"contacts/{other}/")["Location"].endswith(f"/contacts/{one}/")
    graph = desk.get(f"contacts/{one}/identities/").content.decode()
    assert "<svg" in graph
    assert "电话核实过" in graph
    with brand_scope(cast.brand.id):
        merge = Merge.objects.get()
        assert not Contact.objects.filter(pk=other).exists()
    assert desk.post(f"oneid/merges/{merge.pk}/split/", {"reason": "弄错了"}).status_code == 302
    with brand_scope(cast.brand.id):
        assert Contact.objects.filter(pk=other).exists()


def test_keeping_two_apart_needs_a_reason_and_is_remembered(cast, desk):
    one, other = two_people(cast)
    with brand_scope(cast.brand.id):
        conflict = IdentityConflict.objects.get()
    desk.post("oneid/conflicts/", {"conflict": conflict.pk, "act": "keep", "reason": " "})
    with brand_scope(cast.brand.id):
        assert IdentityConflict.objects.filter(resolved_at=None).exists()

    desk.post("oneid/conflicts/", {"conflict": conflict.pk, "act": "keep", "reason": "母女"})

    with brand_scope(cast.brand.id):
        attach(claims=[Claim((("external_userid", "ww-alice:wm1"), ("unionid", "u2")))], at=timezone.now())
        assert not IdentityConflict.objects.filter(resolved_at=None).exists()
        assert Contact.objects.filter(pk__in=[one, other]).count() == 2


def test_a_person_is_exported_and_erased_by_typing_the_name(cast, desk):
    contact = cast.contact("陈小满", phone="13812345678")
    page = desk.get(f"contacts/{contact.pk}/").content.decode()
    assert "删除个人数据" in page

    told = json.loads(desk.post(f"contacts/{contact.pk}/export/").content)
    assert told["tables"]["contacts_contact"][0]["phone"] == "13812345678"

    wrong = desk.post(f"contacts/{contact.pk}/erase/", {"typed_name": "陈", "reason": "本人要求"})
    assert wrong.status_code == 422
    desk.post(f"contacts/{contact.pk}/erase/", {"typed_name": "陈小满", "reason": "本人要求"})
    assert desk.get(f"contacts/{contact.pk}/").status_code == 404
