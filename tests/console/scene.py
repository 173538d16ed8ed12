"""A brand with one of everything that console pages name by an id."""

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from campaigns.contents import contents
from campaigns.models import Push
from campaigns.pushes import pushes
from contacts import merging
from contacts.models import Contact
from events import declared
from events.imports import jobs
from media import keeping
from points import ledger, rules
from points.models import Transfer
from points.tiers import floors
from points.tiers import rules as tier_rules
from tagging import tags
from tagging.models import Segment, Tag
from tagging.rules import rules as tag_rules
from tagging.segments import segments
from tenants import keys
from tenants.actors import Actor
from tenants.models import Seat
from tenants.scope import brand_scope
from tests.cast import Cast
from tests.media.files import png
from webhooks import endpoints
from wecom.models import AuthorisationLink, CorpApp, InboxItem, Suite

NAME = "陈小满甲乙丙"
PHONE = "13812349999"


@dataclass
class Scene:
    """The ids of alice's things."""

    cast: Cast
    contact: Contact
    tag: Tag
    segment: Segment
    draft: Push
    scheduled: Push
    transfer: Transfer
    ids: dict[str, Any]


def made(cast: Cast) -> Scene:
    """Write them through the modules."""
    now, brand = timezone.now(), cast.brand
    alice = Actor(f"user:{cast.alice.user.pk}", "alice")
    contact = cast.contact(NAME, phone=PHONE, at=now - timedelta(days=40))
    with brand_scope(brand.pk):
        tag = tags.create(name="婴童", group="兴趣", actor=alice, at=now)
        tags.give(tag_id=tag.pk, contact_ids=[contact.pk], actor=alice, at=now)
        tree = {"all": [{"kind": "profile", "field": "name", "op": "contains", "value": "小满"}]}
        segment = segments.save(name="甲乙丙人群", tree=tree, actor=alice, at=now)
        said = contents.save(name="会员日", channel="single", text="会员日签到送积分", actor=alice, at=now)
        draft, scheduled = (_push(name, segment, said, alice, now) for name in ("草稿推送丁", "待发推送戊"))
        pushes.send(push_id=scheduled.pk, actor=alice, at=now)
        rule = rules.save(name="签到规则", event_type="sign_in", points=10, actor=alice, at=now)
        tag_rule = tag_rules.save(name="标签规则", tag_id=tag.pk, event_type="product_view", actor=alice, at=now)
        posted = ledger.grant(contact_id=contact.pk, points=100, key="scene", note="赠送", at=now)
        rungs = [("gold", "金卡癸", 100_000)]
        wanted = tier_rules.Wanted(metric="net_spend", window="rolling", at_end="to_level", tiers=rungs)
        tier_rules.save(wanted=wanted, actor=alice, at=now)
        floors.promise(contact_id=contact.pk, tier="gold", until=None, note="保底癸", actor=alice, at=now)
        key = keys.make(brand_id=brand.pk, name="小程序己", scopes=["events:write"], actor=alice, at=now)
        item = InboxItem.objects.create(
            corp=cast.corp,
            dedupe_key="k",
            event="change_external_contact",
            payload={"UserID": "bob"},
            received_at=now,
            due_at=now,
            status="failed",
        )
        transfer = Transfer.objects.get(pk=posted.transfer_id)
        app = CorpApp.objects.create(corp=cast.corp, agent_id=1000009, kind="sidebar", secret="app secret")
        suite = Suite.objects.create(suite_id="dk-scene", name="代开发", secret="s", token="t", aes_key="k")
        link = AuthorisationLink.objects.create(
            state="scene1" * 5, suite=suite, brand=brand, made_by=alice.id, url="https://x", made_at=now, expires_at=now
        )
        other = Contact.objects.create(name="果园·二", created_at=now)
        [merge_id] = merging.merge(wanted=[merging.Wanted(contact.pk, other.pk)], at=now)
        url = "https://shop.example.com/orchard"
        webhook = endpoints.make(name="果园·商城", url=url, types=["tag_given"], actor=alice, at=now).webhook
        props = {"shelf": {"type": "text"}}
        declared.save(name="x_scan", label="扫码庚", props=props, actor=alice, at=now)
    imported = _imported(brand.pk, alice, now)
    poster = ContentFile(png(3, 3))
    kept, _is_new = keeping.keep(brand_id=brand.pk, upload=poster, name="海报壬.png", actor=alice, at=now)
    seat = Seat.objects.get(user=cast.alice.user)
    ids = {
        "contact_id": contact.pk,
        "tag_id": tag.pk,
        "segment_id": segment.pk,
        "push_id": draft.pk,
        "rule_id": rule.pk,
        "tag_rule_id": tag_rule.pk,
        "transfer_id": transfer.pk,
        "corp_id": cast.corp.pk,
        "seat_id": seat.pk,
        "key_id": key.id,
        "item_id": item.pk,
        "app_id": app.pk,
        "state": link.state,
        "import_id": imported,
        "type_name": "x_scan",
        "merge_id": merge_id,
        "webhook_id": webhook.pk,
        "media_id": kept.pk,
    }
    return Scene(cast, contact, tag, segment, draft, scheduled, transfer, ids)


def _imported(brand_id: int, actor: Actor, now: Any) -> int:
    raw = f"手机号,时间\n{PHONE},2026-11-01\n".encode()
    return jobs.upload(
        brand_id=brand_id,
        kind="events",
        name="历史辛.csv",
        file=BytesIO(raw),
        size=len(raw),
        actor=actor,
        language="zh-hans",
        at=now,
    )


def _push(name: str, segment: Segment, said: Any, actor: Actor, now: Any) -> Push:
    draft = pushes.Draft(
        name=name, channel="single", variants=[pushes.VariantDraft(content_id=said.pk)], segment_id=segment.pk
    )
    return pushes.create(draft=draft, actor=actor, at=now)
