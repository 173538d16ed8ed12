"""Any tree over any population: the SQL selects whom a plain reading of the tree selects, and explain agrees."""

import os
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns.models import Batch, Content, Push, Sop, SopVersion, Variant
from contacts.models import GroupChat, Staff, Store
from points.models import Tier
from tagging.language import compiler, conditions
from tagging.language.conditions import Frame, sampled
from tagging.models import InterestPolicy, LifecycleStage, Segment, Tag
from tagging.segments import segments, standings
from tagging.segments.explain import explain_many
from tenants.models import Brand
from tenants.scope import brand_scope
from tests.tagging.population import Somebody, World
from tests.tagging.tree_leaves import DRAWS, event_count
from tests.tagging.tree_people import DAYS, ZONES, make_months, moments_of, somebodies
from tests.tagging.trees import leaves, trees
from wecom.models import Corp

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("ORCHARD_EXAMPLES", 300))
"""thousands where somebody waits for it: see .ci/run"""
PHASES = (Phase.explicit, Phase.generate)
"""a failing example is shown as it was found: making it smaller takes minutes"""
TICK = timedelta(microseconds=1)
LATER = [TICK, timedelta(minutes=5, microseconds=1), timedelta(hours=1), *(timedelta(days=n) for n in (1, 7, 30))]


def test_every_kind_is_drawn_and_read():
    registered = {condition.kind for condition in conditions.kinds()}
    assert set(DRAWS) == registered
    assert {kind for kind in registered if not hasattr(World, f"_{kind}")} == set()


def depth_of(node: Any) -> int:
    """How many groups lie inside each other."""
    group = compiler.group_of(node)
    return 0 if group is None else 1 + max(depth_of(child) for child in node[group])


class Trees(TestCase):
    """Each example has a clean database."""

    @classmethod
    def setUpTestData(cls) -> None:
        """Once: months of the log in the past and to come."""
        make_months()

    def setup_example(self) -> None:
        """One brand with three guides, a store, tags, groups, flows and pushes."""
        super().setup_example()
        self.brand = Brand.objects.create(name="全棉生活", slug="cotton")
        # Of the same names in another brand, to be met if a sub-select forgets its brand.
        other = Brand.objects.create(name="茵之", slug="yin")
        today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        for brand in (other, self.brand):
            with brand_scope(brand.id):
                self.world = furnished(brand, today)

    def begin(self, data: st.DataObject) -> list[Somebody]:
        """Draw zone, moment, the brand's settings and its people."""
        world, zone = self.world, data.draw(st.sampled_from(ZONES), label="zone")
        world.zone = ZoneInfo(zone)
        Brand.objects.filter(pk=self.brand.pk).update(timezone=zone)
        world.now = data.draw(moments_of(world, data.draw(st.sampled_from(DAYS))), label="now")
        half_life = data.draw(st.sampled_from([None, 7.0]), label="half-life")
        if half_life:
            InterestPolicy.objects.create(half_life_days=half_life, weights={}, updated_at=world.now)
            world.half_life = timedelta(days=half_life)
        minutes = st.sampled_from([timedelta(0), timedelta(minutes=1), timedelta(days=3), timedelta(minutes=-5)])
        world.confirmed = data.draw(st.lists(st.none() | minutes, min_size=3, max_size=3), label="confirmed")
        self.save_segments(data)
        return data.draw(st.lists(somebodies(world), min_size=1, max_size=5), label="people")

    def save_segments(self, data: st.DataObject) -> None:
        """Two segments that trees may name; the second may ask about the first."""
        for name, but in (("甲", frozenset({"segment"})), ("乙", frozenset[str]())):
            leaf = data.draw(leaves(self.world, but=but) | event_count(self.world))
            tree = {"any": [leaf]}
            made = Segment.objects.create(name=name, tree=tree, created_at=self.world.now, updated_at=self.world.now)
            self.world.segments[made.pk] = tree

    def sampled(self) -> set[int]:
        """The half of the contacts that a sample of this mask means."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM contacts_contact WHERE {sampled('id', 1).text}")
            return {row[0] for row in cursor.fetchall()}

    def selected(self, tree: dict[str, Any], **frame: Any) -> set[int]:
        """The ids that the compiled tree selects."""
        made = compiler.compiled(tree, Frame(brand_id=self.brand.id, at=self.world.now, alias="who", **frame))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT who.id FROM contacts_contact AS who WHERE who.brand_id = %s AND {made.text}",
                [self.brand.id, *made.params],
            )
            return {row[0] for row in cursor.fetchall()}


class CompiledTrees(Trees):
    @given(data=st.data())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
    def test_sql_and_explain_say_what_the_tree_says(self, data: st.DataObject) -> None:
        with brand_scope(self.brand.id):
            people = self.begin(data)
            world = self.world
            tree = data.draw(trees(world), label="tree")
            if depth_of(tree) <= compiler.MAX_DEPTH:
                segments.check(tree)
            ids = world.write(people, self.brand.id)
            shown = {key for key, person in zip(ids, people, strict=True) if not person.hidden}
            wanted = {person.id for person in people if person.id in shown and world.holds(tree, person)}

            assert self.selected(tree) == wanted
            assert self.selected({"none": [tree]}) == shown - wanted
            assert self.selected(tree, within=(ids[0], ids[-1])) == wanted
            assert self.selected(tree, sample=1) & self.sampled() == wanted & self.sampled()
            assert segments.count(tree, world.now) == len(wanted)
            assert {contact.pk for contact in segments.sample(tree, world.now)} == wanted
            found = standings.look(brand_id=self.brand.id, segment_id=0, tree=tree, contact_ids=ids, at=world.now)
            assert {each.contact_id for each in found if each.exists and standings.holds(tree, each.bits)} == wanted
            verdicts = explain_many(tree, ids, world.now)
            assert set(verdicts) == shown
            for person in people:
                if not person.hidden:
                    self.check_verdict(verdicts[person.id], tree, person)
            self.check_flips(tree, ids, verdicts, self.world.now + data.draw(st.sampled_from(LATER), label="later"))

    def check_verdict(self, verdict: segments.Explanation, node: dict[str, Any], person: Somebody) -> None:
        """Every node's verdict is right by itself, its evidence counts what the leaf counts, and it has words."""
        assert verdict.held == self.world.holds(node, person), (verdict.path, verdict.sentence)
        assert verdict.sentence
        if verdict.kind == "segment":
            self.check_verdict(verdict.children[0], self.world.segments[node["segment_id"]], person)
        elif verdict.children:
            (group,) = node
            for child, inner in zip(verdict.children, node[group], strict=True):
                self.check_verdict(child, inner, person)
        elif verdict.kind in ("event_count", "event_sum", "event"):
            counted = self.world.matching(node, person)
            assert verdict.actual["count"] == len(counted)
            assert set(verdict.actual["event_ids"]) == {str(each.id) for each in counted}
            assert verdict.actual["sum_fen"] == sum(each.props.get("amount_fen", 0) for each in counted)

    def check_flips(
        self, tree: Any, ids: list[int], verdicts: dict[int, segments.Explanation], later: datetime
    ) -> None:
        """Time alone changes nothing before the moment that was foretold for it."""
        flips = [flip for each in verdicts.values() if (flip := each.next_flip_at) is not None]
        for moment in {later, min(flips, default=later) - TICK}:
            if moment > self.world.now:
                for who, found in explain_many(tree, ids, moment).items():
                    self.check_not_late(verdicts[who], found, moment)

    def check_not_late(self, said: segments.Explanation, later: segments.Explanation, moment: datetime) -> None:
        if said.held != later.held:
            assert said.next_flip_at is not None, (said.path, said.sentence, moment)
            assert said.next_flip_at <= moment, (said.path, said.sentence, said.next_flip_at, moment)
        for child, inner in zip(said.children, later.children, strict=True):
            self.check_not_late(child, inner, moment)


