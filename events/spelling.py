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


def canonical(type_: str, value: str, *, scope: str = "") -> str:
    """`corpid:external_userid`, `appid:openid`, `corpid:pending_id`; a phone's digits without +86; else the value.

    White space around a value never counts, nor does a full-width digit or letter. WeChat's own ids are compared
    letter by letter (oA and oa are two people); a member number in capitals, a device in small letters. "" if nothing
    is left."""
    value = value.strip()
    if type_ in _PHONES:
        digits = re.sub(r"[^0-9]", "", unicodedata.normalize("NFKC", value))
        return digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    if type_ == "member_id":
        return unicodedata.normalize("NFKC", value).strip().upper()
    if type_ == "device":
        return value.lower()
    return f"{scope.strip()}:{value}" if IDENTITY_SPACE.get(type_) else value
