"""A brand's own system: a real HTTP receiver that says what it is told to."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Receiver:
    """What came in, and how to answer: a status, or a function of the body that gives one."""

    url: str
    answer: int | Callable[[dict[str, Any]], int] = 200
    got: list[dict[str, Any]] = field(default_factory=list)
    raw: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    location: str = ""

    def told(self) -> list[tuple[str, int]]:
        """(type, contact) in order of arrival."""
        return [(each["type"], each["data"]["contact"]["id"]) for each in self.got]


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """Listens on this machine, which webhooks may reach in tests only."""
    settings.ORCHARD_WEBHOOKS_PRIVATE = True
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            said = json.loads(body)
            with lock:
                status = there.answer if isinstance(there.answer, int) else there.answer(said)
                there.raw.append(({name.lower(): value for name, value in self.headers.items()}, body))
                if status < 300:
                    there.got.append(said)
            self.send_response(status)
            if there.location:
                self.send_header("location", there.location)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Receiver(f"http://127.0.0.1:{server.server_port}/orchard?shop=1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield there
    server.shutdown()
    server.server_close()
    thread.join()
