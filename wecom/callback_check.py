"""Whether callbacks can arrive: our own look at the address, WeCom's handshake, and what was heard lately."""

import ipaddress
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from wechatpy.enterprise.crypto import WeChatCrypto

from wecom import crypto
from wecom.callback_keys import SELF_CHECK
from wecom.checks import Verdict
from wecom.models import Corp

PROBE_SECONDS = 3
REFUSED_LATELY = timedelta(hours=24)


def verdicts(corp: Corp, *, address: str, last_heard: datetime | None, at: datetime) -> list[Verdict]:
    """The three steps. `address` is the callback's; empty when there is none. Talks to our own server only."""
    return [_address(corp, address), _handshake(corp, last_heard, at), _heard(corp, last_heard)]


def _address(corp: Corp, address: str) -> Verdict:
    wrong = _answers(corp, address) if address else _("还没有回调地址。")
    remedy = _("请系统管理员把 ORCHARD_PUBLIC_URL 设为企业微信能从公网访问的 https 地址。")
    if wrong:
        return Verdict("address", False, wrong, remedy, partial=True)
    if _is_real() and _is_private(address):
        return Verdict("address", False, _("回调地址只在内网可用，企业微信访问不到。"), remedy, partial=True)
    return Verdict("address", True, _("本系统按企业微信的方式访问了回调地址，应答正确。"))


def _answers(corp: Corp, address: str) -> str:
    """The handshake of §4.2 played by ourselves: empty when the answer is right, else what is wrong."""
    echo = f"{SELF_CHECK}{secrets.token_hex(8)}"
    nonce, stamp = secrets.token_hex(8), str(int(timezone.now().timestamp()))
    crypt = WeChatCrypto(corp.callback_token, corp.callback_aes_key, corp.corpid)
    sealed = crypto.message(crypt.encrypt_message(echo, nonce, stamp))
    query = {"msg_signature": sealed["MsgSignature"], "timestamp": stamp, "nonce": nonce, "echostr": sealed["Encrypt"]}
    session = requests.Session()
    session.trust_env = False  # a proxy that leads to WeCom does not lead to ourselves
    try:
        answer = session.get(address, params=query, timeout=PROBE_SECONDS, allow_redirects=False)
    except requests.RequestException:
        return _("本系统自己也访问不到回调地址。")
    if answer.status_code != 200 or answer.text != echo:
        return _("回调地址的应答不对（HTTP %(status)d），可能指向了别的系统。") % {"status": answer.status_code}
    return ""


def _handshake(corp: Corp, last_heard: datetime | None, at: datetime) -> Verdict:
    refused_at = corp.callback_refused_at
    if refused_at and refused_at > at - REFUSED_LATELY and (last_heard is None or refused_at > last_heard):
        why, remedy = crypto.refusal(corp.callback_refused_code)
        text = _("%(at)s 收到一个回调，没有采用。%(why)s") % {"at": _local(refused_at), "why": why}
        return Verdict("handshake", False, text, str(remedy), code=corp.callback_refused_code)
    if corp.callback_verified_at:
        return Verdict(
            "handshake", True, _("企业微信在 %(at)s 验证了回调地址。") % {"at": _local(corp.callback_verified_at)}
        )
    if last_heard:
        return Verdict("handshake", True, _("收到过企业微信的回调，地址和密钥一致。"))
    return Verdict("handshake", False, _("企业微信还没有验证回调地址。"), _where(corp), partial=True)


def _heard(corp: Corp, last_heard: datetime | None) -> Verdict:
    if last_heard is not None:
        return Verdict("callback", True, _("最近一次收到回调：%(at)s。") % {"at": _local(last_heard)})
    remedy = _("接收消息保存后，在 接收事件服务器 中勾选“外部联系人变更回调”等事件；客户有变动时会收到。")
    if corp.suite_id:
        remedy = _("请服务商确认这个代开发应用的回调配置已保存；客户有变动时会收到。")
    return Verdict("callback", False, _("还没有收到过企业微信的回调。"), remedy, partial=True)


def _where(corp: Corp) -> str:
    if corp.suite_id:
        return _("请服务商在服务商后台把本页的 URL、Token、EncodingAESKey 填到这个代开发应用的回调配置。")
    return _("在企业微信管理后台 › 本应用 › 接收消息 › 设置 API 接收，填入本页的 URL、Token、EncodingAESKey。")


def _local(at: datetime) -> str:
    return date_format(timezone.localtime(at), "Y-m-d H:i")


def _is_real() -> bool:
    return (urlsplit(settings.WECOM_API_BASE).hostname or "").endswith("weixin.qq.com")


def _is_private(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
