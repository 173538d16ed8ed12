"""The demo's outside world: the simulator's control surface, and our own REST API as a mini-program calls it."""

from collections.abc import Iterator
from typing import Any

import requests


class World:
    """Talks to the simulator under /_sim/."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()

    def corps(self) -> list[dict[str, Any]]:
        """The corps with their secrets, largest first."""
        found: Any = self._get("/_sim/corps")
        return list(found["items"] if isinstance(found, dict) else found)

    def people(self, corpid: str) -> Iterator[dict[str, Any]]:
        """Everybody the corp's guides follow, as a mini-program would know them."""
        cursor = ""
        while True:
            page = self._get(f"/_sim/corps/{corpid}/people", cursor=cursor, limit=1000)
            yield from page["items"]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    def journal(self, corpid: str, kind: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """What customers of the corp received, in the order they did."""
        while True:
            page = self._get("/_sim/journal", corpid=corpid, kind=kind, after=after, limit=1000)
            yield from page["items"]
            if not page["items"] or page["next_after"] in (None, after):
                return
            after = page["next_after"]

    def summary(self, corpid: str) -> dict[str, Any]:
        """Counts of the journal."""
        return dict(self._get("/_sim/journal/summary", corpid=corpid))

    def set_callback(self, corpid: str, *, url: str, token: str, aes_key: str) -> None:
        """Have WeCom call us back; raises RuntimeError when the handshake fails."""
        body = {"url": url, "token": token, "aes_key": aes_key, "timeout": 10}
        answer = self._http.post(f"{self.url}/_sim/corps/{corpid}/callback", json=body, timeout=30).json()
        if not answer.get("ok"):
            raise RuntimeError(f"The callback URL was not verified: {answer}")

    def act(self, name: str, **fields: Any) -> dict[str, Any]:
        """Let somebody do something now: scan, settle, delete_follow …"""
        answer = self._http.post(f"{self.url}/_sim/acts/{name}", json=fields, timeout=120)
        answer.raise_for_status()
        return dict(answer.json())

    def counters(self) -> dict[str, Any]:
        """Calls per path and answers per errcode."""
        return dict(self._get("/_sim/counters"))

    def _get(self, path: str, **query: Any) -> Any:
        answer = self._http.get(f"{self.url}{path}", params=query, timeout=60)
        answer.raise_for_status()
        return answer.json()


class MiniProgram:
    """A brand's mini-program: sends what its visitors do to the REST API."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {key}"

    def send(self, events: list[dict[str, Any]]) -> int:
        """Post events in batches of 500; returns how many were new. Raises if one is refused."""
        accepted = 0
        for start in range(0, len(events), 500):
            answer = self._http.post(
                f"{self._url}/api/v1/events", json={"events": events[start : start + 500]}, timeout=60
            )
            answer.raise_for_status()
            told = answer.json()
            if told["refused"]:
                raise RuntimeError(f"Events were refused: {told['items'][:3]}")
            accepted += told["accepted"]
        return accepted

    def link(self, identities: list[dict[str, str]]) -> int:
        """Somebody shows several identities at once, as at a log-in. Returns our number of the contact."""
        answer = self._http.post(f"{self._url}/api/v1/oneid/links", json={"identities": identities}, timeout=60)
        answer.raise_for_status()
        return int(answer.json()["contact_id"])
