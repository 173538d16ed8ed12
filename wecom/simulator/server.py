"""The HTTP server: one process, one loop. Reads calls, lets faults happen, runs due acts, saves snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from wecom.simulator import (
    consents,
    control,
    control_logins,
    control_phone,
    control_suites,
    control_world,
    hosts,
    links,
    reading,
    snapshot,
)
from wecom.simulator.clock import Clock
from wecom.simulator.control import SAVER
from wecom.simulator.control_base import ENGINE
from wecom.simulator.endpoints import ENDPOINTS
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.faults import Fault
from wecom.simulator.saving import Saver
from wecom.simulator.seed import make_world
from wecom.simulator.wire import CORP, SUITE, Binary, Call, answer, refuse

logger = logging.getLogger("wecom.simulator")

BODY_LIMIT = 32 * 1024 * 1024
PARTS = (control, control_world, control_suites, control_logins, control_phone, hosts)
SAVE_EVERY = 30.0  # seconds, when something changed
GC_THRESHOLDS = (20_000, 50, 100)  # what people leave behind are rows, not cycles: a walk over all would be a pause
HUNG_FOR = 600.0  # seconds a hung call stays open at most


def make_engine(
    *,
    seed: int,
    guides: int,
    contacts: int,
    corps: int,
    pace: float,
    confirm_rate: float,
    path: Path | None,
    stopped_at: float | None = None,
) -> Engine:
    """The engine of the snapshot at `path` if there is one, else of a new world. A given pace wins over the saved one.

    Raises snapshot.Unreadable."""
    if path is not None and path.exists():
        engine = snapshot.read(path)
        engine.clock.pace = pace
        return engine
    clock = Clock(pace=pace, stopped_at=stopped_at)
    world = make_world(
        seed=seed, guides=guides, contacts=contacts, corps=corps, confirm_rate=confirm_rate, now=int(clock.now())
    )
    engine = Engine(world=world, clock=clock)
    links.plan_all(engine)
    return engine


def run(
    *,
    host: str,
    port: int,
    seed: int,
    guides: int,
    contacts: int,
    corps: int = 1,
    pace: float = 1.0,
    confirm_rate: float = 0.88,
    snapshot_path: Path | None = None,
    exit_with_stdin: bool = False,
    stopped_at: float | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT. Prints `listening on http://HOST:PORT` when ready. Returns the exit status."""
    gc.disable()  # what is made now stays: to walk it again and again would double the time
    try:
        engine = make_engine(
            seed=seed,
            guides=guides,
            contacts=contacts,
            corps=corps,
            pace=pace,
            confirm_rate=confirm_rate,
            path=snapshot_path,
            stopped_at=stopped_at,
        )
    except snapshot.Unreadable as error:
        return _fail(f"cannot read the snapshot: {error}; remove the file to begin a new world")
    gc.freeze()  # nor does any later collection
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
    try:
        asyncio.run(_serve(engine, host=host, port=port, path=snapshot_path, exit_with_stdin=exit_with_stdin))
    except OSError as error:
        return _fail(f"cannot listen on {host}:{port}: {error.strerror or error}")
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 2


def make_app(engine: Engine, *, path: Path | None = None) -> web.Application:
    """The aiohttp application around an engine."""
    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[control.plain_errors])
    app[ENGINE] = engine
    if path is not None:
        app[SAVER] = Saver(engine, path)
    for part in PARTS:
        app.add_routes(part.routes)
    app.router.add_route("*", "/cgi-bin/{path:.*}", api)
    app.router.add_route("*", "/{path:.*}", unknown)
    app.cleanup_ctx.append(_background)
    return app


async def unknown(request: web.Request) -> web.Response:
    """Any other path: 404 with an empty body."""
    return web.Response(status=404)


async def api(request: web.Request) -> web.StreamResponse:
    """A call of WeCom's API, or the fault that befalls it."""
    engine = request.app[ENGINE]
    path = request.match_info["path"]
    target = ENDPOINTS.get(path)
    if target is None or request.method not in ("GET", "POST"):
        return web.Response(status=404)
    call = await reading.read(request, engine, target)
    running = (_corpid_of(engine, call), path)
    engine.limits.running[running] += 1
    try:
        fault = engine.faults.draw(path, running[0])
        if fault is None:
            return _respond(answer(call))
        return await _go_wrong(request, call, fault)
    finally:
        engine.limits.running[running] -= 1
        if not engine.limits.running[running]:
            del engine.limits.running[running]


