"""The provider's flow (服务商代开发) end to end: tickets and commands from the simulator, a corp in the right brand."""

import time
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from scrm.lib.errors import NotFound
from tenants.actors import Actor
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.wecom.test_callbacks import event_xml, sealed
from wecom import corps, errors
from wecom.client import client_for
from wecom.models import Authorisation, AuthorisationLink, Corp, CorpApp, InboxItem, Suite, SuiteCommand
from wecom.provider import authorise, command, suites
from wecom.simulator.testing import running_simulator

ALICE = Actor("user:1", "alice")


@dataclass
class Provided:
    """A suite of the installation whose other end is the simulator."""

    suite: Suite
    simulator: object
    corpid: str
    brand_id: int

    def ask(self, **changed):
        """A link made by a seat of the brand."""
        given = {"suite_id": self.suite.pk, "brand_id": self.brand_id, "actor": ALICE, "at": timezone.now()}
        return authorise.make_link(**{**given, **changed})

    def act(self, name, **request):
        """The corp's administrator does something in WeCom."""
        return self.simulator.post(f"/_sim/suites/{self.suite.suite_id}/{name}", {"corpid": self.corpid, **request})

    def install(self, link=None):
        """The administrator follows the install link; the browser comes back with the code."""
        link = link or self.ask()
        query = {name: values[0] for name, values in parse_qs(urlsplit(link.url).query).items()}
        code = self.act("authorise", pre_auth_code=query["pre_auth_code"], state=query["state"])["auth_code"]
        back = requests.get(query["redirect_uri"], params={"auth_code": code, "state": link.state}, timeout=10)
        return back, code

    def corp(self, brand_id=None):
        with brand_scope(brand_id or self.brand_id):
            return Corp.objects.get(suite=self.suite.pk)

    def wecom(self):
        return client_for(brand_id=self.brand_id, corp_id=self.corp().pk)

    def tell(self, plain, *, receiver=None, **sealing):
        """Post a sealed message to the command address."""
        keys = {"token": self.suite.token, "aes_key": self.suite.aes_key, **sealing}
        query, body = sealed(plain, corpid=receiver or self.suite.suite_id, **keys)
        return requests.post(suites.command_url(self.suite), params=query, data=body, timeout=10)

    def said(self, info_type, at=None, **fields):
        """The plain form of a command."""
        stamp = int((at or timezone.now()).timestamp())
        fields = {"SuiteId": self.suite.suite_id, "InfoType": info_type, "TimeStamp": stamp, **fields}
        return f"<xml>{''.join(f'<{name}>{value}</{name}>' for name, value in fields.items())}</xml>"


