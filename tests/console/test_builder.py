"""A tree opened in the builder and saved again is the same tree: in sentences, in nested groups, or kept in words."""

import re
from typing import Any

import pytest
from django.http import QueryDict
from django.utils import translation

from console import builder
from contacts.models import GroupChat, Staff
from events import declared
from points.models import Tier
from tagging import tags
from tagging.models import LifecycleStage, Segment
from tagging.segments import segments, templates_ready
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON


def opened(cast, console, tree: Any, *, name: str = "别处建的") -> tuple[str, str, int]:
    """The page of a segment with this tree, its address, and its id."""
    with brand_scope(cast.brand.pk):
        segment = segments.save(name=name, tree=tree, actor=SYSTEM, at=NOON)
    path = f"/b/{cast.brand.slug}/console/segments/{segment.pk}/"
    return console(cast.alice.user).get(path).content.decode(), path, segment.pk


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send for the builder of a page: hidden fields, inputs, chosen options."""
    form = page[page.index('id="builder"') : page.index("<aside")]
    fields: dict[str, str] = {}
    for tag in re.finditer(r'<input[^>]*name="([^"]+)"[^>]*>|<select[^>]*name="([^"]+)".*?</select>', form, re.S):
        name, text = tag.group(1) or tag.group(2), tag.group()
        if tag.group(1):
            value = re.search(r'value="([^"]*)"', text)
        else:
            value = re.search(r'value="([^"]*)" selected', text) or re.search(r'value="([^"]*)"', text)
        fields[name] = (value.group(1) if value else "").replace("&quot;", '"')
    return fields


@pytest.fixture
def rows(cast) -> dict[str, int]:
    """Ids of the brand's rows that leaves name."""
    with brand_scope(cast.brand.pk):
        made = {"tag": tags.create(group="兴趣", name="婴童", actor=SYSTEM, at=NOON).pk}
        made["group"] = GroupChat.objects.create(corp=cast.corp, chat_id="wr1", name="福利一群").pk
        tree = {"all": [{"kind": "lost", "op": "is_not"}]}
        made["segment"] = segments.save(name="在的", tree=tree, actor=SYSTEM, at=NOON).pk
        LifecycleStage.objects.create(position=0, key="won_back", name="赢回", tree={"all": []}, created_at=NOON)
        Tier.objects.create(code="2024", position=1, name="金卡", threshold=1)
        props = {"shelf": {"type": "text", "label": "货架"}, "level": {"type": "int", "label": "层数", "unit": "层"}}
        declared.save(name="x_shelf", label="看货架", props=props, actor=SYSTEM, at=NOON)
    return made | {"staff": cast.bob.pk, "store": cast.store.pk}


