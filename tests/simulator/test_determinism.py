"""The same seed, the same clock and the same calls lead to the same bytes, in any process; so does a restored world."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import requests

from tests.simulator.conftest import Caller
from tests.simulator.receiver import AES_KEY, TOKEN, Receiver
from wecom.simulator.testing import Simulator, running_simulator

NOW, DAY = 1_790_000_000, 86_400
RATES = {"daily_rate": 0.4, "reply_rate": 0.3, "click_rate": 0.5, "like_rate": 0.3, "comment_rate": 0.2}
SHOWN = ("journal", "corps/{}/deeds", "corps/{}/groups", "corps/{}/people", "corps/{}/guides", "journal/summary")


def first_days(caller: Caller) -> None:
    """Sends, a Moment and tags, and two days that pass at once."""
    caller.simulator.post("/_sim/switches", RATES)
    link = {"msgtype": "link", "link": {"title": "女装", "url": "https://shop.example.com/"}}
    for userid in caller.guides():
        caller.ok("add_msg_template", {"sender": userid, "text": {"content": "会员日"}, "attachments": [link]})
    caller.ok("add_moment_task", {"text": {"content": "新品到店"}})
    caller.simulator.post("/_sim/clock", {"advance_seconds": 2 * DAY})


def later_days(caller: Caller) -> None:
    """The console deletes tags, somebody scans, guides are asked again; a day passes hour by hour."""
    groups = caller.ok("get_corp_tag_list")["tag_group"]
    for tag in groups[0]["tag"]:
        caller.simulator.act("tag", action="delete", id=tag["id"])
    made = caller.ok("add_corp_tag", {"group_name": "活动", "tag": [{"name": f"第{n}场"} for n in range(9)]})
    caller.ok("del_corp_tag", {"tag_id": [tag["id"] for tag in made["tag_group"]["tag"]][::-1]})
    caller.simulator.act("scan", userid=caller.guides()[0], state="门店")
    caller.ok("add_msg_template", {"sender": caller.guides()[1], "text": {"content": "再来"}})
    for _ in range(24):
        caller.simulator.post("/_sim/clock", {"advance_seconds": 3600})


def seen(simulator: Simulator) -> list[bytes]:
    """What the world looks like, as the bytes that tell it."""
    corpid = simulator.corps()[0]["corpid"]
    found = []
    for path in SHOWN:
        url = f"{simulator.base_url}/_sim/{path.format(corpid)}"
        found.append(requests.get(url, params={"corpid": corpid, "limit": 20_000}, timeout=20).content)
    return found


def story(hash_seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], list[dict[str, str]]]:
    monkeypatch.setenv("PYTHONHASHSEED", str(hash_seed))
    with running_simulator(guides=4, contacts=150, seed=11, stopped_at=NOW) as simulator:
        caller = Caller(simulator)
        receiver = Receiver(caller.corpid)
        address = {"url": receiver.url, "token": TOKEN, "aes_key": AES_KEY, "timeout": 10}
        simulator.post(f"/_sim/corps/{caller.corpid}/callback", address)
        simulator.post("/_sim/switches", {"api_events": True})
        first_days(caller)
        later_days(caller)
        raised = simulator.get("/_sim/counters")["callbacks"]["raised"]
        events = receiver.next(raised)
        receiver.server.shutdown()
        receiver.server.server_close()
        return seen(simulator), events


def test_the_same_calls_lead_to_the_same_bytes_in_any_process(monkeypatch):
    first, events = story(1, monkeypatch)
    again, same_events = story(4242, monkeypatch)
    assert first == again
    assert events == same_events
    assert len(events) > 40
    assert all(len(part) > 100 for part in first)


def test_a_restored_world_goes_on_as_the_one_that_was_saved(tmp_path: Path):
    saved, elsewhere = tmp_path / "world.gz", tmp_path / "copy.gz"
    with running_simulator(guides=4, contacts=150, seed=11, stopped_at=NOW, snapshot=saved) as simulator:
        caller = Caller(simulator)
        first_days(caller)
        simulator.post("/_sim/snapshot")
        shutil.copy(saved, elsewhere)
        before = seen(simulator)
        later_days(caller)
        after = seen(simulator)
    with running_simulator(snapshot=elsewhere) as simulator:
        assert seen(simulator) == before
        later_days(Caller(simulator))
        assert seen(simulator) == after
    with running_simulator(snapshot=elsewhere) as simulator:  # it ended by itself and saved
        assert seen(simulator) == after
