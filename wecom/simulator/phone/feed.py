"""The Moments on a customer's phone: what guides published and the customer was shown."""

from __future__ import annotations

from html import escape

from wecom.simulator.engine import Engine
from wecom.simulator.journal import Row
from wecom.simulator.moments import comment_text
from wecom.simulator.phone.parts import View, attachment_html, face, nothing, picture
from wecom.simulator.world import Customer

SHOWN = 60


def feed_html(engine: Engine, view: View, customer: Customer) -> str:
    """The cover with the customer's own face, and the Moments, latest first."""
    rows = [row for row in engine.journal.received_by(customer.external_userid) if row.kind == "moment"]
    own = f"<b>{escape(customer.name)}</b>{face(customer.external_userid, customer.name)}"
    shown = "".join(_moment(engine, view, row) for row in reversed(rows[-SHOWN:]))
    empty = nothing(view.words("还没有动态"), view.words("导购发表的朋友圈会出现在这里"))
    return f'<div class="cover-page">{own}</div><div class="feed">{shown or empty}</div>'


def _moment(engine: Engine, view: View, row: Row) -> str:
    text, attachments = engine.journal.contents[row.fingerprint]
    sender = view.corp.member(view.corp.now_called(row.sender))
    name = sender.name if sender else row.sender
    pictures = [each["image"] for each in attachments if each.get("msgtype") == "image"]
    grid = f'<div class="grid n{len(pictures)}">{"".join(picture(view, each) for each in pictures)}</div>'
    others = "".join(attachment_html(view, each) for each in attachments if each.get("msgtype") != "image")
    said = f'<p class="words">{escape(text)}</p>' if text else ""
    return (
        f'<article class="moment">{face(row.sender, name)}<div class="body">'
        f'<b>{escape(name)}<em class="corp">@{escape(view.corp.name)}</em></b>{said}{grid if pictures else ""}{others}'
        f"<time>{view.words.when(row.at)}</time>{_reaction(engine, view, row)}</div></article>"
    )


def _reaction(engine: Engine, view: View, row: Row) -> str:
    """What the customer did: a heart, a comment."""
    send = view.corp.moments[row.source_id].members[view.corp.now_called(row.sender)]
    liked = any(who == row.external_userid for who, _ in send.likes)
    commented = any(who == row.external_userid for who, _ in send.comments)
    me = view.words("我")
    parts = [f"<span>♥ {me}</span>"] if liked else []
    if commented:
        said = comment_text(row.source_id, row.external_userid)
        parts.append(f"<span><b>{me}</b>{'：' if view.words.language == 'zh' else ': '}{escape(said)}</span>")
    return f'<div class="social">{"".join(parts)}</div>' if parts else ""
