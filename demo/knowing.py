"""Getting to know customers: new friends are welcomed, the shop's members recognised, segments kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Count
from django.utils import timezone

from campaigns.models import Welcome
from campaigns.welcome import welcome
from contacts.models import IdentityConflict, Merge
from demo.world import MiniProgram, World
from events.models import Event
from tagging.models import Segment
from tagging.rules import lifecycle
from tagging.segments import memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

SCANNING = 30
MEMBERS = 60
SHARED_PHONES = 2
WELCOME_TEXT = "%NICKNAME%，欢迎来到全棉生活！首单立减 20 元，有问题随时找我。"
SIGNED_IN_TREE = {
    "all": [
        {"kind": "event", "event": "sign_in", "agg": "count", "op": "gte", "value": 1, "days": 7},
        {"kind": "order", "measure": "count", "op": "eq", "value": 0},
    ]
}
ORDERED_TREE = {
    "all": [{"kind": "event", "event": "order_paid", "agg": "count", "op": "gte", "value": 1, "days": 30}],
}


@dataclass(frozen=True, slots=True)
class Recognised:
    """What came of the shop's members logging in."""

    merged: int
    conflicts: int


def set_welcome(*, brand_id: int, corp_id: int) -> None:
    """What who adds a guide reads first, within WeCom's twenty seconds."""
    with brand_scope(brand_id):
        welcome.save(corp_id=corp_id, is_on=True, text=WELCOME_TEXT, actor=SYSTEM, at=timezone.now())


def scan(world: World, corpid: str) -> int:
    """Some people scan the code on the parcel card, one guide each. Returns how many."""
    friends = islice(world.people(corpid), 400)
    guides = list(dict.fromkeys(follow["userid"] for person in friends for follow in person["follows"]))
    for number in range(SCANNING):
        world.act("scan", corpid=corpid, userid=guides[number % len(guides)], state="parcel_card")
    return SCANNING


def welcomed(*, brand_id: int, corp_id: int) -> int:
    """How many have been welcomed."""
    with brand_scope(brand_id):
        return welcome.outcomes_of(Welcome.objects.get(corp=corp_id), at=timezone.now()).get("", 0)


def members_log_in(people: Iterable[Mapping[str, Any]], shop: MiniProgram) -> None:
    """The till knows members by phone and number. They log in to the mini-program, and are found to be WeCom friends.

    Two phones are a family's: two people log in with each. That is not for a machine to decide."""
    known = [person for person in people if person["unionid"]][: MEMBERS + SHARED_PHONES]
    for number, person in enumerate(known[:MEMBERS]):
        phone = {"phone": f"1390000{number:04d}"}
        shop.link([{"member_id": f"M{number:06d}"}, phone])
        shop.link([{"unionid": person["unionid"]}, phone])
    for number, person in enumerate(known[MEMBERS:]):
        shop.link([{"unionid": person["unionid"]}, {"phone": f"1390000{number:04d}"}])


def recognised(*, brand_id: int) -> Recognised:
    """How many contacts were merged, and how many wait for a decision."""
    with brand_scope(brand_id):
        return Recognised(Merge.objects.count(), IdentityConflict.objects.filter(resolved_at=None).count())


def keep_up_to_date(*, brand_id: int) -> int:
    """Two segments that tell who enters and leaves, and the lifecycle. Returns the id of the one of buyers."""
    at = timezone.now()
    with brand_scope(brand_id):
        signed_in = segments.save(name="签到了·还没下单", tree=SIGNED_IN_TREE, actor=SYSTEM, at=at)
        ordered = segments.save(name="近 30 天下过单", tree=ORDERED_TREE, actor=SYSTEM, at=at)
        for segment in (signed_in, ordered):
            memberships.set_mode(segment_id=segment.pk, mode=Segment.Mode.DYNAMIC, actor=SYSTEM, at=at)
        lifecycle.save(wanted=lifecycle.defaults(), actor=SYSTEM, at=at)
    return int(ordered.pk)


def has_all_buyers(*, brand_id: int, segment_id: int) -> bool:
    """Whether whoever ordered is in the segment by now."""
    with brand_scope(brand_id):
        ordered = Event.objects.filter(type="order_paid", contact_id__isnull=False)
        buyers = ordered.aggregate(n=Count("contact_id", distinct=True))["n"]
        return memberships.state(Segment.objects.get(pk=segment_id)).members >= buyers