def furnished(brand: Brand, today: datetime) -> World:
    """What trees may name in a brand. Scoped."""
    corp = Corp.objects.create(corpid=f"ww-{brand.slug}", name=brand.name)
    store = Store.objects.create(corp=corp, department_id=2, name="静安店")
    guides = [
        Staff.objects.create(corp=corp, userid=name, name=name, is_guide=True, store=of)
        for name, of in (("bob", store), ("eve", store), ("fay", None))
    ]
    tags = [
        Tag.objects.create(group=group, name=name, created_at=today)
        for group, name in (("兴趣", "婴童"), ("", "VIP"), ("a·b", "c·d"))
    ]
    chats = [
        GroupChat.objects.create(corp=corp, chat_id=f"wr{n}", dismissed_at=today if n == 2 else None) for n in range(3)
    ]
    for position, key in enumerate(("buyer", "won_back")):
        LifecycleStage.objects.create(position=position, key=key, name=key, tree={"all": []}, created_at=today)
    for position, code in enumerate(("silver", "gold", "black"), 1):
        Tier.objects.create(code=code, position=position, name=code, threshold=position)
    sops = [Sop.objects.create(name=f"流程{n}", created_at=today) for n in range(2)]
    versions = [SopVersion.objects.create(sop=sop, number=1, trigger={}, steps=[], published_at=today) for sop in sops]
    content = Content.objects.create(name="c", text="你好", created_at=today)
    channels = ("single", "single", "moments")
    pushes = [Push.objects.create(name=f"推送{n}", channel=c, created_at=today) for n, c in enumerate(channels)]
    batches = [
        Batch.objects.create(
            id=UUID(int=brand.pk * 10 + n),
            push=push,
            variant=Variant.objects.create(push=push, position=0, content=content),
            corp=corp,
            size=9,
            due_at=today,
        )
        for n, push in enumerate(pushes)
    ]
    dissolved = [False, False, True]
    return World(today, ZoneInfo("UTC"), tags, guides, store, chats, dissolved, sops, versions, pushes, batches, today)
