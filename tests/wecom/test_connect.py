"""Connecting a corp: WeCom is asked first, and what it says is told in plain words, at the field it is about."""

import socket

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from scrm.lib.errors import Invalid, NotFound
from tenants.actors import Actor
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from wecom import corps, errors
from wecom.client import client_for
from wecom.models import CallbackEndpoint, Corp, CorpApp

ALICE = Actor("user:1", "alice")


@pytest.fixture
def form(cast, simulator):
    told = simulator.corps()[0]
    return {
        "brand_id": cast.brand.id,
        "corpid": told["corpid"],
        "name": "全棉生活",
        "agent_id": told["apps"][0]["agentid"],
        "secret": told["apps"][0]["secret"],
        "quota_mode": "day_1",
        "actor": ALICE,
        "at": timezone.now(),
    }


def rows(cast):
    with brand_scope(cast.brand.id):
        corps_there = Corp.objects.exclude(pk=cast.corp.pk).count()
        return corps_there, CorpApp.objects.count(), CallbackEndpoint.objects.count(), AuditEntry.objects.count()


def test_connects_and_can_be_used(cast, form):
    connected = corps.connect(**form)

    assert all(verdict.ok for verdict in connected.verdicts)
    assert [verdict.step for verdict in connected.verdicts] == ["credentials", "agent", "permission", "members"]
    assert len(client_for(brand_id=cast.brand.id, corp_id=connected.corp_id).follow_users()) == 4
    assert (len(connected.token), len(connected.aes_key)) == (32, 43)
    assert (connected.token + connected.aes_key).isalnum()
    assert connected.callback_url.endswith(reverse("wecom-callback", args=[connected.endpoint_id]))
    with brand_scope(cast.brand.id):
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor) == ("corp.connect", "user:1")
        assert form["secret"] not in str(entry.after)
        assert Corp.objects.get(pk=connected.corp_id).quota_mode == "day_1"


def test_secrets_are_not_readable_in_the_database(cast, form):
    from django.db import connection

    connected = corps.connect(**form)
    with brand_scope(cast.brand.id), connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM wecom_corpapp UNION SELECT callback_aes_key FROM wecom_corp")
        stored = "".join(row[0] for row in cursor.fetchall())

    assert form["secret"] not in stored
    assert connected.aes_key not in stored


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"secret": "wrong"}, "secret", "wecom.bad_secret"),
        ({"corpid": "ww0000000000000000"}, "corpid", "wecom.bad_corpid"),
        ({"agent_id": 9_999_999}, "agent_id", "wecom.bad_agent"),
        ({"secret": " "}, "secret", "required"),
        ({"agent_id": 0}, "agent_id", "required"),
        ({"corpid": "", "name": ""}, "corpid", "required"),
        ({"quota_mode": "always"}, "quota_mode", "choice"),
    ],
)
def test_what_is_wrong_is_named_at_its_field_and_nothing_is_saved(cast, form, wrong, field, code):
    with pytest.raises(Invalid) as refusal:
        corps.connect(**{**form, **wrong})

    assert (refusal.value.errors[0].field, refusal.value.errors[0].code) == (field, code)
    assert str(refusal.value.errors[0].message)
    assert rows(cast) == (0, 0, 0, 0)


def test_an_app_without_the_permission_is_told_where_to_give_it(cast, form, simulator):
    plain = simulator.corps()[0]["apps"][1]

    with pytest.raises(Invalid) as refusal:
        corps.connect(**{**form, "agent_id": plain["agentid"], "secret": plain["secret"]})

    assert refusal.value.problem_code == "wecom.permission_withdrawn"
    assert "可调用接口的应用" in str(refusal.value.remedy)
    assert rows(cast) == (0, 0, 0, 0)


def test_an_untrusted_address_is_told_in_both_languages(cast, form, simulator):
    corpid = form["corpid"]
    simulator.post(f"/_sim/corps/{corpid}/trusted_ips", {"ips": ["203.0.113.9"]})
    try:
        said = {}
        for language in ("zh-hans", "en"):
            with translation.override(language), pytest.raises(Invalid) as refusal:
                corps.connect(**form)
            with translation.override(language):
                said[language] = (str(refusal.value.detail), str(refusal.value.remedy))
    finally:
        simulator.post(f"/_sim/corps/{corpid}/trusted_ips", {"ips": None})

    assert refusal.value.problem_code == "wecom.ip_untrusted"
    assert "企业可信 IP" in said["zh-hans"][1]
    assert "trusted IP" in said["en"][1]


def test_an_unreachable_wecom_is_no_verdict(cast, form, settings):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        settings.WECOM_API_BASE = f"http://127.0.0.1:{held.getsockname()[1]}/cgi-bin/"
        with pytest.raises(errors.Unreachable) as refusal:
            corps.connect(**form)

    assert refusal.value.problem_code == "wecom.unreachable"
    assert str(refusal.value.remedy)
    assert rows(cast) == (0, 0, 0, 0)


def test_connecting_again_replaces_the_secret_and_keeps_the_callback(cast, form, simulator):
    first = corps.connect(**form)
    with brand_scope(cast.brand.id):
        CorpApp.objects.filter(corp=first.corp_id).update(secret="reset meanwhile")

    second = corps.connect(**{**form, "name": "全棉"})

    assert (second.corp_id, second.endpoint_id, second.token) == (first.corp_id, first.endpoint_id, first.token)
    assert rows(cast)[:3] == (1, 1, 1)
    assert client_for(brand_id=cast.brand.id, corp_id=second.corp_id).follow_users()


def test_a_mended_secret_is_believed_at_once(cast, form):
    with pytest.raises(Invalid):
        corps.connect(**{**form, "secret": "wrong"})
    with pytest.raises(Invalid):
        corps.connect(**{**form, "secret": "wrong"})
    corps.connect(**form)


def test_a_check_notes_trouble_and_clears_it(cast, form, simulator):
    connected = corps.connect(**form)
    ask = {"brand_id": cast.brand.id, "corp_id": connected.corp_id, "at": timezone.now()}
    path = "externalcontact/get_follow_user_list"
    simulator.post("/_sim/faults", {"path": path, "mode": "errcode", "errcode": 48002, "count": 1})

    failing = corps.check(**ask)
    with brand_scope(cast.brand.id):
        noted = Corp.objects.get(pk=connected.corp_id).trouble_code
    passing = corps.check(**ask)
    with brand_scope(cast.brand.id):
        cleared = Corp.objects.get(pk=connected.corp_id).trouble_code

    assert {verdict.step: verdict.ok for verdict in failing}["permission"] is False
    assert (noted, cleared) == ("wecom.permission_withdrawn", "")
    verdicts = {verdict.step: verdict for verdict in passing}
    assert verdicts["members"].ok
    assert (verdicts["callback"].ok, verdicts["callback"].partial) == (False, True)  # nothing was heard yet
    assert all(verdict.label and verdict.detail for verdict in passing)


def test_another_brands_corp_cannot_be_checked(cast, form):
    connected = corps.connect(**form)
    with pytest.raises(NotFound):
        corps.check(brand_id=cast.other.id, corp_id=connected.corp_id, at=timezone.now())
