"""What a contact's timeline says of an event."""

import pytest
from django.utils import timezone, translation

from console.events import sentence
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
        ("lifecycle_changed", {"from": "silent", "to": "active"}, "阶段变更 · 沉默 → 活跃"),
        ("lifecycle_changed", {"from": "", "to": "a_stage_since_removed"}, "阶段变更 · 未归类 → a_stage_since_removed"),
    ],
)
def test_codes_are_told_in_words(cast, type_, props, said):
    at = timezone.now()
    with brand_scope(cast.brand.pk), translation.override("zh-hans"):
        lifecycle.save(wanted=lifecycle.defaults(), actor=SYSTEM, at=at)
        event = Event(brand_id=cast.brand.pk, type=type_, occurred_at=at, props=props)
        assert sentence(event, {}) == said
