"""Tag rules, their runs, groups of tags, interest scores and imports of tags, as a partner's system uses them."""

import math
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events import log
from events.models import ReactorCursor
from events.reactors import Batch, EventRow
from tagging import tags
from tagging.models import ContactTag, TagRule
from tagging.rules import interests, reacting, rerun, scoring
from tenants.actors import SYSTEM
from tenants.models import ApiKey
from tenants.scope import brand_scope

DAY = timedelta(days=1)


@pytest.fixture
def shop(cast):
    """Two tags of a group; one contact has looked at baby things three times, the other once."""
    now = timezone.now()
    cast.keen, cast.cool = (cast.contact(name, at=now - 20 * DAY).pk for name in ("陈小满", "李大树"))
    with brand_scope(cast.brand.pk):
        cast.baby = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=now).pk
        cast.home = tags.create(name="家纺", group="兴趣", actor=SYSTEM, at=now).pk
        seen = [(cast.keen, 1), (cast.keen, 2), (cast.keen, 3), (cast.cool, 1)]
        props = {"product_id": "P1", "category": "婴童", "dwell_seconds": 20}
        log.write(
            [log.NewEvent("product_view", now - days * DAY, contact_id=who, props=props) for who, days in seen], at=now
        )
    return cast


def rule(shop, **fields):
    return {
        "name": "看过三次",
        "tag_id": shop.baby,
        "event_type": "product_view",
        "where": {"category": "婴童"},
        "min_count": 3,
        **fields,
    }


def made(shop, key="r1", **fields):
    answer = shop.alice.api("POST", "/api/v1/tag-rules", rule(shop, **fields), idempotency_key=key)
    assert answer.status_code == 201, answer.content.decode()
    return answer.json()


def begin(shop, rule_id, kind, key=""):
    return shop.alice.api("POST", f"/api/v1/tag-rules/{rule_id}/{kind}", {}, idempotency_key=key or kind)


def run_to_end(shop, run_id):
    rerun.run_to_end(brand_id=shop.brand.pk, run_id=run_id, now=timezone.now())
    return shop.alice.api("GET", f"/api/v1/tag-runs/{run_id}").json()


def test_a_rule_is_made_previewed_and_taken_over_history(shop):
    one = made(shop)
    assert "至少 3 次" in one["sentence"]
    assert (one["enabled"], one["latest_run"], one["tag"]["name"]) == (True, None, "婴童")
    refused = begin(shop, one["id"], "apply", "too early")
    assert (refused.status_code, refused.json()["code"]) == (409, "tagging.rule_changed")

    preview = begin(shop, one["id"], "preview")
    assert (preview.status_code, preview.json()["share"], preview.json()["finished_at"]) == (201, 0, None)
    assert begin(shop, one["id"], "preview").json() == preview.json(), "the same key: the same run"
    again = begin(shop, one["id"], "preview", "another")
    assert (again.status_code, again.json()["code"]) == (409, "tagging.run_exists")
    done = run_to_end(shop, preview.json()["id"])
    assert (done["result"], done["share"], done["finished_at"] is not None) == (
        {"given": 1, "taken": 0, "kept": 0, "replaced": 0},
        1,
        True,
    )
    with brand_scope(shop.brand.pk):
        assert not ContactTag.objects.exists(), "a preview gives nothing"

    run_to_end(shop, begin(shop, one["id"], "apply").json()["id"])
    (had,) = shop.alice.api("GET", f"/api/v1/contacts/{shop.keen}/tags").json()["items"]
    assert (had["tag"]["id"], had["source"], had["rule_id"], had["evidence"]["count"]) == (
        shop.baby,
        "rule",
        one["id"],
        3,
    )
    assert shop.alice.api("GET", f"/api/v1/contacts/{shop.cool}/tags").json()["items"] == []
    runs = shop.alice.api("GET", f"/api/v1/tag-runs?rule_id={one['id']}").json()["items"]
    assert [run["kind"] for run in runs] == ["apply", "preview"]
    assert shop.alice.api("GET", "/api/v1/tag-rules").json()["items"][0]["latest_run"]["kind"] == "apply"


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"tag_id": 10**9}, ["tag_id"]),
        ({"tag_id": 10**30}, ["tag_id"]),
        ({"event_type": "product_vew", "window_days": 0}, ["window_days", "event_type"]),
        ({"where": {"colour": 1}}, ["where.colour"]),
        ({"where": "abc"}, ["where"]),
        ({"steps": 5}, ["steps"]),
        ({"measure": "sums"}, ["measure"]),
        ({"min_count": 0, "low": 9}, ["min_count"]),
        ({"low": 9}, ["low"]),
        ({"measure": "sequence", "event_type": "", "steps": 5}, ["steps"]),
        ({"measure": "sequence", "event_type": "", "steps": [5, 6]}, ["steps[0]", "steps[1]"]),
        ({"measure": "interest", "event_type": "", "where": 7}, ["where"]),
        ({"measure": "sum", "prop": "colour"}, ["prop"]),
    ],
)
def test_a_wrong_rule_names_its_fields_and_is_not_kept(shop, wrong, fields):
    answer = shop.alice.api("POST", "/api/v1/tag-rules", rule(shop, **wrong), idempotency_key="w")
    assert answer.status_code == 422, answer.content.decode()
    body = answer.json()
    assert [error["field"] for error in body["errors"]] == fields
    assert all(error["message"] and error["remedy"] for error in body["errors"])
    with brand_scope(shop.brand.pk):
        assert not TagRule.objects.exists()


