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
