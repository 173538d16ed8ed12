"""What nobody's client should send: each is a 4xx of problem details that the documentation lists, never a 500."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from tenants.api_body import MAX_BYTES, MAX_DEPTH
from tests.api.world import CALLS, PREFIX, Call, World, path_of, rows_of

EVERY = sorted(CALLS)
WRITES = [call for call in EVERY if CALLS[call].body]
READS = [call for call in EVERY if call[0] == "GET"]


def ask(ours: World, call: Call, raw: bytes = b"", *, query: str = "", kind: str = "application/json", key="1") -> Any:
    """Call with alice's ids; the answer is one that the documentation lists."""
    route = call[1]
    headers = {"Authorization": f"Bearer {ours.cast.alice.key}", "Idempotency-Key": key}
    client = Client(raise_request_exception=False)
    path = path_of(route, ours.ids) + query
    answer = client.generic(call[0], path, raw, content_type=kind, headers=headers)
    assert str(answer.status_code) in documented()[call], f"{call} {query} {raw[:200]!r}: {answer.status_code}"
    if answer.status_code >= 400:
        body = answer.json()
        assert answer["Content-Type"] == "application/problem+json"
        assert body["detail"]
        assert body.get("remedy") or body["errors"] or answer.status_code in (409, 422)
        assert all(each["field"] and each["message"] and each["remedy"] for each in body["errors"])
    return answer


@cache
def schema() -> tuple[dict[str, Any], set[str]]:
    """What /api/schema/ gives, and what its generator complains of."""
    GENERATOR_STATS.reset()
    made = SchemaGenerator().get_schema(request=None, public=True)
    return made, {*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache}


def test_the_generator_of_the_documentation_has_nothing_to_complain_of():
    assert schema()[1] == set()


@cache
def documented() -> dict[Call, set[str]]:
    """The statuses that /api/docs/ lists for each call."""
    paths = schema()[0]["paths"]
    by_path = {
        (method.upper(), path.removeprefix(f"/{PREFIX}")): set(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    return {call: by_path[call[0], re.sub(r"<\w+:(\w+)>", r"{\1}", call[1])] for call in EVERY}


def example(ours: World, call: Call) -> Any:
    make = CALLS[call].body
    return make(ours.ids) if make else None


DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
JUST_TOO_DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)


@pytest.mark.parametrize("call", WRITES, ids=" ".join)
def test_a_body_that_cannot_be_read(ours, call):
    before = rows_of(ours.cast.brand.pk)

    for raw in (DEEP, b'{"a":' * 5_000, JUST_TOO_DEEP, b"{", b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": 1e999}'):
        assert ask(ours, call, raw).status_code == 400
    for kind in ("application/x-www-form-urlencoded", "text/xml", "multipart/form-data; boundary=x", ""):
        is_file = call == ("POST", "imports") and kind.startswith("multipart")  # which a form may bring too
        assert ask(ours, call, b"{}", kind=kind).status_code == (422 if is_file else 415)
    assert ask(ours, call, b" " * (MAX_BYTES + 1)).status_code == 413
    for raw in (b"[]", b'"x"', b"7", b"null"):
        assert ask(ours, call, raw).status_code == 422
    assert rows_of(ours.cast.brand.pk) == before


@pytest.mark.parametrize("charset", ["utf-16", "rot13", "hex", "idna", "nope"])
def test_json_is_utf8_whatever_the_header_says(ours, charset):
    answer = ask(ours, ("POST", "tags"), '{"name": "新"}'.encode(), kind=f"application/json; charset={charset}")

    assert (answer.status_code, answer.json()["name"]) == (201, "新")


EVIL = ["\0", "a\ud800", "x" * 5_000, 10**30, 2**31, 0, 1.5, None, [], {"\0": "\ud800"}, "0001-01-01T00:00:00+14:00"]


@pytest.mark.parametrize("call", WRITES, ids=" ".join)
def test_values_that_nothing_can_hold(ours, call):
    for number, body in enumerate(_spoilt(_full(ours, call))):
        ask(ours, call, json.dumps(body).encode(), key=f"spoilt-{number}")


def _full(ours: World, call: Call) -> Any:
    """The example with every optional field too."""
    body, later = example(ours, call), "2027-01-01T00:00:00Z"
    if call[1].startswith("contents"):
        link = {"title": "t", "desc": "d", "url": "https://a.example/", "picurl": "https://a.example/p"}
        return {**body, "channel": "single", "attachments": [{"msgtype": "link", "link": link}]}
    if call[1] in ("pushes", "pushes/<int:push_id>"):
        condition = {"kind": "tag", "tag_id": ours.ids["tag_id"]}
        variants = [{"content_id": ours.ids["content_id"], "name": "甲", "condition": condition}, *body["variants"]]
        more = {"priority": 5, "holdout_percent": 5, "max_recipients": 3, "scheduled_at": later, "channel": "single"}
        return {**body, **more, "variants": variants}
    if call[1].startswith("points/"):
        return {**body, "reference": "r", "note": "n", "expires_at": later}
    if call[1].endswith("/send"):
        return {"scheduled_at": later}
    if call[1].endswith("/give"):
        return {**body, "expires_at": later}
    return body


def _spoilt(good: Any) -> Iterator[Any]:
    for place in _places(good):
        for evil in EVIL:
            if not place:
                yield evil
                continue
            body = deepcopy(good)
            inner = body
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = evil
            yield body


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from _places(inner, (*place, step))


LEAVES = [
    {"kind": "profile", "field": "name", "op": "contains", "value": "x"},
    {"kind": "event_count", "event": "page_view", "days": 3, "op": "gte", "value": 2},
    {"kind": "event_sum", "event": "order_paid", "days": 3, "op": "gte", "value": 2},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "days": 3},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "calendar": "month", "offset": -1},
    {"kind": "lifecycle", "stage": "silent", "silent_days": 30},
    {"kind": "points_balance", "op": "gte", "value": 3},
    {"kind": "follow", "guide_id": 1},
    {"kind": "tag", "tag": "兴趣·婴童", "op": "has_not"},
]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: "-".join(str(value) for value in leaf.values()))
def test_conditions_that_ask_the_impossible(ours, leaf):
    for body in _spoilt({"tree": {"any": [leaf]}}):
        ask(ours, ("POST", "segments/count"), json.dumps(body).encode())


