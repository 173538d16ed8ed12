"""The pages of who is in a segment, and of how segments overlap."""

import pytest

from tagging.models import Segment
from tagging.segments import due, memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

PATH = "/b/{}/console/segments/"


@pytest.fixture
def scene(cast, console):
    cast.contact("安", at=NOON, gender=2)
    cast.contact("贝", at=NOON, gender=1)
    women = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}
    with brand_scope(cast.brand.id):
        cast.women = segments.save(name="女客户", tree=women, actor=SYSTEM, at=NOON).pk
        cast.all = segments.save(name="所有人", tree={"all": []}, actor=SYSTEM, at=NOON).pk
    cast.client = console(cast.alice.user)
    cast.path = PATH.format(cast.brand.slug)
    return cast


def test_choosing_dynamic_shows_members_and_why_they_came_in(scene):
    here = f"{scene.path}{scene.women}/members/"
    assert "没有成员名单" in scene.client.get(here).content.decode()
    answer = scene.client.post(here, {"mode": "dynamic"}, follow=True).content.decode()
    assert "更新方式已改为“动态”" in answer
    while due.work(brand_id=scene.brand.id, at=NOON, horizon=2**62):
        pass
    shown = scene.client.get(here).content.decode()
    assert "安" in shown
    assert "首次计算" in shown
    assert "贝" not in shown
    with brand_scope(scene.brand.id):
        assert memberships.state(Segment.objects.get(pk=scene.women)).members == 1


def test_an_unknown_mode_is_refused_in_words(scene):
    answer = scene.client.post(f"{scene.path}{scene.women}/members/", {"mode": "sometimes"}, follow=True)
    assert "没有这种更新方式" in answer.content.decode()


def test_overlap_draws_regions_and_counts_pairs(scene):
    shown = scene.client.get(f"{scene.path}overlap/?s={scene.women}&s={scene.all}").content.decode()
    assert "<svg" in shown
    assert "女客户、所有人" in shown
    assert "逐个数过" in shown


def test_one_segment_alone_waits_for_another_and_six_are_too_many(scene):
    answer = scene.client.get(f"{scene.path}overlap/?s={scene.women}")
    assert answer.status_code == 200
    assert f'value="{scene.women}" checked' in answer.content.decode()
    assert "先选两个以上的人群" in answer.content.decode()
    answer = scene.client.get(f"{scene.path}overlap/?" + "&".join(f"s={n}" for n in range(1, 7)))
    assert answer.status_code == 422