async def _go_wrong(request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
    """The fault: before or after the effect of the call."""
    if fault.mode == "errcode":
        return _respond(refuse(call, Refused(fault.errcode)))
    if fault.mode == "slow":
        return await _take_time(call, fault.delay or 1.0)
    if fault.after:
        answer(call)
    if fault.mode.startswith("http_500"):
        return web.Response(status=500)
    if fault.mode.startswith("garbage"):
        return web.Response(text='{"errcode": 0, "errms', content_type="application/json")
    if fault.mode.startswith("timeout"):
        await _hang(request, HUNG_FOR if fault.delay is None else fault.delay)
    _reset(request)
    return web.Response(status=500)  # never arrives: the connection is gone


async def _take_time(call: Call, seconds: float) -> web.Response:
    """Answer late; meanwhile the object of an exclusive call is held, so that another call on it gets 45035."""
    engine, target = call.engine, call.endpoint
    held = (target.path, target.exclusive(call)) if target.exclusive else None
    if held is None or held in engine.busy:
        await engine.faults.wait(0 if held else seconds)
        return _respond(answer(call))
    engine.busy.add(held)
    try:
        await engine.faults.wait(seconds)
    finally:
        engine.busy.discard(held)
    return _respond(answer(call))


async def _hang(request: web.Request, seconds: float) -> None:
    """Keep the connection open without an answer until the client gives up or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(min(0.1, seconds))


def _reset(request: web.Request) -> None:
    """Cut the connection with a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _corpid_of(engine: Engine, call: Call) -> str:
    try:
        if call.query.get(SUITE):
            return engine.tokens.check_suite(call.query[SUITE], now=engine.clock.now()).suite_id
        return engine.tokens.check(call.query.get(CORP, ""), now=engine.clock.now()).corp.corpid
    except Refused:
        return call.query.get("corpid", "")


def _respond(result: dict[str, Any] | Binary) -> web.Response:
    if isinstance(result, Binary):
        printable = "".join(each for each in result.filename if each.isprintable())
        name = printable.replace("\\", "\\\\").replace('"', '\\"')
        disposition = f'attachment; filename="{name}"'
        headers = {"Content-disposition": disposition, **result.headers}
        return web.Response(body=result.content, status=result.status, headers=headers)
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, content_type="application/json")


# -- background --------------------------------------------------------------------------------------------------------


async def _background(app: web.Application) -> AsyncIterator[None]:
    engine = app[ENGINE]
    engine.outbound.start()
    tasks = [asyncio.create_task(_live(engine))]
    if SAVER in app:
        app[SAVER].begin()
        tasks.append(asyncio.create_task(_save_regularly(engine, app[SAVER])))
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await engine.outbound.stop()
    if SAVER in app:
        app[SAVER].end()


async def _live(engine: Engine) -> None:
    """Carry out due acts; sleep until the next is due or something changes."""
    while True:
        engine.agenda.changed.clear()
        try:
            await engine.agenda.catch_up()
        except Exception:
            logger.exception("an act of the world failed; the world goes on without it")
            continue
        consents.give_due_tickets(engine)
        due = [each for each in (engine.agenda.next_due(), engine.suites.next_due()) if each is not None]
        wait = max(0.0, min(due) - engine.clock.now()) if due else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(engine.agenda.changed.wait(), wait)


async def _save_regularly(engine: Engine, saver: Saver) -> None:
    """Save when something changed; a slow save makes saves rarer, a failed one is tried again."""
    pause = SAVE_EVERY
    while True:
        await asyncio.sleep(pause)
        if not engine.dirty:
            continue
        started = time.monotonic()
        try:
            await saver.save()
        except OSError as error:
            logger.warning("%s", error)
        pause = max(SAVE_EVERY, 20 * (time.monotonic() - started))


async def _serve(engine: Engine, *, host: str, port: int, path: Path | None, exit_with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(engine, path=path), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        bound = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        sys.stdout.write(f"listening on http://{host}:{bound}\n")
        sys.stdout.flush()
        if exit_with_stdin:
            _watch_stdin(loop, stop.set)
        await stop.wait()
    finally:
        await runner.cleanup()


def _watch_stdin(loop: asyncio.AbstractEventLoop, gone: Callable[[], Awaitable[None] | None]) -> None:
    """Stop when whoever started us is gone: their end of our standard input closes."""

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin)
            gone()

    loop.add_reader(sys.stdin, readable)
