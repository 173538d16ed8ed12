"""Every call of the client against a WeCom that fails inside: reads are tried again, what creates or sends never."""

import inspect
import json
import threading
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from wecom import errors, transport
from wecom.client import WeComClient

ONCE = {
    "add_contact_way",
    "add_corp_tag",
    "add_group_welcome",
    "add_join_way",
    "add_moment",
    "add_msg_template",
    "add_temporary_contact_way",
    "close_temporary_chat",
    "create_acquisition_link",
    "remind",
    "send_app_message",
    "send_card",
    "send_text_card",
    "send_welcome",
    "transfer_customers",
    "transfer_groups",
    "transfer_resigned_customers",
    "update_card",
}
"""what creates, sends or hands over, and what uses up a code that is good once"""

NO_CALLS = {"authorize_url", "forget_tickets"}

SAMPLES = {str: "x", int: 1, bytes: b"x", datetime: datetime(2026, 5, 1, tzinfo=UTC)}


class Failing(BaseHTTPRequestHandler):
    """Gives tokens; anything else ends in 500, and is counted by its path."""

    hits: ClassVar[Counter] = Counter()
    connections: ClassVar[list] = []
    answer: ClassVar[tuple[int, bytes]] = (500, b"")

    def do_GET(self):
        path = urlsplit(self.path).path.removeprefix("/cgi-bin/")
        known = path in ("gettoken", "get_jsapi_ticket") and not self.hits.get("tickets fail")
        body = json.dumps({"errcode": 0, "access_token": "good", "expires_in": 7200}).encode() if known else b""
        self.hits[path] += 1
        self.connections.append(self.headers["Connection"])
        status, body = (200, body) if known else self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def log_message(self, *_given):
        pass


@pytest.fixture(scope="module")
def failing():
    """A client of a WeCom that fails inside."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield WeComClient(corpid="ww500", secret="s", api_base=f"http://127.0.0.1:{server.server_port}/cgi-bin/")
        server.shutdown()


def calls():
    """Names of the client's public calls."""
    return [
        name
        for name, member in inspect.getmembers(WeComClient, inspect.isfunction)
        if not name.startswith("_") and name not in NO_CALLS
    ]


def arguments(name):
    """Something for every argument that must be given."""
    method = inspect.unwrap(getattr(WeComClient, name))
    kinds = typing.get_type_hints(method)
    given = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.default is inspect.Parameter.empty:
            kind = kinds[parameter.name]
            origin = typing.get_origin(kind)
            if origin is typing.Literal:
                given[parameter.name] = typing.get_args(kind)[0]
            elif origin is Sequence:
                given[parameter.name] = [SAMPLES[typing.get_args(kind)[0]]]
            elif origin is Mapping:
                given[parameter.name] = {"card_type": "text_notice"}
            else:
                given[parameter.name] = SAMPLES[kind]
    return given


def test_the_list_of_calls_that_are_never_repeated_is_complete():
    assert set(calls()) >= ONCE


@pytest.mark.parametrize("name", calls())
def test_a_server_that_fails_inside(failing, name, monkeypatch):
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0)
    failing.transport.access_token  # noqa: B018 - asked for now, so that it does not count
    Failing.hits.clear()
    if name == "page_signature":
        Failing.hits["tickets fail"] = 1

    with pytest.raises(errors.WeComError) as error:
        getattr(failing, name)(**arguments(name))

    asked = {path: times for path, times in Failing.hits.items() if path not in ("gettoken", "tickets fail")}
    assert list(asked.values()) == [1 if name in ONCE else transport.ATTEMPTS]
    assert type(error.value) is (errors.OutcomeUnknown if name in ONCE else errors.Busy)


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_is_never_repeated_opens_its_own_connection(failing, name):
    failing.transport.access_token  # noqa: B018 - asked for now, by a connection that is kept
    Failing.connections.clear()
    with pytest.raises(errors.OutcomeUnknown):
        getattr(failing, name)(**arguments(name))

    assert Failing.connections == ["close"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"<html>blocked</html>"),
        (429, b""),
        (302, b""),
        (200, b"<html>please log in</html>"),
        (200, b'{"errcode": null}'),
        (200, b'{"errcode": "none"}'),
    ],
)
def test_what_wecom_never_answers_is_no_answer_of_wecoms(failing, monkeypatch, status, body):
    """A proxy's refusal, a log-in page, half an answer: nobody is taken for gone because of it."""
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0)
    monkeypatch.setattr(Failing, "answer", (status, body))
    failing.transport.access_token  # noqa: B018 - asked for now, so that it does not count
    Failing.hits.clear()

    with pytest.raises(errors.Busy):
        failing.external_contact(external_userid="wm1")
    with pytest.raises(errors.OutcomeUnknown):
        failing.send_app_message(userids=["bob"], text="你好")

    assert Failing.hits == {"externalcontact/get": transport.ATTEMPTS, "message/send": 1}


def test_a_time_that_cannot_be_costs_no_page(failing, monkeypatch):
    rows = [
        {"external_contact": {"external_userid": f"wm{when}"}, "follow_info": {"userid": "bob", "createtime": when}}
        for when in (1700000000, 10**13, 10**30, "soon")
    ]
    told = {"errcode": 0, "external_contact_list": rows}
    monkeypatch.setattr(Failing, "answer", (200, json.dumps(told).encode()))

    page = failing.contacts_of(userids=["bob"])

    assert [pair.follow.added_at for pair in page] == [datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), None, None, None]
