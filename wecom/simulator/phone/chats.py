"""The conversations on a customer's phone: with guides and in groups, as the customer saw them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from wecom.simulator.behaviour import CUSTOMER
from wecom.simulator.engine import Engine
from wecom.simulator.journal import Row
from wecom.simulator.phone.parts import View, attachment_html, attachment_words, face, nothing
from wecom.simulator.records import pair_key
from wecom.simulator.world import Customer, Group

SHOWN = 60
PAUSE = 300  # seconds without a message after which the time is told again
LIST = "list"

Attachments = list[dict[str, Any]]


@dataclass
class Line:
    """One line of a conversation. `by`: a member's userid, the customer's external_userid, or "" for WeChat itself."""

    at: int
    order: int
    by: str
    name: str
    text: str
    attachments: Attachments = field(default_factory=list)


@dataclass
class Conversation:
    """A chat with a guide (key: userid) or a group (key: chat_id), its lines oldest first."""

    key: str
    title: str
    group: bool
    heads: int
    lines: list[Line]

    @property
    def latest(self) -> int:
        """When something was last said."""
        return self.lines[-1].at if self.lines else 0


def conversations(engine: Engine, view: View, customer: Customer) -> list[Conversation]:
    """All conversations of the customer in which something happened, the latest first."""
    found = [_private(engine, view, customer, userid) for userid in _guides(engine, view, customer)]
    found += [_in_group(engine, view, customer, each) for each in view.corp.groups.values() if _is_in(customer, each)]
    return sorted((each for each in found if each.lines), key=lambda each: (-each.latest, each.key))


def list_html(view: View, found: list[Conversation]) -> str:
    """The list of conversations, as WeChat opens with."""
    rows = []
    for each in found:
        last = each.lines[-1]
        said = last.text or attachment_words(view, last.attachments)
        company = "" if each.group else f'<em class="corp">@{escape(view.corp.name)}</em>'
        rows.append(
            f'<a class="row" href="{view.link(**{"with": each.key, "tab": ""})}">'
            f"{face(each.key, each.title, group=each.group)}"
            f'<span class="text"><b>{escape(each.title)}{company}</b><small>{escape(said)}</small></span>'
            f"<time>{view.words.when(each.latest)}</time></a>"
        )
    empty = nothing(view.words("还没有消息"), view.words("发给这位客户的消息会出现在这里"))
    return f'<div class="rows">{"".join(rows)}</div>' if rows else empty


def open_html(view: View, customer: Customer, found: Conversation) -> str:
    """One conversation: bubbles, with the time where there was a pause."""
    parts, before = [], 0
    for line in found.lines[-SHOWN:]:
        if line.at - before > PAUSE:
            parts.append(f'<div class="at">{view.words.when(line.at)}</div>')
        before = line.at
        parts.append(_line(view, customer, line, named=found.group))
    return f'<div class="talk" data-end>{"".join(parts)}</div>'


def _line(view: View, customer: Customer, line: Line, *, named: bool) -> str:
    if not line.by:
        return f'<div class="told">{escape(line.text)}</div>'
    mine = line.by == customer.external_userid
    name = f'<span class="who">{escape(line.name)}</span>' if named and not mine else ""
    said = f'<p class="said">{escape(line.text)}</p>' if line.text else ""
    cards = "".join(attachment_html(view, each) for each in line.attachments)
    whose = face(line.by, line.name)
    return f'<div class="line{" mine" if mine else ""}">{whose}<div class="body">{name}{said}{cards}</div></div>'


def _guides(engine: Engine, view: View, customer: Customer) -> list[str]:
    """Members who are or were in touch with the customer, each once."""
    wrote = [view.corp.now_called(row.sender) for row in _private_rows(engine, customer)]
    return list(dict.fromkeys([*view.corp.followers_of.get(customer.external_userid, {}), *wrote]))


def _private_rows(engine: Engine, customer: Customer) -> list[Row]:
    """What members told the customer alone."""
    rows = engine.journal.received_by(customer.external_userid)
    return [row for row in rows if row.kind in ("single", "welcome", "notice") and not row.chat_id]


def _private(engine: Engine, view: View, customer: Customer, userid: str) -> Conversation:
    corp, words = view.corp, view.words
    member = corp.member(userid)
    name = member.name if member else userid
    lines = [
        Line(row.at, 1, userid, name, *engine.journal.contents[row.fingerprint])
        for row in _private_rows(engine, customer)
        if corp.now_called(row.sender) == userid
    ]
    chat = corp.chats.get(pair_key(userid, customer.external_userid))
    for at, by, text in chat.messages if chat else []:
        mine = by == CUSTOMER
        lines.append(Line(at, 2, customer.external_userid if mine else userid, customer.name if mine else name, text))
    follow = corp.followers_of.get(customer.external_userid, {}).get(userid)
    if follow is not None and (lines or follow.createtime >= engine.world.born_at):
        lines.append(Line(follow.createtime, 0, "", "", words("你已添加了{name}，现在可以开始聊天了", name=name)))
        if follow.deleted_at:
            lines.append(Line(follow.deleted_at, 3, "", "", words("你删除了{name}，不再收到消息", name=name)))
    return Conversation(userid, name, False, 2, sorted(lines, key=lambda line: (line.at, line.order)))


def _in_group(engine: Engine, view: View, customer: Customer, group: Group) -> Conversation:
    """What was said since the customer joined."""
    corp = view.corp
    joined = group.members[customer.external_userid].join_time
    lines = []
    for row in engine.journal.received_by(group.chat_id):
        greeting = row.kind == "welcome" and row.external_userid != customer.external_userid
        if row.at < joined or greeting:
            continue
        userid = corp.now_called(row.sender)
        sender = corp.member(userid)
        name = sender.name if sender else userid
        lines.append(Line(row.at, 1, userid, name, *engine.journal.contents[row.fingerprint]))
    if lines or joined >= engine.world.born_at:
        lines.append(Line(joined, 0, "", "", view.words("你加入了群聊")))
    name = group.name or view.words("群聊")
    return Conversation(
        group.chat_id, name, True, len(group.members), sorted(lines, key=lambda line: (line.at, line.order))
    )


def _is_in(customer: Customer, group: Group) -> bool:
    return customer.external_userid in group.members
