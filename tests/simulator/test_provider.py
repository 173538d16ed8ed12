"""A provider's life (服务商代开发, third-party): tickets, authorisation, tokens, events, ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.simulator.receiver import Receiver
from wecom.simulator.testing import Simulator, running_simulator


class Provider:
    """A suite and the calls a provider makes."""

    def __init__(self, simulator: Simulator, **suite: Any) -> None:
        self.simulator = simulator
        self.suite = simulator.post("/_sim/suites", suite)
        self.suite_id: str = self.suite["suite_id"]
        self.commands = Receiver(self.suite_id, token=self.suite["token"], aes_key=self.suite["aes_key"])
        url = {"suite_id": self.suite_id, "command_url": self.commands.url, "timeout": 10}
        assert simulator.post("/_sim/suites", url)["ok"] is True

    def call(self, path: str, body: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """POST with a body, GET without."""
        return answer(self.simulator, path, body, **query)

    def service(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call with the suite's token."""
        return self.call(f"service/{path}", body, suite_access_token=self.suite_token())

    def suite_token(self, **changed: str) -> str:
        return str(self.suite_answer(**changed)["suite_access_token"])

    def suite_answer(self, **changed: str) -> dict[str, Any]:
        shown = next(each for each in self.simulator.get("/_sim/suites") if each["suite_id"] == self.suite_id)
        given = {"suite_id": self.suite_id, "suite_secret": shown["secret"], "suite_ticket": shown["suite_ticket"]}
        return self.call("service/get_suite_token", given | changed)

    def control(self, action: str, **body: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.simulator.post(f"/_sim/suites/{self.suite_id}/{action}", body)
        return done

    def event(self, info_type: str) -> dict[str, str]:
        """The next command of that type; tickets in between are passed over."""
        while (event := self.commands.next()[0])["InfoType"] != info_type:
            assert event["InfoType"] == "suite_ticket", event
        return event

    def authorise(self, corpid: str, **body: Any) -> dict[str, Any]:
        """The corp agrees from the market: what get_permanent_code tells."""
        self.control("authorise", corpid=corpid, **body)
        return self.service("get_permanent_code", {"auth_code": self.event("create_auth")["AuthCode"]})

    def corp_token(self, known: dict[str, Any]) -> str:
        corpid, secret = known["auth_corp_info"]["corpid"], known["permanent_code"]
        if self.suite["kind"] == "customized":
            return str(self.call("gettoken", corpid=corpid, corpsecret=secret)["access_token"])
        given = {"auth_corpid": corpid, "permanent_code": secret}
        return str(self.service("get_corp_token", given)["access_token"])


def answer(simulator: Simulator, path: str, body: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
    url = simulator.api_base + path
    if body is None:
        return dict(requests.get(url, params=query, timeout=30).json())
    return dict(requests.post(url, params=query, json=body, timeout=30).json())


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(guides=6, contacts=120, corps=2) as running:
        yield running


@pytest.fixture(scope="module")
def customized(simulator) -> Provider:
    return Provider(simulator, kind="customized", name="果园代开发")


@pytest.fixture(scope="module")
def third_party(simulator) -> Provider:
    return Provider(simulator, kind="third_party", name="果园应用")


@pytest.fixture(scope="module")
def corpid(simulator) -> str:
    return str(simulator.corps()[0]["corpid"])


@pytest.fixture
def installed(customized, corpid) -> Iterator[dict[str, Any]]:
    """The corp has authorised the 代开发 template with the whole corp in range."""
    yield customized.authorise(corpid, state="brand-7")
    shown = next(each for each in customized.simulator.get("/_sim/suites") if each["suite_id"] == customized.suite_id)
    if shown["authorisations"]:
        customized.control("cancel", corpid=corpid)
        customized.event("cancel_auth")


# -- tickets and suite tokens ------------------------------------------------------------------------------------------


def test_a_ticket_comes_every_ten_minutes_in_the_suites_own_envelope(customized):
    customized.commands.events.clear()
    customized.commands.envelopes.clear()
    customized.simulator.post("/_sim/clock", {"advance_seconds": 600})

    event = customized.commands.next()[0]

    assert set(event) == {"SuiteId", "InfoType", "TimeStamp", "SuiteTicket"}
    assert (event["SuiteId"], event["InfoType"]) == (customized.suite_id, "suite_ticket")
    assert customized.commands.envelopes[0]["ToUserName"] == customized.suite_id
    assert customized.suite_answer(suite_ticket=event["SuiteTicket"])["errcode"] == 0


def test_a_command_that_is_not_answered_success_comes_three_times(customized):
    customized.commands.events.clear()
    before, customized.commands.reply = customized.commands.attempts, b""
    customized.control("ticket")
    customized.commands.next(3)
    customized.commands.reply = b"success"
    assert customized.commands.attempts == before + 3


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"suite_id": ""}, 41021),
        ({"suite_id": "dk00"}, 40083),
        ({"suite_secret": "x"}, 40001),
        ({"suite_ticket": ""}, 41023),
        ({"suite_ticket": "x"}, 40085),
    ],
)
def test_suite_token_refusals(customized, changed, errcode):
    assert customized.suite_answer(**changed)["errcode"] == errcode


