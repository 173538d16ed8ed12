"""The pages of who is in a segment, and of how segments overlap."""

import pytest

from tagging import due, memberships, segments
from tagging.models import Segment
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

PATH = "/b/{}/console/segments/"


@pytest.fixture
def page(cast, console):
    cast.contact("安", at=NOON, gender=2)
    cast.contact("贝", at=NOON, gender=1)
    women = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}
    with brand_scope(cast.brand.id):
        cast.women = segments.save(name="女客户", tree=women, actor=SYSTEM, at=NOON).pk
        cast.all = segments.save(name="所有人", tree={"all": []}, actor=SYSTEM, at=NOON).pk
    cast.client = console(cast.alice.user)
    cast.path = PATH.format(cast.brand.slug)
    return cast


def test_choosing_dynamic_shows_members_and_why_they_came_in(page):
    here = f"{page.path}{page.women}/members/"
    assert "没有成员名单" in page.client.get(here).content.decode()
    answer = page.client.post(here, {"mode": "dynamic"}, follow=True).content.decode()
    assert "更新方式已改为“动态”" in answer
    while due.work(brand_id=page.brand.id, at=NOON, horizon=2**62):
        pass
    shown = page.client.get(here).content.decode()
    assert "安" in shown
    assert "首次计算" in shown
    assert "贝" not in shown
    with brand_scope(page.brand.id):
        assert memberships.state(Segment.objects.get(pk=page.women)).members == 1


def test_an_unknown_mode_is_refused_in_words(page):
    answer = page.client.post(f"{page.path}{page.women}/members/", {"mode": "sometimes"}, follow=True)
    assert "没有这种更新方式" in answer.content.decode()


def test_overlap_draws_regions_and_counts_pairs(page):
    shown = page.client.get(f"{page.path}overlap/?s={page.women}&s={page.all}").content.decode()
    assert "<svg" in shown
    assert "女客户、所有人" in shown
    assert "逐个数过" in shown


def test_one_segment_alone_does_not_overlap(page):
    answer = page.client.get(f"{page.path}overlap/?s={page.women}")
    assert answer.status_code == 422
    assert "请选 2 到 5 个人群" in answer.content.decode()
