"""Finding somebody by the number that the console itself shows."""

import pytest
from django.utils import timezone

from contacts.oneid.identity import Claim, Draft, attach
from tenants.scope import brand_scope


@pytest.mark.parametrize("spelling", ["{}", "#{}"])
def test_a_contact_is_found_by_number(cast, console, spelling):
    with brand_scope(cast.brand.pk):
        claims = [
            Claim((("unionid", "oOne"),), Draft(name="陈小满")),
            Claim((("unionid", "oTwo"),), Draft(name="邱叶")),
        ]
        one, _other = attach(claims=claims, at=timezone.now()).contact_ids
    page = console(cast.alice.user).get("/b/cotton/console/contacts/", {"q": spelling.format(one)}).content.decode()
    assert "陈小满" in page
    assert "邱叶" not in page


@pytest.mark.parametrize("spelled", ["13812345678", "+86 138-1234-5678", "１３８ １２３４ ５６７８"])
@pytest.mark.parametrize("is_noted", [True, False])
def test_a_contact_is_found_by_phone_however_it_is_written(cast, console, spelled, is_noted):
    """By what a guide noted, and by a phone that a log-in showed."""
    phone = "13812345678"
    with brand_scope(cast.brand.pk):
        key = ("unionid", "oOne") if is_noted else ("phone", phone)
        claims = [Claim((key,), Draft(name="陈小满", phone=phone if is_noted else "")), Claim((("unionid", "oTwo"),))]
        attach(claims=claims, at=timezone.now())
    page = console(cast.alice.user).get("/b/cotton/console/contacts/", {"q": spelled}).content.decode()
    assert "陈小满" in page
    assert "未命名客户" not in page
