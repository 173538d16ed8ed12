"""The pages as the roles meet them."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Content, Push
from console.site import PAGES
from contacts.models import Contact, Follow, Staff, Store
from events import log
from points import ledger
from tagging.models import ContactTag, Segment, Tag, TagRule
from tenants.models import AuditEntry, Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope
from tests.console import scene
from tests.console.test_isolation import console_paths
from wecom.models import Corp


def person(cast, role: str, **more) -> User:
    user = User.objects.create_user(f"{role}-person", password="orchard-person-1")
    Seat.objects.create(user=user, brand=cast.brand, role=role, **more)
    return user


def at(cast, path: str = "") -> str:
    return f"/b/{cast.brand.slug}/console/{path}"


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_page_opens(cast, console, language):
    made = scene.made(cast)
    alice = console(cast.alice.user)
    alice.cookies["django_language"] = language

    for path in console_paths(made.ids):
        response = alice.get(at(cast, path), {"kind": "event_count"} if path == "segments/row/" else {})
        assert response.status_code in (200, 302, 405), path
        assert b"INVALID" not in getattr(response, "content", b""), path  # a file that is streamed has none


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ANALYST, Role.STORE_MANAGER])
def test_pages_outside_a_role_are_not_in_its_menu_and_forbidden(cast, console, role):
    made = scene.made(cast)
    seat = {"store_id": cast.store.pk} if role == Role.STORE_MANAGER else {}
    client = console(person(cast, role, **seat))
    menu = client.get(at(cast, "contacts/")).content.decode()
    granted = {page.route: Seat(role=role).role and _may(role, page.needs) for page in PAGES}

    assert any(granted.values())
    for page in PAGES:
        path = re.sub(r"<\w+:(\w+)>", lambda part: str(made.ids[part[1]]), page.route)
        response = client.get(at(cast, path), {"kind": "event_count"} if path == "segments/row/" else {})
        if granted[page.route]:
            assert response.status_code in (200, 302, 404, 405), path
        else:
            assert response.status_code == 403, path
            assert f'href="{at(cast, path)}"' not in menu, path


def _may(role: str, capability: str) -> bool:
    from tenants.roles import may

    return may(role, capability)


def test_a_guide_has_no_console(cast, console):
    assert console(person(cast, Role.GUIDE)).get(at(cast)).status_code == 404


def test_an_analyst_sees_phones_masked_and_changes_nothing(cast, console):
    made = scene.made(cast)
    analyst = console(person(cast, Role.ANALYST))

    for path in ("contacts/", f"contacts/{made.contact.pk}/"):
        page = analyst.get(at(cast, path)).content.decode()
        assert "138****9999" in page
        assert scene.PHONE not in page
    assert scene.PHONE in console(cast.alice.user).get(at(cast, f"contacts/{made.contact.pk}/")).content.decode()
    for path in (f"segments/{made.segment.pk}/", f"pushes/{made.draft.pk}/", f"points/accounts/{made.contact.pk}/"):
        assert analyst.post(at(cast, path), {"name": "改名"}).status_code == 403, path
    with brand_scope(cast.brand.pk):
        assert not Segment.objects.filter(name="改名").exists()
        assert not Push.objects.filter(name="改名").exists()


def test_a_store_manager_sees_only_the_own_stores_contacts(cast, console):
    made = scene.made(cast)
    with brand_scope(cast.brand.pk):
        store = Store.objects.create(corp=cast.corp, department_id=3, name="徐汇店")
        guide = Staff.objects.create(corp=cast.corp, userid="eve", name="小伊", store=store, is_guide=True)
        other = Contact.objects.create(name="徐汇客户庚", created_at=timezone.now(), main_guide=guide)
        Follow.objects.create(
            brand_id=cast.brand.pk, staff=guide, contact=other, external_userid="wmX", added_at=timezone.now()
        )
    manager = console(person(cast, Role.STORE_MANAGER, store_id=store.pk))

    page = manager.get(at(cast, "contacts/")).content.decode()

    assert "徐汇客户庚" in page
    assert scene.NAME not in page
    assert manager.get(at(cast, f"contacts/{other.pk}/")).status_code == 200
    assert manager.get(at(cast, f"contacts/{made.contact.pk}/")).status_code == 404
    assert manager.get(at(cast, f"contacts/{made.contact.pk}/timeline/")).status_code == 404


def test_lists_count_no_big_table(cast, console):
    scene.made(cast)
    alice = console(cast.alice.user)

    for path in ("contacts/", "pushes/", "segments/", "points/", "points/entries/", "inbox/", "audit/"):
        with CaptureQueriesContext(connection) as queries:
            assert alice.get(at(cast, path)).status_code == 200
        counting = [q["sql"] for q in queries if re.search(r"count\(\*\)", q["sql"], re.I)]
        assert not counting, path
        assert len(queries) <= 17, (path, len(queries))


def test_contacts_page_by_key(cast, console):
    now = timezone.now()
    with brand_scope(cast.brand.pk):
        Contact.objects.bulk_create(Contact(name=f"客户{n:03}号", created_at=now) for n in range(120))
    alice = console(cast.alice.user)

    seen, path, pages = [], at(cast, "contacts/"), 0
    while path:
        page = alice.get(path).content.decode()
        seen += re.findall(r">(客户\d{3}号)<", page)
        pages += 1
        forward = re.search(r'href="(\?before=\d+)"[^>]*>下一页', page)
        path = at(cast, "contacts/") + forward[1] if forward else ""
    assert pages == 3
    assert seen == [f"客户{n:03}号" for n in range(119, -1, -1)]


@pytest.mark.parametrize(
    ("_case", "text"), [("part of the name", "小满甲"), ("phone", scene.PHONE), ("last four", "9999")]
)
def test_contacts_are_found(cast, console, _case, text):
    scene.made(cast)
    cast.contact("路人")

    page = console(cast.alice.user).get(at(cast, "contacts/"), {"q": text}).content.decode()

    assert scene.NAME in page
    assert "路人" not in page


def test_contacts_are_filtered_by_segment_and_tag(cast, console):
    made = scene.made(cast)
    cast.contact("路人")
    alice = console(cast.alice.user)
    alice.post(at(cast, f"contacts/{made.contact.pk}/tags/"), {"act": "give", "tag": made.tag.pk})

    for query in ({"segment": made.segment.pk}, {"tag": made.tag.pk}):
        page = alice.get(at(cast, "contacts/"), query).content.decode()
        assert scene.NAME in page
        assert "路人" not in page


def test_a_tag_is_given_and_taken_by_hand(cast, console):
    made = scene.made(cast)
    alice = console(cast.alice.user)
    path = at(cast, f"contacts/{made.contact.pk}/tags/")

    alice.post(path, {"act": "give", "tag": made.tag.pk})
    with brand_scope(cast.brand.pk):
        assert ContactTag.objects.get(contact=made.contact).source == "manual"
    alice.post(path, {"act": "take", "tag": made.tag.pk})
    with brand_scope(cast.brand.pk):
        assert not ContactTag.objects.filter(contact=made.contact).exists()
        actions = list(AuditEntry.objects.order_by("id").values_list("action", "actor"))[-2:]
    me = f"user:{cast.alice.user.pk}"
    assert actions == [("tag.give", me), ("tag.take", me)]


def test_tags_and_rules_are_made_and_switched(cast, console):
    alice = console(cast.alice.user)

    alice.post(at(cast, "tags/"), {"what": "tag", "group": "兴趣", "name": "家纺"})
    with brand_scope(cast.brand.pk):
        tag = Tag.objects.get(name="家纺")
    form = {"what": "rule", "name": "看家纺", "event_type": "product_view", "category": "家纺", "dwell": "15"}
    alice.post(at(cast, "tags/"), {**form, "min_count": "3", "window_days": "30", "keep_days": "45", "tag": tag.pk})
    assert alice.post(at(cast, "tags/"), {**form, "tag": "0"}).status_code in (404, 422)
    with brand_scope(cast.brand.pk):
        rule = TagRule.objects.get()
    assert (rule.where, rule.min_count, rule.keep_days) == ({"category": "家纺", "min_dwell_seconds": 15}, 3, 45)
    alice.post(at(cast, f"tags/rules/{rule.pk}/"), {"enabled": "0"})
    with brand_scope(cast.brand.pk):
        assert not TagRule.objects.get().enabled


def test_the_timeline_goes_back_by_key(cast, console):
    made = scene.made(cast)
    now = timezone.now()
    with brand_scope(cast.brand.pk):
        log.write(
            [
                log.NewEvent(
                    type="product_view",
                    occurred_at=now - timedelta(minutes=n),
                    contact_id=made.contact.pk,
                    props={"category": f"类目{n:03}"},
                )
                for n in range(70)
            ],
            at=now,
        )
    alice = console(cast.alice.user)

    seen, query = [], {}
    for _page in range(3):
        page = alice.get(at(cast, f"contacts/{made.contact.pk}/timeline/"), query).content.decode()
        seen += re.findall(r"类目(\d{3})", page)
        more = re.search(r"before=([^\"]+)\"", page)
        query = {"before": more[1].replace("%2B", "+").replace("%3A", ":").replace("%7E", "~")} if more else {}
    assert seen == [f"{n:03}" for n in range(70)]
    assert not query


def test_a_segment_is_built_counted_and_explained(cast, console):
    made = scene.made(cast)
    cast.contact("路人")
    alice = console(cast.alice.user)
    form = {"name": "新人群", "joiner": "all", "c1.kind": "profile", "c1.field": "name", "c1.op": "contains"}
    form |= {"c1.value": "小满", "c3.kind": "group", "c3.op": "none"}
    form |= {"c2.kind": "event_recency", "c2.in": "3", "c2.event": "sign_in", "c2.op": "within"}
    form |= {"c2.days": "30", "c2.window": "days"}

    assert 'data-count="1"' in alice.post(at(cast, "segments/count/"), form).content.decode()
    why = alice.post(at(cast, "segments/explain/"), {**form, "who": "路人"}).content.decode()
    assert "不在人群里" in why
    saved = alice.post(at(cast, "segments/new/"), form)
    with brand_scope(cast.brand.pk):
        segment = Segment.objects.get(name="新人群")
    assert saved.headers["Location"] == at(cast, f"segments/{segment.pk}/")
    assert segment.tree["all"][1] == {
        "none": [{"kind": "event_recency", "event": "sign_in", "op": "within", "days": 30}]
    }
    again = alice.get(at(cast, f"segments/{segment.pk}/")).content.decode()
    assert 'name="c1.value" value="小满"' in again
    assert made.segment.name not in again


def test_a_wrong_segment_is_not_saved_and_says_where(cast, console):
    alice = console(cast.alice.user)
    form = {"name": "坏人群", "c7.kind": "event_count", "c7.event": "no_such", "c7.op": "gte", "c7.value": "3"}

    response = alice.post(at(cast, "segments/new/"), form)

    assert response.status_code == 422
    page = response.content.decode()
    assert re.search(r'class="o-rule bad".*?no_such', page, re.S)
    with brand_scope(cast.brand.pk):
        assert not Segment.objects.filter(name="坏人群").exists()


def test_a_push_with_too_long_a_text_is_not_saved(cast, console):
    alice = console(cast.alice.user)

    response = alice.post(at(cast, "pushes/new/"), {"name": "长推送", "channel": "single", "v1.text": "长" * 1400})

    assert response.status_code == 422
    assert "4,000" in response.content.decode() or "4000" in response.content.decode()
    with brand_scope(cast.brand.pk):
        assert not Push.objects.filter(name="长推送").exists()


def test_looking_at_the_dry_run_changes_nothing(cast, console):
    from tests.console.test_isolation import everything

    made = scene.made(cast)
    before = everything(cast.brand.pk)

    page = console(cast.alice.user).get(at(cast, f"pushes/{made.draft.pk}/forecast/")).content.decode()

    assert 'data-planned="1"' in page
    after = everything(cast.brand.pk)
    assert {k: v for k, v in after.items() if k != "tenants_seat"} == {
        k: v for k, v in before.items() if k != "tenants_seat"
    }


def test_a_push_is_sent_and_recalled(cast, console):
    made = scene.made(cast)
    alice = console(cast.alice.user)

    alice.post(at(cast, f"pushes/{made.draft.pk}/send/"))
    with brand_scope(cast.brand.pk):
        push = Push.objects.get(pk=made.draft.pk)
    assert push.status == "scheduled"
    assert push.scheduled_at > timezone.now() + timedelta(seconds=60)
    assert "撤回" in alice.get(at(cast, f"pushes/{made.draft.pk}/")).content.decode()
    alice.post(at(cast, f"pushes/{made.draft.pk}/recall/"))
    with brand_scope(cast.brand.pk):
        assert Push.objects.get(pk=made.draft.pk).status == "draft"


def test_a_big_push_needs_the_number_typed(cast, console):
    made = scene.made(cast)
    now = timezone.now()
    with brand_scope(cast.brand.pk):
        crowd = Contact.objects.bulk_create(
            Contact(name=f"小满{n}", created_at=now, main_guide=cast.bob, first_added_at=now) for n in range(1100)
        )
        Follow.objects.bulk_create(
            Follow(brand_id=cast.brand.pk, staff=cast.bob, contact=c, external_userid=f"w{c.pk}", added_at=now)
            for c in crowd
        )
    alice = console(cast.alice.user)
    path = at(cast, f"pushes/{made.draft.pk}/send/")

    def status() -> str:
        with brand_scope(cast.brand.pk):
            return Push.objects.get(pk=made.draft.pk).status

    alice.post(path, {})
    assert status() == "draft"
    alice.post(path, {"typed": "1000"})
    assert status() == "draft"
    alice.post(path, {"typed": "1,101"})
    assert status() == "scheduled"


def test_points_are_adjusted_once_and_reversed(cast, console):
    made = scene.made(cast)
    alice = console(cast.alice.user)
    path = at(cast, f"points/accounts/{made.contact.pk}/")
    form = {"direction": "give", "points": "50", "note": "补发", "once": "abc"}

    alice.post(path, form)
    alice.post(path, form)  # a double click
    assert alice.post(path, {**form, "direction": "take", "points": "900", "once": "d"}).status_code == 422
    with brand_scope(cast.brand.pk):
        assert ledger.statement(contact_id=made.contact.pk, at=timezone.now()).balance == 150
        acts = AuditEntry.objects.filter(action="points.adjust").count()
    assert acts == 1
    alice.post(at(cast, f"points/transfers/{made.transfer.pk}/reverse/"))
    with brand_scope(cast.brand.pk):
        assert ledger.statement(contact_id=made.contact.pk, at=timezone.now()).balance == 50


def test_a_nul_character_is_refused(cast, console):
    alice = console(cast.alice.user)
    form = "application/x-www-form-urlencoded"

    assert alice.get(at(cast, "contacts/"), {"q": "a\x00b"}).status_code == 400
    assert alice.post(at(cast, "members/"), "username=a%00b&role=owner", content_type=form).status_code == 400
    assert console(cast.alice.user).post("/login/", "username=a%00b&password=x", content_type=form).status_code == 400


@pytest.mark.parametrize(
    ("_case", "attachment", "kept"),
    [
        (
            "a link has no description there",
            {"link.title": "标", "link.url": "https://a.example/", "link.desc": "不带"},
            {"title": "标", "url": "https://a.example/"},
        ),
        (
            "an image is named by its media",
            {"image.media_id": "M1", "image.pic_url": "https://a.example/x.png"},
            {"media_id": "M1"},
        ),
    ],
)
def test_moments_take_only_their_own_fields(cast, console, _case, attachment, kept):
    kind = next(iter(attachment)).split(".")[0]
    form = {"name": "朋友圈推送", "channel": "moments", "v1.text": "上新", "v1.attachment": kind}

    response = console(cast.alice.user).post(
        at(cast, "pushes/new/"), {**form, **{f"v1.{name}": value for name, value in attachment.items()}}
    )

    assert response.status_code == 302
    with brand_scope(cast.brand.pk):
        assert Content.objects.get().attachments == [{"msgtype": kind, kind: kept}]


def test_only_our_own_files_may_be_loaded(cast, console):
    response = console(cast.alice.user).get(at(cast))

    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href)="https?://', response.content.decode())


def test_an_acts_address_that_is_opened_says_so(cast, console):
    made = scene.made(cast)

    response = console(cast.alice.user).get(at(cast, f"pushes/{made.draft.pk}/send/"))

    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert "这个地址只接收提交" in response.content.decode()


def test_digits_of_other_scripts_are_no_numbers(cast, console):
    alice = console(cast.alice.user)

    for path in ("pushes/?before=²", "audit/?after=٣", "inbox/?before=99999999999999999999"):
        assert alice.get(at(cast, path)).status_code == 200, path
    form = {"corp": "²", "content": "²", "media": "²", "text": "欢迎", "is_on": "1"}
    assert alice.post(at(cast, "welcome/"), form).status_code in (404, 422)
    assert alice.post(at(cast, "keys/"), {"name": "x", "scopes": "events:write", "per_minute": "²"}).status_code == 422


def test_a_brand_of_two_corps_says_from_which_it_sends(cast, console):
    with brand_scope(cast.brand.pk):
        second = Corp.objects.create(corpid="ww-second", name="第二主体")
    alice = console(cast.alice.user)
    form = {"name": "推送", "channel": "single", "v1.text": "会员日", "most": "0"}

    refused = alice.post(at(cast, "pushes/new/"), form)
    assert refused.status_code == 422
    fields = re.findall(r'<label for="(f-\w+)".*?<span class="error">', refused.content.decode())
    assert {"f-corp", "f-most"} <= set(fields)
    saved = alice.post(at(cast, "pushes/new/"), {**form, "most": "", "corp": second.pk})

    assert saved.status_code == 302
    with brand_scope(cast.brand.pk):
        assert Push.objects.get().corp_id == second.pk
    assert f'<option value="{second.pk}" selected>' in alice.get(saved.headers["Location"]).content.decode()
