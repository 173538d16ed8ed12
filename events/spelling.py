"""One spelling for one identity, in the log and in OneID alike."""

import re
import unicodedata

IDENTITY_SPACE: dict[str, str | None] = {
    "external_userid": "corpid",
    "openid": "appid",
    "unionid": None,
    "phone": None,
    "member_id": None,
    "order_phone": None,
    "device": None,
    "pending_id": "corpid",
}
"""The identity types, and what a value needs beside it to be somebody's alone."""

_PHONES = ("phone", "order_phone")
_INVISIBLE = r"[\s\u200b-\u200f\u202a-\u202e\u2060\ufeff]+"
"""white space, and marks without width that come along when a value is copied from a page or a sheet"""
_AROUND = re.compile(f"^{_INVISIBLE}|{_INVISIBLE}$")
_CUT_OFF = re.compile(r"\d[eE][+]?\d")
"""1.38E+10: a spreadsheet has rounded the number, and many people would share what is left"""
_FRACTION = re.compile(r"\.0+$")
"""13800001111.0: a number that went through a column of decimals"""


def canonical(type_: str, value: str, *, scope: str = "") -> str:
    """`corpid:external_userid`, `appid:openid`, `corpid:pending_id`; a phone's digits without +86; else the value.

    White space around a value never counts, nor does a full-width digit or letter. WeChat's own ids are compared
    letter by letter (oA and oa are two people); a member number in capitals, a device in small letters. "" if nothing
    is left, and for a phone that a spreadsheet has rounded."""
    value = _trimmed(value)
    if type_ in _PHONES:
        return _phone(value)
    if type_ == "member_id":
        return _trimmed(unicodedata.normalize("NFKC", value)).upper()
    if type_ == "device":
        return value.lower()
    return f"{_trimmed(scope)}:{value}" if IDENTITY_SPACE.get(type_) else value


def _trimmed(text: str) -> str:
    return text.strip() if text.isascii() else _AROUND.sub("", text)


def _phone(value: str) -> str:
    text = value if value.isascii() else unicodedata.normalize("NFKC", value)
    if _CUT_OFF.search(text):
        return ""
    digits = re.sub(r"[^0-9]", "", _FRACTION.sub("", text))
    for country in ("86", "0086"):
        if digits.startswith(country) and len(digits) == len(country) + 11:
            return digits[len(country) :]
    return digits
