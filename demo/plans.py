"""What the demo brand sets up: interest rules, the sign-in points, segments, contents, an SOP and four pushes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from campaigns.budget import limits
from campaigns.contents import contents
from campaigns.models import Channel, Sop
from campaigns.pushes import pushes
from campaigns.pushes.pushes import Draft, VariantDraft
from campaigns.sop import sop
from campaigns.sop.sop import Step
from demo.visitors import CATEGORIES
from points import rules as earning
from points.tiers import rules as member_tiers
from tagging import tags
from tagging.models import Tag
from tagging.rules import rules
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

MOMENTS_AT_MOST = 5000
HOT_AT_MOST = 500
SILENT_DAYS = 30
TAG_GROUP = "兴趣"
SIGN_IN_TEXT = "本周签到送 10 积分，积分可以在小程序兑换旅行湿巾，点这里签到 👉"
MEMBER_DAY_TEXT = "周二会员日：进群的姐妹今晚 8 点准时来抽签，满 199 减 30。"
HOT_TEXT = "本周热卖：纯棉四件套直降 60 元，库存 800 套。"
REMINDER_TEXT = "首单券还有 4 天到期，帮你留着呢。"
CARD = {
    "msgtype": "link",
    "link": {"title": "今日签到", "desc": "连续 7 天再送 50 积分", "url": "https://mp.example.com/signin"},
}
MOMENT_TEXTS = {
    "婴童": "宝宝的第一件纯棉：A 类棉，洗过三十次还是软的。",
    "家纺": "换季晒被子的日子，四件套新到三个颜色。",
    "女装": "棉的衬衫，通勤到周末都能穿。",
    "个护": "棉柔巾囤货季，一箱用到春天。",
    "母婴": "待产包清单更新了，少买三样，多备一样。",
}


@dataclass(frozen=True, slots=True)
class Plans:
    """Ids of what was set up."""

    sign_in: int
    moments: int
    groups: int
    hot: int


def set_up_rules(*, brand_id: int) -> None:
    """Before anybody visits: interest tags, points for signing in, a contact budget and an SOP for new customers."""
    at = timezone.now()
    with brand_scope(brand_id):
        for category in CATEGORIES:
            tag = tags.create(group=TAG_GROUP, name=category, actor=SYSTEM, at=at)
            rules.save(
                name=f"近 30 天看 {category} 至少 2 次",
                tag_id=tag.pk,
                event_type="product_view",
                where={"category": category, "min_dwell_seconds": 8},
                min_count=2,
                window_days=30,
                keep_days=45,
                actor=SYSTEM,
                at=at,
            )
        earning.save(name="每日签到", event_type="sign_in", points=10, per_day=1, actor=SYSTEM, at=at)
        rungs = [("silver", "银卡", 10_000), ("gold", "金卡", 30_000), ("black", "黑卡", 100_000)]
        said = member_tiers.Wanted(metric="net_spend", window="rolling", at_end="to_level", tiers=rungs)
        member_tiers.save(wanted=said, actor=SYSTEM, at=at)
        limits.set_cap(channel=Channel.SINGLE, cap=1, window_days=7, actor=SYSTEM, at=at)
        reminder = _content("三天后提醒", Channel.SINGLE, REMINDER_TEXT)
        welcome = Sop.objects.create(name="新客首单", created_at=at)
        sop.publish(
            sop_id=welcome.pk,
            trigger={"event": "friend_added"},
            steps=[Step(int(timedelta(days=3).total_seconds()), reminder)],
            goal_event="order_paid",
            actor=SYSTEM,
            at=at,
        )


def draft_pushes(*, brand_id: int) -> Plans:
    """The pushes of the story, as drafts. The last wants everybody, and meets a budget that is spent."""
    with brand_scope(brand_id):
        silent = _segment(
            "沉默·30 天没来",
            {"all": [{"kind": "event_recency", "event": "product_view", "op": "not_within", "days": SILENT_DAYS}]},
        )
        tag_ids = {name: Tag.objects.get(group=TAG_GROUP, name=name).pk for name in CATEGORIES}
        interested = _segment("有兴趣标签", {"any": [_tagged(tag) for tag in tag_ids.values()]})
        variants = [
            VariantDraft(
                content_id=_content(f"朋友圈·{name}", Channel.MOMENTS, text),
                name=name,
                condition=_tagged(tag_ids[name]),
            )
            for name, text in MOMENT_TEXTS.items()
        ]
        sign_in = _content("签到得积分", Channel.SINGLE, SIGN_IN_TEXT, [CARD])
        member_day = _content("会员日", Channel.GROUP, MEMBER_DAY_TEXT)
        hot = _content("本周热卖", Channel.SINGLE, HOT_TEXT)
        return Plans(
            sign_in=_push("签到唤醒", Channel.SINGLE, silent, [VariantDraft(content_id=sign_in)], holdout_percent=5),
            moments=_push("兴趣朋友圈", Channel.MOMENTS, interested, variants, max_recipients=MOMENTS_AT_MOST),
            groups=_push("会员日群通知", Channel.GROUP, None, [VariantDraft(content_id=member_day)]),
            hot=_push(
                "本周热卖", Channel.SINGLE, None, [VariantDraft(content_id=hot)], max_recipients=500, priority=30
            ),
        )


def _tagged(tag_id: int) -> dict[str, Any]:
    return {"kind": "tag", "tag_id": tag_id, "op": "has"}


def _segment(name: str, tree: Mapping[str, Any]) -> int:
    return int(segments.save(name=name, tree=tree, actor=SYSTEM, at=timezone.now()).pk)


def _content(name: str, channel: str, text: str, attachments: Sequence[Mapping[str, Any]] = ()) -> int:
    made = contents.save(
        name=name, channel=channel, text=text, attachments=attachments, actor=SYSTEM, at=timezone.now()
    )
    return int(made.pk)


def _push(name: str, channel: str, segment: int | None, variants: Sequence[VariantDraft], **options: Any) -> int:
    draft = Draft(name=name, channel=channel, segment_id=segment, variants=tuple(variants), **options)
    return int(pushes.create(draft=draft, actor=SYSTEM, at=timezone.now()).pk)