def test_a_ticket_is_good_for_half_an_hour(customized):
    ticket = customized.control("ticket")["suite_ticket"]
    customized.simulator.post("/_sim/clock", {"advance_seconds": 1801})
    assert customized.suite_answer(suite_ticket=ticket)["errcode"] == 40085


def test_token_families_do_not_mix(customized, installed):
    suite_token, corp_token = customized.suite_token(), customized.corp_token(installed)
    assert customized.call("service/get_pre_auth_code")["errcode"] == 41022
    assert customized.call("service/get_pre_auth_code", suite_access_token=corp_token)["errcode"] == 40082
    assert customized.call("department/list", access_token=suite_token)["errcode"] == 40014
    assert customized.call("department/list", suite_access_token=suite_token)["errcode"] == 41001


def test_a_suite_token_can_be_withdrawn_or_expire(customized):
    for expire, errcode in ((False, 40082), (True, 42009)):
        token = customized.suite_token()
        customized.control("revoke", expire=expire)
        assert customized.call("service/get_pre_auth_code", suite_access_token=token)["errcode"] == errcode
        assert customized.service("get_pre_auth_code")["errcode"] == 0


# -- authorisation -----------------------------------------------------------------------------------------------------


def test_authorisation_in_the_browser(third_party, corpid):
    simulator = third_party.simulator
    code = third_party.service("get_pre_auth_code")
    assert code["expires_in"] == 1200
    session = {"pre_auth_code": code["pre_auth_code"], "session_info": {"appid": [], "auth_type": 1}}
    assert third_party.service("set_session_info", session)["errcode"] == 0
    assert third_party.service("set_session_info", {"pre_auth_code": "x"})["errcode"] == 40077
    address = f"{simulator.base_url}/open.work.weixin.qq.com/3rdapp/install"
    query = {
        "suite_id": third_party.suite_id,
        "pre_auth_code": code["pre_auth_code"],
        "redirect_uri": "https://orchard.example/back?x=1",
        "state": "brand 3",
    }

    page = requests.get(address, params=query, timeout=10)
    assert corpid in page.text
    back = requests.post(address, params=query, data={"corpid": corpid}, allow_redirects=False, timeout=10)

    assert back.status_code == 302
    landed = urlsplit(back.headers["Location"])
    got = {name: values[0] for name, values in parse_qs(landed.query).items()}
    assert (landed.netloc, got["x"], got["state"], got["expires_in"]) == ("orchard.example", "1", "brand 3", "1200")
    known = third_party.service("v2/get_permanent_code", {"auth_code": got["auth_code"]})
    assert known["auth_corp_info"]["corp_name"] == simulator.corps()[0]["name"]
    assert known["auth_info"]["agent"][0]["privilege"]["allow_party"] == [1]
    assert third_party.service("get_permanent_code", {"auth_code": got["auth_code"]})["errcode"] == 40078  # once
    assert requests.get(address, params=query, timeout=10).status_code == 400  # the pre_auth_code is used up
    third_party.control("cancel", corpid=corpid)
    assert third_party.event("cancel_auth")["AuthCorpId"] == known["auth_corp_info"]["corpid"]


