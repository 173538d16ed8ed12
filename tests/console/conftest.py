"""A test client that goes through the brand's path as scrm.wsgi does, and a real server for the browser."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.test import Client
from django.urls import set_script_prefix

from console.brand_path import moved, outside_brand
from tenants.models import User
from wecom.simulator.testing import running_simulator


class QuietHandler(WSGIRequestHandler):
    """Says nothing about each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class ConsoleClient(Client):
    """Django's test client behind the same rewriting of the path as in production."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        inner = self.handler

        def through_the_brand(environ: dict[str, Any]) -> Any:
            moved(environ)
            with outside_brand():
                set_script_prefix(environ.get("SCRIPT_NAME") or "/")
                return inner(environ)

        self.handler = through_the_brand  # type: ignore[assignment]


@pytest.fixture
def console() -> Callable[[User], ConsoleClient]:
    """`console(user)` is a client with the user logged in, answered in Chinese."""

    def logged_in(user: User) -> ConsoleClient:
        client = ConsoleClient(headers={"accept-language": "zh-hans"})
        client.force_login(user)
        return client

    return logged_in


@pytest.fixture
def server(transactional_db) -> Iterator[str]:
    """The product's WSGI application behind a threaded server; its URL."""
    from scrm.wsgi import application

    httpd = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    httpd.set_app(application)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def wecom(settings) -> Iterator[Any]:
    """A small WeCom over HTTP."""
    with running_simulator(guides=3, contacts=40, seed=5, pace=100_000) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        yield simulator


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium."""
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    return {**browser_type_launch_args, "executable_path": "/usr/bin/chromium", "args": quiet}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """A desktop that prefers Chinese."""
    return {**browser_context_args, "locale": "zh-CN", "viewport": {"width": 1440, "height": 900}}
