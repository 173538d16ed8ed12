"""客户 360°: what the page and its parts say of people with a past, with none, and of who left."""

import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.models import Contact
from events import log
from tagging.models import LifecycleStage, Tag
from tenants.scope import brand_scope
from tests.cast import Cast
from tests.console import life


@pytest.fixture(scope="module")
def made(committed_rows) -> tuple[Cast, life.Lives]:
    """Written once for all tests of this module."""
    cast = Cast.make()
    return cast, life.made(cast, at=timezone.now())


@pytest.fixture
def cast(made, db) -> Cast:
    return made[0]


@pytest.fixture
def lives(made) -> life.Lives:
    return made[1]


@pytest.fixture
def seen(cast, console, lives):
    """`seen("full", "timeline/?kind=own")` is a part of a contact's page."""
    alice = console(cast.alice.user)

    def get(whose: str, part: str = "") -> str:
        answer = alice.get(f"/b/{cast.brand.slug}/console/contacts/{getattr(lives, whose)}/{part}")
        assert answer.status_code == 200, part
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))

    return get


@pytest.fixture
def read_on(cast, console):
    """All pages of a timeline, as the button asks for them."""
    alice = console(cast.alice.user)

    def pages(contact: int, kind: str) -> list[str]:
        url, found = f"/b/{cast.brand.slug}/console/contacts/{contact}/timeline/?kind={kind}", []
        while url:
            found.append(alice.get(url).content.decode())
            more = re.search(r'hx-get="([^"]+before=[^"]+)"', found[-1])
            url = html.unescape(more[1]) if more else ""
        return found

    return pages


def test_the_page_of_a_full_life(seen):
    page = seen("full")

    assert "许知远" in page
    assert "活跃" in page
    assert re.search(r"沉默 .* 90 天", page), "the history of stages"
    assert "看过三次婴童" in page
    assert "手动 · alice" in page


def test_its_parts(seen):
    relations = seen("full", "relations/")
    assert "客户删除了小伊" in relations
    assert "静安妈妈群" in relations
    assert re.search(r"会员福利群 .* 退群", relations)

    identities = seen("full", "identities/")
    assert "oFullUnionid" in identities
    assert "合并记录" in identities

    interests = seen("full", "interests/")
    assert "婴童" in interests
    assert "SKU-1" in interests
    assert re.search(r"浏览商品 ×\d", interests)

    dealings = seen("full", "dealings/")
    assert "NO-2026-001" in dealings
    assert "已退 ¥39" in dealings
    assert "入会礼" in dealings
    assert "会员日推送" in dealings
    assert re.search(r"200 0 $", dealings), "the head's figures come with them: points, touches of the month"


def test_a_tag_shows_the_events_it_rests_on(seen, cast, lives):
    with brand_scope(cast.brand.pk):
        [(tag_id,)] = _rows("SELECT tag_id FROM tagging_contacttag WHERE source = 'rule'")
    shown = seen("full", f"tags/{tag_id}/evidence/")

    assert shown.count("浏览商品") == 3


@pytest.mark.parametrize(
    ("kind", "said", "unsaid"),
    [
        ("", "搜索 · 包巾", "INVALID"),
        ("own", "填写问卷 · 问卷 到店体验", "支付订单"),
        ("order", "支付订单 · 婴童 · NO-2026-001 · ¥259", "浏览商品"),
        ("relation", "加入客户群 · 静安妈妈群", "浏览商品"),
        ("points", "消耗积分", "浏览商品"),
        ("change", "打上标签 · 兴趣·婴童", "浏览商品"),
    ],
)
def test_the_timeline_can_be_narrowed(read_on, lives, kind, said, unsaid):
    text = " ".join(read_on(lives.full, kind))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))

    assert said in text
    assert unsaid not in text


