"""People with a past, for the contact's page: one who did everything, one of whom nothing is known, one who left."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from campaigns.contents import contents
from campaigns.models import Delivery, Variant
from campaigns.pushes import pushes
from contacts import merging
from contacts.models import Contact, Follow, GroupChat, GroupMember, Staff
from contacts.oneid import identity
from contacts.oneid.identity import Claim, Draft
from events import log, partitions, reactors
from events.log import NewEvent
from points import ledger
from tagging import giving, tags
from tagging.giving import Grant
from tagging.models import LifecycleSpell
from tagging.rules import lifecycle, rules
from tagging.segments import segments
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.cast import Cast

DAY = timedelta(days=1)
NAME = "许知远"


@dataclass
class Lives:
    """Numbers of contacts."""

    full: int
    merged: int
    empty: int
    lost: int


def made(cast: Cast, *, at: datetime, events: int = 40) -> Lives:
    """Write them through the modules. `events` more page views for the full life."""
    partitions.ensure({at - n * DAY for n in range(0, 700, 20)})
    with brand_scope(cast.brand.pk):
        lives = _people(cast, at)
        log.write(_past(lives.full, at, events), at=at)
    for name in ("commerce.orders", "interests"):
        while reactors.react(brand_id=cast.brand.pk, reactor=name, at=at, horizon=2**62).more:
            pass
    return lives


def _people(cast: Cast, at: datetime) -> Lives:
    actor = Actor(f"user:{cast.alice.user.pk}", "alice")
    corp = cast.corp.corpid
    eve = Staff.objects.create(corp=cast.corp, userid="eve", name="小伊", store=cast.store, is_guide=True)
    claims = [
        Claim((("external_userid", f"{corp}:wmFull"), ("unionid", "oFullUnionid")), Draft(name=NAME)),
        Claim((("phone", "13812349999"), ("openid", "wx1:oFullOpenid")), Draft(name="知远（小程序）")),
    ]
    first, second = identity.attach(claims=claims, at=at - 300 * DAY).contact_ids
    full, other = int(first or 0), int(second or 0)
    Contact.objects.filter(pk=full).update(
        phone="13812349999", main_guide=cast.bob, source_state="xhs-2026", first_added_at=at - 300 * DAY
    )
    Contact.objects.filter(pk=full).update(last_active_at=at - timedelta(hours=2))
    _follow(cast.bob, full, "wmFull", at - 300 * DAY, remark="许先生，婴童常客", state="xhs-2026", add_way=1)
    _follow(eve, full, "wmFull", at - 200 * DAY, lost_at=at - 90 * DAY, lost_by=Follow.LostBy.CONTACT)
    empty = Contact.objects.create(name="", created_at=at)
    lost = Contact.objects.create(name="林走了", created_at=at - 60 * DAY, first_added_at=at - 60 * DAY)
    _follow(cast.bob, lost.pk, "wmLost", at - 60 * DAY, lost_at=at - 3 * DAY, lost_by=Follow.LostBy.STAFF)
    _follow(eve, lost.pk, "wmLost", at - 50 * DAY, lost_at=at - 2 * DAY, lost_by=Follow.LostBy.CONTACT)
    Contact.objects.filter(pk=lost.pk).update(lost_at=at - 2 * DAY)
    losses = [(cast.bob, 3, "staff"), (eve, 2, "contact")]
    log.write(
        [
            NewEvent("friend_lost", at - n * DAY, contact_id=lost.pk, props={"staff_id": staff.pk, "lost_by": by})
            for staff, n, by in losses
        ],
        at=at,
    )
    merging.merge(wanted=[merging.Wanted(full, other)], at=at - DAY)
    _known(cast, full, actor, at)
    return Lives(full, other, empty.pk, lost.pk)


def _follow(staff: Staff, contact: int, external: str, added_at: datetime, **fields: object) -> None:
    Follow.objects.create(
        brand_id=staff.brand_id,
        staff=staff,
        contact_id=contact,
        external_userid=external,
        added_at=added_at,
        **fields,
    )


def _known(cast: Cast, full: int, actor: Actor, at: datetime) -> None:
    brand = cast.brand.pk
    for number, name, left in ((1, "静安妈妈群", None), (2, "会员福利群", at - 20 * DAY)):
        chat = GroupChat.objects.create(corp=cast.corp, chat_id=f"wr{number}", name=name, member_count=180)
        GroupMember.objects.create(
            brand_id=brand,
            chat=chat,
            member_id="wmFull",
            kind=2,
            contact_id=full,
            joined_at=at - 100 * DAY,
            left_at=left,
        )
    lifecycle.save(wanted=lifecycle.defaults(), actor=actor, at=at - 301 * DAY)
    stays = [("new", 300, 270), ("active", 270, 120), ("silent", 120, 30), ("active", 30, None)]
    LifecycleSpell.objects.bulk_create(
        LifecycleSpell(
            brand_id=brand,
            contact_id=full,
            since=at - since * DAY,
            stage=stage,
            until=None if until is None else at - until * DAY,
        )
        for stage, since, until in stays
    )
    baby = tags.create(name="婴童", group="兴趣", actor=actor, at=at)
    vip = tags.create(name="VIP", actor=actor, at=at)
    rule = rules.save(name="看过三次婴童", tag_id=baby.pk, event_type="product_view", actor=actor, at=at)
    seen = [log.NewEvent("product_view", at - n * DAY, contact_id=full, props=_view(n)) for n in range(1, 4)]
    log.write(seen, at=at)
    evidence = {"event_ids": [str(each.id) for each in seen], "count": 3}
    giving.give(
        grants=[Grant(full, baby.pk, at + 30 * DAY, evidence, rule_id=rule.pk)],
        source="rule",
        at=at,
    )
    tags.give(tag_id=vip.pk, contact_ids=[full], actor=actor, at=at - DAY)
    ledger.grant(contact_id=full, points=320, key="welcome", note="入会礼", at=at - 10 * DAY)
    ledger.spend(contact_id=full, points=120, key="gift", note="兑换围兜", at=at - DAY)
    tree = {"all": [{"kind": "profile", "field": "name", "op": "contains", "value": "许"}]}
    segment = segments.save(name="许姓客户", tree=tree, actor=actor, at=at)
    said = contents.save(name="会员日", channel="single", text="会员日签到送积分", actor=actor, at=at)
    draft = pushes.Draft(
        name="会员日推送",
        channel="single",
        variants=[pushes.VariantDraft(content_id=said.pk)],
        segment_id=segment.pk,
    )
    push = pushes.create(draft=draft, actor=actor, at=at)
    Delivery.objects.create(
        brand_id=brand,
        push=push,
        contact_id=full,
        staff=cast.bob,
        variant=Variant.objects.get(push=push),
        external_userid="wmFull",
        status="delivered",
        updated_at=at - 2 * DAY,
    )


def _view(n: int) -> dict[str, object]:
    return {"product_id": f"SKU-{n % 4}", "category": ("婴童", "孕产", "居家")[n % 3], "dwell_seconds": 20 + n % 90}


def _past(full: int, at: datetime, events: int) -> list[NewEvent]:
    views = [
        NewEvent("product_view", at - timedelta(hours=3 * n + 1), contact_id=full, props=_view(n))
        for n in range(events)
    ]
    orders = []
    for n, kind in enumerate(("order_created", "order_paid", "order_shipped", "order_refunded")):
        props: dict[str, object] = {"order_no": "NO-2026-001", "category": "婴童"}
        if kind != "order_shipped":
            props["amount_fen"] = 3900 if kind == "order_refunded" else 25900
        orders.append(NewEvent(kind, at - 5 * DAY + timedelta(minutes=n), contact_id=full, props=props))
    rest = [
        ("friend_added", {"staff_id": 0, "state": "xhs-2026"}, 300),
        ("group_joined", {"chat_id": "wr1"}, 100),
        ("search", {"keyword": "包巾"}, 2),
        ("store_visit", {"store": "静安店", "dwell_seconds": 600}, 6),
        ("survey_answered", {"survey": "到店体验", "score": 9}, 7),
    ]
    return [*views, *orders, *(NewEvent(t, at - n * DAY, contact_id=full, props=p) for t, p, n in rest)]