def test_a_rule_is_stopped_and_put_away_and_its_tags_stay(shop):
    one = made(shop)
    path = f"/api/v1/tag-rules/{one['id']}"
    stopped = shop.alice.api("PUT", path, rule(shop, enabled=False, min_count=1)).json()
    assert (stopped["enabled"], stopped["min_count"]) == (False, 1)
    run = begin(shop, one["id"], "preview").json()

    away = shop.alice.api("DELETE", path).json()
    assert (away["enabled"], away["archived_at"] is not None) == (False, True)
    assert shop.alice.api("DELETE", path).json() == away, "twice is once"
    assert shop.alice.api("GET", "/api/v1/tag-rules").json()["items"] == []
    assert shop.alice.api("GET", path).json()["archived_at"] == away["archived_at"]
    assert shop.alice.api("GET", f"/api/v1/tag-runs/{run['id']}").json()["finished_at"] is not None
    for refused in (shop.alice.api("PUT", path, rule(shop)), begin(shop, one["id"], "preview", "late")):
        assert (refused.status_code, refused.json()["code"]) == (409, "tagging.rule_archived")


def test_an_archived_rule_gives_no_more(shop):
    one = made(shop, min_count=1)
    shop.alice.api("DELETE", f"/api/v1/tag-rules/{one['id']}")
    now = timezone.now()
    row = EventRow(uuid4(), now, now, "product_view", shop.keen, {"category": "婴童"}, "婴童", "P1", None, None, "api")
    with brand_scope(shop.brand.pk):
        reacting.handle(Batch(shop.brand.pk, [row], now))
        assert not ContactTag.objects.exists()


def test_listing_rules_asks_as_often_for_many_as_for_one(shop):
    made(shop)
    with CaptureQueriesContext(connection) as one:
        shop.alice.api("GET", "/api/v1/tag-rules")
    for number in range(4):
        made(shop, key=f"more {number}")
    with CaptureQueriesContext(connection) as many:
        page = shop.alice.api("GET", "/api/v1/tag-rules?limit=3").json()
    assert len(page["items"]) == 3
    assert len(many) == len(one)
    rest = shop.alice.api("GET", f"/api/v1/tag-rules?cursor={page['next_cursor']}").json()
    assert (len(rest["items"]), rest["next_cursor"]) == (2, None)


def test_tags_of_a_group_exclude_each_other(shop):
    for tag in (shop.home, shop.baby):
        shop.alice.api("POST", f"/api/v1/tags/{tag}/give", {"contacts": [{"id": shop.keen}]})
    ranked = shop.alice.api("PUT", f"/api/v1/tags/{shop.home}", {"rank": 1}).json()
    assert ranked["rank"] == 1
    assert shop.alice.api("PUT", f"/api/v1/tags/{shop.home}", {"rank": 0}).json()["errors"][0]["field"] == "rank"

    answer = shop.alice.api("PUT", "/api/v1/tag-groups", {"name": "兴趣", "exclusive": "priority"})
    assert answer.status_code == 200, answer.content.decode()
    (group,) = shop.alice.api("GET", "/api/v1/tag-groups").json()["items"]
    assert (group["exclusive"], [tag["name"] for tag in group["tags"]]) == ("priority", ["家纺", "婴童"])
    (run,) = shop.alice.api("GET", "/api/v1/tag-runs").json()["items"]
    assert (run["kind"], run_to_end(shop, run["id"])["result"]) == ("exclusion", {"taken": 1})
    (had,) = shop.alice.api("GET", f"/api/v1/contacts/{shop.keen}/tags").json()["items"]
    assert had["tag"]["name"] == "家纺"

    for body, field in (
        ({"name": "无", "exclusive": "latest"}, "name"),
        ({"name": "兴趣", "exclusive": "x"}, "exclusive"),
    ):
        refused = shop.alice.api("PUT", "/api/v1/tag-groups", body)
        assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (422, [field])


