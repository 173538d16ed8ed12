"""Where a webhook may go: a brand's operator types in the address, and must not reach into our own network with it.

The name is resolved once, every address it has is looked at, and the call goes to the address that was looked at: a
name that changes its answer between the look and the call gains nothing."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError

_INWARD = [
    ipaddress.ip_network(each)
    for each in ("fec0::/10", "64:ff9b:1::/48", "::/96", "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
]
"""Global by Python's word, yet ways inside: site-local, NAT64 by a prefix of one's own, IPv4 in the last 32 bits; what
clouds answer their own machines from (Oracle 192.0.0.192, Azure 168.63.129.16), and the old 6to4 relays"""


class ForbiddenAddress(Exception):
    """It points into a private network, at this machine, or at a cloud's metadata."""


class NoAddress(Exception):
    """The name has no address."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    """with the query"""


def parse(url: str) -> Target | FieldError:
    """The parts of a webhook's URL, or what is wrong with it. Looks at the text only."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _wrong("url.malformed", _("这不是一个完整的网址。"), _("例如 https://shop.example.com/orchard。"))
    secure = parts.scheme == "https"
    if not host or not (secure or (parts.scheme == "http" and settings.ORCHARD_WEBHOOKS_PRIVATE)):
        return _wrong("url.https", _("地址要以 https:// 开头。"), _("例如 https://shop.example.com/orchard。"))
    if parts.username or parts.password or parts.fragment:
        return _wrong("url.extras", _("地址里不能有用户名、密码或 # 片段。"), _("用签名来确认来源。"))
    if not url.isascii() or any(character.isspace() for character in url.strip()):
        return _wrong("url.characters", _("地址含有空格或非英文字符。"), _("中文域名请用 xn-- 形式。"))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if secure else 80), path)


def resolve(target: Target) -> str:
    """The IP address to call. Raises NoAddress, ForbiddenAddress (any one of its addresses is enough)."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAddress(target.host) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not settings.ORCHARD_WEBHOOKS_PRIVATE and any(not _is_public(each) for each in addresses):
        raise ForbiddenAddress(target.host)
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        # ::ffff:10.0.0.1 and the translations of NAT64 and 6to4 reach an IPv4 network.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            address = inner
        elif address in ipaddress.ip_network("64:ff9b::/96"):
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _INWARD):
        return False
    return address.is_global and not address.is_multicast


def _wrong(code: str, message: str, remedy: str) -> FieldError:
    return FieldError("url", code, message, remedy)
