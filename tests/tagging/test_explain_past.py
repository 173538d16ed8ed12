"""Explaining a past moment equals what the same tree said then: a history is played, and asked again later."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import Q

from campaigns.models import Enrolment, Push, Sop, SopVersion
from contacts import profile_changes
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity
from events import log
from events.models import Event
from points import ledger
from points.expiry import expire
from points.models import TierSpell
from scrm.lib.ids import made_id
from tagging import expiry, tags
from tagging.language import conditions
from tagging.models import LifecycleSpell, Tag
from tagging.segments import segments
from tagging.segments.explain import NotYetKnown, explain_many
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

START = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0) - timedelta(days=20)
PEOPLE, ROUNDS = 20, 8


class History:
    """A brand's days, one after another, as sync, callbacks, operators and shops would write them."""

    def __init__(self, cast: Any, people: list[int]) -> None:
        self.cast, self.people, self.dice = cast, people, random.Random(7)
        self.tags = [Tag.objects.create(name=name, created_at=START) for name in ("甲", "乙")]
        self.chat = GroupChat.objects.create(corp=cast.corp, chat_id="wr1")
        tree = {"none": [{"kind": "tag", "tag_id": self.tags[0].pk, "days": 4}]}
        self.segment = segments.save(name="没有甲", tree=tree, actor=SYSTEM, at=START)
        self.push = Push.objects.create(name="推", created_at=START)
        sop = Sop.objects.create(name="流", created_at=START)
        self.version = SopVersion.objects.create(sop=sop, number=1, trigger={}, steps=[], published_at=START)

    def day(self, now: datetime) -> None:
        """Something happens to most of them."""
        acts = (self.visit, self.late, self.tag, self.untag, self.rename, self.lose, self.befriend, self.earn)
        acts += (self.spend, self.group, self.enrol, self.identify, self.place, self.rise, self.deliver, self.sweep)
        for minute, act in enumerate(acts):
            act(now + timedelta(minutes=minute), self.dice.sample(self.people, 6))

    def visit(self, now: datetime, who: list[int]) -> None:
        kinds = [self.dice.choice(["product_view", "order_paid", "sign_in"]) for _one in who]
        log.write([self.event(kind, now, one) for kind, one in zip(kinds, who, strict=True)], at=now)
        self.acted(who, now)

    def acted(self, who: list[int], at: datetime) -> None:
        """What the activity reactor does."""
        behind = Q(last_active_at=None) | Q(last_active_at__lt=at)
        Contact.objects.filter(behind, pk__in=who).update(last_active_at=at)

    def late(self, now: datetime, who: list[int]) -> None:
        """Events of two days ago that arrive only now."""
        old = [self.event("order_paid", now - timedelta(days=2, hours=1), one, amount_fen=9900) for one in who[:2]]
        log.write(old, at=now)
        self.acted(who[:2], now - timedelta(days=2, hours=1))

    def event(self, kind: str, at: datetime, one: int, **props: Any) -> log.NewEvent:
        key = made_id("past", kind, at, one, str(props))
        return log.NewEvent(kind, at, id=key, contact_id=one, props={"category": self.dice.choice("ab"), **props})

    def tag(self, now: datetime, who: list[int]) -> None:
        until = self.dice.choice([None, now + timedelta(days=3)])
        tags.give(tag_id=self.dice.choice(self.tags).pk, contact_ids=who, actor=SYSTEM, at=now, expires_at=until)

    def untag(self, now: datetime, who: list[int]) -> None:
        tags.take(tag_id=self.dice.choice(self.tags).pk, contact_ids=who, actor=SYSTEM, at=now)

    def rename(self, now: datetime, who: list[int]) -> None:
        with profile_changes.noted(who, at=now):
            Contact.objects.filter(pk__in=who[:3]).update(name=self.dice.choice(["小满", "大树", ""]), gender=2)
            Contact.objects.filter(pk__in=who[3:]).update(source_state=self.dice.choice(["code-1", ""]))

    def lose(self, now: datetime, who: list[int]) -> None:
        live = list(Follow.objects.filter(contact__in=who, lost_at=None).values_list("contact", flat=True))
        with profile_changes.noted(live, at=now):
            Follow.objects.filter(contact__in=live).update(lost_at=now)
            Contact.objects.filter(pk__in=live).update(lost_at=now)
        log.write([self.told("friend_lost", now, one, lost_by="contact") for one in live], at=now)

    def befriend(self, now: datetime, who: list[int]) -> None:
        gone = list(Follow.objects.filter(contact__in=who, lost_at__lt=now).values_list("contact", flat=True))
        with profile_changes.noted(gone, at=now):
            Follow.objects.filter(contact__in=gone).update(lost_at=None, added_at=now)
            Contact.objects.filter(pk__in=gone).update(lost_at=None)
        log.write([self.told("friend_added", now, one, state="") for one in gone], at=now)
        self.acted(gone, now)

    def told(self, kind: str, now: datetime, one: int, **props: Any) -> log.NewEvent:
        staff = {"staff_id": self.cast.bob.pk, **props}
        return log.NewEvent(kind, now, id=made_id("past", kind, now, one), contact_id=one, props=staff)

    def earn(self, now: datetime, who: list[int]) -> None:
        for one in who[:3]:
            expires = now + timedelta(days=self.dice.choice([2, 400]))
            ledger.grant(contact_id=one, points=10, key=f"{now}:{one}", expires_at=expires, at=now)

    def spend(self, now: datetime, who: list[int]) -> None:
        for one in who:
            if ledger.statement(contact_id=one, at=now).balance >= 10:
                ledger.spend(contact_id=one, points=10, key=f"spend:{now}:{one}", at=now)

    def group(self, now: datetime, who: list[int]) -> None:
        """They join, leave and come back; whoever comes back has a row that knows of no time before."""
        for one in who:
            key = {"brand_id": self.cast.brand.pk, "chat": self.chat, "member_id": f"wm{one}"}
            left = GroupMember.objects.filter(**key, left_at=None).update(left_at=now)
            if not left:
                joined = {"kind": 2, "contact_id": one, "joined_at": now, "left_at": None}
                GroupMember.objects.update_or_create(**key, defaults=joined)
                self.acted([one], now)
            log.write([self.in_group("group_left" if left else "group_joined", now, one)], at=now)

    def in_group(self, kind: str, now: datetime, one: int) -> log.NewEvent:
        props = {"chat_id": self.chat.chat_id}
        return log.NewEvent(kind, now, id=made_id("past", kind, now, one), contact_id=one, props=props)

    def enrol(self, now: datetime, who: list[int]) -> None:
        for one in who:
            key = {"sop_version": self.version, "contact_id": one}
            done = self.dice.choice(["done", "goal", "exited"])
            if not Enrolment.objects.filter(**key, status="active").update(status=done, left_at=now):
                Enrolment.objects.create(id=uuid4(), **key, entered_at=now)

    def identify(self, now: datetime, who: list[int]) -> None:
        value = f"u{now}"
        Identity.objects.create(id=uuid4(), contact_id=who[0], type="unionid", value=value, first_seen_at=now)

    def place(self, now: datetime, who: list[int]) -> None:
        """What the lifecycle's reactor writes."""
        stages = {"brand_id": self.cast.brand.pk, "since": now, "stage": self.dice.choice(["buyer", "won_back"])}
        LifecycleSpell.objects.filter(contact__in=who, until=None).update(until=now)
        LifecycleSpell.objects.bulk_create([LifecycleSpell(contact_id=one, **stages) for one in who])

    def rise(self, now: datetime, who: list[int]) -> None:
        """What the tiers' reactor writes."""
        told = {"was": "", "reason": "reached", "metric": 1, "since": now, "held_since": now, "noted_at": now}
        tier = self.dice.choice(["silver", "gold", ""])
        TierSpell.objects.filter(contact__in=who, until=None).update(until=now)
        brand = self.cast.brand.pk
        TierSpell.objects.bulk_create([TierSpell(brand_id=brand, contact_id=one, tier=tier, **told) for one in who])

    def deliver(self, now: datetime, who: list[int]) -> None:
        props = {"push_id": self.push.pk, "channel": "single"}
        ids = {one: made_id("delivered", now, one) for one in who}
        log.write(
            [log.NewEvent("message_delivered", now, id=ids[one], contact_id=one, props=props) for one in who], at=now
        )

    def sweep(self, now: datetime, _who: list[int]) -> None:
        """What the beat does with what has run out."""
        expiry.sweep(brand_id=self.cast.brand.pk, at=now)
        expire(at=now)


