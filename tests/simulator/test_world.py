"""The world: made from a seed, kept on disk, run at a pace, looked at in a browser."""

import subprocess
import sys
import time

import pytest
import requests

from tests.simulator.conftest import Caller
from wecom.simulator.seed import make_world
from wecom.simulator.testing import ROOT, SimulatorProcess, running_simulator


def test_the_same_seed_makes_the_same_people():
    def people(seed):
        world = make_world(seed=seed, guides=10, contacts=500, corps=2, confirm_rate=0.88, now=1_800_000_000)
        return [
            (corp.corpid, [app.secret for app in corp.apps], list(corp.members), list(corp.customers))
            for corp in world.corps.values()
        ]

    assert people(7) == people(7)
    assert people(7) != people(8)


def test_the_world_has_the_shares_it_promises():
    now = 1_800_000_000
    world = make_world(seed=1, guides=50, contacts=20_000, corps=2, confirm_rate=0.88, now=now)
    corp, small = world.corps.values()

    guides = list(corp.service_members())
    people = list(corp.customers.values())
    follows = [follow for mine in corp.follows_of.values() for follow in mine.values()]

    assert (len(guides), len(people)) == (50, 20_000)
    assert (len(list(small.service_members())), len(small.customers)) == (12, 2000)
    assert sum(1 for guide in guides if guide.habit == "never") == 6
    assert {department for guide in guides for department in guide.department} == {2, 3, 4, 5, 6, 7}
    assert sum(1 for each in corp.followers_of.values() if len(each) == 2) / 20_000 == pytest.approx(0.12, abs=0.01)
    assert sum(1 for each in follows if each.deleted_at) / len(follows) == pytest.approx(0.04, abs=0.006)
    assert sum(1 for each in people if each.unionid) / 20_000 == pytest.approx(0.92, abs=0.01)
    assert len(corp.groups) == 80
    assert min(follow.createtime for follow in follows) < now - 390 * 86_400
    assert max(follow.createtime for follow in follows) < now
    assert len({each.external_userid for each in people}) == 20_000


def test_a_restart_goes_on_with_the_snapshot(tmp_path):
    path = tmp_path / "world.json.gz"
    with running_simulator(guides=4, contacts=80, snapshot=path) as simulator:
        caller = Caller(simulator)
        userid = caller.guides()[0]
        visitor = simulator.act("scan", userid=userid, name="存档", state="s1")["external_userid"]
        tag = caller.ok("add_corp_tag", {"group_name": "存档", "tag": [{"name": "一"}]})["tag_group"]["tag"][0]["id"]
        caller.ok("mark_tag", {"userid": userid, "external_userid": visitor, "add_tag": [tag]})
        sent = caller.ok("add_msg_template", {"sender": userid, "text": {"content": "已确认"}})["msgid"]
        simulator.act("confirm", msgid=sent, userid=userid)
        waiting = caller.ok("add_msg_template", {"sender": userid, "text": {"content": "未确认"}})["msgid"]
        simulator.post("/_sim/clock", {"advance_seconds": 30})
        before = {
            "people": caller.people(),
            "journal": simulator.journal(),
            "detail": caller.get("externalcontact/get", external_userid=visitor),
            "groups": caller.ok("groupchat/list", {"limit": 100}),
        }
        old_token = caller.token

    with running_simulator(guides=9, contacts=9, seed=99, snapshot=path) as simulator:
        stale = requests.get(simulator.api_base + "department/list", params={"access_token": old_token}, timeout=10)
        assert stale.json()["errcode"] == 40014
        caller = Caller(simulator)
        after = {
            "people": caller.people(),
            "journal": simulator.journal(),
            "detail": caller.get("externalcontact/get", external_userid=visitor),
            "groups": caller.ok("groupchat/list", {"limit": 100}),
        }
        assert after == before
        assert simulator.get("/_sim/health")["now"] > time.time() + 25
        assert caller.ok("get_groupmsg_task", {"msgid": waiting})["task_list"][0]["status"] == 0
        simulator.act("settle")  # what was pending is still pending, and happens once
        done = [row["external_userid"] for row in simulator.journal() if row["msgid"] == waiting]
        assert sorted(done) == sorted(caller.friends_of(userid))


