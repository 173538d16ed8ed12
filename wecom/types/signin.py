"""Who somebody is: web log-in, page signatures, mini programs (reference §19)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who opened a page. A member: userid (and a ticket for more, if they agreed). Else openid, and external_userid
    when the person is a customer in range."""

    userid: str = ""
    openid: str = ""
    external_userid: str = ""
    user_ticket: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MemberDetail:
    """What a member agreed to show; the rest is empty. gender: 0 unknown, 1 male, 2 female."""

    userid: str
    gender: int = 0
    avatar: str = ""
    qr_code: str = ""
    mobile: str = ""
    email: str = ""
    biz_mail: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class PageSignature:
    """What a page hands to the JS-SDK (config and agentConfig alike)."""

    timestamp: int
    nonce: str
    signature: str


@dataclass(frozen=True, slots=True)
class MiniProgramSession:
    """Who opened the mini program in WeChat. `session_key` decrypts what WeChat hands out: never to the front end."""

    openid: str
    unionid: str = ""
    session_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MemberSession:
    """Who opened the mini program in WeCom."""

    corpid: str
    userid: str
    session_key: str = field(default="", repr=False)