def test_interest_is_reckoned_by_the_brands_weights(shop):
    usual = shop.alice.api("GET", "/api/v1/interests/policy").json()
    assert (usual["half_life_days"], usual["weights"], usual["is_own"]) == (14, dict(scoring.WEIGHTS), False)
    refused = shop.alice.api("PUT", "/api/v1/interests/policy", {"half_life_days": 0, "weights": {"nix": 1}})
    assert [error["field"] for error in refused.json()["errors"]] == ["half_life_days", "weights.nix"]

    own = shop.alice.api("PUT", "/api/v1/interests/policy", {"half_life_days": 30, "weights": {"product_view": 2}})
    assert own.json()["is_own"] is True
    with brand_scope(shop.brand.pk):
        read = {"txid": 2**60, "event_id": UUID(int=2**128 - 1), "updated_at": timezone.now()}
        ReactorCursor.objects.update_or_create(brand_id=shop.brand.pk, reactor=interests.NAME, defaults=read)
    assert shop.alice.api("GET", f"/api/v1/contacts/{shop.keen}/interests").json()["items"] == []
    run = shop.alice.api("POST", "/api/v1/interests/recompute", {}, idempotency_key="i").json()
    assert run_to_end(shop, run["id"])["finished_at"] is not None

    items = shop.alice.api("GET", f"/api/v1/contacts/{shop.keen}/interests").json()["items"]
    assert sorted((item["kind"], item["key"]) for item in items) == [("category", "婴童"), ("product", "P1")]
    wanted = sum(2 * math.log1p(2) * 2 ** (-days / 30) for days in (1, 2, 3))
    assert [item["score"] for item in items] == [pytest.approx(wanted, rel=1e-3)] * 2
    assert [source["type"] for source in items[0]["sources"]] == ["product_view"] * 3
    assert sum(source["worth"] for source in items[0]["sources"]) == pytest.approx(wanted, rel=1e-3)
    only = shop.alice.api("GET", f"/api/v1/contacts/{shop.keen}/interests?kind=product").json()["items"]
    assert [item["key"] for item in only] == ["P1"]
    refused = shop.alice.api("GET", f"/api/v1/contacts/{shop.keen}/interests?kind=colour")
    assert [error["field"] for error in refused.json()["errors"]] == ["kind"]


def test_a_file_of_tags_is_imported_by_a_key_that_may_give_tags(shop):
    text = f"contact_id,group,tag\n{shop.keen},兴趣,婴童\n{shop.cool},兴趣,家纺\n"
    upload = {"kind": "tags", "name": "tags.csv", "text": text}
    ApiKey.objects.filter(brand=shop.brand).update(scopes=["events:write"])
    refused = shop.alice.api("POST", "/api/v1/imports", upload)
    assert (refused.status_code, "tags:write" in refused.json()["detail"]) == (403, True)

    ApiKey.objects.filter(brand=shop.brand).update(scopes=["events:write", "tags:write", "tags:read"])
    made = shop.alice.api("POST", "/api/v1/imports", upload)
    assert made.status_code == 201, made.content.decode()
    path, mapping = f"/api/v1/imports/{made.json()['id']}/start", {"mapping": made.json()["mapping"]}
    ApiKey.objects.filter(brand=shop.brand).update(scopes=["events:write"])
    assert shop.alice.api("POST", path, mapping).status_code == 403
    ApiKey.objects.filter(brand=shop.brand).update(scopes=["events:write", "tags:write", "tags:read"])
    assert shop.alice.api("POST", path, mapping).status_code == 200
