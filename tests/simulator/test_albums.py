"""The product album and the rules against words, field by field as documented (reference §16)."""

from __future__ import annotations

import pytest
import requests

from tests.simulator.conftest import Caller

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 4


def upload(caller, *, scene):
    """The media_id of a picture, uploaded for Moments (1) or for the album (2)."""
    answer = requests.post(
        caller.simulator.api_base + "media/upload_attachment",
        params={"access_token": caller.token, "media_type": "image", "attachment_type": scene},
        files={"media": ("a.png", PNG)},
        timeout=10,
    )
    return answer.json()["media_id"]


@pytest.fixture
def picture(caller):
    return {"type": "image", "image": {"media_id": upload(caller, scene=2)}}


@pytest.fixture
def product(picture):
    return {"description": "纯棉睡衣", "price": 19_900, "product_sn": "SN0001", "attachments": [picture]}


def test_a_product_is_made_told_changed_and_deleted(caller, product):
    product_id = caller.ok("add_product_album", product)["product_id"]
    told = caller.ok("get_product_album", {"product_id": product_id})["product"]
    assert isinstance(told.pop("create_time"), int)
    assert told == {"product_id": product_id, **product}
    caller.ok("update_product_album", {"product_id": product_id, "price": 15_900})
    told = caller.ok("get_product_album", {"product_id": product_id})["product"]
    assert (told["price"], told["description"]) == (15_900, "纯棉睡衣")
    listed = caller.ok("get_product_album_list", {"limit": 100})["product_list"]
    assert told in listed
    caller.ok("delete_product_album", {"product_id": product_id})
    assert caller.errcode("get_product_album", {"product_id": product_id}) == 41074
    assert caller.ok("get_product_album_list")["product_list"] == [each for each in listed if each != told]


def test_what_cannot_be_a_product(caller, product, picture):
    def code(**changed):
        return caller.errcode("add_product_album", {**product, **changed})

    assert (code(description=""), code(description="字" * 301), code(description="字" * 300)) == (41087, 41073, 0)
    assert (code(price=None), code(price=-1), code(price=5_000_001), code(price=5_000_000)) == (41086, 41086, 41086, 0)
    assert (code(product_sn="有"), code(product_sn="a-b"), code(product_sn="a" * 129)) == (41085, 41085, 41085)
    assert (code(product_sn=None), code(product_sn="a" * 128)) == (0, 0)
    assert (code(attachments=[]), code(attachments=[picture] * 10), code(attachments=[picture] * 9)) == (
        41088,
        41064,
        0,
    )
    assert code(attachments=[{"type": "link", "link": {}}]) == 41065
    moments = {"type": "image", "image": {"media_id": upload(caller, scene=1)}}
    assert code(attachments=[moments]) == 41072
    assert (caller.errcode("get_product_album"), caller.errcode("get_product_album", {"product_id": "x"})) == (
        41075,
        41075,
    )


def test_pages_of_products(caller, product):
    for _ in range(3):
        caller.ok("add_product_album", product)
    everything = caller.ok("get_product_album_list")["product_list"]
    found, cursor = [], ""
    while True:
        answer = caller.ok("get_product_album_list", {"limit": 2, "cursor": cursor})
        found += answer["product_list"]
        cursor = answer["next_cursor"]
        if not cursor:
            break
    assert found == everything
    assert caller.errcode("get_product_album_list", {"cursor": "x"}) == 50100


@pytest.fixture
def rule(caller):
    return {
        "rule_name": "不说的话",
        "word_list": ["转账", "私下"],
        "semantics_list": [1, 3],
        "intercept_type": 1,
        "applicable_range": {"user_list": [caller.guides()[0]], "department_list": [2]},
    }


def drop_all(caller: Caller) -> None:
    for each in caller.get("externalcontact/get_intercept_rule_list")["rule_list"]:
        caller.ok("del_intercept_rule", {"rule_id": each["rule_id"]})


def test_a_rule_is_made_told_changed_and_deleted(caller, rule):
    drop_all(caller)
    rule_id = caller.ok("add_intercept_rule", rule)["rule_id"]
    (listed,) = caller.get("externalcontact/get_intercept_rule_list")["rule_list"]
    assert (listed["rule_id"], listed["rule_name"], type(listed["create_time"])) == (rule_id, "不说的话", int)
    told = caller.ok("get_intercept_rule", {"rule_id": rule_id})["rule"]
    semantics = rule.pop("semantics_list")
    assert told == {"rule_id": rule_id, **rule, "extra_rule": {"semantics_list": semantics}}
    more = {"user_list": [caller.guides()[1]], "department_list": []}
    less = {"user_list": [], "department_list": [2]}
    change = {"rule_id": rule_id, "intercept_type": 2, "extra_rule": {"semantics_list": [2]}}
    caller.ok("update_intercept_rule", change | {"add_applicable_range": more, "remove_applicable_range": less})
    told = caller.ok("get_intercept_rule", {"rule_id": rule_id})["rule"]
    assert told["applicable_range"] == {"user_list": caller.guides()[:2], "department_list": []}
    assert (told["intercept_type"], told["extra_rule"], told["word_list"]) == (
        2,
        {"semantics_list": [2]},
        rule["word_list"],
    )
    caller.ok("del_intercept_rule", {"rule_id": rule_id})
    assert caller.errcode("get_intercept_rule", {"rule_id": rule_id}) == 41071
    assert caller.errcode("get_intercept_rule", {"rule_id": "x"}) == 41070


def test_what_cannot_be_a_rule(caller, rule):
    drop_all(caller)

    def code(**changed):
        return caller.errcode("add_intercept_rule", {**rule, **changed})

    assert (code(rule_name=""), code(rule_name="字" * 21)) == (40058, 40058)
    assert (code(word_list=[]), code(word_list=[str(n) for n in range(301)]), code(word_list=["字" * 33])) == (
        40058,
        41068,
        41083,
    )
    assert (code(semantics_list=[4]), code(intercept_type=3)) == (41084, 40058)
    assert code(applicable_range={"user_list": [], "department_list": []}) == 40058
    assert code(applicable_range={"user_list": ["nobody"]}) == 40003
    assert code(applicable_range={"department_list": [999]}) == 60003
    assert code(applicable_range={"user_list": ["x"] * 1001}) == 41076
    assert (code(), code()) == (0, 41077)
    for number in range(99):
        caller.ok("add_intercept_rule", rule | {"rule_name": f"规则{number}"})
    assert code(rule_name="第一百零一") == 41069
    drop_all(caller)


def test_failures_carry_the_empty_defaults(caller):
    wrong = {"product_id": "x", "rule_id": "x"}
    told = {
        path: caller.post(f"externalcontact/{path}", wrong)
        for path in ("get_product_album", "get_intercept_rule", "add_product_album")
    }
    assert told["get_product_album"]["product"] == {}
    assert told["get_intercept_rule"]["rule"] == {}
    assert told["add_product_album"]["product_id"] == ""
