"""Who opened a page or a mini program, and signatures for the JS-SDK (reference §19)."""

import hashlib
import secrets
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from django.conf import settings

from wecom.calls.base import Calls, seconds
from wecom.tokens import Tokens
from wecom.transport import Transport
from wecom.types import MemberDetail, MemberSession, MiniProgramSession, PageSignature, SignedIn

Ticket = Literal["config", "agentConfig"]


class SignInCalls(Calls):
    """身份验证、JS-SDK. Codes are good once: a second try after a lost answer ends in Rejected `wecom.code_expired`."""

    corpid: str = ""
    agent_id: int = 0

    def authorize_url(self, *, redirect_uri: str, state: str, private: bool = False) -> str:
        """Where a browser inside WeCom or WeChat is sent to find out who it is; it comes back with code and state
        (≤ 128 bytes). `private`: ask the member for more than their userid."""
        query = {
            "appid": self.corpid,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": "snsapi_privateinfo" if private else "snsapi_base",
            "state": state,
            "agentid": str(self.agent_id),
        }
        return f"{settings.WECOM_AUTHORIZE_URL}?{urlencode(query)}#wechat_redirect"

    def signed_in(self, *, code: str) -> SignedIn:
        """Who the code of a redirect (good once, 5 min) is. Raises Rejected `wecom.code_expired`, Gone for a member
        outside the app's range. Official 91023."""
        answer = self._get("auth/getuserinfo", code=code)
        return SignedIn(
            userid=str(answer.get("userid") or ""),
            openid=str(answer.get("openid") or ""),
            external_userid=str(answer.get("external_userid") or ""),
            user_ticket=str(answer.get("user_ticket") or ""),
        )

    def member_detail(self, *, user_ticket: str) -> MemberDetail:
        """What the member agreed to show (ticket: 30 min). Official 95833."""
        row = self._post("auth/getuserdetail", {"user_ticket": user_ticket})
        return MemberDetail(
            userid=str(row["userid"]),
            gender=int(row.get("gender") or 0),
            avatar=str(row.get("avatar") or ""),
            qr_code=str(row.get("qr_code") or ""),
            mobile=str(row.get("mobile") or ""),
            email=str(row.get("email") or ""),
            biz_mail=str(row.get("biz_mail") or ""),
            address=str(row.get("address") or ""),
        )

    def page_signature(self, *, url: str, at: datetime, purpose: Ticket = "config") -> PageSignature:
        """A signature for a page of ours (its full URL; what follows # does not count). The ticket behind it is kept
        like the token: all processes together ask a few times a day (WeCom: 400 and 100 an hour). Official 90506."""
        ticket = self._tickets(purpose).get(lambda: self._ticket(purpose))
        nonce, stamp = secrets.token_urlsafe(12), seconds(at)
        return PageSignature(stamp, nonce, signature(ticket=ticket, nonce=nonce, timestamp=stamp, url=url))

    def forget_tickets(self) -> None:
        """Fetch new tickets: pages report that WeCom takes the old ones no more (42012, 40093)."""
        for purpose in ("config", "agentConfig"):
            self._tickets(purpose).forget()

    def member_session(self, *, js_code: str) -> MemberSession:
        """Who opened the corp's mini program inside WeCom. Official 91507."""
        query = {"js_code": js_code, "grant_type": "authorization_code"}
        row = self._get("miniprogram/jscode2session", **query)
        return MemberSession(str(row["corpid"]), str(row["userid"]), str(row["session_key"]))

    def _ticket(self, purpose: str) -> tuple[str, int]:
        app = purpose == "agentConfig"
        answer = self._get("ticket/get", type="agent_config") if app else self._get("get_jsapi_ticket")
        return str(answer["ticket"]), int(answer.get("expires_in") or 7200)

    def _tickets(self, purpose: str) -> Tokens:
        line = self.transport
        return Tokens(api_base=line.API_BASE_URL, corpid=line.corp_id, secret=line.secret, kind=f"ticket-{purpose}")


def signature(*, ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """The JS-SDK's signature, lower-case hex SHA-1 (reference §19.2)."""
    page = url.partition("#")[0]
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - WeCom's choice


class MiniProgram(Calls):
    """The brand's mini program in WeChat: another host, without access token."""

    def __init__(self, *, appid: str, secret: str, **options: Any) -> None:
        super().__init__(Transport(corpid=appid, secret=secret, api_base=settings.WECHAT_API_BASE, **options))

    def session(self, *, js_code: str) -> MiniProgramSession:
        """Who opened it (code: good once, 5 min). `unionid` is empty unless it is bound to an open-platform account.

        Raises Rejected `wecom.code_expired`, Throttled, Misconfigured for a wrong secret."""
        query = {
            "appid": self.transport.corp_id,
            "secret": self.transport.secret,
            "js_code": js_code,
            "grant_type": "authorization_code",
        }
        row = self._plain("sns/jscode2session", query)
        return MiniProgramSession(str(row["openid"]), str(row.get("unionid") or ""), str(row["session_key"]))