SAID = [
    {"kind": "tag", "tag_id": "tag", "op": "has"},
    {"kind": "tag", "tag_id": "tag", "op": "has_not", "calendar": "month", "offset": -1},
    {"kind": "follow", "op": "has", "guide": "staff", "store": "store", "state": "code-1"},
    {"kind": "group_member", "op": "has_not", "chat_id": "group"},
    {"kind": "segment", "segment_id": "segment", "op": "not_in"},
    {"kind": "identity", "type": "unionid", "op": "has"},
    {"kind": "bucket", "salt": "q4", "lo": 0, "hi": 10},
    {"kind": "event_count", "event": "product_view", "where": {"category": ["婴童", "巾帕"]}, "op": "gte", "value": 3},
    {"kind": "event_count", "event": "add_cart", "hours": 12, "op": "eq", "value": 0},
    {"kind": "event_recency", "event": "sign_in", "op": "not_within", "calendar": "week"},
    {"kind": "event_recency", "event": "product_view", "op": "within", "since_event": "order_paid"},
    {"kind": "event_sum", "event": "order_paid", "op": "lt", "value": 19900, "days": 90},
    {"kind": "event", "event": "order_paid", "agg": "avg", "prop": "amount_fen", "op": "between", "value": [1, 5]},
    {"kind": "event", "event": "order_paid", "agg": "last", "op": "gt", "value": 30, "unit": "hours"},
    {"kind": "order", "measure": "net", "op": "gte", "value": 20000, "where": {"min_amount_fen": 100}},
    {"kind": "order", "measure": "last", "op": "gt", "value": 180, "unit": "days"},
    {"kind": "sequence", "steps": [{"event": "add_cart"}, {"event": "order_created"}], "op": "has", "days": 7},
    {
        "kind": "sequence",
        "steps": [{"event": "add_cart"}, {"event": "order_created"}],
        "within_hours": 24,
        "then_not": {"event": "order_paid", "hours": 2},
        "op": "has",
        "days": 30,
    },
    {"kind": "lifecycle", "stage": "silent", "silent_days": 60},
    {"kind": "lost", "op": "is"},
    {"kind": "points_balance", "op": "gte", "value": 100},
    {"kind": "points_expiring", "days": 30, "op": "gte", "value": 1},
    {"kind": "touch", "what": "received", "channel": "single", "days": 7, "op": "lt", "value": 2},
    {"kind": "journey", "state": "in", "op": "has_not"},
    {"kind": "profile", "field": "gender", "op": "eq", "value": 2},
    {"kind": "profile", "field": "name", "op": "regexp", "value": "^陈"},
    {"kind": "profile", "field": "source_state", "op": "in", "value": ["a", "b"]},
    {"kind": "profile", "field": "first_added_at", "op": "older_than", "days": 30},
    {"kind": "profile", "field": "first_added_at", "op": "anniversary", "anniversary": 3},
    {"kind": "profile", "field": "created_at", "op": "before", "value": "2026-11-01T00:00:00+08:00"},
    {"kind": "profile", "field": "last_active_at", "op": "is_missing"},
    {"kind": "event_sum", "event": "order_paid", "op": "gte", "value": 150},
    {"kind": "order", "measure": "average", "op": "between", "value": [9950, 20000]},
    {"kind": "interest", "category": "婴童", "op": "gte", "value": 250},
    {"kind": "stage", "stage": "won_back", "days": 7},
    {"kind": "tier", "op": "is", "tier": "2024"},
    {"kind": "lost", "op": "is", "from": "2026-11-01T00:00:00+08:00", "to": "2026-11-12T00:00:00+08:00"},
    {"kind": "event_count", "event": "draw", "where": {"won": True, "prize": "湿巾"}, "op": "gte", "value": 1},
    {"kind": "event_count", "event": "search", "where": {"keyword": "湿巾"}, "op": "gte", "value": 1},
    {"kind": "event_count", "event": "x_shelf", "where": {"shelf": "A", "min_level": 2}, "op": "gte", "value": 1},
    {"kind": "event", "event": "x_shelf", "agg": "max", "prop": "level", "op": "gte", "value": 3},
    {"kind": "event", "event": "x_shelf", "agg": "last", "prop": "shelf", "op": "in", "value": ["1", "2"]},
    {"kind": "event", "event": "draw", "agg": "last", "prop": "won", "op": "eq", "value": False},
    {"kind": "event", "event": "survey_answered", "agg": "first", "prop": "answer", "op": "is_missing"},
]
KEPT = [
    {"kind": "tag", "tag": "兴趣·婴童"},
    {"kind": "follow", "live": False},
    {"kind": "profile", "field": "gender", "op": "ne", "value": 2, "or_missing": True},
    {"kind": "event_count", "event": "x_club", "op": "gte", "value": 1},
    {"kind": "event_count", "event": "search", "where": [{"prop": "keyword", "op": "contains", "value": "湿巾"}]}
    | {"op": "gte", "value": 1},
    {"kind": "profile", "field": "created_at", "op": "before", "value": "2026-11-01T09:30:00+08:00"},
    {"kind": "event_count", "event": "sign_in", "from": "2026-11-01T09:30:00+08:00", "op": "gte", "value": 1},
]


def named(leaf: dict[str, Any], rows: dict[str, int]) -> dict[str, Any]:
    """The leaf with the ids of the brand's rows in place of their types."""
    return {
        key: rows.get(value, value) if isinstance(value, str) and key != "kind" else value
        for key, value in leaf.items()
    }


def test_what_is_opened_and_sent_back_is_the_same_tree(cast, console, rows):
    """Every kind, some in words, in groups inside groups: through the page and back."""
    said = [named(leaf, rows) for leaf in (*SAID, *KEPT)]
    nested = {"all": [*said[20:30], {"none": [{"any": said[30:34]}, *said[34:38]]}]}
    for number, tree in enumerate(({"any": [*said[:20], nested]}, {"all": said[38:]})):
        page, path, segment_id = opened(cast, console, tree, name=f"别处建的{number}")
        assert page.count("由接口设置") == (len(KEPT) if number else 0)
        answer = console(cast.alice.user).post(path, fields_of(page))

        assert answer.status_code == 302, answer.content.decode()
        with brand_scope(cast.brand.pk):
            kept = Segment.objects.get(pk=segment_id)
            assert kept.tree == tree
            assert kept.version == 1, kept.tree  # nothing changed, so no new version


def test_rows_of_the_brand_are_picked_by_name(cast, console, rows):
    """Nobody has to know a stage's key, a tier's code, or what a property is called inside."""
    leaves = [{"kind": "stage", "stage": "won_back"}, {"kind": "tier", "op": "is", "tier": "2024"}]
    leaves.append({"kind": "event", "event": "x_shelf", "agg": "max", "prop": "level", "op": "gte", "value": 3})

    page, _path, _id = opened(cast, console, {"all": leaves})

    for value, name in (("won_back", "赢回"), ("2024", "金卡"), ("level", "层数"), ("x_shelf", "看货架")):
        assert f'<option value="{value}" selected>{name}</option>' in page