def test_every_event_is_on_exactly_one_page(cast, lives, read_on):
    pages = read_on(lives.full, "")
    ids = [found for page in pages for found in re.findall(r"<dd>([0-9a-f-]{36})</dd>", page)]
    assert len(pages) > 1
    with brand_scope(cast.brand.pk):
        written = _rows("SELECT id::text FROM events_event WHERE contact_id = %s", lives.full)

    assert len(ids) == len(set(ids)) == len(written) > 45


def test_who_left_and_who_did_it(seen):
    assert "已流失" in seen("lost")
    page = seen("lost", "relations/")
    assert "客户删除了小伊" in page
    assert "小林删除了客户" in page
    assert page.count("删除了") == 2, "told by the log and by the friendship, each loss is one line"


def test_nothing_is_known_of_somebody(seen):
    assert "未命名客户" in seen("empty")
    assert "没有导购加过这位客户" in seen("empty", "relations/")
    assert "还没有身份" in seen("empty", "identities/")
    assert "还没有兴趣分" in seen("empty", "interests/")
    assert "还没有订单" in seen("empty", "dealings/")
    assert "这里还没有记录" in seen("empty", "timeline/")


def test_a_merged_number_leads_to_the_person(cast, console, lives):
    alice = console(cast.alice.user)
    answer = alice.get(f"/b/{cast.brand.slug}/console/contacts/{lives.merged}/")

    assert answer.status_code == 302
    assert answer.url.endswith(f"/contacts/{lives.full}/")


def test_without_stages_of_its_own_a_brand_sees_the_built_in_one(cast, seen):
    with brand_scope(cast.brand.pk):
        LifecycleStage.objects.all().delete()
    assert "现在是活跃，按内置阶段当场划分" not in seen("full"), "history that was kept stays"
    assert "现在是流失，按内置阶段当场划分" in seen("lost")


def test_the_page_costs_no_more_for_a_long_past(cast, console, lives):
    """The shell and its parts each stay within a few queries, however much there is to tell."""
    alice, base = console(cast.alice.user), f"/b/{cast.brand.slug}/console/contacts/{lives.full}/"
    with brand_scope(cast.brand.pk):
        now = timezone.now()
        log.write(
            [
                log.NewEvent("page_view", now - timedelta(minutes=n), contact_id=lives.full, props={"page": "p"})
                for n in range(300)
            ],
            at=now,
        )
        assert Contact.objects.filter(pk=lives.full).exists()
    alice.get(base)
    costs = {}
    for part in ("", "timeline/", "relations/", "interests/", "dealings/", "identities/", "tag-choices/"):
        with CaptureQueriesContext(connection) as queries:
            assert alice.get(base + part).status_code == 200
        costs[part] = len([q for q in queries if re.match("SELECT|UPDATE|INSERT|DELETE|WITH", q["sql"])])
    # Four of each: session, user, seats, brands. The shell and the timeline may ask 12 questions.
    most = {
        "": 8,
        "timeline/": 12,
        "relations/": 8,
        "interests/": 7,
        "dealings/": 18,
        "identities/": 10,
        "tag-choices/": 7,
    }
    assert {part: cost for part, cost in costs.items() if cost > most[part]} == {}


def test_a_tag_is_chosen_among_those_that_the_contact_has_not(cast, console, lives):
    alice, base = console(cast.alice.user), f"/b/{cast.brand.slug}/console/contacts/{lives.full}/"
    with brand_scope(cast.brand.pk):
        free = Tag.objects.create(name="新品尝鲜", created_at=timezone.now())
    choices = alice.get(f"{base}tag-choices/").content.decode()
    assert re.findall(r"<option[^>]*>([^<]+)<", choices) == ["新品尝鲜"]

    assert alice.post(f"{base}tags/", {"act": "give", "tag": free.pk}).status_code == 302
    assert "新品尝鲜" in alice.get(base).content.decode()
    assert "没有别的标签可打" in alice.get(f"{base}tag-choices/").content.decode()


def _rows(sql: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
