"""Any tree over any population: the SQL selects whom a plain reading of the tree selects, and explain agrees."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from contacts.models import Staff, Store
from tagging import compiler, segments
from tagging.models import Tag
from tenants.models import Brand
from tenants.scope import brand_scope
from tests.tagging.population import Happening, Somebody, World
from wecom.models import Corp

ZONES = ("Asia/Shanghai", "America/New_York", "Asia/Kolkata")
OPS = st.sampled_from(["gte", "gt", "eq", "ne", "lte", "lt"])
CATEGORIES = st.sampled_from(["婴童", "巾帕", "家居"])
TYPES = st.sampled_from(["product_view", "order_paid", "x_club"])

# On the boundary, just before it and just after it: most mistakes live there.
agos = st.builds(
    lambda days, seconds: timedelta(days=days, seconds=seconds),
    st.sampled_from([0, 0, 1, 3, 7, 30, 50]),
    st.sampled_from([0, 1, 3600, 43_200]),
)
maybe = agos | st.none()


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    kind = draw(TYPES)
    props: dict[str, Any] = {}
    if draw(st.booleans()):
        props["category"] = draw(CATEGORIES)
    if kind == "product_view" and draw(st.booleans()):
        props["dwell_seconds"] = draw(st.integers(0, 20))
    if kind != "product_view" and draw(st.booleans()):
        props["amount_fen"] = draw(st.sampled_from([0, 100, 9900, 19_900]))
    if kind == "x_club" and draw(st.booleans()):
        props |= {"level": draw(st.integers(0, 3)), "vip": draw(st.booleans())}
    return Happening(kind, draw(agos), props)


somebodies = st.builds(
    Somebody,
    name=st.sampled_from(["", "陈小满", "小林", "满满%", "O'Neil_\\"]),
    gender=st.sampled_from([0, 1, 2]),
    phone=st.sampled_from(["", "13800000000"]),
    source_state=st.sampled_from(["", "code-1", "code-2"]),
    first_added=maybe,
    last_active=maybe,
    lost=st.none() | agos,
    tags=st.dictionaries(
        st.integers(0, 2),
        st.tuples(agos, st.none() | st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(days=-1)])),
        max_size=2,
    ),
    follows=st.dictionaries(
        st.integers(0, 2), st.tuples(st.sampled_from(["", "code-1", "code-2"]), st.booleans()), max_size=2
    ),
    events=st.lists(happenings(), max_size=5),
)

windows = st.one_of(
    st.builds(lambda n: {"days": n}, st.sampled_from([1, 3, 7, 30])),
    st.builds(lambda n: {"hours": n}, st.sampled_from([1, 12, 24])),
    st.builds(
        lambda calendar, offset: {"calendar": calendar, "offset": offset},
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from([0, -1]),
    ),
)
maybe_window = windows | st.just({})


@st.composite
def profile_leaves(draw: st.DrawFn, now: datetime) -> dict[str, Any]:
    name = draw(st.sampled_from(["name", "gender", "phone", "source_state", "first_added_at", "last_active_at"]))
    leaf: dict[str, Any] = {"kind": "profile", "field": name}
    if draw(st.booleans()):
        leaf["or_missing"] = draw(st.booleans())
    if name == "phone" or draw(st.integers(0, 4)) == 0:
        return {**leaf, "op": draw(st.sampled_from(["exists", "is_missing"]))}
    if name.endswith("_at"):
        op = draw(st.sampled_from(["within", "older_than", "before", "after"]))
        if op == "within":
            return {**leaf, "op": op, **draw(windows)}
        if op == "older_than":
            return {**leaf, "op": op, "days": draw(st.sampled_from([1, 7, 30]))}
        return {**leaf, "op": op, "value": (now - draw(agos)).isoformat()}
    texts = {"name": ["小", "陈小满", "满满%", "%", "O'Neil_\\"], "source_state": ["code-1", "code", "x"]}
    values = st.sampled_from(texts[name]) if name in texts else st.sampled_from([1, 2])
    op = draw(st.sampled_from(["eq", "ne", "in", "not_in", *(["contains", "starts_with"] if name in texts else [])]))
    value = draw(st.lists(values, min_size=1, max_size=2)) if op in ("in", "not_in") else draw(values)
    return {**leaf, "op": op, "value": value}


@st.composite
def event_leaves(draw: st.DrawFn) -> dict[str, Any]:
    event = draw(TYPES)
    where: dict[str, Any] = {}
    if draw(st.booleans()):
        where["category"] = draw(CATEGORIES | st.lists(CATEGORIES, min_size=1, max_size=2))
    if event == "product_view" and draw(st.booleans()):
        where[draw(st.sampled_from(["min_dwell_seconds", "max_dwell_seconds"]))] = draw(st.integers(0, 20))
    if event == "x_club" and draw(st.booleans()):
        where |= draw(st.sampled_from([{"vip": True}, {"min_level": 2}, {"level": [0, 3]}, {"max_amount_fen": 100}]))
    leaf: dict[str, Any] = {"event": event, **({"where": where} if where else {})}
    kind = draw(st.sampled_from(["event_count", "event_count", "event_recency", "event_sum"]))
    if kind == "event_recency":
        return {"kind": kind, **leaf, "op": draw(st.sampled_from(["within", "not_within"])), **draw(windows)}
    leaf |= draw(maybe_window)
    if kind == "event_sum" and event != "product_view":
        value = draw(st.sampled_from([0, 100, 9900, 20_000]))
        return {"kind": kind, **leaf, "op": draw(OPS), "value": value}
    op, value = draw(OPS), draw(st.integers(0, 3))
    return {"kind": "event_count", **leaf, "op": op, "value": value + 1 if (op, value) == ("lt", 0) else value}


@st.composite
def other_leaves(draw: st.DrawFn, world: World) -> dict[str, Any]:
    kind = draw(st.sampled_from(["tag", "follow", "lifecycle", "lost"]))
    op = {"op": draw(st.sampled_from(["has", "has_not"]))} if draw(st.booleans()) else {}
    if kind == "tag":
        tags = draw(st.lists(st.sampled_from(world.tags), min_size=1, max_size=2))
        named = {"tag_id": [tag.pk for tag in tags]} if draw(st.booleans()) else {"tag": str(tags[0])}
        window = {"days": draw(st.sampled_from([1, 7]))} if draw(st.booleans()) else {}
        return {"kind": kind, **named, **op, **window}
    if kind == "follow":
        leaf: dict[str, Any] = {"kind": kind, **op}
        if draw(st.booleans()):
            leaf["guide"] = draw(st.sampled_from(world.guides)).pk
        if draw(st.booleans()):
            leaf["store"] = world.store.pk
        if draw(st.booleans()):
            leaf["state"] = ["code-1", "x"]
        if draw(st.booleans()):
            leaf["live"] = draw(st.sampled_from([True, False, "any"]))
        return leaf
    if kind == "lifecycle":
        stages = st.sampled_from(["visitor", "new", "active", "silent", "lost"])
        stage = draw(stages | st.lists(stages, min_size=1, max_size=3))
        return {"kind": kind, "stage": stage, **({"silent_days": 7} if draw(st.booleans()) else {})}
    return {"kind": kind, "op": draw(st.sampled_from(["is", "is_not"])), **draw(maybe_window)}


def trees(world: World) -> st.SearchStrategy[dict[str, Any]]:
    leaves = profile_leaves(world.now) | event_leaves() | other_leaves(world)
    return st.recursive(
        leaves,
        lambda children: st.builds(
            lambda group, nodes: {group: nodes},
            st.sampled_from(["all", "any", "none"]),
            st.lists(children, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )


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
        self.world = World(today, ZoneInfo("UTC"), tags, guides, store)

    @given(data=st.data())
    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    def test_sql_and_explain_say_what_the_tree_says(self, data: st.DataObject) -> None:
        world = self.world
        zone = data.draw(st.sampled_from(ZONES), label="zone")
        world.zone = ZoneInfo(zone)
        world.now += timedelta(seconds=data.draw(st.sampled_from([0, 1, 57_600, 57_601, 86_399]), label="seconds"))
        Brand.objects.filter(pk=self.brand.pk).update(timezone=zone)
        people = data.draw(st.lists(somebodies, min_size=1, max_size=5), label="people")
        tree = data.draw(trees(world), label="tree")
        with brand_scope(self.brand.id):
            ids = world.write(people, self.brand.id)
            wanted = {key for key, person in zip(ids, people, strict=True) if world.holds(tree, person)}

            assert self.selected(tree) == wanted
            assert self.selected({"none": [tree]}) == set(ids) - wanted
            assert self.selected(tree, within=(ids[0], ids[-1])) == wanted
            assert segments.count(tree, world.now) == len(wanted)
            assert {contact.pk for contact in segments.sample(tree, world.now)} == wanted
            for key, person in zip(ids, people, strict=True):
                verdict = segments.explain(tree, key, world.now)
                assert verdict.held == (key in wanted)
                self.check_verdict(verdict, tree, person)

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
        if verdict.children:
            (group,) = node
            for child, inner in zip(verdict.children, node[group], strict=True):
                self.check_verdict(child, inner, person)
        elif verdict.kind in ("event_count", "event_sum"):
            counted = self.world.matching(node, person)
            assert verdict.actual["count"] == len(verdict.actual["event_ids"]) == len(counted)
            assert verdict.actual["sum_fen"] == sum(each.props.get("amount_fen", 0) for each in counted)