def trees(history: History, cast: Any) -> list[dict[str, Any]]:
    first, second = (tag.pk for tag in history.tags)
    leaves: list[dict[str, Any]] = [
        {"kind": "event_count", "event": "order_paid", "days": 3, "op": "gte", "value": 1},
        {"kind": "event_recency", "event": "sign_in", "op": "not_within", "days": 4},
        {"kind": "order", "measure": "amount", "op": "gte", "value": 9900},
        {"kind": "event", "event": "product_view", "agg": "last", "prop": "category", "op": "eq", "value": "a"},
        {"kind": "sequence", "steps": [{"event": "product_view"}, {"event": "order_paid"}], "days": 6},
        {"kind": "tag", "tag_id": first},
        {"kind": "tag", "tag_id": second, "op": "has_not", "days": 2},
        {"kind": "profile", "field": "name", "op": "eq", "value": "小满"},
        {"kind": "profile", "field": "gender", "op": "is_missing"},
        {"kind": "profile", "field": "source_state", "op": "exists"},
        {"kind": "profile", "field": "last_active_at", "op": "within", "days": 2},
        {"kind": "lifecycle", "stage": ["active", "silent"], "silent_days": 2},
        {"kind": "lost", "op": "is", "days": 3},
        {"kind": "follow", "guide": cast.bob.pk},
        {"kind": "follow", "live": False},
        {"kind": "points_balance", "op": "gte", "value": 20},
        {"kind": "group_member", "chat_id": history.chat.pk},
        {"kind": "group_member", "live": False},
        {"kind": "journey", "state": "in"},
        {"kind": "journey", "state": "ever", "op": "has_not"},
        {"kind": "identity", "type": "unionid"},
        {"kind": "stage", "stage": "buyer", "days": 5},
        {"kind": "tier", "tier": ["silver", "gold"], "op": "is_not"},
        {"kind": "touch", "days": 3, "op": "gte", "value": 1},
        {"kind": "touch", "what": "replied", "op": "gte", "value": 1},
        {"kind": "event_sum", "event": "order_paid", "op": "gte", "value": 9900, "since_event": "sign_in"},
        {"kind": "bucket", "salt": "a", "lo": 0, "hi": 50},
        {"kind": "segment", "segment_id": history.segment.pk, "op": "not_in"},
    ]
    return [*leaves, {"any": [{"all": leaves[:4]}, {"none": leaves[4:8]}, {"all": [leaves[5], leaves[13]]}]}]


