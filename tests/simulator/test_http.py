"""HTTP as other people's clients may speak it: WeCom answers whatever arrives with an errcode, never with a 500."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import zlib
from urllib.parse import urlsplit

import pytest
import requests

from wecom.simulator.reading import understood

LIST = "externalcontact/batch/get_by_user"
UPLOAD = "media/upload"


def post(caller, path, data, *, headers=None, **params):
    """POST bytes as they are; the answer's JSON."""
    answer = requests.post(
        caller.simulator.api_base + path,
        params={"access_token": caller.token, **params},
        data=data,
        headers=headers,
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def talk(caller, text):
    """Send bytes over a connection of its own and read until the server closes it."""
    address = urlsplit(caller.simulator.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(text)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


@pytest.fixture
def page(caller):
    """A body that asks for one customer."""
    return json.dumps({"userid_list": caller.guides()[:1], "limit": 1}).encode()


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("unheard-of", bytes)]
)
def test_a_body_may_come_packed(caller, page, encoding, pack):
    assert post(caller, LIST, pack(page), headers={"Content-Encoding": encoding})["errcode"] == 0


def test_a_body_may_come_in_chunks_and_with_a_mark(caller, page):
    assert post(caller, LIST, iter([page[:5], page[5:]]))["errcode"] == 0
    assert post(caller, LIST, b"\xef\xbb\xbf" + page)["errcode"] == 0


@pytest.mark.parametrize("kind", ["text/xml", "application/x-www-form-urlencoded", ";;/", "text/json; charset=x"])
def test_the_content_type_of_json_does_not_matter(caller, page, kind):
    assert post(caller, LIST, page, headers={"Content-Type": kind})["errcode"] == 0


def test_packed_nonsense_is_as_good_as_no_body(caller):
    answer = post(caller, LIST, b"not gzip", headers={"Content-Encoding": "gzip"})
    assert answer["errcode"] == 40063
    assert "wrong json format" in answer["errmsg"]


@pytest.mark.parametrize("boundary", ["", "; boundary=xyz"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no part at all",
        b"--xyz\r\nfoo",
        b'--xyz\r\nContent-Disposition: form-data; name="media"; filename="a\x01b"\r\n\r\nhello\r\n--xyz--\r\n',
        b"--xyz\r\n\r\nno name\r\n--xyz--\r\n",
    ],
)
def test_an_upload_that_is_none_is_an_empty_file(caller, boundary, data):
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    assert post(caller, UPLOAD, data, headers=headers, type="file")["errcode"] == 44001


@pytest.mark.parametrize("name", ["发票.txt", 'a"b.txt', "a\\b.txt", "a%0d%0aX: y.txt"])
def test_a_file_of_any_name_comes_back(caller, name):
    made = requests.post(
        caller.simulator.api_base + UPLOAD,
        params={"access_token": caller.token, "type": "file"},
        files={"media": (name, b"hello world")},
        timeout=10,
    ).json()
    query = {"access_token": caller.token, "media_id": made["media_id"]}
    answer = requests.get(caller.simulator.api_base + "media/get", params=query, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"hello world")
    assert answer.headers["Content-disposition"].startswith("attachment; filename=")
    assert "X" not in answer.headers


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_an_empty_404(caller, method):
    answer = requests.request(method, caller.simulator.api_base + "gettoken", timeout=10)
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("raw", "body", "broken"),
    [
        (b'{"a": 1}', {"a": 1}, False),
        (b'{"a": 1} and more', {"a": 1}, True),
        (b'{"a": 1, "b": [1, 2', {"a": 1}, True),
        (b' {"a": "x", "b" 2}', {"a": "x"}, True),
        (b'{"a": 1, "b": NaN, "c": 2}', {"a": 1}, True),
        (b'{"a": null, "b": 2}', {"b": 2}, False),
        (b"[1]", {}, False),
        (b"{'a': 1}", {}, True),
        ('{"a": 1}'.encode("utf-16"), {}, True),
        ('{"a": "中"}'.encode("gbk"), {}, True),
        (b'{"a": ' * 100_000, {}, True),
    ],
)
def test_json_is_understood_as_far_as_it_goes(raw, body, broken):
    assert understood(raw) == (body, broken)


def test_a_cut_body_counts_as_far_as_it_goes_and_is_said_to_be_cut(caller, page):
    answer = post(caller, LIST, page[:-1] + b', "cursor": "')
    assert (answer["errcode"], len(answer["external_contact_list"])) == (0, 1)
    assert answer["errmsg"] == "ok (Warning: wrong json format. )"


@pytest.mark.parametrize("limit", [True, 1.5, "1_0", "١", [], {}, "1" * 30])
def test_a_number_is_a_number(caller, limit):
    body = {"userid_list": caller.guides()[:1], "limit": limit}
    assert caller.errcode("batch/get_by_user", body) == 40058


