"""A small callback receiver that stands in for the product: it opens what arrives with wechatpy."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import xmltodict
from wechatpy.enterprise.crypto import WeChatCrypto

TOKEN, AES_KEY = "tokenOfTests", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


class Receiver:
    """Decrypts what arrives with wechatpy; `broken` answers are given first, then 200."""

    def __init__(self, receiveid: str, *, token: str = TOKEN, aes_key: str = AES_KEY) -> None:
        self.crypto = WeChatCrypto(token, aes_key, receiveid)
        self.reply = b"success"
        self.envelopes: list[dict[str, str]] = []
        self.events: list[dict[str, str]] = []
        self.attempts = 0
        self.broken = 0
        self.wrong_echo = False
        self.redirect = False  # send everybody to where they asked already
        self.hold = 0  # answer nobody until so many are there at once
        self.most_at_once = self._at_once = 0
        self.arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                echo = receiver.crypto.check_signature(
                    query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"]
                )
                self.answer(200, b"wrong" if receiver.wrong_echo else str(echo).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                receiver.wait_for_company()
                with receiver.arrived:
                    receiver.attempts += 1
                    if receiver.redirect:
                        self.answer(307, b"", Location=receiver.url)
                    elif receiver.broken > 0:
                        receiver.broken -= 1
                        self.answer(500, b"")
                    else:
                        plain = receiver.crypto.decrypt_message(
                            body, query["msg_signature"], query["timestamp"], query["nonce"]
                        )
                        receiver.events.append(xmltodict.parse(plain)["xml"])
                        receiver.envelopes.append(xmltodict.parse(body)["xml"])
                        self.answer(200, receiver.reply)
                    receiver.arrived.notify_all()

            def answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/callbacks/wecom/"

    def wait_for_company(self) -> None:
        """Hold a request until `hold` of them are under way."""
        with self.arrived:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.arrived.notify_all()
            self.arrived.wait_for(lambda: self.most_at_once >= self.hold, timeout=9)
            self._at_once -= 1

    def next(self, count: int = 1) -> list[dict[str, str]]:
        """The next events, taken out of the list."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.events) >= count, timeout=60), self.events
            taken, self.events = self.events[:count], self.events[count:]
            return taken