def test_a_template_is_authorised_by_its_qr_code(customized, simulator):
    given = {"corpid": customized.suite["provider"], "provider_secret": customized.suite["provider_secret"]}
    token = customized.call("service/get_provider_token", given)
    assert "errcode" not in token
    assert customized.call("service/get_provider_token", given | {"provider_secret": "x"})["errcode"] == 40001
    link = customized.call(
        "service/get_customized_auth_url",
        {"state": "brand-9", "templateid_list": [customized.suite_id]},
        provider_access_token=token["provider_access_token"],
    )
    second = simulator.corps()[1]
    assert second["name"] in requests.get(link["qrcode_url"], timeout=10).text
    requests.post(link["qrcode_url"], data={"corpid": second["corpid"]}, timeout=10).raise_for_status()

    event = customized.event("create_auth")
    assert event["State"] == "brand-9"
    known = customized.service("get_permanent_code", {"auth_code": event["AuthCode"]})
    assert known["auth_info"]["agent"][0]["is_customized_app"] is True
    assert customized.corp_token(known)
    customized.control("cancel", corpid=second["corpid"])
    customized.event("cancel_auth")


def test_an_app_of_a_template_takes_its_token_by_gettoken(customized, installed, corpid):
    encrypted = installed["auth_corp_info"]["corpid"]
    assert encrypted != corpid
    assert customized.call("department/list", access_token=customized.corp_token(installed))["errcode"] == 0
    given = {"auth_corpid": encrypted, "permanent_code": installed["permanent_code"]}
    assert customized.service("get_corp_token", given)["errcode"] == 40084
    assert customized.service("get_auth_info", given)["auth_corp_info"]["corpid"] == encrypted
    assert customized.service("get_auth_info", given | {"permanent_code": "x"})["errcode"] == 40084
    agentid = installed["auth_info"]["agent"][0]["agentid"]
    admins = customized.service("get_admin_list", {"auth_corpid": encrypted, "agentid": agentid})["admin"]
    assert admins[0]["userid"] == installed["auth_user_info"]["userid"]


def test_a_changed_scope_is_told_and_holds(customized, installed, simulator, corpid):
    guides = [each["userid"] for each in simulator.get(f"/_sim/corps/{corpid}/guides")["items"]]
    customized.control("change", corpid=corpid, users=guides[:2], parties=[])
    event = customized.event("change_auth")
    assert event["AuthCorpId"] == installed["auth_corp_info"]["corpid"]

    token = customized.corp_token(installed)
    theirs = customized.control("ids", corpid=corpid, ids=guides)["ids"]
    seen = customized.call("externalcontact/get_follow_user_list", access_token=token)["follow_user"]
    assert set(seen) == {theirs[each] for each in guides[:2]}
    outside = theirs[guides[2]]
    assert customized.call("externalcontact/list", access_token=token, userid=outside)["errcode"] == 60011
    assert customized.call("user/get", access_token=token, userid=outside)["errcode"] == 60011


def test_a_reset_code_voids_the_old_one(customized, installed, corpid):
    token = customized.corp_token(installed)
    customized.control("reset", corpid=corpid)
    event = customized.event("reset_permanent_code")
    assert customized.call("department/list", access_token=token)["errcode"] == 40014
    encrypted = installed["auth_corp_info"]["corpid"]
    old = customized.call("gettoken", corpid=encrypted, corpsecret=installed["permanent_code"])
    assert old["errcode"] == 40001
    renewed = customized.service("get_permanent_code", {"auth_code": event["AuthCode"]})
    assert customized.corp_token(renewed)