@pytest.mark.parametrize("limit", [2, "2", 2.0])
def test_digits_in_a_string_are_a_number_too(caller, limit):
    body = {"userid_list": caller.guides()[:1], "limit": limit}
    assert len(caller.ok("batch/get_by_user", body)["external_contact_list"]) == 2


def test_null_is_not_a_value(caller):
    userid = caller.guides()[0]
    pair = {"userid": userid, "external_userid": caller.friends_of(userid)[0]}
    caller.ok("remark", pair | {"remark": "老客", "description": "x"})
    caller.ok("remark", pair | {"remark": None, "description": "y"})
    shown = caller.get("externalcontact/get", external_userid=pair["external_userid"])["follow_user"]
    mine = next(each for each in shown if each["userid"] == userid)
    assert (mine["remark"], mine["description"]) == ("老客", "y")
    assert caller.errcode("remark", pair | {"remark": None}) == 40058


def test_calls_may_follow_each_other_without_waiting(caller):
    ask = f"GET /cgi-bin/getcallbackip?access_token={caller.token} HTTP/1.1\r\nHost: x\r\n"
    answers = talk(caller, (f"{ask}\r\n" * 4 + f"{ask}Connection: close\r\n\r\n").encode())
    assert answers.count(b'"errcode":0') == 5


def test_who_does_not_finish_a_request_keeps_nobody_waiting(caller):
    address = urlsplit(caller.simulator.base_url)
    slow = [socket.create_connection((address.hostname, address.port)) for _ in range(200)]
    for each in slow:
        each.sendall(b"POST /cgi-bin/gettoken HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
    assert caller.get("getcallbackip")["errcode"] == 0
    for each in slow:
        each.close()
    assert caller.get("getcallbackip")["errcode"] == 0


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", -1, 1e12])
@pytest.mark.parametrize("pace", [{}, {"pace": "Infinity"}])
def test_the_clock_only_goes_where_there_is_time(caller, seconds, pace):
    before = caller.simulator.get("/_sim/health")
    raw = json.dumps({"advance_seconds": seconds} | pace).replace('"NaN"', "NaN").replace('"Infinity"', "Infinity")
    assert requests.post(caller.simulator.base_url + "/_sim/clock", data=raw, timeout=10).status_code == 400
    after = caller.simulator.get("/_sim/health")
    assert (after["now"] - before["now"] < 60, after["pace"]) == (True, before["pace"])


@pytest.mark.parametrize("depth", [70, 500, 950])
def test_what_is_nested_beyond_reason_is_no_json(caller, depth):
    raw = b'{"text": ' + b"[" * depth + b"]" * depth + b"}"
    assert understood(raw) == ({}, True)
    answer = post(caller, "externalcontact/add_msg_template", raw, debug="1")
    assert (answer["errcode"], answer["debug"]["body"]) == (40058, {})


def test_what_is_nested_within_reason_is_understood():
    raw = b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}"
    assert understood(raw)[1] is False
    many = {"userid_list": [["x"]] * 500}
    assert understood(json.dumps(many).encode()) == (many, False)


def test_numbers_have_64_bits(caller):
    assert caller.errcode("get_moment_list", {"start_time": 1 << 70, "end_time": 1 << 71}) == 40058


def test_a_filename_with_line_breaks_makes_no_header(caller):
    url = requests.post(
        caller.simulator.api_base + "media/uploadimg",
        params={"access_token": caller.token},
        files={"media": ("a.png", b"\x89PNG\r\n\x1a\n1234567")},
        timeout=10,
    ).json()["url"]
    job = {
        "scene": 1,
        "type": "file",
        "filename": "a\r\nX-Made: up\u2028.txt",
        "url": url,
        "md5": hashlib.md5(b"\x89PNG\r\n\x1a\n1234567", usedforsecurity=False).hexdigest(),
    }
    jobid = caller.post("media/upload_by_url", job)["jobid"]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 10})
    made = caller.post("media/get_upload_by_url_result", {"jobid": jobid})["detail"]
    query = {"access_token": caller.token, "media_id": made["media_id"]}
    answer = requests.get(caller.simulator.api_base + "media/get", params=query, timeout=10)
    assert answer.status_code == 200
    assert "X-Made" not in answer.headers


def test_events_are_xml_whatever_a_state_contains(caller, receiver):
    way = {"type": 1, "scene": 2, "user": caller.guides()[:1], "state": "a\x01]]>\x0bb"}
    config_id = caller.ok("add_contact_way", way)["config_id"]
    caller.simulator.act("scan", config_id=config_id)
    assert receiver.next()[0]["State"] == "a]]>b"
