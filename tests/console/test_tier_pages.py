"""Members' tiers as an operator meets them."""

import pytest
from django.utils import timezone

from events import log
from points.models import TierFloor, TierRules
from points.tiers import keeping, reading
from tenants.models import Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope

FORM = {"metric": "net_spend", "window": "rolling", "at_end": "one_down", "grace_days": "30", "protect_days": ""}
FORM |= {"code": ["silver", "", ""], "name": ["银卡", "金卡", ""], "threshold": ["500", "1,999.5", ""]}


def at(cast, path):
    return f"/b/{cast.brand.slug}/console/{path}"


def test_the_rules_are_set_read_and_refused_in_place(cast, console):
    alice = console(cast.alice.user)
    assert "还没有会员等级" in alice.get(at(cast, "tiers/")).content.decode()
    assert alice.post(at(cast, "tiers/"), FORM).status_code == 302
    with brand_scope(cast.brand.id):
        kept = reading.rules()
    assert [(tier["code"], tier["threshold"]) for tier in kept["tiers"]] == [("silver", 50_000), ("tier_1", 199_950)]
    shown = alice.get(at(cast, "tiers/")).content.decode()
    for said in ("¥1,999.50", "到期时未达标的降一级", "到期后有 30 天宽限", "正在为所有客户定级"):
        assert said in shown

    wrong = alice.post(at(cast, "tiers/"), {**FORM, "threshold": ["500", "银", ""]})
    assert wrong.status_code == 422
    assert "门槛要是大于 50000 的整数" in wrong.content.decode()
    assert 'value="银"' in wrong.content.decode()  # what was typed is still there


def test_an_account_shows_the_tier_and_takes_a_floor(cast, console):
    alice, who = console(cast.alice.user), cast.contact("陈小满")
    alice.post(at(cast, "tiers/"), FORM)
    now = timezone.now()
    with brand_scope(cast.brand.id):
        props = {"order_no": "A1", "amount_fen": 60_000}
        log.write([log.NewEvent("order_paid", now, contact_id=who.id, props=props)], at=now)
        keeping.look([who.id], at=timezone.now())
    account = at(cast, f"points/accounts/{who.id}/")
    assert "没有等级" in alice.get(account).content.decode()
    promise = {"what": "promise", "tier": "tier_1", "until": "2099-12-31", "note": "投诉补偿"}
    shown = alice.post(f"{account}floor/", promise, follow=True).content.decode()
    for said in ("已保底", "金卡", "投诉补偿", "没有等级 → 金卡", "2100-01-01"):
        assert said in shown, said
    shown = alice.get(at(cast, "tiers/")).content.decode()
    assert "没有等级 → 金卡" in shown
    shown = alice.post(f"{account}floor/", {"what": "take_back"}, follow=True).content.decode()
    assert "人工保底已取消" in shown
    assert "原因" in alice.post(f"{account}floor/", {**promise, "note": ""}, follow=True).content.decode()


@pytest.mark.parametrize("role", [Role.ANALYST])
def test_who_may_only_read_changes_nothing(cast, console, role):
    who = cast.contact()
    user = User.objects.create_user("reader", password="orchard-reader-1")
    Seat.objects.create(user=user, brand=cast.brand, role=role)
    client = console(user)

    assert client.post(at(cast, "tiers/"), FORM).status_code == 403
    assert client.post(at(cast, f"points/accounts/{who.id}/floor/"), {"what": "promise"}).status_code == 403
    with brand_scope(cast.brand.id):
        assert not TierRules.objects.exists()
        assert not TierFloor.objects.exists()
