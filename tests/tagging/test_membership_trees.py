"""Whatever happens, in whatever order: who is in a dynamic segment is whom its tree selects, after each thing."""

import dataclasses
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import Batch as Sending
from campaigns.models import Delivery, Enrolment
from contacts import merging
from contacts.merging import Wanted
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity, Merge, Staff
from contacts.personal_data import erasure
from events import log, reactors
from events.models import Event
from events.reactors import Batch
from points import ledger
from points.models import TierSpell
from tagging import tags
from tagging.models import InterestScore, LifecycleSpell, Segment, SegmentFill
from tagging.segments import due, memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.tagging.population import Happening, Somebody
from tests.tagging.test_compiled_trees import PHASES, Trees, depth_of
from tests.tagging.tree_people import CHANNELS, STAGES, STATUSES, TIERS, TYPES, happenings, moments_of, somebodies
from tests.tagging.trees import trees

EXAMPLES = max(12, int(os.environ.get("ORCHARD_EXAMPLES", 0)) // 5)
ACTS = 8
HORIZON = 2**62
Act = Callable[["Orchard", st.DataObject, int], None]


class Orchard:
    """A brand with people and dynamic segments, to which things happen."""

    def __init__(self, world: Any, brand_id: int, people: list[Somebody]) -> None:
        self.world, self.brand_id = world, brand_id
        self.ids = world.write(people, brand_id)
        self.read = set(Event.objects.values_list("id", flat=True))
        self.number = 0

    @property
    def now(self) -> datetime:
        """Only ever later."""
        now: datetime = self.world.now
        return now

    def key(self) -> str:
        """One that was not used yet."""
        self.number += 1
        return f"key-{self.number}"

    def somebody(self, place: int) -> int:
        """One of those who are there, or else somebody new: what is drawn must not depend on who is."""
        shown = sorted(Contact.objects.values_list("pk", flat=True))
        return shown[place % len(shown)] if shown else self.newcomer()

    def newcomer(self, first_added_at: datetime | None = None) -> int:
        """One contact more."""
        self.ids.append(max(self.ids) + 1)
        Contact.objects.create(id=self.ids[-1], name="新人", created_at=self.now, first_added_at=first_added_at)
        return self.ids[-1]

    def settle(self) -> None:
        """Let the segments look: first as the reactor, which is given each event once, then as the beat."""
        with brand_scope(self.brand_id):
            self.react()
        while due.work(brand_id=self.brand_id, at=self.now, horizon=HORIZON):
            pass

    def react(self) -> None:
        """Give the reactor what it was not given yet."""
        new = Event.objects.filter(contact_id__isnull=False).exclude(id__in=self.read).order_by("occurred_at")
        keys = [(event.occurred_at, event.id) for event in new]
        self.read |= {key for _at, key in keys}
        rows = reactors.rows_by_key(keys)
        if rows:
            due.handle(Batch(self.brand_id, rows, self.now))


def happens(o: Orchard, data: st.DataObject, who: int) -> None:
    """An event: of now, late, or of a moment to come; some of them imported."""
    drawn: Happening = data.draw(happenings(o.world))
    told = log.NewEvent(drawn.type, o.now - drawn.ago, id=uuid4(), contact_id=who, props=drawn.props)
    told.fires = data.draw(st.booleans())
    log.write([told], at=o.now)


def tagged(o: Orchard, data: st.DataObject, who: int) -> None:
    """A tag, for good or for some time; or one less."""
    tag_id = data.draw(st.sampled_from(o.world.tags)).pk
    long = data.draw(st.sampled_from([None, timedelta(hours=1), timedelta(days=3)]))
    if data.draw(st.booleans()):
        until = None if long is None else o.now + long
        tags.give(tag_id=tag_id, contact_ids=[who], actor=SYSTEM, at=o.now, expires_at=until)
    else:
        tags.take(tag_id=tag_id, contact_ids=[who], actor=SYSTEM, at=o.now)


def edited(o: Orchard, data: st.DataObject, who: int) -> None:
    """A column of the contact, as a sync writes it."""
    moments = st.none() | st.sampled_from([o.now, o.now - timedelta(days=1), o.now - timedelta(days=8)])
    values = {
        "name": st.sampled_from(["", "陈小满", "小林"]),
        "gender": st.sampled_from([0, 1, 2]),
        "kind": st.sampled_from([1, 2]),
        "phone": st.sampled_from(["", "13900000000"]),
        "source_state": st.sampled_from(["", "code-1"]),
        "first_added_at": moments,
        "last_active_at": moments,
        "lost_at": moments,
    }
    name = data.draw(st.sampled_from(sorted(values)))
    Contact.objects.filter(pk=who).update(**{name: data.draw(values[name])})


def befriended(o: Orchard, data: st.DataObject, who: int) -> None:
    """A friendship more, or one that is over; a guide may move to another store."""
    guide = data.draw(st.sampled_from(o.world.guides))
    if data.draw(st.integers(0, 3)) == 0:
        Staff.objects.filter(pk=guide.pk).update(store=data.draw(st.sampled_from([None, o.world.store])))
        return
    lost = data.draw(st.sampled_from([None, o.now]))
    Follow.objects.update_or_create(
        brand_id=o.brand_id,
        staff=guide,
        external_userid=f"wm{who}",
        defaults={"contact_id": who, "added_at": o.now, "lost_at": lost, "state": "code-1"},
    )


def in_group(o: Orchard, data: st.DataObject, who: int) -> None:
    """Joins or leaves a group, or the group is dissolved."""
    chat = data.draw(st.sampled_from(o.world.chats))
    if data.draw(st.integers(0, 3)) == 0:
        GroupChat.objects.filter(pk=chat.pk).update(dismissed_at=data.draw(st.sampled_from([None, o.now])))
        return
    left = data.draw(st.sampled_from([None, o.now]))
    GroupMember.objects.update_or_create(
        brand_id=o.brand_id,
        chat=chat,
        member_id=f"wm{who}",
        defaults={"kind": 2, "contact_id": who, "joined_at": o.now, "left_at": left},
    )


def identified(o: Orchard, data: st.DataObject, who: int) -> None:
    """Is known by one thing more, or one less."""
    type_ = data.draw(st.sampled_from(["unionid", "phone"]))
    if data.draw(st.booleans()):
        Identity.objects.create(id=uuid4(), contact_id=who, type=type_, value=o.key(), first_seen_at=o.now)
    else:
        Identity.objects.filter(contact_id=who, type=type_).delete()


def earned(o: Orchard, data: st.DataObject, who: int) -> None:
    """Points come, for good or not, and go."""
    expires = data.draw(st.sampled_from([None, o.now + timedelta(days=1), o.now + timedelta(days=31)]))
    ledger.grant(contact_id=who, points=101, key=o.key(), at=o.now, expires_at=expires)
    if data.draw(st.booleans()):
        ledger.spend(contact_id=who, points=100, key=o.key(), at=o.now)


def went_on(o: Orchard, data: st.DataObject, who: int) -> None:
    """Enters a flow, or stands otherwise in it."""
    version, status = data.draw(st.sampled_from(o.world.versions)), data.draw(STATUSES)
    if not Enrolment.objects.filter(contact=who, sop_version=version).update(status=status):
        Enrolment.objects.create(id=uuid4(), contact_id=who, sop_version=version, status=status, entered_at=o.now)


def reached(o: Orchard, data: st.DataObject, who: int) -> None:
    """Is in a push; a guide confirms a batch. An SOP step's crowd never changes."""
    push, batch = data.draw(st.sampled_from(list(zip(o.world.pushes, o.world.batches, strict=True))))
    key: dict[str, Any] = {"brand_id": o.brand_id, "push": push, "contact_id": who}
    Delivery.objects.get_or_create(
        **key, defaults={"batch": batch, "staff": o.world.guides[0], "status": "created", "updated_at": o.now}
    )
    if data.draw(st.booleans()):
        Sending.objects.filter(pk=batch.pk).update(confirmed_at=o.now)
        props = {"push_id": push.pk, "channel": data.draw(CHANNELS)}
        log.write([log.NewEvent("message_delivered", o.now, id=uuid4(), contact_id=who, props=props)], at=o.now)


def reckoned(o: Orchard, data: st.DataObject, who: int) -> None:
    """Scores and stages are written, as rules do it."""
    if data.draw(st.booleans()):
        score = {"score": data.draw(st.sampled_from([0.5, 1.0, 4.0])), "as_of": o.now}
        InterestScore.objects.update_or_create(
            brand_id=o.brand_id, contact_id=who, kind="category", key="婴童", defaults=score
        )
        return
    LifecycleSpell.objects.filter(contact=who, until=None).update(until=o.now)
    LifecycleSpell.objects.get_or_create(
        brand_id=o.brand_id, contact_id=who, since=o.now, defaults={"stage": data.draw(STAGES)}
    )


def risen(o: Orchard, data: st.DataObject, who: int) -> None:
    """Comes to another tier."""
    TierSpell.objects.filter(contact=who, until=None).update(until=o.now)
    told = {"was": "", "reason": "reached", "metric": 1, "held_since": o.now, "noted_at": o.now}
    TierSpell.objects.get_or_create(
        brand_id=o.brand_id, contact_id=who, since=o.now, defaults={**told, "tier": data.draw(TIERS | st.just(""))}
    )


def merged(o: Orchard, data: st.DataObject, who: int) -> None:
    """Turns out to be somebody else."""
    other = o.somebody(data.draw(st.integers(0, 5)))
    if other != who:
        merging.merge(wanted=[Wanted(who, other)], actor=SYSTEM, reason="manual", at=o.now)


def parted(o: Orchard, data: st.DataObject, who: int) -> None:
    """The latest merge was wrong."""
    last = Merge.objects.filter(split_at=None).order_by("-pk").first()
    if last is not None:
        merging.split(merge_ids=[last.pk], actor=SYSTEM, at=o.now)


def erased(o: Orchard, data: st.DataObject, who: int) -> None:
    """Wants to be forgotten."""
    contact = Contact.objects.get(pk=who)
    erasure.erase(contact_id=who, typed_name=erasure.name_to_type(contact), reason="x", actor=SYSTEM, at=o.now)


def came(o: Orchard, data: st.DataObject, who: int) -> None:
    """Somebody new."""
    o.newcomer(data.draw(st.sampled_from([None, o.now])))


def listed(o: Orchard, data: st.DataObject, who: int) -> None:
    """A segment that others name becomes a list, is changed by hand, or is a question again."""
    segment = Segment.objects.get(pk=data.draw(st.sampled_from(sorted(o.world.segments))))
    mode = data.draw(st.sampled_from(["static", "static", "realtime"]))
    change = data.draw(st.sampled_from([memberships.add, memberships.remove]))
    if mode == segment.mode == "static":
        change(segment_id=segment.pk, contact_ids=[who], actor=SYSTEM, at=o.now)
    else:
        memberships.set_mode(segment_id=segment.pk, mode=mode, actor=SYSTEM, at=o.now)


def asked_anew(o: Orchard, data: st.DataObject, who: int) -> None:
    """A segment that others name asks something else."""
    key = data.draw(st.sampled_from(sorted(o.world.segments)))
    tree = {"any": [{"kind": "event_count", "event": data.draw(TYPES), "op": "gte", "value": 1, "days": 7}]}
    segments.save(segment_id=key, name=f"改{o.key()}", tree=tree, actor=SYSTEM, at=o.now)


ACTS_OF: list[Act] = [
    happens,
    happens,
    tagged,
    edited,
    befriended,
    in_group,
    identified,
    earned,
    went_on,
    reached,
    reckoned,
    risen,
    merged,
    parted,
    erased,
    came,
    listed,
    asked_anew,
]
JUMPS = [timedelta(seconds=1), timedelta(minutes=6), timedelta(hours=1), timedelta(days=1), timedelta(days=3)]
JUMPS += [timedelta(days=7, microseconds=1)]


class MembershipTrees(Trees):
    @given(data=st.data())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
    def test_members_are_whom_the_tree_selects(self, data: st.DataObject) -> None:
        with brand_scope(self.brand.id):
            orchard = self.planted(data)
            followed = [self.followed(data, orchard, n) for n in range(2)]
        orchard.settle()
        self.check(orchard, followed, "at first")
        for _number in range(ACTS):
            act = data.draw(st.sampled_from(ACTS_OF), label="act")
            with brand_scope(self.brand.id):
                place = data.draw(st.integers(0, 5), label="who")
                act(orchard, data, orchard.somebody(place))
            orchard.settle()
            self.check(orchard, followed, act.__name__)
            orchard.world.now += data.draw(st.sampled_from(JUMPS), label="later")
            orchard.settle()
            self.check(orchard, followed, "later")

    def planted(self, data: st.DataObject) -> Orchard:
        """Two to four people, none of them gone, on a day to which months of the log follow."""
        self.begin(data)
        self.world.now = self.world.today
        self.world.now = data.draw(moments_of(self.world, data.draw(st.sampled_from([None, "2024-02-01"]))))
        people = data.draw(st.lists(somebodies(self.world), min_size=2, max_size=4))
        return Orchard(self.world, self.brand.id, [dataclasses.replace(each, lots=[], hidden="") for each in people])

    def followed(self, data: st.DataObject, orchard: Orchard, number: int) -> int:
        """A dynamic segment of a random tree."""
        fits = trees(self.world).filter(lambda tree: depth_of(tree) <= 5)
        tree = data.draw(fits, label="tree")
        made = segments.save(name=f"人群{number}", tree=tree, actor=SYSTEM, at=orchard.now)
        memberships.set_mode(segment_id=made.pk, mode="dynamic", actor=SYSTEM, at=orchard.now)
        return made.pk

    def check(self, orchard: Orchard, followed: list[int], after: str) -> None:
        with brand_scope(self.brand.id):
            assert not SegmentFill.objects.filter(is_current=True, ended_at=None).exists()
            for key in followed:
                tree = Segment.objects.get(pk=key).tree
                wanted = {contact.pk for contact in segments.sample(tree, orchard.now, 100)}
                inside = {contact.pk for contact in memberships.members(key)}
                assert inside == wanted, (after, orchard.now.astimezone(ZoneInfo(str(self.world.zone))), tree)