QUERIES = ["limit=0", "limit=1e9", "limit=%00", "limit=99999999999", "limit=²", "cursor=%00", "cursor=a:b:c", "q=%00"]
QUERIES += ["guide_id=9999999999999999999999", "store_id=%00", "source_state=%00", "lost=%00", "unionid=%00", "id=²"]
QUERIES += ["openid=a%00&appid=b", "id=99999999999999999999999", "id=-1", "status=%00", "status=x", "reason=%00"]
QUERIES += ["contact_id=%00", "contact_id=9999999999999999999999", "at=0001-01-01T00:00:00%2B14:00", "at=nope"]
QUERIES += ["at=9999-12-31T23:59:59-14:00", "unionid=" + "x" * 5_000, "unionid=%ff"]


@pytest.mark.parametrize("call", READS, ids=" ".join)
def test_queries_that_ask_the_impossible(ours, call):
    own = CALLS[call].query(ours.ids)
    for query in QUERIES:
        ask(ours, call, query=f"?{query}")
        ask(ours, call, query=f"{own}&{query}" if own else f"?{query}")
    for value in ("x", "9" * 26, "0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f50"):
        foreign = signing.dumps(value, salt="cursor:/api/v1/elsewhere")
        ask(ours, call, query=f"{own}&cursor={foreign}" if own else f"?cursor={foreign}")


def test_a_cursor_of_another_list_is_refused(ours):
    ours.cast.contact("第二位")
    cursor = ours.cast.alice.api("get", "/api/v1/contacts?limit=1").json()["next_cursor"]

    answer = ask(ours, ("GET", "points/entries"), query=f"?id={ours.ids['contact_id']}&cursor={cursor}")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "cursor.bad")


@pytest.mark.parametrize("call", [call for call in EVERY if "<" in call[1]], ids=" ".join)
@pytest.mark.parametrize("number", [0, 2**31, 2**63, 10**30], ids=["0", "2^31", "2^63", "10^30"])
def test_ids_that_no_row_can_have(ours, call, number):
    before = rows_of(ours.cast.brand.pk)
    nowhere = World(ours.cast, dict.fromkeys(ours.ids, number))
    query = f"?contact_id={ours.ids['contact_id']}" if call[1].endswith("/explain") else ""

    answer = ask(nowhere, call, json.dumps(example(ours, call)).encode(), query=query)

    assert answer.status_code == 404
    assert rows_of(ours.cast.brand.pk) == before


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_wrong_idempotency_key(ours, key):
    for call in [call for call in WRITES if call[1] in ("tags", "segments", "contents", "pushes", "points/grants")]:
        answer = ask(ours, call, json.dumps(example(ours, call)).encode(), key=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "key.missing")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer \0", "Bearer é", "Basic x", "Bearer " + "x" * 100_000, "bearer a b"]
)
def test_headers_that_are_no_key(cast, header):
    answer = Client(raise_request_exception=False).get("/api/v1/tags", headers={"Authorization": header})

    assert (answer.status_code, bool(answer.json()["remedy"])) == (401, True)


def test_a_method_that_an_address_does_not_take(cast):
    answer = cast.alice.api("delete", "/api/v1/tags")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer["Allow"].split(", ")) == {"GET", "POST", "HEAD", "OPTIONS"}


def test_refusals_are_told_in_either_language(cast):
    def told(language: str) -> list[str]:
        body = cast.alice.api("post", "/api/v1/tags", {}, idempotency_key="1", **{"Accept-Language": language}).json()
        return [body["detail"], body["errors"][0]["message"], body["errors"][0]["remedy"]]

    assert told("en") == ["Some fields are not right.", "This field is required.", "Add this field."]
    assert told("zh-CN") == ["有字段不正确。", "该字段是必填项。", "补上这个字段。"]


@pytest.mark.parametrize(("language", "said"), [("zh-CN", "没有找到：标签。"), ("en", "Not found: Tag.")])
def test_a_missing_row_is_named(cast, language, said):
    body = {"contacts": [{"id": 1}]}

    answer = cast.alice.api("post", "/api/v1/tags/999/give", body, **{"Accept-Language": language})

    assert (answer.status_code, answer.json()["detail"], bool(answer.json()["remedy"])) == (404, said, True)
