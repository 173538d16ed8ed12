"""What an application message may say (reference §18): each kind's fields and limits, template cards among them."""

from __future__ import annotations

from typing import Any

from wecom.simulator.content import check_file
from wecom.simulator.errors import Refused
from wecom.simulator.wire import Call

TEXT_BYTES = 2048
CARDS = ("text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction")
INTERACTIVE = CARDS[2:]
KINDS = (
    "text",
    "image",
    "voice",
    "video",
    "file",
    "textcard",
    "news",
    "mpnews",
    "markdown",
    "miniprogram_notice",
    "template_card",
)

Part = dict[str, Any]


def checked(call: Call, kind: str) -> Part:
    """The message's part of that kind. Raises Refused with WeCom's code."""
    if kind not in KINDS:
        raise Refused(40058, "invalid msgtype")
    part = call.record(kind)
    if not part:
        raise Refused(44004)
    if kind in ("text", "markdown"):
        _text(part)
    elif kind == "textcard":
        _textcard(part)
    elif kind in ("news", "mpnews"):
        _news(part, kind)
    elif kind == "miniprogram_notice":
        _notice(call, part)
    elif kind == "template_card":
        card(call, part)
    else:
        check_file(call.corp, part.get("media_id"), now=call.now, kind=kind)
    return part


def card(call: Call, part: Part) -> None:
    """Check a template card of any of the five kinds. Raises Refused."""
    kind = part.get("card_type")
    if kind not in CARDS:
        raise Refused(40058, "invalid card_type")
    _common(call, part)
    if kind in ("text_notice", "news_notice"):
        _action(part.get("card_action"))
    if kind in INTERACTIVE or part.get("action_menu"):
        _task_id(part)
    if kind == "text_notice" and not (_title(part) or part.get("sub_title_text")):
        raise Refused(40058, "main_title or sub_title_text needed")
    if kind != "text_notice" and not _title(part):
        raise Refused(40058, "main_title.title needed")
    if kind == "news_notice":
        if not _record(part, "card_image").get("url") and not part.get("image_text_area"):
            raise Refused(40058, "card_image or image_text_area needed")
        _many(part, "vertical_content_list", 0, 4)
    elif kind == "button_interaction":
        for button in _many(part, "button_list", 1, 6):
            if not button.get("text") or not (button.get("key") or button.get("url")):
                raise Refused(40058, "a button needs text, and key or url")
            if button.get("style", 1) not in (1, 2, 3, 4):
                raise Refused(40058, "invalid button style")
        if part.get("button_selection"):
            _selection(_record(part, "button_selection"))
    elif kind == "vote_interaction":
        _selection(_record(part, "checkbox"))
        _submit(part)
    elif kind == "multiple_interaction":
        for each in _many(part, "select_list", 1, 3):
            _selection(each)
        _submit(part)


def words(kind: str, part: Part) -> str:
    """What a message says, in one line."""
    if kind == "template_card":
        return _title(part) or str(part.get("sub_title_text") or "")
    if kind in ("news", "mpnews"):
        return str(part["articles"][0].get("title", ""))
    return str(part.get("content") or part.get("title") or "")


def is_interactive(kind: str, part: Part) -> bool:
    """Whether the message comes with a response_code."""
    return kind == "template_card" and (part.get("card_type") in INTERACTIVE or bool(part.get("action_menu")))


def _text(part: Part) -> None:
    if not part.get("content"):
        raise Refused(44004)
    if len(str(part["content"]).encode()) > TEXT_BYTES:
        raise Refused(45002)


def _textcard(part: Part) -> None:
    if not part.get("title"):
        raise Refused(40058, "title missing")
    if not part.get("description"):
        raise Refused(41033)
    if not part.get("url"):
        raise Refused(41010)
    if "://" not in str(part["url"]):
        raise Refused(45034)
    _short(part, "title", chars=128)
    _short(part, "description", chars=512)
    _short(part, "url", size=2048)
    _short(part, "btntxt", chars=4)


