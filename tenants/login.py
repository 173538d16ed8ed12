"""Logging in, with a brake: wrong passwords are counted in the cache that all web processes share.

A small counter of our own instead of a package: two limits, no table, no middleware. Two workers may both read the
count before one writes it: one guess too many in a window is fine."""

from django.conf import settings
from django.contrib import auth
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from scrm.lib.errors import Refused
from tenants.models import User

WINDOW_SECONDS = 900
PER_NAME_AND_ADDRESS = 5
PER_NAME = 20
PER_ADDRESS = 100


class WrongPassword(Refused):
    """No such name, or not its password: the caller can't tell which."""

    code = "login.wrong"


class TooManyAttempts(Refused):
    """Locked for a while; `retry_after` seconds."""

    code = "login.throttled"

    def __init__(self, retry_after: int) -> None:
        minutes = max(1, round(retry_after / 60))
        super().__init__(
            ngettext(
                "密码错误次数太多，登录已暂停。请在 %(minutes)d 分钟后再试。",
                "密码错误次数太多，登录已暂停。请在 %(minutes)d 分钟后再试。",
                minutes,
            )
            % {"minutes": minutes}
        )
        self.retry_after = retry_after


def log_in(*, request: HttpRequest, username: str, password: str) -> User:
    """Check the password and start a session; a new session key is made.

    Raises TooManyAttempts before the password is looked at, or WrongPassword."""
    limits = _limits(username, _address_of(request))
    if any(cache.get(slot, 0) >= most for slot, most in limits.items()):
        raise TooManyAttempts(WINDOW_SECONDS)
    user = auth.authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        for slot in limits:
            cache.add(slot, 0, timeout=WINDOW_SECONDS)
            cache.incr(slot)
        raise WrongPassword(_("用户名或密码不对。请检查后再试。"))
    cache.delete(next(iter(limits)))
    auth.login(request, user)
    return user


def _address_of(request: HttpRequest) -> str:
    """Who asks. Behind ORCHARD_PROXIES proxies the last so many entries of X-Forwarded-For are theirs to write, and
    what stands before is the caller's own claim."""
    told = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    if settings.ORCHARD_PROXIES and len(told) >= settings.ORCHARD_PROXIES:
        return str(told[-settings.ORCHARD_PROXIES])
    return str(request.META.get("REMOTE_ADDR", ""))


def _limits(username: str, address: str) -> dict[str, int]:
    name = username.strip().lower()[:150]
    return {
        f"login:pair:{name}|{address}": PER_NAME_AND_ADDRESS,
        f"login:name:{name}": PER_NAME,
        f"login:address:{address}": PER_ADDRESS,
    }
