"""The demo's agency, its two brands, who works there, and their log-ins."""

from dataclasses import dataclass

from django.utils import timezone

from tenants import keys
from tenants.actors import SYSTEM
from tenants.models import Agency, Brand, Seat, User
from tenants.roles import Role

PASSWORD = "orchard-demo-2026"  # noqa: S105 - printed on the screen; the demo listens on loopback only
LOGINS = (
    ("dora", "朵拉（代理商）", "two brands"),
    ("alice", "爱丽丝（负责人）", "owner"),
    ("olivia", "欧阳（运营）", "operator"),
    ("anna", "安娜（分析）", "analyst"),
)
SCOPES = ["events:write", "contacts:read", "points:read", "points:write", "segments:read", "pushes:read"]


@dataclass(frozen=True, slots=True)
class House:
    """What the story needs to know of the people."""

    brand: Brand
    second: Brand
    api_key: str
    second_key: str


def move_in() -> House:
    """Create agency, brands, users, seats and one API key per brand."""
    agency = Agency.objects.create(name="果园代运营", slug="orchard")
    brand = Brand.objects.create(agency=agency, name="全棉生活", slug="cotton", color="#0f766e")
    second = Brand.objects.create(agency=agency, name="茵之服饰", slug="yin", color="#5d1ea9")
    users = {name: User.objects.create_user(name, password=PASSWORD, name=label) for name, label, _role in LOGINS}
    Seat.objects.create(user=users["dora"], agency=agency, role=Role.OWNER)
    for name, role in (("alice", Role.OWNER), ("olivia", Role.OPERATOR), ("anna", Role.ANALYST)):
        Seat.objects.create(user=users[name], brand=brand, role=role)
    return House(brand, second, _key(brand), _key(second))


def _key(brand: Brand) -> str:
    made = keys.create(
        brand_id=brand.pk, name="小程序", scopes=SCOPES, per_minute=100_000, actor=SYSTEM, at=timezone.now()
    )
    return made.secret