def test_after_cancel_nothing_works_until_authorised_again(customized, installed, corpid):
    token = customized.corp_token(installed)
    customized.control("cancel", corpid=corpid)
    assert customized.event("cancel_auth")["AuthCorpId"] == installed["auth_corp_info"]["corpid"]
    assert customized.call("department/list", access_token=token)["errcode"] == 40014
    given = {"auth_corpid": installed["auth_corp_info"]["corpid"], "permanent_code": installed["permanent_code"]}
    assert customized.service("get_auth_info", given)["errcode"] == 40084
    again = customized.authorise(corpid)
    assert again["permanent_code"] != installed["permanent_code"]
    assert again["auth_corp_info"]["corpid"] == installed["auth_corp_info"]["corpid"]


def test_a_permission_not_granted_is_48002(customized, installed, corpid):
    customized.control("change", corpid=corpid, forbidden=["externalcontact/get_corp_tag_list"])
    customized.event("change_auth")
    token = customized.corp_token(installed)
    assert customized.call("externalcontact/get_corp_tag_list", {}, access_token=token)["errcode"] == 48002
    assert customized.call("agent/get_permissions", {}, access_token=token)["app_permissions"]


def test_a_providers_addresses_are_its_own(customized, installed):
    token = customized.corp_token(installed)
    change = {"suite_id": customized.suite_id, "trusted_ips": ["203.0.113.7"]}
    customized.simulator.post("/_sim/suites", change)
    assert customized.call("department/list", access_token=token)["errcode"] == 60020
    assert customized.service("get_pre_auth_code")["errcode"] == 60020
    customized.simulator.post("/_sim/suites", change | {"trusted_ips": None})
    assert customized.call("department/list", access_token=token)["errcode"] == 0


# -- ids and events ----------------------------------------------------------------------------------------------------


