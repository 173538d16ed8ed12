"""One token for all processes; it may be revoked, lost or refused at any time."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection as database
from django.utils import translation

from bench.crowd import Crowd
from tenants.scope import brand_scope
from tests.wecom.conftest import forget
from tests.wecom.valkey import own_valkey
from wecom import errors, transport
from wecom.client import WeComClient
from wecom.models import Corp
from wecom.store import connection

READ = "externalcontact/get_follow_user_list"


def gettokens(simulator):
    return simulator.get("/_sim/counters")["calls"].get("gettoken", 0)


def until_called(simulator, more):
    """Return when the guides were asked for so many times more."""
    deadline, before = time.monotonic() + 100, followed(simulator)
    while followed(simulator) < before + more:
        assert time.monotonic() < deadline, "nobody calls"
        time.sleep(0.02)


def followed(simulator):
    return simulator.get("/_sim/counters")["calls"].get("externalcontact/get_follow_user_list", 0)


def test_many_calls_share_one_token(simulator, link):
    for _time in range(3):
        link.wecom.follow_users()

    assert gettokens(simulator) == 1


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    """A server of our own: the suite's must not be emptied under others."""
    with own_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


def crowd(simulator, link, *, many=8, lasts=0.0, **environment):
    return Crowd(
        corps=[(link.corpid, link.secret)] * many,
        lasts=lasts,
        WECOM_API_BASE=simulator.api_base,
        **environment,
    )


def test_eight_processes_that_start_together_after_expiry_ask_for_one_token(simulator, link):
    link.wecom.follow_users()
    simulator.post("/_sim/clock", {"advance_seconds": 7300})  # Redis still has the token that WeCom will refuse
    simulator.post("/_sim/faults", {"path": "gettoken", "mode": "slow", "delay": 0.3})
    with crowd(simulator, link) as processes:
        processes.go()
        told = processes.told()

    assert [each.done for each in told] == [1] * 8
    assert [each.failed for each in told] == [[]] * 8
    assert gettokens(simulator) == 1 + 1


def test_a_redis_emptied_in_the_middle_fails_no_call(simulator, link, valkey):
    valkey.flush()
    with crowd(simulator, link, lasts=120, REDIS_URL=valkey.url) as processes:
        processes.go()
        for _time in range(3):
            until_called(simulator, 20)
            valkey.flush()
        until_called(simulator, 20)
        processes.enough()
        told = processes.told()

    assert [each.failed for each in told] == [[]] * 8
    assert all(each.done for each in told)
    assert gettokens(simulator) <= 1 + 3 * 8


def test_a_redis_that_goes_away_in_the_middle_fails_no_call(simulator, link, valkey):
    valkey.flush()
    with crowd(simulator, link, many=4, lasts=120, REDIS_URL=valkey.url) as processes:
        processes.go()
        until_called(simulator, 40)
        valkey.stop()
        until_called(simulator, 40)
        valkey.start()
        until_called(simulator, 20)
        processes.enough()
        told = processes.told()

    assert [each.failed for each in told] == [[]] * 4
    assert gettokens(simulator) <= 1 + 2 * 4


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


@pytest.mark.parametrize("errcode", [40014, 42001, -1])
def test_a_wrong_answer_to_gettoken_is_asked_again_and_not_remembered(simulator, link, errcode, monkeypatch):
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0.01)
    simulator.post("/_sim/faults", {"path": "gettoken", "mode": "errcode", "errcode": errcode, "count": 2})
    assert link.wecom.follow_users()  # the third try of the same call

    forget()
    simulator.post("/_sim/faults", {"path": "gettoken", "mode": "errcode", "errcode": errcode, "count": 3})
    with pytest.raises(errors.Busy):
        link.wecom.follow_users()
    assert link.wecom.follow_users()


def test_a_secret_refused_by_mistake_is_asked_again_soon_and_a_wrong_one_ever_more_rarely(simulator, link):
    wrong = WeComClient(corpid=link.corpid, secret="not-the-secret")
    remembered = []
    for _time in range(4):
        with pytest.raises(errors.Misconfigured):
            wrong.follow_users()
        tokens = wrong.transport.tokens
        remembered.append(connection().ttl(tokens._refusal))
        tokens.forget_refusal()  # as if so long had passed

    assert [round(seconds / 5) * 5 for seconds in remembered] == [5, 60, 600, 600]


def test_a_secret_that_was_changed_is_used_at_once_by_everybody(simulator, link):
    """Another secret of the corp's: what was remembered of the old one is nobody's business."""
    wrong = WeComClient(corpid=link.corpid, secret="not-the-secret")
    with pytest.raises(errors.Misconfigured):
        wrong.follow_users()

    assert link.wecom.follow_users()
    assert gettokens(simulator) == 2


def test_trouble_is_noted_on_the_corp_until_the_call_works_again(simulator, link, cast):
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


def test_a_thread_that_only_calls_wecom_is_left_without_a_connection_to_the_database(simulator, link):
    """Whoever notes the corp's trouble in it opens one, and the thread's end would not close it."""
    wecom = link.wecom
    simulator.post("/_sim/faults", {"path": READ, "mode": "errcode", "errcode": 48002, "count": 1})

    def call():
        with pytest.raises(errors.Misconfigured):
            wecom.follow_users()
        return database.connection is None

    with ThreadPoolExecutor(max_workers=1) as caller:
        assert caller.submit(call).result()


def test_a_trouble_that_ends_takes_no_newer_one_along(simulator, link):
    simulator.post("/_sim/faults", {"path": READ, "mode": "errcode", "errcode": 48002, "count": 1})
    with pytest.raises(errors.Misconfigured):
        link.wecom.follow_users()
    knows_the_first = link.wecom
    simulator.post("/_sim/faults", {"path": "department/list", "mode": "errcode", "errcode": 60020, "count": 1})
    with pytest.raises(errors.Misconfigured):
        link.wecom.departments()

    assert knows_the_first.follow_users()

    with brand_scope(link.brand_id):
        assert Corp.objects.get(pk=link.corp_id).trouble_code == "wecom.ip_untrusted"