def settled(simulator):
    """Wait until what the simulator had to say was said."""
    deadline = time.monotonic() + 60
    while simulator.get("/_sim/counters")["callbacks"]["pending"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return simulator.get("/_sim/counters")


@pytest.fixture(scope="module")
def running():
    """A simulator whose clock nobody has moved: which ticket is the later one goes by the time it was said."""
    with running_simulator(guides=4, contacts=60, confirm_rate=1.0) as simulator:
        yield simulator


@pytest.fixture
def provided(live_cast, simulator, live_server, settings, inline):
    settings.PUBLIC_URL = live_server.url
    settings.WECOM_INSTALL_URL = f"{simulator.base_url}/open.work.weixin.qq.com/3rdapp/install"
    made = simulator.post("/_sim/suites", {"kind": "customized", "name": "果园"})
    suite = suites.put(suite_id=made["suite_id"], name="果园", secret=made["secret"])
    address = suites.command_url(suite)
    keys = {"token": suite.token, "aes_key": suite.aes_key, "command_url": address, "data_url": address}
    wired = simulator.post("/_sim/suites", {"suite_id": suite.suite_id, **keys, "timeout": 10})
    assert wired["ok"], wired["error"]
    settled(simulator)
    suite.refresh_from_db()
    yield Provided(suite, simulator, simulator.corps()[0]["corpid"], live_cast.brand.id)
    simulator.delete(f"/_sim/suites/{suite.suite_id}")
    settled(simulator)  # its last cancellations, which must not be heard by the next test


def test_a_corp_that_follows_the_brands_link_is_connected_to_it(provided, live_cast):
    back, code = provided.install()

    assert back.status_code == 200
    assert "授权完成" in back.text
    corp = provided.corp()
    assert corp.connected_at
    assert corp.corpid != provided.corpid  # the provider's own id of it (§5.3)
    members = provided.wecom().follow_users()
    assert len(members) == 4
    assert all(userid.startswith("wo") for userid in members)
    with brand_scope(provided.brand_id):
        app = CorpApp.objects.get(corp=corp)
        entry = AuditEntry.objects.get(action="corp.authorised")
        assert (entry.actor, app.secret in str(entry.after)) == ("user:1", False)
    kept = Authorisation.objects.get()
    assert (kept.brand_id, kept.corp_id, kept.permanent_code) == (provided.brand_id, corp.pk, "")
    with connection.cursor() as cursor, brand_scope(provided.brand_id):
        cursor.execute("SELECT ticket || secret || token || aes_key FROM wecom_suite")
        stored = cursor.fetchone()[0]
        cursor.execute("SELECT payload FROM wecom_suitecommand")
        stored += cursor.fetchone()[0]
        cursor.execute("SELECT string_agg(secret, '') FROM wecom_corpapp")
        stored += cursor.fetchone()[0]
    for secret in (app.secret, code, provided.suite.secret, provided.suite.ticket, provided.suite.aes_key):
        assert secret not in stored
    link = AuthorisationLink.objects.get()
    assert (link.corp_id, link.problem_code, bool(link.used_at)) == (corp.pk, "", True)
    with brand_scope(live_cast.other.id):
        assert not Corp.objects.filter(corpid=corp.corpid).exists()


def test_the_checks_of_a_provided_corp_speak_of_the_provider(provided):
    provided.install()
    corp = provided.corp()
    provided.act("change", forbidden=["externalcontact/get_moment_list"])
    settled(provided.simulator)

    verdicts = {each.step: each for each in corps.check(brand_id=provided.brand_id, corp_id=corp.pk, at=timezone.now())}

    assert verdicts["tags"].ok
    assert verdicts["customers"].ok
    assert (verdicts["moments"].ok, verdicts["moments"].partial) == (False, True)
    assert "服务商" in verdicts["moments"].remedy
    assert "员工 ID" in verdicts["directory"].detail  # names are not given to providers
    assert verdicts["address"].ok
    provided.act("change", forbidden=[])
    provided.simulator.post("/_sim/faults", {"path": "agent/get", "mode": "errcode", "errcode": 60020})
    (refused,) = (
        each
        for each in corps.check(brand_id=provided.brand_id, corp_id=corp.pk, at=timezone.now())
        if each.step == "agent"
    )
    assert "服务商后台的 IP 白名单" in refused.remedy  # the app's own list is not theirs to change
    assert "服务商后台的 IP 白名单" in provided.corp().trouble_remedy


def test_a_template_link_brings_the_corp_by_event(provided):
    told = provided.simulator.post("/_sim/suites", {"suite_id": provided.suite.suite_id})
    Suite.objects.update(provider_corpid=told["provider"], provider_secret=told["provider_secret"])

    link = provided.ask()
    provided.act("authorise", state=link.state)
    settled(provided.simulator)

    assert provided.wecom().follow_users()
    link.refresh_from_db()
    assert link.corp_id == provided.corp().pk


def test_a_corp_without_a_link_waits_until_it_is_assigned_at_the_installation(provided, live_cast):
    provided.act("authorise")
    settled(provided.simulator)

    kept = Authorisation.objects.get()
    assert (kept.brand_id, bool(kept.permanent_code)) == (None, True)
    out = StringIO()
    call_command("wecom_provider", "list", stdout=out)
    assert "waits for a brand" in out.getvalue()
    call_command("wecom_provider", "assign", str(kept.pk), live_cast.brand.slug, stdout=out)

    assert provided.wecom().follow_users()
    kept.refresh_from_db()
    assert kept.permanent_code == ""
    with pytest.raises(CommandError):
        call_command("wecom_provider", "assign", str(kept.pk), live_cast.other.slug, stdout=out)


def test_a_cancelled_authorisation_stops_the_corp_and_says_so_until_it_is_renewed(provided):
    provided.install()
    corp = provided.corp()
    with brand_scope(provided.brand_id):
        old = CorpApp.objects.get(corp=corp).secret

    provided.act("cancel")
    settled(provided.simulator)

    stopped = provided.corp()
    assert (stopped.connected_at, stopped.trouble_code) == (None, "wecom.authorisation_cancelled")
    assert "授权链接" in stopped.trouble_remedy
    with pytest.raises(errors.Misconfigured) as refusal:
        provided.wecom()
    assert refusal.value.problem_code == "wecom.authorisation_cancelled"
    verdicts = corps.check(brand_id=provided.brand_id, corp_id=corp.pk, at=timezone.now())
    assert [each.code for each in verdicts] == ["wecom.authorisation_cancelled"]

    # Two seconds later, for WeCom's times are whole seconds and so is "before".
    provided.simulator.post("/_sim/clock", {"advance_seconds": 2})
    provided.install()
    renewed = provided.corp()
    assert (renewed.pk, renewed.trouble_code, bool(renewed.connected_at)) == (corp.pk, "", True)
    assert provided.wecom().follow_users()
    with brand_scope(provided.brand_id):
        assert CorpApp.objects.get(corp=corp).secret != old


def test_a_cancellation_that_was_never_heard_is_found_by_the_check(provided):
    provided.install()
    corp = provided.corp()
    provided.simulator.post("/_sim/switches", {"callback_loss_rate": 1.0})
    try:
        provided.act("cancel")
    finally:
        provided.simulator.post("/_sim/switches", {"callback_loss_rate": 0.0})

    verdicts = corps.check(brand_id=provided.brand_id, corp_id=corp.pk, at=timezone.now())

    assert verdicts[0].code == "wecom.authorisation_cancelled"
    assert provided.corp().trouble_code == "wecom.authorisation_cancelled"


def test_a_reset_secret_is_taken_up(provided):
    provided.install()
    corp = provided.corp()
    with brand_scope(provided.brand_id):
        old = CorpApp.objects.get(corp=corp).secret

    provided.act("reset")
    settled(provided.simulator)

    with brand_scope(provided.brand_id):
        assert CorpApp.objects.get(corp=corp).secret != old
    assert provided.wecom().follow_users()


def test_replays_and_strangers_change_nothing(provided):
    provided.install()
    corp = provided.corp()
    now = timezone.now()
    earlier = now - timedelta(hours=1)
    told = provided.suite.ticket

    old_ticket = provided.said("suite_ticket", earlier, SuiteTicket="stale")
    old_cancel = provided.said("cancel_auth", earlier, AuthCorpId=corp.corpid)
    fresh_cancel = provided.said("cancel_auth", AuthCorpId=corp.corpid)
    unknown = provided.said("cancel_auth", AuthCorpId="ww-nobody")
    late = provided.said("cancel_auth", now - timedelta(minutes=2), AuthCorpId=corp.corpid)  # WeCom is asked about it
    assert [provided.tell(each).text for each in (old_ticket, old_cancel, unknown, late)] == ["success"] * 4
    assert provided.tell(fresh_cancel, token="wrong").status_code == 400
    assert provided.tell(fresh_cancel, receiver="ww-another-suite").text == "success"  # a corp that is nobody's
    assert provided.tell(fresh_cancel, aes_key="A" * 43).status_code == 400
    for body in (b"", b"<xml>", b"{}", b"\xff\xfe"):
        assert requests.post(suites.command_url(provided.suite), data=body, timeout=10).status_code == 400
    assert requests.post(suites.command_url(Suite()), timeout=10).status_code == 404

    provided.suite.refresh_from_db()
    assert provided.suite.ticket == told
    assert provided.corp().connected_at
    assert provided.wecom().follow_users()
    assert not SuiteCommand.objects.exclude(status=SuiteCommand.Status.DONE).exists()


def test_a_code_that_comes_twice_is_taken_once(provided):
    link = provided.ask()
    provided.simulator.delete("/_sim/counters")
    _back, code = provided.install(link)
    provided.tell(provided.said("create_auth", AuthCode=code, State=link.state))

    calls = settled(provided.simulator)["calls"]
    assert calls["service/v2/get_permanent_code"] == {"0": 1} or calls["service/v2/get_permanent_code"] == 1
    assert SuiteCommand.objects.count() == 1


def test_a_code_that_wecom_refuses_is_told_on_the_page_and_on_the_link(provided):
    link = provided.ask()
    back = requests.get(suites.redirect_url(provided.suite), params={"auth_code": "x", "state": link.state}, timeout=10)

    assert "没有完成" in back.text
    link.refresh_from_db()
    assert link.problem_code == "wecom.code_expired"
    strange = requests.get(suites.redirect_url(provided.suite), params={"auth_code": "x", "state": "y"}, timeout=10)
    assert strange.status_code == 400
    with brand_scope(provided.brand_id):
        assert not Corp.objects.filter(suite=provided.suite.pk).exists()


def test_a_corp_of_one_brand_cannot_be_taken_by_anothers_link(provided, live_cast):
    provided.install()
    corp = provided.corp()

    back, _code = provided.install(provided.ask(brand_id=live_cast.other.id))

    assert "另一个品牌" in back.text
    with brand_scope(live_cast.other.id):
        assert not Corp.objects.filter(corpid=corp.corpid).exists()
    assert provided.wecom().follow_users()  # and the first goes on, with what was granted last

    corps.disconnect(brand_id=provided.brand_id, corp_id=corp.pk, confirm=corp.name, actor=ALICE, at=timezone.now())
    provided.install(provided.ask(brand_id=live_cast.other.id))
    theirs = provided.corp(live_cast.other.id)
    assert client_for(brand_id=live_cast.other.id, corp_id=theirs.pk).follow_users()
    with pytest.raises(errors.Misconfigured):
        provided.wecom()


def test_a_links_outcome_is_only_for_its_brand(provided, live_cast):
    link = provided.ask()
    assert authorise.link_of(brand_id=provided.brand_id, state=link.state).pk == link.pk
    with pytest.raises(NotFound):
        authorise.link_of(brand_id=live_cast.other.id, state=link.state)


def test_without_a_ticket_nothing_is_asked_and_the_next_ticket_helps_at_once(provided):
    Suite.objects.update(ticket="", ticket_at=None)
    with pytest.raises(errors.Misconfigured) as refusal:
        provided.ask()
    assert refusal.value.problem_code == "wecom.suite_ticket"
    assert "指令回调" in str(refusal.value.remedy)

    provided.simulator.post(f"/_sim/suites/{provided.suite.suite_id}/ticket")
    settled(provided.simulator)
    assert provided.ask().url


def test_an_authorisation_waits_for_a_wecom_that_does_not_answer(provided):
    link = provided.ask()
    path = "service/v2/get_permanent_code"
    provided.simulator.post("/_sim/faults", {"path": path, "mode": "http_500", "count": 3})
    back, _code = provided.install(link)
    assert "正在完成" in back.text

    provided.simulator.delete("/_sim/faults")
    later = timezone.now() + timedelta(minutes=1)
    assert command.carry_out(at=later)
    assert not command.carry_out(at=later)
    assert provided.wecom().follow_users()
    link.refresh_from_db()
    assert (link.problem_code, link.corp_id) == ("", provided.corp().pk)


def test_events_of_an_authorised_corp_reach_the_inbox_of_its_brand(provided, live_cast):
    provided.install()
    corp = provided.corp()
    # As a 代开发 app hears of them: sealed for the corp; and as a third-party suite does: by AuthCorpId.
    plain = event_xml(corp.corpid, customer="wm-provided-1")
    assert provided.tell(plain, receiver=corp.corpid).text == "success"
    named = provided.said("change_external_contact", AuthCorpId=corp.corpid, ChangeType="edit_external_contact")
    assert provided.tell(named).text == "success"
    # One of a corp that is nobody's is acknowledged and let go.
    assert provided.tell(event_xml("ww-nobody"), receiver="ww-nobody").text == "success"

    with brand_scope(provided.brand_id):
        kept = InboxItem.objects.filter(corp=corp).order_by("id")
        assert [(item.event, item.change_type) for item in kept] == [
            ("change_external_contact", "add_external_contact"),
            ("change_external_contact", "edit_external_contact"),
        ]
    with brand_scope(live_cast.other.id):
        assert not InboxItem.objects.exists()


def test_the_command_address_answers_the_handshake_for_suite_and_provider(provided):
    Suite.objects.update(provider_corpid="ww-provider")
    for receiver, status in ((provided.suite.suite_id, 200), ("ww-provider", 200), ("ww-other", 400)):
        query, body = sealed("echo-1", corpid=receiver, token=provided.suite.token, aes_key=provided.suite.aes_key)
        echo = body.decode() if isinstance(body, bytes) else body
        query = {**query, "echostr": echo.split("<Encrypt><![CDATA[")[1].split("]]>")[0]}
        answer = requests.get(suites.command_url(provided.suite), params=query, timeout=10)
        assert answer.status_code == status
        if status == 200:
            assert answer.text == "echo-1"