def own_and_foreign(provider: Provider, corpid: str, known: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """One customer with a unionid and avatar, as the corp and as the provider see them."""
    simulator = provider.simulator
    person = next(each for each in simulator.get(f"/_sim/corps/{corpid}/people")["items"] if each["unionid"])
    external = person["external_userid"]
    theirs = provider.control("ids", corpid=corpid, ids=[external])["ids"][external]
    own = answer(simulator, "externalcontact/get", access_token=simulator.token(), external_userid=external)
    foreign = answer(simulator, "externalcontact/get", access_token=provider.corp_token(known), external_userid=theirs)
    return own, foreign


def test_a_provider_sees_its_own_ids_and_less_of_people(customized, installed, corpid):
    own, foreign = own_and_foreign(customized, corpid, installed)

    assert own["external_contact"]["unionid"]
    assert not {"unionid", "avatar", "gender"} & set(foreign["external_contact"])
    assert foreign["external_contact"]["name"] == own["external_contact"]["name"]
    assert foreign["external_contact"]["external_userid"] != own["external_contact"]["external_userid"]
    assert foreign["follow_user"][0]["userid"].startswith("wo")
    assert "remark_mobiles" not in foreign["follow_user"][0]
    token = customized.corp_token(installed)
    member = customized.call("user/get", access_token=token, userid=foreign["follow_user"][0]["userid"])
    assert member["name"] == member["userid"]
    plain = own["external_contact"]["external_userid"]
    assert customized.call("externalcontact/get", access_token=token, external_userid=plain)["errcode"] == 40096
    plain = own["follow_user"][0]["userid"]
    assert customized.call("externalcontact/list", access_token=token, userid=plain)["errcode"] == 40003


def test_ids_are_converted_both_ways(customized, installed, simulator, corpid):
    token, own = customized.corp_token(installed), simulator.token()
    agentid = installed["auth_info"]["agent"][0]["agentid"]
    external = simulator.get(f"/_sim/corps/{corpid}/people")["items"][0]["external_userid"]
    body = {"external_userid_list": [external, "wm-nobody"]}
    items = customized.call("externalcontact/get_new_external_userid", body, access_token=token)["items"]
    theirs = items[0]["new_external_userid"]
    assert [each["external_userid"] for each in items] == [external]
    again = {"external_userid_list": [theirs]}
    unchanged = customized.call("externalcontact/get_new_external_userid", again, access_token=token)["items"]
    assert unchanged == [{"external_userid": theirs, "new_external_userid": theirs}]
    back = {"external_userid": theirs, "source_agentid": agentid}
    path = "externalcontact/from_service_external_userid"
    assert customized.call(path, back, access_token=own)["external_userid"] == external
    assert customized.call(path, back | {"source_agentid": 1}, access_token=own)["errcode"] == 40056
    to = {"external_userid": external}
    assert customized.call("externalcontact/to_service_external_userid", to, access_token=token) == {
        "errcode": 0,
        "errmsg": "ok",
        "external_userid": theirs,
    }
    guide = simulator.get(f"/_sim/corps/{corpid}/guides")["items"][0]["userid"]
    opened = customized.call("batch/userid_to_openuserid", {"userid_list": [guide, "nobody"]}, access_token=token)
    assert opened["invalid_userid_list"] == ["nobody"]
    open_userid = opened["open_userid_list"][0]["open_userid"]
    given = {"open_userid_list": [open_userid, "wo-none"], "source_agentid": agentid}
    closed = customized.call("batch/openuserid_to_userid", given, access_token=own)
    assert (closed["userid_list"][0]["userid"], closed["invalid_open_userid_list"]) == (guide, ["wo-none"])
    tags = customized.call("externalcontact/get_corp_tag_list", {}, access_token=own)["tag_group"]
    plain = {"external_tagid_list": [tags[0]["tag"][0]["id"], "et-none"]}
    converted = customized.call("idconvert/external_tagid", plain, access_token=token)
    assert converted["invalid_external_tagid_list"] == ["et-none"]
    shown = customized.call("externalcontact/get_corp_tag_list", {}, access_token=token)["tag_group"]
    assert converted["items"][0]["open_external_tagid"] == shown[0]["tag"][0]["id"]


def test_before_migration_the_corps_external_userids_are_still_in_use(simulator, corpid):
    older = Provider(simulator, kind="customized", provider="ww00000000000000bb", migrated=False)
    known = older.authorise(corpid)
    token = older.corp_token(known)
    external = simulator.get(f"/_sim/corps/{corpid}/people")["items"][0]["external_userid"]
    assert older.call("externalcontact/get", access_token=token, external_userid=external)["errcode"] == 0
    secret = {"corpid": older.suite["provider"], "provider_secret": older.suite["provider_secret"]}
    provider_token = older.call("service/get_provider_token", secret)["provider_access_token"]
    done = {"corpid": known["auth_corp_info"]["corpid"]}
    path = "externalcontact/finish_external_userid_migration"
    assert older.call(path, done, provider_access_token=provider_token)["errcode"] == 0
    assert older.call("externalcontact/get", access_token=token, external_userid=external)["errcode"] == 40096
    simulator.delete(f"/_sim/suites/{older.suite_id}")


def test_authorisations_survive_a_restart(tmp_path):
    path = tmp_path / "world.json.gz"
    with running_simulator(guides=2, contacts=20, snapshot=path) as first:
        provider = Provider(first, kind="customized")
        own = first.corps()[0]["corpid"]
        known = provider.authorise(own)
        external = first.get(f"/_sim/corps/{own}/people")["items"][0]["external_userid"]
        theirs = provider.control("ids", corpid=own, ids=[external])["ids"][external]
        first.post("/_sim/snapshot")
    with running_simulator(guides=2, contacts=20, snapshot=path) as second:
        provider.simulator = second
        token = provider.corp_token(known)
        shown = provider.call("externalcontact/get", access_token=token, external_userid=theirs)
        assert shown["external_contact"]["external_userid"] == theirs


def test_two_providers_see_different_ids(customized, installed, simulator, corpid):
    other = Provider(simulator, kind="third_party", provider="ww00000000000000aa", name="别家")
    known = other.authorise(corpid)
    assert known["auth_corp_info"]["corpid"] != installed["auth_corp_info"]["corpid"]
    mine = own_and_foreign(customized, corpid, installed)[1]
    theirs = own_and_foreign(other, corpid, known)[1]
    assert mine["external_contact"]["external_userid"] != theirs["external_contact"]["external_userid"]
    simulator.delete(f"/_sim/suites/{other.suite_id}")


def test_events_of_a_template_app_come_to_its_own_receiver(customized, installed, simulator, corpid):
    encrypted = installed["auth_corp_info"]["corpid"]
    receiver = Receiver(encrypted)
    given = {"corpid": corpid, "url": receiver.url, "token": "tokenOfTests", "aes_key": AES_KEY_OF_TESTS, "timeout": 10}
    assert customized.control("callback", **given) == {"ok": True, "error": None}

    scan = simulator.act("scan", userid=simulator.get(f"/_sim/corps/{corpid}/guides")["items"][0]["userid"])

    event = receiver.next()[0]
    ids = customized.control("ids", corpid=corpid, ids=[scan["userid"], scan["external_userid"]])["ids"]
    assert (event["ToUserName"], event["Event"]) == (encrypted, "change_external_contact")
    assert event["UserID"] == ids[scan["userid"]]
    assert event["ExternalUserID"] == ids[scan["external_userid"]]
    assert event["WelcomeCode"] == scan["welcome_code"]


def test_events_of_a_third_party_app_come_as_commands(third_party, simulator, corpid):
    known = third_party.authorise(corpid)
    scan = simulator.act("scan", userid=simulator.get(f"/_sim/corps/{corpid}/guides")["items"][0]["userid"])

    event = third_party.event("change_external_contact")

    assert event["AuthCorpId"] == known["auth_corp_info"]["corpid"]
    assert event["ChangeType"] == "add_external_contact"
    assert "ToUserName" not in event
    assert event["UserID"].startswith("wo")
    assert event["WelcomeCode"] == scan["welcome_code"]
    sent = third_party.call(
        "externalcontact/send_welcome_msg",
        {"welcome_code": scan["welcome_code"], "text": {"content": "欢迎"}},
        access_token=third_party.corp_token(known),
    )
    assert sent["errcode"] == 0
    third_party.control("cancel", corpid=corpid)
    third_party.event("cancel_auth")


def test_what_a_member_does_with_an_app_is_told_to_that_app_alone(third_party, simulator, corpid):
    known = third_party.authorise(corpid)
    receiver = Receiver(
        known["auth_corp_info"]["corpid"], token=third_party.suite["token"], aes_key=third_party.suite["aes_key"]
    )
    simulator.post("/_sim/suites", {"suite_id": third_party.suite_id, "data_url": receiver.url})
    agentid = known["auth_info"]["agent"][0]["agentid"]
    guide = simulator.get(f"/_sim/corps/{corpid}/guides")["items"][0]["userid"]

    simulator.act("enter_agent", userid=guide, event_key="own")  # the corp's own app
    simulator.act("enter_agent", userid=guide, event_key="theirs", agentid=agentid)

    event = receiver.next()[0]
    theirs = third_party.control("ids", corpid=corpid, ids=[guide])["ids"][guide]
    assert (event["Event"], event["EventKey"], event["AgentID"]) == ("enter_agent", "theirs", str(agentid))
    assert event["FromUserName"] == theirs
    assert receiver.events == []
    third_party.control("cancel", corpid=corpid)
    third_party.event("cancel_auth")


AES_KEY_OF_TESTS = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
