"""The pages: a customer's phone (chats and Moments side by side), and the list of customers to choose from."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

from wecom.simulator.engine import Engine
from wecom.simulator.phone import chats, feed
from wecom.simulator.phone.parts import View, face, nothing
from wecom.simulator.phone.words import CHINESE, ENGLISH
from wecom.simulator.world import Corp, Customer

STYLE = Path(__file__).with_name("phone.css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("phone.js").read_text(encoding="utf-8")
CHATS, MOMENTS = "chats", "moments"
LISTED = 60
LOOKED_AT = 20_000  # latest receipts among which the list looks for customers


def screen(engine: Engine, view: View, customer: Customer) -> str:
    """The phone of one customer: the conversation `with_whom`, else the latest; beside it the Moments."""
    words = view.words
    found = chats.conversations(engine, view, customer)
    chosen = next((each for each in found if each.key == view.with_whom), None)
    if chosen is None and found and view.with_whom != chats.LIST:
        chosen = found[0]
    if chosen is None:
        head, inside = f"<h2>{words('微信')}</h2>", chats.list_html(view, found)
    else:
        back = f'<a href="{view.link(**{"with": chats.LIST})}" aria-label="{words("返回")}">‹ {len(found)}</a>'
        named = f" ({chosen.heads})" if chosen.group else f"<em>@{escape(view.corp.name)}</em>"
        head = f"{back}<h2>{escape(chosen.title)}{named}</h2>"
        inside = chats.open_html(view, customer, chosen)
    on_moments = view.tab == MOMENTS
    moments = feed.feed_html(engine, view, customer)
    body = (
        _side(engine, view, customer)
        + _phone(view, "of-chats", head, inside, shown=not on_moments)
        + _phone(view, "of-moments", f"<h2>{words('朋友圈')}</h2>", moments, shown=on_moments)
        + _tabs(view)
    )
    title = words("{name}的手机", name=customer.name)
    about = f"{view.corp.name} · {words('模拟器中的客户所见')}"
    list_of_all = replace(view, customer=None, with_whom="", tab="").link()
    everybody = f'<a class="pill" href="{list_of_all}">{words("全部客户")}</a>'
    return _page(view, title, about, everybody, f'<main class="desk">{body}</main><script>{SCRIPT}</script>')


def directory(engine: Engine, view: View, *, corps: list[Corp], wanted: str = "") -> str:
    """Customers to choose from: those a search finds, else who received something lately, else the corp's first."""
    words, corp = view.words, view.corp
    latest = _latest(engine, corp)
    if wanted:
        hint, chosen = "", _found(corp, wanted)
    elif latest:
        hint, chosen = words("最近收到消息的客户"), list(latest)
    else:
        hint, chosen = words("还没有人收到消息，先列出一些客户"), list(corp.customers)[:LISTED]
    rows = "".join(_row(view, corp.customers[each], latest.get(each, 0)) for each in chosen)
    empty = nothing(words("没有找到这样的客户"), wanted)
    label = words("按昵称或 ID 查找")
    search = (
        f'<form class="find"><input type="hidden" name="corpid" value="{corp.corpid}">'
        f'<input type="hidden" name="lang" value="{words.language}">'
        f'<input name="q" value="{escape(wanted)}" placeholder="{label}" aria-label="{label}">'
        f"<button>{words('查找')}</button></form>"
    )
    others = "".join(
        f'<a class="pill" href="{replace(view, corp=each).link()}">{escape(each.name)}</a>'
        for each in corps
        if each is not corp
    )
    told = f'<p class="hint">{hint}</p>' if hint else ""
    inside = f'<main class="list">{search}{told}<div class="rows">{rows or empty}</div></main>'
    return _page(view, words("{corp}的客户", corp=corp.name), words("选一位客户，看其手机上收到了什么"), others, inside)


def _latest(engine: Engine, corp: Corp) -> dict[str, int]:
    """external_userid → when they last received something, the latest first."""
    found: dict[str, int] = {}
    for row in reversed(engine.journal.rows[-LOOKED_AT:]):
        if row.corpid == corp.corpid and row.external_userid in corp.customers:
            found.setdefault(row.external_userid, row.at)
        if len(found) >= LISTED:
            break
    return found


def _found(corp: Corp, wanted: str) -> list[str]:
    """Customers whose nickname has the words in it, or whose id or unionid they are."""
    sought = wanted.strip().lower()
    found = []
    for each in corp.customers.values():
        if sought in each.name.lower() or wanted.strip() in (each.external_userid, each.unionid):
            found.append(each.external_userid)
        if len(found) >= LISTED:
            break
    return found


def _row(view: View, customer: Customer, at: int) -> str:
    guides = view.words.listed(_guides(view, customer))
    when = f"<time>{view.words.when(at)}</time>" if at else ""
    mine = ' aria-current="true"' if view.customer is customer else ""
    target = replace(view, customer=customer, with_whom="")
    return (
        f'<a class="row" href="{target.link()}"{mine}>{face(customer.external_userid, customer.name)}'
        f'<span class="text"><b>{escape(customer.name)}</b><small>{escape(guides)}</small></span>{when}</a>'
    )


def _guides(view: View, customer: Customer) -> list[str]:
    """The names of who follows the customer, deleted ones marked."""
    found = []
    for follow in view.corp.followers_of.get(customer.external_userid, {}).values():
        member = view.corp.member(follow.userid)
        name = member.name if member else follow.userid
        found.append(f"{name} ({view.words('已删除')})" if follow.deleted_at else name)
    return found


def _side(engine: Engine, view: View, customer: Customer) -> str:
    """Beside the phones, where there is room: who serves this customer, and other customers."""
    words = view.words
    guides = view.words.listed(_guides(view, customer)) or "—"
    others = [view.corp.customers[each] for each in _latest(engine, view.corp)]
    rows = "".join(_row(view, each, 0) for each in others[:20])
    more = f"<h2>{words('换一位客户')}</h2><div class='rows'>{rows}</div>" if rows else ""
    return f'<aside class="side"><h2>{words("导购")}</h2><p>{escape(guides)}</p>{more}</aside>'


def _phone(view: View, kind: str, head: str, inside: str, *, shown: bool) -> str:
    """One phone; `kind` says which, `shown` whether a narrow screen shows it."""
    return (
        f'<section class="phone {kind}{" shown" if shown else ""}">'
        f'<div class="bar"><span>{view.words.clock()}</span><i aria-hidden="true"></i></div>'
        f'<div class="title">{head}</div><div class="screen" tabindex="0">{inside}</div></section>'
    )


def _tabs(view: View) -> str:
    """The tabs of a narrow screen."""
    links = ""
    for tab, name in ((CHATS, view.words("聊天")), (MOMENTS, view.words("朋友圈"))):
        here = ' aria-current="page"' if (view.tab == MOMENTS) is (tab == MOMENTS) else ""
        links += f'<a href="{view.link(tab=tab if tab == MOMENTS else "")}"{here}>{name}</a>'
    return f'<nav class="tabs">{links}</nav>'


def _page(view: View, title: str, about: str, links: str, body: str) -> str:
    other, name = (CHINESE, "中文") if view.words.language == ENGLISH else (ENGLISH, "English")
    language = "en" if view.words.language == ENGLISH else "zh-Hans"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body>"
        f'<header class="top"><h1>{escape(title)}<small>{escape(about)}</small></h1>'
        f'<nav>{links}<a class="pill" href="{view.link(lang=other)}" hreflang="{other}">{name}</a></nav></header>'
        f"{body}</body></html>"
    )
