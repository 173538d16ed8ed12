"""One token for all processes; it may be revoked, lost or refused at any time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import translation

from tests.wecom.conftest import forget
from wecom import errors
from wecom.client import WeComClient
from wecom.models import Corp

ROOT = Path(__file__).resolve().parents[2]

CALLER = """
import django, sys
django.setup()
from wecom.client import WeComClient
wecom = WeComClient(corpid=sys.argv[1], secret=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(len(wecom.follow_users()), flush=True)
"""


def gettokens(simulator):
    return simulator.get("/_sim/counters")["calls"].get("gettoken", 0)


def test_many_calls_share_one_token(simulator, link):
    for _time in range(3):
        link.wecom.follow_users()

    assert gettokens(simulator) == 1


def test_processes_that_start_together_ask_for_one_token(simulator, link):
    simulator.post("/_sim/faults", {"path": "gettoken", "mode": "slow", "delay": 0.5})
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "scrm.settings",
        "WECOM_API_BASE": simulator.api_base,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CALLER, link.corpid, link.secret],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _process in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [process.communicate(timeout=60)[0] for process in processes]

    assert counts == ["4\n", "4\n"]
    assert gettokens(simulator) == 1


def test_a_token_revoked_in_the_middle_is_renewed_once(simulator, link):
    wecom = link.wecom
    wecom.follow_users()
    simulator.post("/_sim/tokens/revoke", {"corpid": link.corpid})

    assert len(wecom.follow_users()) == 4
    assert gettokens(simulator) == 2


def test_a_revoked_token_does_not_double_a_send(simulator, link):
    wecom = link.wecom
    guide = wecom.follow_users()[0]
    simulator.post("/_sim/tokens/revoke", {"corpid": link.corpid})

    wecom.send_app_message(userids=[guide], text="只发一次")

    rows = simulator.journal(corpid=link.corpid, kind="app")
    assert [row["text"] for row in rows].count("只发一次") == 1


def test_an_expired_token_is_renewed(simulator, link):
    wecom = link.wecom
    wecom.follow_users()
    simulator.post("/_sim/clock", {"advance_seconds": 7300})

    assert len(wecom.follow_users()) == 4


def test_a_slow_process_does_not_throw_away_the_new_token(simulator, link):
    tokens = link.wecom.transport.tokens
    old = link.wecom.transport.access_token
    simulator.post("/_sim/tokens/revoke", {"corpid": link.corpid})
    link.wecom.follow_users()  # renews
    new = link.wecom.transport.access_token

    tokens.drop(old)

    assert new != old
    assert link.wecom.transport.access_token == new
    assert gettokens(simulator) == 2


def test_redis_may_lose_everything(simulator, link):
    link.wecom.follow_users()
    forget()

    assert len(link.wecom.follow_users()) == 4


def test_a_token_that_is_refused_again_and_again_is_the_operators_business(simulator, link):
    simulator.post(
        "/_sim/faults", {"path": "externalcontact/get_follow_user_list", "mode": "errcode", "errcode": 40014}
    )

    with pytest.raises(errors.Misconfigured) as refusal:
        link.wecom.follow_users()

    assert refusal.value.problem_code == "wecom.token_refused"
    assert simulator.get("/_sim/faults")["items"][0]["hits"] == 2  # asked, renewed, asked once more


def test_a_wrong_secret_asks_once_a_minute_not_once_a_call(simulator, link):
    wrong = WeComClient(corpid=link.corpid, secret="not-the-secret")
    for _time in range(3):
        with pytest.raises(errors.Misconfigured) as refusal:
            wrong.follow_users()
        assert refusal.value.problem_code == "wecom.bad_secret"

    assert gettokens(simulator) == 1


def test_trouble_is_noted_on_the_corp_until_the_call_works_again(simulator, link, cast):
    from tenants.scope import brand_scope

    simulator.post(
        "/_sim/faults",
        {"path": "externalcontact/get_follow_user_list", "mode": "errcode", "errcode": 60020, "count": 1},
    )
    with pytest.raises(errors.Misconfigured):
        link.wecom.follow_users()

    with brand_scope(cast.brand.id):
        corp = Corp.objects.get(pk=link.corp_id)
    assert corp.trouble_code == "wecom.ip_untrusted"
    assert corp.trouble_at is not None
    assert "可信 IP" in corp.trouble_text
    with translation.override("en"):
        assert "trusted IPs" in corp.trouble_text
        assert "admin console" in corp.trouble_remedy
    link.wecom.departments()  # another call says nothing about that one
    with brand_scope(cast.brand.id):
        assert Corp.objects.get(pk=link.corp_id).trouble_code == "wecom.ip_untrusted"
    link.wecom.follow_users()
    with brand_scope(cast.brand.id):
        assert Corp.objects.get(pk=link.corp_id).trouble_code == ""


def test_a_banned_address_stops_asking(simulator, link):
    simulator.post("/_sim/faults", {"path": "gettoken", "mode": "errcode", "errcode": 45009})
    for _time in range(3):
        with pytest.raises(errors.Throttled):
            link.wecom.follow_users()

    assert simulator.get("/_sim/faults")["items"][0]["hits"] == 1
