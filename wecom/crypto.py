"""Sealed callbacks (reference §4): signature and AES are wechatpy's; whatever is wrong with a body is a BadCallback."""

import binascii
import json
import struct
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict
from django.utils.translation import gettext_lazy as _
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.enterprise.exceptions import InvalidCorpIdException
from wechatpy.exceptions import InvalidSignatureException

from scrm.lib.errors import Text
from wecom.errors import BadCallback

# What wechatpy's slicing, base64, AES and decoding raise on a body that was cut or changed under a right signature.
_DAMAGE = (binascii.Error, ValueError, IndexError, struct.error, AssertionError, TypeError, KeyError)

REFUSALS: dict[str, tuple[Text, Text]] = {
    "wecom.bad_signature": (
        _("签名不对：请求不是企业微信发的，或 Token 不一致。"),
        _("把设置页上的 Token 和 EncodingAESKey 重新填到企业微信管理后台的“接收消息”里。"),
    ),
    "wecom.wrong_receiver": (
        _("这个回调属于另一个企业。"),
        _("检查企业微信管理后台里填的回调 URL 是不是这个企业的。"),
    ),
    "wecom.bad_callback": (
        _("回调内容无法解密：不完整，或 EncodingAESKey 不一致。"),
        _("把设置页上的 Token 和 EncodingAESKey 重新填到企业微信管理后台的“接收消息”里。"),
    ),
}
"""problem code of a refused callback -> what is wrong, what to do"""


def refusal(code: str) -> tuple[Text, Text]:
    """(what is wrong, what to do) for the code of a refused callback, also for one that is not in the table."""
    return REFUSALS.get(code, REFUSALS["wecom.bad_callback"])


@dataclass(frozen=True, slots=True)
class Seal:
    """What WeCom signs a callback with: the parameters of its query."""

    signature: str
    timestamp: str
    nonce: str


def opened(sealed: str, seal: Seal, *, token: str, aes_key: str, corpid: str) -> str:
    """The plain text of an Encrypt or echostr field. Raises BadCallback."""
    try:
        crypto = WeChatCrypto(token, aes_key, corpid)
        return str(crypto.check_signature(seal.signature, seal.timestamp, seal.nonce, sealed))
    except InvalidSignatureException as wrong:
        raise _refused("wecom.bad_signature") from wrong
    except InvalidCorpIdException as wrong:
        raise _refused("wecom.wrong_receiver") from wrong
    except _DAMAGE as damage:
        raise _refused("wecom.bad_callback") from damage


def envelope(body: bytes) -> str:
    """The Encrypt field of a posted envelope, XML or JSON. Raises BadCallback."""
    fields = _fields(body)
    sealed = fields.get("Encrypt") or fields.get("encrypt")
    if not isinstance(sealed, str):
        raise BadCallback(_("回调里没有 Encrypt 字段。"))
    return sealed


def message(plain: str) -> dict[str, Any]:
    """The fields of an opened message; nested elements are dicts, repeated ones lists. Raises BadCallback."""
    return _fields(plain.encode())


def _refused(code: str) -> BadCallback:
    detail, remedy = REFUSALS[code]
    return BadCallback(detail, remedy=remedy, code=code)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        if body.lstrip().startswith(b"{"):
            fields = json.loads(body)
        else:
            # xmltodict refuses entity declarations, so a body can't blow up while it is parsed.
            parsed = xmltodict.parse(body)
            fields = parsed.get("xml", parsed)
    except (ExpatError, ValueError, RecursionError) as damage:
        raise BadCallback(_("回调内容不完整，无法解析。")) from damage
    if not isinstance(fields, dict):
        raise BadCallback(_("回调内容不完整，无法解析。"))
    return fields
