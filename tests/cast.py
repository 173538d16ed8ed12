"""The people of the tests, and the smallest valid rows around them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.test import Client
from django.utils import timezone

from contacts.models import Contact, Follow, Staff, Store
from tenants.api_auth import key_hash
from tenants.models import Agency, ApiKey, Brand, Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope
from wecom.models import Corp

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
"""12:00 in Shanghai, a Friday"""


@dataclass
class Person:
    """Somebody with a seat and an API key of their brand."""

    user: User
    brand: Brand
    key: str

    def api(self, method: str, path: str, body: Any = None, *, idempotency_key: str = "", **headers: str) -> Any:
        """Call the REST API with the brand's key; returns Django's test response."""
        extra = {"Authorization": f"Bearer {self.key}", **headers}
        if idempotency_key:
            extra["Idempotency-Key"] = idempotency_key
        call = getattr(Client(), method.lower())
        if body is None:
            return call(path, headers=extra)
        return call(path, data=body, content_type="application/json", headers=extra)

    def upload(self, path: str, fields: dict[str, Any], **headers: str) -> Any:
        """POST a form with a file to the REST API."""
        return Client().post(path, data=fields, headers={"Authorization": f"Bearer {self.key}", **headers})


@dataclass
class Cast:
    """Alice's brand is `brand`, charlie's is `other`."""

    alice: Person
    charlie: Person
    dora: User
    brand: Brand
    other: Brand
    corp: Corp
    store: Store
    bob: Staff

    @classmethod
    def make(cls) -> "Cast":
        """Write the rows."""
        agency = Agency.objects.create(name="朵拉代运营", slug="dora")
        brand = Brand.objects.create(agency=agency, name="全棉生活", slug="cotton")
        other = Brand.objects.create(agency=agency, name="茵之", slug="yin")
        dora = User.objects.create_user("dora", password="orchard-dora-1", name="朵拉")
        Seat.objects.create(user=dora, agency=agency, role=Role.OWNER)
        with brand_scope(brand.id):
            corp = Corp.objects.create(corpid="ww-alice", name="全棉生活")
            store = Store.objects.create(corp=corp, department_id=2, name="静安店")
            bob = Staff.objects.create(corp=corp, userid="bob", name="小林", store=store, is_guide=True)
        return cls(
            alice=_person("alice", brand),
            charlie=_person("charlie", other),
            dora=dora,
            brand=brand,
            other=other,
            corp=corp,
            store=store,
            bob=bob,
        )

    def contact(self, name: str = "陈小满", *, at: datetime | None = None, **fields: Any) -> Contact:
        """A contact of alice's brand who follows bob. Opens its own scope."""
        at = at or timezone.now()
        with brand_scope(self.brand.id):
            contact = Contact.objects.create(name=name, created_at=at, first_added_at=at, main_guide=self.bob, **fields)
            Follow.objects.create(
                brand_id=self.brand.id,
                staff=self.bob,
                contact=contact,
                external_userid=f"wm{contact.id}",
                added_at=at,
            )
        return contact


ALL_SCOPES = ["events:write", "contacts:read", "segments:read", "segments:write", "pushes:read", "pushes:write"]
ALL_SCOPES += ["contacts:write", "contacts:personal_data"]
ALL_SCOPES += ["points:read", "points:write", "tags:read", "tags:write", "webhooks:read", "webhooks:write"]


def _person(name: str, brand: Brand) -> Person:
    user = User.objects.create_user(name, password=f"orchard-{name}-1", name=name)
    Seat.objects.create(user=user, brand=brand, role=Role.OWNER)
    key = f"ok_{name}_key"
    ApiKey.objects.create(brand=brand, name=name, prefix=key[:8], key_hash=key_hash(key), scopes=ALL_SCOPES)
    return Person(user, brand, key)
