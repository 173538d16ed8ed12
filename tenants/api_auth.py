"""Who calls the REST API: an API key of a brand, with scopes and a limit per minute."""

import hashlib
import math
import time
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from tenants.actors import Actor
from tenants.models import ApiKey


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of an API request."""

    key_id: int
    brand_id: int
    scopes: frozenset[str]
    per_minute: int
    label: str
    is_authenticated: bool = True

    @property
    def actor(self) -> Actor:
        """For the audit trail."""
        return Actor(f"key:{self.key_id}", self.label)


def key_hash(key: str) -> str:
    """How a key is stored. Keys are 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`."""

    def authenticate(self, request: Request) -> tuple[Principal, ApiKey] | None:
        """The key's principal; None without the header. Raises AuthenticationFailed for a key that is not ours."""
        kind, _sep, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or not secret:
            return None
        key = ApiKey.objects.filter(key_hash=key_hash(secret.strip()), revoked_at=None).first()
        if key is None:
            raise AuthenticationFailed(_("API 密钥无效或已撤销。请在 设置 › API 密钥 新建一个。"))
        if key.last_used_at is None or (timezone.now() - key.last_used_at).total_seconds() > 60:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
        return Principal(key.pk, key.brand_id, frozenset(key.scopes), key.per_minute, key.name), key

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing key a 401."""
        return "Bearer"


class HasScope(BasePermission):
    """The key must hold the view's `scope` (`points:write`), or that of its `scopes` by method; else it is closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the key may call this view with this method."""
        needed = getattr(view, "scopes", {}).get(request.method) or getattr(view, "scope", None)
        if needed:
            self.message = _("这个密钥没有 %s 权限。") % needed
        return bool(needed) and isinstance(request.user, Principal) and needed in request.user.scopes


class KeyThrottle(BaseThrottle):
    """At most `per_minute` requests per key and clock minute, counted in the cache all web processes share."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Counts the request."""
        if not isinstance(request.user, Principal):
            return True
        minute = int(time.time() // 60)
        slot = f"api-rate:{request.user.key_id}:{minute}"
        cache.add(slot, 0, timeout=120)
        try:
            count = cache.incr(slot)
        except ValueError:  # Redis lost it in between: it was emptied, or short of memory
            count = 1
            cache.set(slot, count, timeout=120)
        return bool(count <= request.user.per_minute)

    def wait(self) -> float:
        """Seconds until the next clock minute, for Retry-After."""
        return math.ceil(60 - time.time() % 60)


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How /api/docs/ offers the key."""

    target_class = "tenants.api_auth.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer"}
