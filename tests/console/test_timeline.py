"""What a contact's timeline says of an event."""

import pytest
from django.utils import timezone, translation

from console.events import sentence
from console.one_contact import Names
from events.models import Event
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
        assert sentence(event, Names({1: "小林"}, {"wr1": "静安妈妈群"}, {3: "会员日"})) == said