def test_a_thousand_past_verdicts_are_what_was_said_then(cast):
    people = [cast.contact(f"客户{n}", at=START - timedelta(days=n)).pk for n in range(PEOPLE)]
    with brand_scope(cast.brand.pk):
        history = History(cast, people)
        asked = trees(history, cast)
        said: dict[datetime, list[dict[int, bool]]] = {}
        for number in range(ROUNDS):
            now = START + timedelta(days=number)
            history.day(now)
            moment = now + timedelta(hours=5)
            said[moment] = [_held(explain_many(tree, history.people, moment)) for tree in asked]
            assert [sum(held.values()) for held in said[moment]] == [segments.count(tree, moment) for tree in asked]

        wrong, compared = [], 0
        for moment, then in said.items():
            for tree, held in zip(asked, then, strict=True):
                again = explain_many(tree, history.people, moment, known_at=moment)
                compared += len(held)
                wrong += [(moment, tree, who) for who, was in held.items() if again[who].held != was]

    assert not wrong, wrong[:3]
    assert compared >= 1000
    assert {leaf.get("kind") for leaf in asked} >= {each.kind for each in conditions.kinds() if each.has_history} - {
        "sop_touch"  # a crowd that never changes
    }
    assert any(len(set(held.values())) == 2 for held in said[moment])


def _held(verdicts: Any) -> dict[int, bool]:
    return {who: verdict.held for who, verdict in verdicts.items()}


def test_what_has_no_history_says_so_and_evidence_names_its_events(cast):
    who = cast.contact("陈小满", at=START).pk
    paid = {"kind": "event_count", "event": "order_paid", "days": 30, "op": "gte", "value": 1}
    tree = {"all": [paid, {"kind": "points_expiring", "days": 30, "op": "eq", "value": 0}]}
    with brand_scope(cast.brand.pk):
        key = made_id("one")
        log.write(
            [log.NewEvent("order_paid", START, id=key, contact_id=who, props={"order_no": "A1"})],
            at=START + timedelta(days=2),
        )

        before = segments.explain(tree, who, START + timedelta(days=1), known_at=START + timedelta(days=1))
        after = segments.explain(tree, who, START + timedelta(days=3), known_at=START + timedelta(days=3))

        assert (before.held, after.held) == (False, True)  # it happened by then, but nobody had told us
        assert after.children[0].actual["event_ids"] == [str(key)]
        assert after.children[0].actual["events"][0]["props"] == {"order_no": "A1"}
        assert after.children[0].next_flip_at == START + timedelta(days=30, microseconds=1)
        assert len(after.notes()) == 1
        assert not segments.explain(tree, who, START + timedelta(days=3)).notes()
        with pytest.raises(NotYetKnown):
            segments.explain(tree, who, START, known_at=START - timedelta(days=1))
        assert Event.objects.count() == 1


def test_the_api_explains_a_past_moment(cast):
    who = cast.contact("陈小满", at=START).pk
    name = {"kind": "profile", "field": "name", "op": "eq", "value": "陈小满"}
    with brand_scope(cast.brand.pk):
        made = segments.save(name="叫小满的", tree={"all": [name]}, actor=SYSTEM, at=START)
        with profile_changes.noted([who], at=START + timedelta(days=5)):
            Contact.objects.filter(pk=who).update(name="满满妈")

    def asked(query: str) -> Any:
        return cast.alice.api("GET", f"/api/v1/segments/{made.pk}/explain?contact={who}{query}")

    then = (START + timedelta(days=2)).isoformat().replace("+", "%2B")
    assert asked("").json()["held"] is False
    assert asked(f"&at={then}").json()["held"] is True
    assert asked(f"&at={then}").json()["tree"]["children"][0]["actual"] == "陈小满"
    early = (START - timedelta(days=2)).isoformat().replace("+", "%2B")
    assert (asked(f"&at={early}").status_code, asked(f"&at={early}").json()["code"]) == (422, "tagging.not_yet_known")
    assert asked("&at=2999-01-01T00:00:00Z").status_code == 422
