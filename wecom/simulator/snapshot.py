"""The world on disk: gzipped JSON, one table of rows per kind of record. `saving` writes it.

Not kept: tokens, cursors, queued callbacks, faults, limits in use; a client survives the loss of each.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from wecom.simulator import records as r
from wecom.simulator import sends
from wecom.simulator import world as w
from wecom.simulator.clock import Clock
from wecom.simulator.engine import Engine
from wecom.simulator.journal import Row

VERSION = 1
NO_ROWS: dict[str, Any] = {"fields": [], "rows": []}  # of a table that an older snapshot does not have
# When the simulator that used the file was killed, what it made after the last save is forgotten, but its ids are not
# ours to give again: whoever heard them keeps them.
IDS_SKIPPED = 100_000
ROWS_AT_ONCE = 5000
Record = TypeVar("Record")

SIMPLE_TABLES: list[tuple[str, type[Any], str]] = [
    ("departments", w.Department, "id"),
    ("tag_groups", w.TagGroup, "group_id"),
    ("tags", w.Tag, "tag_id"),
    ("contact_ways", w.ContactWay, "config_id"),
    ("moment_jobs", sends.MomentJob, "jobid"),
    ("welcome_codes", w.WelcomeCode, "code"),
    ("unassigned", r.Unassigned, "key"),
    ("links", r.Link, "link_id"),
    ("link_customers", r.LinkCustomer, "key"),
    ("chat_keys", r.ChatKey, "chat_key"),
    ("join_ways", r.JoinWay, "config_id"),
    ("group_welcomes", r.GroupWelcome, "template_id"),
    ("strategies", r.Strategy, "strategy_id"),
    ("products", r.Product, "product_id"),
    ("intercept_rules", r.InterceptRule, "rule_id"),
    ("chats", r.Chat, "key"),
    ("temp_chats", r.TempChat, "key"),
    ("member_tags", r.MemberTag, "tagid"),
]
LISTS: list[tuple[str, type[Any]]] = [
    ("past_members", r.PastMember),
    ("past_groups", r.PastGroup),
    ("deeds", r.Deed),
]
PLAIN = ("left", "renamed", "trusted_ips", "link_quota", "link_access", "behaviour", "pending_ids", "given_groups")


class Unreadable(Exception):
    """The snapshot is not one of this version, or damaged."""


def mark_of(path: Path) -> Path:
    """The file that is there while a simulator uses the snapshot, and after it was killed."""
    return path.with_name(f"{path.name}.in-use")


def in_use(path: Path) -> bool:
    """Whether the simulator that used the snapshot did not end by itself."""
    return mark_of(path).exists()


def pieces(engine: Engine) -> Iterator[str]:
    """The whole state as JSON text, piece by piece: a large world is never there twice."""
    state = {
        "version": VERSION,
        "seed": engine.world.seed,
        "born_at": engine.world.born_at,
        "clock": {name: getattr(engine.clock, name) for name in ("offset", "pace", "stopped_at")},
        "switches": dataclasses.asdict(engine.switches),
        "draws": [engine.rng.getstate(), engine.outbound.rng.getstate()],
        "agenda": engine.agenda.heap,
        "suites": engine.suites.dump(),
        "mini_programs": engine.logins.dump(),
        "contents": engine.journal.contents,
        "journal": _Table(Row, engine.journal.rows),
    }
    for number, corp in enumerate(engine.world.corps.values()):
        yield ("," if number else '{"corps":[')
        yield from _object(_dump_corp(corp))
    yield "],"
    yield from islice(_object(state), 1, None)  # the brace that opens it is there already


def read(path: Path) -> Engine:
    """The engine a snapshot holds. Raises Unreadable."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            state = json.load(file)
    except (OSError, ValueError, EOFError) as error:
        raise Unreadable(f"{path}: {error}") from error
    if state.get("version") != VERSION:
        raise Unreadable(f"{path}: version {state.get('version')}, this simulator writes {VERSION}")
    world = w.World(seed=state["seed"], born_at=state["born_at"])
    for each in state["corps"]:
        corp = _load_corp(each, ids_skipped=IDS_SKIPPED if in_use(path) else 0)
        world.corps[corp.corpid] = corp
    engine = Engine(world=world, clock=Clock(**state["clock"]))
    engine.switches.configure(state["switches"])
    for rng, (version, internal, gauss) in zip((engine.rng, engine.outbound.rng), state.get("draws", ()), strict=False):
        rng.setstate((version, tuple(internal), gauss))
    engine.agenda.restore(state["agenda"])
    if "suites" in state:
        engine.suites.restore(state["suites"])
    engine.logins.restore(state.get("mini_programs", []))
    engine.journal.contents = {mark: (text, rest) for mark, (text, rest) in state["contents"].items()}
    for row in _records(Row, state["journal"]):
        engine.journal.add(row)
    engine.dirty = False
    return engine


