"""Any tree over any population: the SQL selects whom a plain reading of the tree selects, and explain agrees."""

import os
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns.models import Sop, SopVersion
from contacts.models import GroupChat, Staff, Store
from tagging.language import compiler
from tagging.models import Segment, Tag
from tagging.segments import segments
from tagging.segments.explain import explain_many
from tenants.models import Brand
from tenants.scope import brand_scope
from tests.tagging.population import Somebody, World
from tests.tagging.trees import ZONES, belonging_leaves, event_leaves, somebodies, trees
from wecom.models import Corp

EXAMPLES = int(os.environ.get("ORCHARD_EXAMPLES", 300))
"""thousands where somebody waits for it: see .ci/run"""


def depth_of(node: Any) -> int:
    """How many groups lie inside each other."""
    group = compiler.group_of(node)
    return 0 if group is None else 1 + max(depth_of(child) for child in node[group])


class CompiledTrees(TestCase):
    """Each example has a clean database."""

    def setup_example(self) -> None:
        """One brand with three guides, a store and three tags."""
        super().setup_example()
        self.brand = Brand.objects.create(name="全棉生活", slug="cotton")
        # Of the same names in another brand, to be met if a sub-select forgets its brand.
        other = Brand.objects.create(name="茵之", slug="yin")
        today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        for brand in (other, self.brand):
            with brand_scope(brand.id):
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
                    GroupChat.objects.create(corp=corp, chat_id=f"wr{n}", dismissed_at=today if n == 2 else None)
                    for n in range(3)
                ]
                sops = [Sop.objects.create(name=f"流程{n}", created_at=today) for n in range(2)]
                versions = [
                    SopVersion.objects.create(sop=sop, number=1, trigger={}, steps=[], published_at=today)
                    for sop in sops
                ]
        self.world = World(
            today, ZoneInfo("UTC"), tags, guides, store, chats, [False, False, True], sops, versions, segments={}
        )

    @given(data=st.data())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def test_sql_and_explain_say_what_the_tree_says(self, data: st.DataObject) -> None:
        world = self.world
        zone = data.draw(st.sampled_from(ZONES), label="zone")
        world.zone = ZoneInfo(zone)
        world.now += timedelta(seconds=data.draw(st.sampled_from([0, 1, 57_600, 57_601, 86_399]), label="seconds"))
        Brand.objects.filter(pk=self.brand.pk).update(timezone=zone)
        people = data.draw(st.lists(somebodies, min_size=1, max_size=5), label="people")
        with brand_scope(self.brand.id):
            self.save_segments(data)
            tree = data.draw(trees(world), label="tree")
            if depth_of(tree) <= compiler.MAX_DEPTH and "push_id" not in str(tree):
                segments.check(tree)
            ids = world.write(people, self.brand.id)
            wanted = {key for key, person in zip(ids, people, strict=True) if world.holds(tree, person)}

            assert self.selected(tree) == wanted
            assert self.selected({"none": [tree]}) == set(ids) - wanted
            assert self.selected(tree, within=(ids[0], ids[-1])) == wanted
            assert segments.count(tree, world.now) == len(wanted)
            assert {contact.pk for contact in segments.sample(tree, world.now)} == wanted
            verdicts = explain_many(tree, ids, world.now)
            for key, person in zip(ids, people, strict=True):
                assert verdicts[key].held == (key in wanted)
                self.check_verdict(verdicts[key], tree, person)

    def save_segments(self, data: st.DataObject) -> None:
        """Two segments that trees may name; the second may ask about the first."""
        for name in ("甲", "乙"):
            leaf = data.draw((event_leaves() | belonging_leaves(self.world)) if self.world.segments else event_leaves())
            tree = {"any": [leaf]}
            made = Segment.objects.create(name=name, tree=tree, created_at=self.world.now, updated_at=self.world.now)
            self.world.segments[made.pk] = tree

    def selected(self, tree: dict[str, Any], *, within: tuple[int, int] | None = None) -> set[int]:
        """The ids that the compiled tree selects."""
        made = compiler.condition_sql(tree, brand_id=self.brand.id, at=self.world.now, alias="who", within=within)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT who.id FROM contacts_contact AS who WHERE who.brand_id = %s AND {made.text}",
                [self.brand.id, *made.params],
            )
            return {row[0] for row in cursor.fetchall()}

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
