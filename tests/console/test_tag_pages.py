"""Tags, stages and lost friends as an operator meets them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.models import Contact
from tagging import tags
from tagging.models import ContactTag, CorpTag, LifecycleStage, Segment, TagGroup, TagLibrary, TagRule
from tagging.rules import lifecycle, rerun, spells
from tenants.actors import SYSTEM
from tenants.models import Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope


@pytest.fixture
def alice(cast, console):
    with brand_scope(cast.brand.id):
        cast.tag = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=timezone.now())
        cast.segment = Segment.objects.create(
            name="所有人", tree={"all": []}, created_at=timezone.now(), updated_at=timezone.now()
        )
    return console(cast.alice.user)


def at(cast, path):
    return f"/b/{cast.brand.slug}/console/{path}"


def test_a_rule_with_two_thresholds_is_made_previewed_and_applied(cast, alice):
    form = {"what": "rule", "name": "买得多", "tag": cast.tag.pk, "measure": "sum", "event_type": "order_paid"}
    form |= {"high": "500", "low": "300", "window_days": "90", "min_count": "1"}
    assert alice.post(at(cast, "tags/"), form).status_code == 302
    with brand_scope(cast.brand.id):
        rule = TagRule.objects.get()
        assert (rule.measure, rule.prop, rule.high, rule.low) == ("sum", "amount_fen", 50_000, 30_000)

    history = at(cast, f"tags/rules/{rule.pk}/history/")
    assert "还没有预览过" in alice.post(history, {"kind": "apply"}, follow=True).content.decode()
    alice.post(history, {"kind": "preview"})
    with brand_scope(cast.brand.id):
        run = rerun.latest(rule.pk)
    rerun.run_to_end(brand_id=cast.brand.id, run_id=run.pk, now=timezone.now())
    shown = alice.get(at(cast, "tags/")).content.decode()
    assert "新打 0 人，移除 0 人，不变 0 人" in shown
    assert "按历史补打" in shown
    alice.post(history, {"kind": "apply"})
    with brand_scope(cast.brand.id):
        assert rerun.latest(rule.pk).kind == "apply"


def test_a_stopped_rule_is_put_away(cast, alice):
    alice.post(at(cast, "tags/"), {"what": "rule", "name": "常客", "tag": cast.tag.pk, "event_type": "sign_in"})
    with brand_scope(cast.brand.id):
        path = at(cast, f"tags/rules/{TagRule.objects.get().pk}/")
    assert 'name="archive"' not in alice.get(at(cast, "tags/")).content.decode(), "it is stopped first"
    alice.post(path, {"enabled": "0"})
    assert 'name="archive"' in alice.get(at(cast, "tags/")).content.decode()
    assert "规则已归档" in alice.post(path, {"archive": "1"}, follow=True).content.decode()
    assert "常客" not in alice.get(at(cast, "tags/")).content.decode()
    assert "已归档" in alice.post(path, {"enabled": "1"}, follow=True).content.decode()


def test_a_group_is_made_exclusive(cast, alice):
    alice.post(at(cast, "tags/"), {"what": "group", "group": "兴趣", "exclusive": "latest"})
    with brand_scope(cast.brand.id):
        assert TagGroup.objects.get().exclusive == "latest"
    assert alice.post(at(cast, "tags/"), {"what": "group", "group": "兴趣", "exclusive": "x"}).status_code == 422


def test_stages_are_begun_added_and_removed_and_the_matrix_is_shown(cast, alice):
    assert "开始记录" in alice.get(at(cast, "lifecycle/")).content.decode()
    alice.post(at(cast, "lifecycle/"), {"what": "begin"})
    added = {"what": "add", "name": "大家", "segment": cast.segment.pk, "place": "0"}
    alice.post(at(cast, "lifecycle/"), added)
    cast.contact(at=timezone.now() - timedelta(days=1))
    with brand_scope(cast.brand.id):
        assert [stage.name for stage in lifecycle.stages()][:2] == ["大家", "流失"]
        (run,) = rerun.open_runs()
    rerun.run_to_end(brand_id=cast.brand.id, run_id=run.pk, now=timezone.now())
    shown = alice.get(at(cast, "lifecycle/")).content.decode()
    assert "100%" in shown
    assert "之后新来的" not in shown, "who was there before the stages has not arrived"
    alice.post(at(cast, "lifecycle/"), {"what": "remove", "key": f"segment_{cast.segment.pk}"})
    with brand_scope(cast.brand.id):
        assert not LifecycleStage.objects.filter(name="大家").exists()


def test_who_was_placed_by_a_run_stands_apart_in_the_matrix(cast, alice):
    cast.contact(at=timezone.now() - timedelta(days=9))
    cast.contact(at=timezone.now() - timedelta(days=9))
    alice.post(at(cast, "lifecycle/"), {"what": "begin"})
    with brand_scope(cast.brand.id):
        first, _second = Contact.objects.order_by("id").values_list("id", flat=True)
        spells.look(contact_ids=[first], at=timezone.now() - timedelta(hours=1), cause="event")
        (run,) = rerun.open_runs()
    rerun.run_to_end(brand_id=cast.brand.id, run_id=run.pk, now=timezone.now())
    shown = alice.get(at(cast, "lifecycle/")).content.decode()
    assert "首次划分的" in shown
    assert "不算迁移" in shown
    assert "之后新来的" not in shown


def test_corp_tags_are_tied_shadowed_and_untied(cast, alice):
    page = at(cast, "corp-tags/")
    alice.post(page, {"what": "library", "corp": cast.corp.pk, "is_on": "1", "imports_new": "1"})
    alice.post(page, {"what": "link", "corp": cast.corp.pk, "tag": cast.tag.pk})
    alice.post(page, {"what": "shadow", "corp": cast.corp.pk, "segment": cast.segment.pk})
    again = alice.post(page, {"what": "link", "corp": cast.corp.pk, "tag": cast.tag.pk}, follow=True).content.decode()
    assert "已经和企业标签对应" in again
    assert "人群 所有人" in again
    with brand_scope(cast.brand.id):
        assert TagLibrary.objects.get().is_on
        row = CorpTag.objects.get(tag=cast.tag)
        assert (row.state, CorpTag.objects.count()) == ("wanted", 2)
    alice.post(page, {"what": "unlink", "corp_tag": row.pk})
    with brand_scope(cast.brand.id):
        assert not CorpTag.objects.filter(tag=cast.tag).exists()


def test_lost_friends_by_source(cast, alice):
    assert "这段时间没有流失" in alice.get(at(cast, "churn/")).content.decode()


def test_an_analyst_looks_and_changes_nothing(cast, console, alice):
    user = User.objects.create_user("analyst", password="orchard-analyst-1")
    Seat.objects.create(user=user, brand=cast.brand, role=Role.ANALYST)
    analyst = console(user)
    for path in ("lifecycle/", "corp-tags/", "churn/"):
        assert analyst.get(at(cast, path)).status_code == 200
    for path in ("lifecycle/", "corp-tags/"):
        assert analyst.post(at(cast, path), {"what": "begin"}).status_code == 403
    with brand_scope(cast.brand.id):
        assert not LifecycleStage.objects.exists()
        assert not ContactTag.objects.exists()
