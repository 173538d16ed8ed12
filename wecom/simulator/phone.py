"""A customer's phone as a small page: the chats with the guides, the groups, the Moments, as they saw them."""

from __future__ import annotations

import datetime as dt
from html import escape
from typing import Any

from wecom.simulator.behaviour import CUSTOMER
from wecom.simulator.engine import Engine
from wecom.simulator.journal import Row
from wecom.simulator.moments import comment_text
from wecom.simulator.quota import SHANGHAI
from wecom.simulator.records import pair_key
from wecom.simulator.world import Corp, Customer

STYLE = """
body{margin:0;background:#e8e8ee;font:15px/1.5 "PingFang SC","Noto Sans CJK SC",sans-serif;color:#1a1a1a}
main{max-width:390px;margin:24px auto;background:#ededed;border-radius:28px;overflow:hidden;box-shadow:0 8px 40px #0003}
header{background:#f7f7f7;padding:14px 18px;border-bottom:1px solid #ddd}h1{font-size:17px;margin:0}
header small,.at{color:#888;font-size:12px}h2{font-size:13px;color:#666;margin:18px 16px 6px}
.at{text-align:center;margin:10px 0 2px}.msg{margin:4px 56px 8px 14px}.msg b{display:block;font-size:12px;color:#777;
font-weight:400}.msg p{background:#fff;border-radius:6px;padding:8px 11px;margin:2px 0;white-space:pre-wrap}
.mine{margin:4px 14px 8px 56px;text-align:right}.mine p{background:#95ec69;display:inline-block;text-align:left}
.card{background:#fff;border-radius:6px;padding:8px 11px;margin:4px 0;border-left:3px solid #07c160}
.moment{background:#fff;margin:8px 12px;border-radius:8px;padding:10px 12px}.moment b{color:#576b95}
.moment p{margin:4px 0;white-space:pre-wrap}.social{background:#f5f5f7;color:#576b95;font-size:13px;padding:4px 8px}
.none{color:#999;padding:6px 16px 20px}a{color:#576b95;text-decoration:none}table{width:100%;border-collapse:collapse;
background:#fff}td{padding:8px 14px;border-bottom:1px solid #eee}
"""

SHOWN = 60


def screen(engine: Engine, corp: Corp, customer: Customer) -> str:
    """The phone of one customer."""
    rows = engine.journal.received_by(customer.external_userid)
    chats = [row for row in rows if row.kind in ("single", "welcome", "notice") and not row.chat_id]
    seen = [row for row in rows if row.kind == "moment"]
    mine = [group for group in corp.groups.values() if customer.external_userid in group.members]
    in_groups = [row for group in mine for row in engine.journal.received_by(group.chat_id)]
    in_groups.sort(key=lambda row: row.seq)
    parts = [
        f"<header><h1>{escape(customer.name)}的手机</h1><small>{escape(corp.name)} · "
        f"{escape(customer.external_userid)}</small></header>",
        "<h2>聊天</h2>" + (_chats(engine, corp, customer, chats) or _none("还没有消息")),
        "<h2>群聊</h2>" + ("".join(_bubble(engine, corp, row) for row in in_groups[-SHOWN:]) or _none("还没有群消息")),
        "<h2>朋友圈</h2>"
        + ("".join(_moment(engine, corp, row) for row in reversed(seen[-SHOWN:])) or _none("还没有动态")),
    ]
    return _page(f"{customer.name}的手机", "".join(parts))


def directory(engine: Engine, corp: Corp) -> str:
    """Customers who received something, latest first, to choose from; else the first of the corp."""
    latest: dict[str, int] = {}
    for row in reversed(engine.journal.rows[-20_000:]):
        if row.corpid == corp.corpid and row.external_userid in corp.customers:
            latest.setdefault(row.external_userid, row.at)
        if len(latest) >= SHOWN:
            break
    chosen = list(latest) or list(corp.customers)[:SHOWN]
    lines = "".join(
        f'<tr><td><a href="?corpid={corp.corpid}&amp;external_userid={escape(each)}">'
        f"{escape(corp.customers[each].name)}</a></td>"
        f'<td class="at">{_when(latest[each]) if each in latest else ""}</td></tr>'
        for each in chosen
    )
    title = f"{corp.name}的客户"
    return _page(title, f"<header><h1>{escape(title)}</h1></header><table>{lines}</table>")


def _chats(engine: Engine, corp: Corp, customer: Customer, rows: list[Row]) -> str:
    """What was sent and what was written, in one order of time; the customer's own words on the right."""
    shown = [(row.at, 0, _bubble(engine, corp, row)) for row in rows[-SHOWN:]]
    for userid in {follow.userid for follow in corp.followers_of[customer.external_userid].values()}:
        chat = corp.chats.get(pair_key(userid, customer.external_userid))
        member = corp.member(userid)
        for at, by, text in chat.messages if chat else []:
            mine = by == CUSTOMER
            name = "我" if mine else member.name if member else userid
            words = f'<div class="msg{" mine" if mine else ""}"><b>{escape(name)}</b><p>{escape(text)}</p></div>'
            shown.append((at, 1, f'<div class="at">{_when(at)}</div>{words}'))
    return "".join(html for _, _, html in sorted(shown, key=lambda each: each[:2])[-SHOWN:])


def _bubble(engine: Engine, corp: Corp, row: Row) -> str:
    text, attachments = engine.journal.contents[row.fingerprint]
    sender = corp.member(row.sender)
    name = sender.name if sender else row.sender
    where = corp.groups[row.chat_id].name if row.chat_id in corp.groups else ""
    title = f"{name} · {where}" if where else name
    body = f"<p>{escape(text)}</p>" if text else ""
    cards = "".join(_card(each) for each in attachments)
    return f'<div class="at">{_when(row.at)}</div><div class="msg"><b>{escape(title)}</b>{body}{cards}</div>'


def _moment(engine: Engine, corp: Corp, row: Row) -> str:
    text, attachments = engine.journal.contents[row.fingerprint]
    sender = corp.member(row.sender)
    send = corp.moments[row.source_id].members[row.sender]
    social = []
    if any(who == row.external_userid for who, _ in send.likes):
        social.append("♥ 我赞了")
    if any(who == row.external_userid for who, _ in send.comments):
        social.append(f"我：{escape(comment_text(row.source_id, row.external_userid))}")
    return (
        f'<div class="moment"><b>{escape(sender.name if sender else row.sender)}</b>'
        f"<p>{escape(text)}</p>{''.join(_card(each) for each in attachments)}"
        f'<div class="at" style="text-align:left">{_when(row.at)}</div>'
        + (f'<div class="social">{"　".join(social)}</div>' if social else "")
        + "</div>"
    )


def _card(attachment: dict[str, Any]) -> str:
    kind = str(attachment.get("msgtype", ""))
    part = attachment.get(kind) or {}
    label = {"image": "图片", "link": "链接", "miniprogram": "小程序", "video": "视频", "file": "文件"}.get(kind, kind)
    title = part.get("title") or part.get("desc") or ""
    return f'<div class="card">[{label}] {escape(str(title))}</div>'


def _when(at: int) -> str:
    return dt.datetime.fromtimestamp(at, SHANGHAI).strftime("%m月%d日 %H:%M")


def _none(text: str) -> str:
    return f'<div class="none">{text}</div>'


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="zh-Hans"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><main>{body}</main></html>'
    )
