"""What a contact's timeline says of an event."""

import re

import pytest
from django.utils import timezone, translation

from campaigns.reasons import Reason
from console.events import sentence
from console.one_contact import Names
from contacts import profile_changes
from contacts.models import Follow
from events.catalogue import BUILT_IN
from events.models import Event
from points.models.tiers import TierSpell
from tagging.rules import lifecycle
from tenants.actors import SYSTEM
from tenants.scope import brand_scope


@pytest.mark.parametrize(
    ("type_", "props", "said"),
    [
        ("segment_entered", {"segment_id": 3, "segment": "签到了", "reason": "event"}, "进入人群 · 签到了"),
        ("points_earned", {"points": 10, "reason": "earn"}, "获得积分 · 规则发放 · 10 积分"),
        ("message_failed", {"push_id": 1, "reason": "contact_gone"}, "推送未送达 · 已不是好友"),
        ("friend_lost", {"staff_id": 1, "lost_by": "contact"}, "好友流失 · 客户删除了小林"),
        ("friend_lost", {"staff_id": 1, "lost_by": "staff"}, "好友流失 · 小林删除了客户"),
        ("friend_lost", {"staff_id": 9, "lost_by": "staff"}, "好友流失 · 员工删除"),
        ("friend_added", {"staff_id": 1, "state": "xhs", "add_way": 1}, "添加好友 · xhs · 小林"),
        ("group_joined", {"chat_id": "wr1"}, "加入客户群 · 静安妈妈群"),
        ("message_delivered", {"push_id": 3, "channel": "single", "staff_id": 1}, "推送送达 · 会员日 · 小林"),
        ("transfer_failed", {"staff_id": 1, "reason": "customer_refused"}, "继承未成功 · 小林 · 客户拒绝"),
        (
            "welcome_failed",
            {"staff_id": 1, "reason": "wecom.outcome_unknown"},
            "欢迎语未送达 · 小林 · 没有得到企业微信",
        ),
        ("chat_session", {"staff_id": 1, "messages": 3}, "与导购聊天 · 小林 · 3 条消息"),
        ("profile_changed", {"field": "kind", "old": 1, "new": 2}, "资料变更 · 客户类型"),
        ("draw", {"activity": "双十一", "won": False}, "抽奖 · 活动 双十一 · 中奖 否"),
        ("tier_changed", {"from": "", "to": "gone", "reason": "reached"}, "等级变更 · 达到门槛 · 没有等级 → gone"),
        ("lifecycle_changed", {"from": "silent", "to": "active"}, "阶段变更 · 沉默 → 活跃"),
        ("lifecycle_changed", {"from": "", "to": "a_stage_since_removed"}, "阶段变更 · 未归类 → a_stage_since_removed"),
    ],
)
def test_codes_are_told_in_words(cast, type_, props, said):
    at = timezone.now()
    with brand_scope(cast.brand.pk), translation.override("zh-hans"):
        lifecycle.save(wanted=lifecycle.defaults(), actor=SYSTEM, at=at)
        event = Event(brand_id=cast.brand.pk, type=type_, occurred_at=at, props=props)
        told = sentence(event, Names({1: "小林"}, {"wr1": "静安妈妈群"}, {3: "会员日"}))
    assert told.startswith(said) if type_ == "welcome_failed" else told == said


POINTS = ["earn", "grant", "spend", "reverse", "expire", "adjust", "merge", "split"]
VALUES = {
    "friend_lost": ("lost_by", ["", *Follow.LostBy.values]),
    "profile_changed": ("field", profile_changes.FIELDS),
    "message_failed": ("reason", Reason.values),
    "tier_changed": ("reason", TierSpell.Reason.values),
    "transfer_failed": ("reason", ["customer_refused", "customer_limit_exceed"]),
    "welcome_failed": ("reason", ["wecom.welcome_too_late", "wecom.outcome_unknown", "wecom.ip_untrusted"]),
    "points_earned": ("reason", POINTS),
    "points_spent": ("reason", POINTS),
    "segment_entered": ("reason", ["event", "profile_changed"]),
}
"""Codes that the events of a type carry."""
OF_TYPE = {"int": 1, "text": "Abc", "bool": True}


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_type_of_the_catalogue_has_words(cast, language):
    """No code of ours is shown, and nothing Chinese to who reads English."""
    names = Names({1: "Bob"}, {"Abc": "Club"}, {1: "Sale"})
    with brand_scope(cast.brand.pk), translation.override(language):
        for kind in BUILT_IN.values():
            props = {name: OF_TYPE[type_] for name, type_ in kind.props.items()}
            name, codes = VALUES.get(kind.name, ("", [""]))
            for code in codes:
                text = sentence(Event(type=kind.name, props={**props, name: code}), names)
                assert not re.search(r"[a-z]_[a-z]|None", text), text
                assert language == "zh-hans" or not re.search("[\u4e00-\u9fff]", text), text
