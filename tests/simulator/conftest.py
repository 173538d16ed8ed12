"""A simulator per module, and a caller that speaks to it as a client would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.simulator.receiver import AES_KEY, TOKEN, Receiver
from wecom.simulator.testing import Simulator, running_simulator


class Caller:
    """Calls the API with the token of one app."""

    def __init__(self, simulator: Simulator, *, corp: int = 0, app: int = 0) -> None:
        self.simulator = simulator
        self.corpid: str = simulator.corps()[corp]["corpid"]
        self.agentid: int = simulator.corps()[corp]["apps"][app]["agentid"]
        self.place = (corp, app)
        self.token = simulator.token(corp, app)
        self.session = requests.Session()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._call("GET", path, None, params)

    def post(self, path: str, body: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        return self._call("POST", path, body or {}, params)

    def _call(self, method: str, path: str, body: dict[str, Any] | None, params: dict[str, Any]) -> dict[str, Any]:
        """Call; a token that expired with the clock is fetched anew, as every client does."""
        for _ in range(2):
            query = {"access_token": self.token, **params}
            answer = self.session.request(method, self.simulator.api_base + path, params=query, json=body, timeout=30)
            assert answer.status_code == 200, path
            if answer.json()["errcode"] != 42001:
                break
            self.token = self.simulator.token(*self.place)
        return dict(answer.json())

    def ok(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST to externalcontact/… and insist on success."""
        answer = self.post(f"externalcontact/{path}", body)
        assert answer["errcode"] == 0, answer
        return answer

    def errcode(self, path: str, body: dict[str, Any] | None = None) -> int:
        """POST to externalcontact/… and tell the errcode."""
        return int(self.post(f"externalcontact/{path}", body)["errcode"])

    def begin_slowly(self, method: str, path: str, body: dict[str, Any] | None = None) -> threading.Thread:
        """A call under way in a thread, which a fault makes slow until faults are ended."""
        self.simulator.post("/_sim/faults", {"path": path, "mode": "slow", "delay": 25, "count": 1})
        call = {"params": {"access_token": self.token}, "json": body, "timeout": 30}
        slow = threading.Thread(target=requests.request, args=(method, self.simulator.api_base + path), kwargs=call)
        slow.start()
        eventually(lambda: self.simulator.get("/_sim/faults")["items"][-1]["hits"])
        return slow

    def guides(self) -> list[str]:
        return list(self.get("externalcontact/get_follow_user_list")["follow_user"])

    def people(self) -> list[dict[str, Any]]:
        return list(self.simulator.get(f"/_sim/corps/{self.corpid}/people", limit=5000)["items"])

    def friends_of(self, userid: str) -> list[str]:
        """Customers of a guide who have not deleted them."""
        return [
            person["external_userid"]
            for person in self.people()
            for follow in person["follows"]
            if follow["userid"] == userid and not follow["deleted_by_customer"]
        ]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(guides=6, contacts=300, corps=2, confirm_rate=1.0) as running:
        running.post("/_sim/switches", {"delete_after_send_rate": 0.0})
        yield running


@pytest.fixture
def caller(simulator: Simulator) -> Iterator[Caller]:
    yield Caller(simulator)
    simulator.delete("/_sim/faults")
    simulator.post("/_sim/limits", {"per_minute": 10_000, "per_hour": 150_000, "concurrent": 0})


@pytest.fixture
def receiver(caller: Caller) -> Iterator[Receiver]:
    made = Receiver(caller.corpid)
    body = {"url": made.url, "token": TOKEN, "aes_key": AES_KEY, "timeout": 10}
    assert caller.simulator.post(f"/_sim/corps/{caller.corpid}/callback", body) == {"ok": True, "error": None}
    yield made
    caller.simulator.post("/_sim/switches", {"api_events": False, "callback_duplicate_rate": 0.0})
    caller.simulator.post(f"/_sim/corps/{caller.corpid}/callback", {"url": ""})
    made.server.shutdown()
    made.server.server_close()


def eventually(look: Callable[[], object]) -> None:
    """Wait until `look()` is true: what falls due by the clock happens on the simulator's own loop."""
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
