"""Callbacks to the corps (reference §4): URL verification, encrypted events, five seconds, three attempts."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from wecom.simulator import crypto
from wecom.simulator.switches import Switches
from wecom.simulator.world import Callback, Corp

logger = logging.getLogger("wecom.simulator.outbound")

ANSWER_WITHIN = 5.0  # seconds
VERIFY_WITHIN = 1.0
ATTEMPTS = 3
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # no XML may contain them, in whatever guise

EventValue = str | int | list[str] | list[tuple[str, Any]]
EventField = tuple[str, EventValue]


@dataclass(frozen=True)
class Address:
    """A receiver: one queue per `key`. `find` tells its URL and keys at the time of sending, None: nobody listens.
    `success_only`: the answer must be exactly `success` (the command URL of a suite)."""

    key: str
    receiveid: str
    to_user: str
    find: Callable[[], Callback | None]
    agentid: str = ""
    success_only: bool = False


Letter = tuple[Address, str]  # a receiver and the plain XML for it


def address_of(corp: Corp) -> Address:
    """The callback that the corp has set up itself."""
    return Address(corp.corpid, corp.corpid, corp.corpid, lambda: corp.callback)


def event_xml(*, corpid: str, at: int, event: str, change: str, body: list[EventField], sender: str = "sys") -> str:
    """The plain event of a self-built app (§4.4): numbers bare, strings in CDATA, lists as <Item>s."""
    head: list[EventField] = [
        ("ToUserName", corpid),
        ("FromUserName", sender),
        ("CreateTime", at),
        ("MsgType", "event"),
        ("Event", event),
        *([("ChangeType", change)] if change else []),
    ]
    return _xml(head + body)


def command_xml(*, suite_id: str, at: int, info_type: str, body: list[EventField]) -> str:
    """The plain event of a provider's suite (§4.4): InfoType names it."""
    return _xml([("SuiteId", suite_id), ("InfoType", info_type), ("TimeStamp", at), *body])


def _xml(fields: list[EventField]) -> str:
    return f"<xml>{''.join(_element(name, value) for name, value in fields)}</xml>"


def _element(name: str, value: EventValue) -> str:
    """Lists of strings are <Item>s, lists of pairs nested elements."""
    if isinstance(value, list):
        inner = "".join(_element(*each) if isinstance(each, tuple) else _element("Item", each) for each in value)
    elif isinstance(value, int):
        inner = str(value)
    else:
        inner = f"<![CDATA[{NOT_XML.sub('', value).replace(']]>', ']]]]><![CDATA[>')}]]>"
    return f"<{name}>{inner}</{name}>"


class Outbound:
    """One queue per address; with one lane, events leave in order. Nothing is promised (§4.3)."""

    def __init__(self, switches: Switches, rng: random.Random) -> None:
        self.counters: Counter[str] = Counter()
        self._switches = switches
        self.rng = rng
        self._queues: dict[str, deque[tuple[Address, str]]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession
        self._busy = 0

    @property
    def pending(self) -> int:
        """Events not yet delivered or given up."""
        return self._busy + sum(len(queue) for queue in self._queues.values())

    def start(self) -> None:
        """Begin to send. Called inside the running loop."""
        self._session = aiohttp.ClientSession(trust_env=False)

    async def stop(self) -> None:
        """Stop sending; what is queued is lost, as it may be with WeCom."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def enqueue(self, address: Address, xml: str) -> None:
        """Queue an event; the switches may lose, double or shuffle it. Called inside the running loop."""
        self.counters["raised"] += 1
        if self.rng.random() < self._switches.callback_loss_rate:
            self.counters["lost"] += 1
            return
        if address.key not in self._queues:
            self._queues[address.key], self._wake[address.key] = deque(), asyncio.Event()
            self._tasks.append(asyncio.create_task(self._send_all(address.key)))
        queue = self._queues[address.key]
        queue.append((address, xml))
        if self.rng.random() < self._switches.callback_duplicate_rate:
            self.counters["duplicated"] += 1
            queue.append((address, xml))
        if len(queue) > 1 and self.rng.random() < self._switches.callback_shuffle_rate:
            self.counters["shuffled"] += 1
            queue[-1], queue[-2] = queue[-2], queue[-1]
        self._wake[address.key].set()

    async def verify(self, receiveid: str, callback: Callback, *, within: float = VERIFY_WITHIN) -> str | None:
        """The GET handshake of §4.2. None when the endpoint answered with the plain echo, else what was wrong."""
        echo = str(secrets.randbelow(10**19))
        try:
            sealed = crypto.encrypt(echo, aes_key=callback.aes_key, receiveid=receiveid)
        except ValueError as error:
            return str(error)
        query = _signed(callback, sealed) | {"echostr": sealed}
        timeout = aiohttp.ClientTimeout(total=within)
        try:
            async with self._session.get(callback.url, params=query, timeout=timeout, allow_redirects=False) as answer:
                text = (await answer.read()).decode("utf-8", "replace")
                if answer.status != 200:
                    return f"HTTP {answer.status}"
        except TimeoutError:
            return f"no answer within {within:g} s"
        except (aiohttp.ClientError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return None if text == echo else f"answer was {text[:60]!r}, not the decrypted echostr"

    async def _send_all(self, key: str) -> None:
        queue = self._queues[key]
        lanes: set[asyncio.Task[None]] = set()
        while True:
            while not queue:
                self._wake[key].clear()
                await self._wake[key].wait()
            address, xml = queue.popleft()
            callback = address.find()
            if callback is None:
                continue
            self._busy += 1
            if self._switches.callback_delay_seconds:
                await asyncio.sleep(self._switches.callback_delay_seconds)
            lanes.add(asyncio.create_task(self._deliver(address, callback, xml)))
            while len(lanes) >= max(1, self._switches.callback_lanes):
                _, lanes = await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)

    async def _deliver(self, address: Address, callback: Callback, xml: str) -> None:
        """Up to three attempts at once after another; each is encrypted afresh with the same plaintext."""
        try:
            for _ in range(ATTEMPTS):
                self.counters["attempts"] += 1
                if await self._post(address, callback, xml):
                    self.counters["delivered"] += 1
                    return
            self.counters["given_up"] += 1
            logger.warning("callback given up after %s attempts: %s", ATTEMPTS, callback.url)
        finally:
            self._busy -= 1

    async def _post(self, address: Address, callback: Callback, xml: str) -> bool:
        sealed = crypto.encrypt(xml, aes_key=callback.aes_key, receiveid=address.receiveid)
        envelope = _xml([("ToUserName", address.to_user), ("AgentID", address.agentid), ("Encrypt", sealed)])
        query = _signed(callback, sealed)
        forged = self._switches.callback_bad_signature_rate
        if forged and self.rng.random() < forged:
            self.counters["bad_signature"] += 1
            query["msg_signature"] = "0" * 40
        try:
            async with self._session.post(
                callback.url,
                params=query,
                data=envelope.encode(),
                headers={"Content-Type": "text/xml"},
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN),
                allow_redirects=False,
            ) as answer:
                text = await answer.read()
                return answer.status == 200 and (not address.success_only or text == b"success")
        except (TimeoutError, aiohttp.ClientError) as error:
            logger.info("callback attempt failed: %s", type(error).__name__)
            return False


def _signed(callback: Callback, sealed: str) -> dict[str, str]:
    timestamp, nonce = str(int(time.time())), str(secrets.randbelow(10**10))
    mark = crypto.signature(callback.token, timestamp, nonce, sealed)
    return {"msg_signature": mark, "timestamp": timestamp, "nonce": nonce}
