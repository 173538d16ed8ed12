"""Token and EncodingAESKey of a callback: made here, or typed in by an operator who has them in WeCom already."""

import base64
import binascii
import secrets
import string

from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError

LETTERS = string.ascii_letters + string.digits
TOKEN_LENGTH = 32
KEY_LENGTH = 43
SELF_CHECK = "orchard-self-check-"
"""how the echo begins when it is we who look at a callback's address, not WeCom"""


def new_token() -> str:
    """As many letters and digits as WeCom takes (reference §4.1)."""
    return "".join(secrets.choice(LETTERS) for _place in range(TOKEN_LENGTH))


def new_aes_key() -> str:
    """43 letters and digits that decode to 32 bytes, as WeCom's console makes them."""
    while True:
        key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        if key.isalnum():
            return key


def wrong_in(*, token: str, aes_key: str) -> list[FieldError]:
    """What is wrong with keys that were typed in; both empty is right: then they are made."""
    wrong = []
    if bool(token) != bool(aes_key):
        empty = "callback_aes_key" if token else "callback_token"
        wrong.append(FieldError(empty, "required", _("Token 和 EncodingAESKey 要么都填，要么都留空。")))
    if token and not (len(token) <= TOKEN_LENGTH and _plain(token)):
        wrong.append(FieldError("callback_token", "format", _("Token 是 1 到 32 位的英文字母和数字。")))
    if aes_key and not _decodes(aes_key):
        wrong.append(FieldError("callback_aes_key", "format", _("EncodingAESKey 是 43 位的英文字母和数字。")))
    return wrong


def _plain(text: str) -> bool:
    return text.isascii() and text.isalnum()


def _decodes(key: str) -> bool:
    try:
        return len(key) == KEY_LENGTH and _plain(key) and len(base64.b64decode(key + "=")) == 32
    except binascii.Error:
        return False
