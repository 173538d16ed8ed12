"""The demo's agency, its two brands, who works there, and their log-ins."""

from dataclasses import dataclass

from django.utils import timezone

from tenants import keys
from tenants.actors import SYSTEM
from tenants.models import Agency, Brand, Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope

PASSWORD = "orchard-demo-2026"  # noqa: S105 - printed on the screen; the demo listens on loopback only
LOGINS = (
    ("dora", "朵拉", "agency, both brands"),
    ("alice", "爱丽丝", "owner of 全棉生活"),
    ("olivia", "欧阳", "operator of 全棉生活"),
    ("anna", "安娜", "analyst of 全棉生活"),
)
SCOPES = [
    "events:write",
    "contacts:read",
    "contacts:write",
    "points:read",
    "points:write",
    "segments:read",
    "pushes:read",
]


@dataclass(frozen=True, slots=True)
class House:
    """What the story needs to know of the people."""

    brand: Brand
    second: Brand
    api_key: str


def move_in() -> House:
    """Create agency, brands, users, seats and the mini-program's API key."""
    agency = Agency.objects.create(name="果园代运营", slug="orchard")
    brand = Brand.objects.create(agency=agency, name="全棉生活", slug="cotton", color="#0f766e")
    second = Brand.objects.create(agency=agency, name="茵之服饰", slug="yin", color="#5d1ea9")
    users = {name: User.objects.create_user(name, password=PASSWORD, name=label) for name, label, _what in LOGINS}
    Seat.objects.create(user=users["dora"], agency=agency, role=Role.OWNER)
    for name, role in (("alice", Role.OWNER), ("olivia", Role.OPERATOR), ("anna", Role.ANALYST)):
        Seat.objects.create(user=users[name], brand=brand, role=role)
    with brand_scope(brand.pk):
        made = keys.make(
            brand_id=brand.pk, name="小程序", scopes=SCOPES, per_minute=60_000, actor=SYSTEM, at=timezone.now()
        )
    return House(brand, second, made.key)