def _dump_corp(corp: w.Corp) -> dict[str, Any]:
    tables = {name: _Table(kind, getattr(corp, name).values()) for name, kind, _ in SIMPLE_TABLES}
    media = _Table(w.Media, corp.media.values(), skip="content")
    groups, tasks, moments = corp.groups.values(), corp.mass_tasks.values(), corp.moments.values()
    return {
        "corpid": corp.corpid,
        "name": corp.name,
        "seed": corp.seed,
        "quota_mode": corp.quota_mode,
        "serial": corp.serial,
        **{name: getattr(corp, name) for name in PLAIN},
        "callback": dataclasses.asdict(corp.callback) if corp.callback else None,
        "apps": _Table(w.App, corp.apps),
        "members": _Table(w.Member, corp.members.values()),
        "customers": _Table(w.Customer, corp.customers.values()),
        "follows": _Table(w.Follow, (each for mine in corp.follows_of.values() for each in mine.values())),
        "groups": _Table(w.Group, groups, skip="members"),
        "group_members": [[each.chat_id, _Table(w.GroupMember, each.members.values()).plain()] for each in groups],
        "mass_tasks": _Table(sends.MassTask, tasks, skip="members"),
        "member_sends": _Table(sends.MemberSend, (send for task in tasks for send in task.members.values())),
        "moments": _Table(sends.Moment, moments, skip="members"),
        "moment_sends": _Table(sends.MomentSend, (send for each in moments for send in each.members.values())),
        "media": media,
        "media_contents": [base64.b64encode(each.content).decode() for each in corp.media.values()],
        "transfers": _Table(r.Transfer, corp.transfers.values()),
        **{name: _Table(kind, getattr(corp, name)) for name, kind in LISTS},
        **tables,
    }


def _load_corp(state: dict[str, Any], *, ids_skipped: int) -> w.Corp:
    corp = w.Corp(corpid=state["corpid"], name=state["name"], seed=state["seed"], quota_mode=state["quota_mode"])
    corp.serial = state["serial"] + ids_skipped
    for name in PLAIN:
        if name in state:
            setattr(corp, name, state[name])
    corp.callback = w.Callback(**state["callback"]) if state["callback"] else None
    corp.apps = _records(w.App, state["apps"])
    for member in _records(w.Member, state["members"]):
        corp.add_member(member)
    corp.spelling |= {userid.lower(): userid for userid in corp.left}
    for customer in _records(w.Customer, state["customers"]):
        corp.add_customer(customer)
    for follow in sorted(_records(w.Follow, state["follows"]), key=lambda each: each.seq):
        corp.add_follow(follow)
    for name, kind, key in SIMPLE_TABLES:
        setattr(corp, name, {getattr(each, key): each for each in _records(kind, state.get(name, NO_ROWS))})
    for name, kind in LISTS:
        setattr(corp, name, _records(kind, state.get(name, NO_ROWS)))
    for transfer in _records(r.Transfer, state.get("transfers", NO_ROWS)):
        corp.add_transfer(transfer)
    corp.groups = {each.chat_id: each for each in _records(w.Group, state["groups"])}
    for chat_id, table in state["group_members"]:
        corp.groups[chat_id].members = {each.userid: each for each in _records(w.GroupMember, table)}
    corp.mass_tasks = {each.msgid: each for each in _records(sends.MassTask, state["mass_tasks"])}
    for send in _records(sends.MemberSend, state["member_sends"]):
        corp.mass_tasks[send.msgid].members[send.userid] = send
    corp.moments = {each.moment_id: each for each in _records(sends.Moment, state["moments"])}
    for published in _records(sends.MomentSend, state["moment_sends"]):
        corp.moments[published.moment_id].members[published.userid] = published
    for media, content in zip(_records(w.Media, state["media"]), state["media_contents"], strict=True):
        media.content = base64.b64decode(content)
        corp.media[media.media_id] = media
    return corp


@dataclasses.dataclass(frozen=True)
class _Table:
    """Records of one kind, written as {"fields": […], "rows": [[…], …]}."""

    kind: type[Any]
    records: Iterable[Any]
    skip: str = ""

    @property
    def fields(self) -> list[str]:
        """The names of what a row holds."""
        return [each.name for each in dataclasses.fields(self.kind) if each.name != self.skip]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """A row per record."""
        return map(attrgetter(*self.fields), self.records)

    def plain(self) -> dict[str, Any]:
        """The same within another value."""
        return {"fields": self.fields, "rows": list(self.rows())}

    def pieces(self) -> Iterator[str]:
        """The text, some rows at a time."""
        yield f'{{"fields":{_text(self.fields)},"rows":['
        rows, comma = self.rows(), ""
        while some := list(islice(rows, ROWS_AT_ONCE)):
            yield comma + _text(some)[1:-1]
            comma = ","
        yield "]}"


def _object(fields: dict[str, Any]) -> Iterator[str]:
    """A JSON object whose values may be tables; the brace that opens it is a piece of its own."""
    yield "{"
    comma = ""
    for name, value in fields.items():
        yield f"{comma}{_text(name)}:"
        comma = ","
        if isinstance(value, _Table):
            yield from value.pieces()
        else:
            yield _text(value)
    yield "}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _records(kind: type[Record], table: dict[str, Any]) -> list[Record]:
    fields = table["fields"]
    return [kind(**dict(zip(fields, row, strict=True))) for row in table["rows"]]
