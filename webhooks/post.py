"""One call to a receiver. No database, no scope: the network is slow."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from webhooks.address import ForbiddenAddress, NoAddress, Target, parse, resolve

CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
ANSWER_BYTES = 2000
"""more of an answer is not read"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: a code of webhooks.answers; status and text if the receiver answered."""

    outcome: str
    status: int | None = None
    text: str = ""


def post(url: str, *, body: bytes, headers: dict[str, str]) -> Answer:
    """POST the body and say what came of it; never raises for anything that a receiver or a network can do."""
    target = parse(url)
    if not isinstance(target, Target):
        return Answer("forbidden_address")
    try:
        address = resolve(target)
    except ForbiddenAddress:
        return Answer("forbidden_address")
    except NoAddress:
        return Answer("no_address")
    sent = {"content-type": "application/json; charset=utf-8", "user-agent": "Orchard-Webhooks/1", **headers}
    try:
        return _said(*_call(target, address, body, sent | {"host": _host(target)}))
    except TimeoutError:
        return Answer("timeout")
    except (SSLError, ssl.SSLError):
        return Answer("tls")
    except (NewConnectionError, ConnectTimeoutError, ConnectionRefusedError):
        return Answer("unreachable")
    except (HTTPError, HTTPException, OSError):
        return Answer("broken")


def _call(target: Target, address: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    connection = _connection(target, address)
    over = threading.Event()
    # A time-out of the socket alone starts anew with each byte that a slow receiver lets fall, in the handshake, too.
    deadline = threading.Timer(ANSWER_SECONDS, _cut, [connection, over])
    deadline.daemon = True
    deadline.start()
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS + 1)
        connection.request("POST", target.path, body=body, headers=headers, preload_content=False)
        answer = connection.getresponse()
        text = answer.read(ANSWER_BYTES, decode_content=False).decode("utf-8", "replace")
        if over.is_set():
            # Cut off in the middle of its headers it looks like a whole answer.
            raise TimeoutError
        return answer.status, text
    except (HTTPError, HTTPException, OSError) as error:
        if over.is_set():
            raise TimeoutError from error
        raise
    finally:
        deadline.cancel()
        connection.close()
        connection.let_go()


class _Cuttable(HTTPConnection):
    """Keeps a second handle of its connection: a TLS handshake takes the first one away until it is done."""

    handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self.handle = made.dup()
        return made

    def let_go(self) -> None:
        """Close the second handle."""
        if self.handle is not None:
            self.handle.close()


class _CuttableTls(_Cuttable, HTTPSConnection):
    """The same over TLS."""


def _connection(target: Target, address: str) -> _Cuttable:
    if target.scheme == "http":
        return _Cuttable(address, target.port, timeout=CONNECT_SECONDS)
    # To the address that was looked at; certificate and SNI are the name's.
    return _CuttableTls(
        address, target.port, timeout=CONNECT_SECONDS, ssl_context=_trust(), server_hostname=target.host
    )


def _cut(connection: _Cuttable, over: threading.Event) -> None:
    over.set()
    if connection.handle is not None:
        with suppress(OSError):
            connection.handle.shutdown(socket.SHUT_RDWR)


def _said(status: int, text: str) -> Answer:
    said = text.replace("\x00", "")[:500]
    if 200 <= status < 300:
        return Answer("delivered", status, said)
    if 300 <= status < 400:
        return Answer("redirected", status, said)
    if status == 410:
        return Answer("gone", status, said)
    return Answer("refused" if status < 500 else "server_error", status, said)


def _host(target: Target) -> str:
    name = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"https": 443, "http": 80}[target.scheme]
    return name if target.port == usual else f"{name}:{target.port}"


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())