def test_ids_made_after_the_last_save_are_not_given_again(tmp_path):
    arguments = ("--port", "0", "--guides", "3", "--contacts", "30", "--snapshot", str(tmp_path / "world.json.gz"))
    first = SimulatorProcess(*arguments)
    first.simulator.post("/_sim/snapshot")
    body = {"sender": Caller(first.simulator).guides()[0], "text": {"content": "忘了"}}
    lost = Caller(first.simulator).ok("add_msg_template", body)["msgid"]
    first.kill()

    second = SimulatorProcess(*arguments)
    try:
        caller = Caller(second.simulator)
        assert caller.errcode("get_groupmsg_task", {"msgid": lost}) == 41047
        assert caller.ok("add_msg_template", body)["msgid"] != lost
    finally:
        second.stop()


def test_a_damaged_snapshot_is_named_and_left_alone(tmp_path):
    path = tmp_path / "world.json.gz"
    path.write_bytes(b"not a snapshot")
    run = subprocess.run(
        [sys.executable, "-m", "wecom.simulator", "--port", "0", "--snapshot", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert str(path) in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert path.read_bytes() == b"not a snapshot"


def test_a_taken_port_is_named_in_one_line(simulator):
    port = simulator.base_url.rsplit(":", 1)[1]
    run = subprocess.run(
        [sys.executable, "-m", "wecom.simulator", "--port", port, "--contacts", "5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert port in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_the_management_command_serves_the_same():
    command = [sys.executable, "manage.py", "wecom_simulator", "--port", "0", "--contacts", "5", "--exit-with-stdin"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert requests.get(line.split()[-1] + "/_sim/corps", timeout=10).json()[0]["contacts"] == 5
        process.stdin.close()  # whoever started it is gone
        assert process.wait(timeout=20) == 0


def test_at_a_pace_guides_confirm_by_themselves():
    with running_simulator(guides=6, contacts=120, pace=60_000, confirm_rate=0.5) as simulator:
        caller = Caller(simulator)
        habits = {
            each["userid"]: each["habit"] for each in simulator.get(f"/_sim/corps/{caller.corpid}/guides")["items"]
        }
        assert list(habits.values()).count("never") == 3
        msgid = caller.ok(
            "add_msg_template",
            {"external_userid": [each["external_userid"] for each in caller.people()], "text": {"content": "按时"}},
        )["msgid"]
        willing = {userid for userid, habit in habits.items() if habit != "never"}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            tasks = caller.post("externalcontact/get_groupmsg_task", {"msgid": msgid}).get("task_list", [])
            if {each["userid"] for each in tasks if each["status"] == 2} == willing:
                break
            time.sleep(0.05)
        assert {each["userid"] for each in tasks if each["status"] == 2} == willing


def test_the_phone_shows_what_the_customer_saw(caller):
    userid = caller.guides()[0]
    customer = caller.friends_of(userid)[3]
    msgid = caller.ok(
        "add_msg_template",
        {"sender": userid, "external_userid": [customer], "text": {"content": "<b>手机上</b>看得到"}},
    )["msgid"]
    caller.simulator.act("confirm", msgid=msgid, userid=userid)
    page = requests.get(
        caller.simulator.base_url + "/_sim/phone",
        params={"corpid": caller.corpid, "external_userid": customer},
        timeout=10,
    )
    assert page.status_code == 200
    assert "&lt;b&gt;手机上&lt;/b&gt;看得到" in page.text
    listing = requests.get(caller.simulator.base_url + "/_sim/phone", params={"corpid": caller.corpid}, timeout=10)
    assert customer in listing.text


def test_the_journal_can_be_read_in_pages(caller):
    userid = caller.guides()[1]
    caller.ok("add_msg_template", {"sender": userid, "text": {"content": "分页"}})
    caller.simulator.act("settle")
    everything = caller.simulator.journal(corpid=caller.corpid)
    paged, after = [], 0
    while True:
        page = caller.simulator.get("/_sim/journal", corpid=caller.corpid, limit=7, after=after)
        if not page["items"]:
            break
        paged += page["items"]
        after = page["next_after"]
    assert paged == everything
    one = everything[-1]["external_userid"]
    assert caller.simulator.journal(external_userid=one) == [row for row in everything if row["external_userid"] == one]


def test_a_snapshot_that_cannot_be_written_is_told(tmp_path):
    folder = tmp_path / "worlds"
    with running_simulator(guides=2, contacts=10, snapshot=folder / "world.json.gz") as simulator:
        folder.write_text("in the way")
        with pytest.raises(requests.HTTPError, match="was not written"):
            simulator.post("/_sim/snapshot")
        folder.unlink()
        simulator.post("/_sim/snapshot")
        assert (folder / "world.json.gz").exists()