HOSTILE = [
    {"c².kind": "lost", "c1.kind": "event_count", "c1.event": "sign_in", "c1.op": "gte", "c1.value": "²"},
    {"c1.kind": "event_count", "c1.in": "²", "c1.event": "sign_in", "c1.op": "gte", "c1.value": "--5"},
    {"c1.kind": "order", "c1.measure": "net", "c1.op": "between", "c1.value": "1–2–3"},
    {"c1.kind": "order", "c1.measure": "amount", "c1.op": "gte", "c1.value": "1e400"},
    {"c1.kind": "points_balance", "c1.op": "gte", "c1.value": "9" * 30},
    {"c1.kind": "kept", "c1.json": "[" * 19_000},
    {"c1.kind": "kept", "c1.json": '{"kind": "points_balance", "op": "gte", "value": NaN}'},
    {"c1.kind": "stage", "c1.stage": "nobody", "c1.window": "ever"},
    {"c1.kind": "event_recency", "c1.event": "sign_in", "c1.op": "within", "c1.window": "days", "c1.days": ""},
    {"c1.kind": "lost", "c1.op": "is", "c1.window": "range", "c1.from": "", "c1.to": ""},
    {"c1.kind": "lost", "c1.op": "is", "c1.window": "range", "c1.from": "9999-12-31", "c1.to": "9999-12-31"},
]


@pytest.mark.parametrize("sent", HOSTILE, ids=lambda sent: str(sent)[:60])
def test_what_nobody_should_send_is_refused_with_a_remedy(cast, console, sent):
    for language in ("zh-hans", "en"):
        client = console(cast.alice.user)
        headers = {"accept-language": language}
        here, form = f"/b/{cast.brand.slug}/console/segments", {"name": "怪", "joiner": "all", **sent}
        answer = client.post(f"{here}/new/", form, headers=headers)
        counted = client.post(f"{here}/count/", form, headers=headers)

        assert (answer.status_code, counted.status_code) == (422, 200), sent
        assert "o-error" in counted.content.decode()
        assert re.search("o-rule bad|o-problem", answer.content.decode())


@pytest.mark.parametrize("key", list(templates_ready.TEMPLATES))
def test_every_template_opens_in_sentences(cast, console, key):
    page = console(cast.alice.user).get(f"/b/{cast.brand.slug}/console/segments/new/?template={key}").content.decode()

    assert "由接口设置" not in page
    form = builder.read(_query(fields_of(page)))
    with brand_scope(cast.brand.pk), translation.override("zh-hans"):
        tree, _places = builder.tree_of(form)
        segments.check(tree)
        assert segments.sentence(tree) == segments.sentence(templates_ready.tree_of(key))


def test_a_guide_beyond_the_end_of_the_list_stays_chosen(cast, console):
    with brand_scope(cast.brand.pk):
        Staff.objects.bulk_create(
            Staff(corp=cast.corp, userid=f"g{n}", name=f"甲{n:03}", is_guide=True) for n in range(600)
        )
        last = Staff.objects.create(corp=cast.corp, userid="last", name="龚", is_guide=True)

    page, _path, _id = opened(cast, console, {"all": [{"kind": "follow", "op": "has", "guide": last.pk}]})

    assert "由接口设置" in page
    assert "龚" in page


def test_a_wrong_value_in_an_inner_group_turns_its_sentence_red(cast, console):
    sent = {"name": "深", "joiner": "all", "c1.kind": "group", "c1.in": "0", "c1.op": "any"}
    sent |= {"c2.kind": "event_count", "c2.in": "1", "c2.event": "product_view", "c2.op": "gte", "c2.value": "三"}

    answer = console(cast.alice.user).post(f"/b/{cast.brand.slug}/console/segments/new/", sent)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count("o-rule bad") == 1
    assert 'name="c2.in" value="1"' in page


def test_groups_in_circles_and_strangers_stand_in_the_whole(cast):
    rows = "c1.kind=group&c1.in=2&c2.kind=group&c2.in=1&c3.kind=lost&c3.in=9&c3.op=is"

    form = builder.read(QueryDict(rows))

    assert builder.tree_of(form)[0] == {"all": [{"kind": "lost", "op": "is"}]}


def test_groups_deeper_than_a_page_can_show_stand_in_the_whole(cast, console):
    rows = {f"c{n}.{name}": value for n in range(1, 59) for name, value in (("kind", "group"), ("in", n - 1))}

    sent = {"name": "深", "joiner": "all", **rows, "c59.kind": "lost", "c59.op": "?", "c59.in": "58"}
    answer = console(cast.alice.user).post(f"/b/{cast.brand.slug}/console/segments/new/", sent)

    assert answer.status_code == 422
    assert answer.content.decode().count("data-group=") == 58


def _query(fields: dict[str, str]) -> QueryDict:
    made = QueryDict(mutable=True)
    made.update(fields)
    return made
