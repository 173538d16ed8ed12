"""`manage.py rotate_secrets`: afterwards the old key is not needed any more."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tenants.scope import brand_scope
from wecom.models import Corp, CorpApp


@pytest.fixture
def secrets(cast, settings):
    """One secret per brand, written under the key `old`."""
    settings.ORCHARD_SECRET_KEYS = ["old"]
    for brand in (cast.brand, cast.other):
        with brand_scope(brand.id):
            corp = Corp.objects.create(corpid="ww-secret", name="x", callback_token="token", callback_aes_key="key")
            CorpApp.objects.create(corp=corp, agent_id=1, secret=f"secret of {brand.id}")
    return settings


def read(brand):
    with brand_scope(brand.id):
        corp = Corp.objects.get(corpid="ww-secret")
        return corp.callback_token, corp.callback_aes_key, CorpApp.objects.get(corp=corp).secret


def test_the_old_key_can_be_dropped_afterwards(cast, secrets):
    secrets.ORCHARD_SECRET_KEYS = ["new", "old"]
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    secrets.ORCHARD_SECRET_KEYS = ["new"]

    assert read(cast.brand) == ("token", "key", f"secret of {cast.brand.id}")
    assert read(cast.other) == ("token", "key", f"secret of {cast.other.id}")
    assert out.getvalue().startswith("6 secrets")  # empty ones are left empty
    call_command("rotate_secrets", stdout=out)  # again is harmless
    assert read(cast.brand)[0] == "token"


def test_a_secret_that_fits_no_key_is_named_and_the_others_go_on(cast, secrets):
    with brand_scope(cast.brand.id), connection.cursor() as cursor:
        cursor.execute("UPDATE wecom_corpapp SET secret = 'damaged' RETURNING id")
        row_id = cursor.fetchone()[0]
    secrets.ORCHARD_SECRET_KEYS = ["new", "old"]

    with pytest.raises(CommandError) as failure:
        call_command("rotate_secrets", stdout=StringIO())

    assert f"wecom.CorpApp.secret brand={cast.brand.id} id={row_id}" in str(failure.value)
    secrets.ORCHARD_SECRET_KEYS = ["new"]
    assert read(cast.other)[2] == f"secret of {cast.other.id}"