def _news(part: Part, kind: str) -> None:
    articles = part.get("articles")
    if not isinstance(articles, list) or not 1 <= len(articles) <= 8:
        raise Refused(45008)
    for article in articles:
        if not isinstance(article, dict) or not article.get("title"):
            raise Refused(40058, "title missing")
        if kind == "news" and not article.get("url") and not article.get("appid"):
            raise Refused(41010)
        _short(article, "title", size=128)
        if kind == "news":
            _short(article, "description", size=512)


def _notice(call: Call, part: Part) -> None:
    if call.text("touser") == "@all":
        raise Refused(40058, "miniprogram_notice cannot go to all")
    if not part.get("appid"):
        raise Refused(40058, "appid missing")
    for name in ("title", "description"):
        value = part.get(name)
        if (name == "title" or value) and not 4 <= len(str(value or "")) <= 12:
            raise Refused(40058, f"{name} must have 4 to 12 characters")
    for item in _many(part, "content_item", 0, 10):
        _short(item, "key", chars=10)
        _short(item, "value", chars=30)


def _common(call: Call, part: Part) -> None:
    for item in _many(part, "horizontal_content_list", 0, 6):
        if not item.get("keyname"):
            raise Refused(40058, "keyname missing")
        kind = item.get("type", 0)
        if kind not in (0, 1, 2, 3):
            raise Refused(40058, "invalid horizontal_content_list type")
        if kind == 1 and not item.get("url"):
            raise Refused(41010)
        if kind == 2:
            check_file(call.corp, item.get("media_id"), now=call.now, kind="file")
        if kind == 3 and call.corp.member(str(item.get("userid") or "")) is None:
            raise Refused(40003)
    for jump in _many(part, "jump_list", 0, 3):
        if not jump.get("title"):
            raise Refused(40058, "jump_list title missing")
        if jump.get("type", 0) in (1, 2):
            _action(jump)
    menu = part.get("action_menu")
    if menu:
        for action in _many(_record(part, "action_menu"), "action_list", 1, 3):
            if not action.get("text") or not action.get("key"):
                raise Refused(40058, "an action needs text and key")


def _action(action: object) -> None:
    """A jump to a URL (type 1) or a mini program (type 2)."""
    if not isinstance(action, dict) or action.get("type") not in (1, 2):
        raise Refused(40058, "card_action needs type 1 or 2")
    if action["type"] == 1 and not action.get("url"):
        raise Refused(41010)
    if action["type"] == 1 and "://" not in str(action["url"]):
        raise Refused(45034)
    if action["type"] == 2 and not action.get("appid"):
        raise Refused(40058, "appid missing")


def _task_id(part: Part) -> None:
    task_id = part.get("task_id")
    if not isinstance(task_id, str) or not task_id:
        raise Refused(40058, "task_id missing")
    if len(task_id.encode()) > 128:
        raise Refused(40058, "task_id too long")


def _selection(part: Part) -> None:
    if not part.get("question_key"):
        raise Refused(40058, "question_key missing")
    for option in _many(part, "option_list", 1, 20):
        if not option.get("id") or not option.get("text"):
            raise Refused(40058, "an option needs id and text")


def _submit(part: Part) -> None:
    button = _record(part, "submit_button")
    if not button.get("text") or not button.get("key"):
        raise Refused(40058, "submit_button needs text and key")


def _title(part: Part) -> str:
    title = part.get("main_title")
    return str(title.get("title") or "") if isinstance(title, dict) else ""


def _record(part: Part, name: str) -> Part:
    value = part.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(40058, f"{name} must be an object")
    return value


def _many(part: Part, name: str, least: int, most: int) -> list[Part]:
    """A list of objects. Raises Refused 40058 when it is none, too short or too long."""
    value = part.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Refused(40058, f"{name} must be an array of objects")
    if not least <= len(value) <= most:
        raise Refused(40058, f"{name} must have {least} to {most} items")
    return value


def _short(part: Part, name: str, *, chars: int | None = None, size: int | None = None) -> None:
    value = str(part.get(name) or "")
    if (chars and len(value) > chars) or (size and len(value.encode()) > size):
        raise Refused(40058, f"{name} too long")
