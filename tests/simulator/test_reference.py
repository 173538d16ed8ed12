"""Points of the reference over which clients may stumble: directory, ranges, kinds of customers, media, ids."""

from __future__ import annotations

import gzip
import json

import pytest
import requests

from tests.simulator.conftest import Caller, eventually
from wecom.simulator.testing import running_simulator

DAY = 86_400
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def sync(simulator):
    """The app with the contact-sync secret."""
    return Caller(simulator, app=2)


@pytest.fixture
def narrow(caller):
    """The app sees the second store only."""
    app = f"/_sim/corps/{caller.corpid}/apps/{caller.agentid}"
    caller.simulator.post(app, {"users": None, "parties": [2]})
    yield [each["userid"] for each in caller.get("user/list", department_id=2)["userlist"]]
    caller.simulator.post(app, {"users": None, "parties": None})


def upload(caller, path, *, filename="a.png", content=PNG, **query):
    query["access_token"] = caller.token
    url = caller.simulator.api_base + path
    return requests.post(url, params=query, files={"media": (filename, content)}, timeout=10).json()


# -- directory ---------------------------------------------------------------------------------------------------------


def test_departments_are_written_with_the_sync_secret(caller, sync):
    made = sync.post("department/create", {"name": "华南区", "name_en": "South", "parentid": 1, "order": 7})
    assert (made["errcode"], made["errmsg"]) == (0, "created")
    store = sync.post("department/create", {"name": "天河店", "parentid": made["id"], "id": 900})
    assert store["id"] == 900
    told = caller.get("department/get", id=made["id"])["department"]
    assert (told["name"], told["name_en"], told["parentid"], told["order"]) == ("华南区", "South", 1, 7)
    changed = sync.post("department/update", {"id": 900, "name": "番禺店", "parentid": 1})
    assert (changed["errcode"], changed["errmsg"]) == (0, "updated")
    assert caller.get("department/get", id=900)["department"]["name"] == "番禺店"
    for number in (900, made["id"]):
        gone = sync.get("department/delete", id=number)
        assert (gone["errcode"], gone["errmsg"]) == (0, "deleted")
    assert caller.get("department/get", id=900)["errcode"] == 60003
    assert caller.post("department/create", {"name": "不行", "parentid": 1})["errcode"] == 48002


def test_what_cannot_be_a_department(sync):
    def create(**body):
        return sync.post("department/create", body)["errcode"]

    assert create(name="", parentid=1) == 40063
    assert create(name="长" * 65, parentid=1) == 40058
    assert create(name="无父", parentid=999) == 60004
    assert create(name="重复编号", parentid=1, id=2) == 60008
    assert create(name="次序", parentid=1, order=1 << 32) == 40058
    assert sync.post("department/update", {"id": 1, "parentid": 2})["errcode"] == 60010
    assert sync.get("department/delete", id=2)["errcode"] == 60005
    assert sync.get("department/delete", id=1)["errcode"] == 60005
    deepest, errcode = 1, 0
    made = []
    while not errcode:
        answer = sync.post("department/create", {"name": "层", "parentid": deepest})
        errcode = answer["errcode"]
        if not errcode:
            deepest = answer["id"]
            made.append(deepest)
    assert (errcode, len(made)) == (81002, 14)
    for number in reversed(made):
        assert sync.get("department/delete", id=number)["errcode"] == 0


def test_a_userid_keeps_its_spelling_and_any_case_names_it(caller):
    caller.simulator.act("member", action="create", userid="Chen.Yu_9", name="陈宇", department=[3])
    assert "Chen.Yu_9" in caller.guides()
    assert caller.get("user/get", userid="chen.yu_9")["userid"] == "Chen.Yu_9"
    customer = caller.simulator.act("scan", userid="CHEN.YU_9")["external_userid"]
    follow = caller.get("externalcontact/get", external_userid=customer)["follow_user"][0]
    assert follow["userid"] == "Chen.Yu_9"
    refused = requests.post(
        f"{caller.simulator.base_url}/_sim/acts/member",
        json={"corpid": caller.corpid, "action": "create", "userid": "陈 宇"},
        timeout=10,
    )
    assert "40003" in refused.text
    caller.simulator.act("leave", userid="chen.yu_9")
    left = caller.ok("get_unassigned_list")["info"][0]
    assert (left["handover_userid"], left["external_userid"]) == ("Chen.Yu_9", customer)


def test_a_member_who_gets_another_userid_takes_everything_along(caller, receiver):
    act = caller.simulator.act
    act("member", action="create", userid="before", name="改名", department=[3])
    receiver.next()
    customer = act("scan", userid="before", name="随行")["external_userid"]
    receiver.next()
    chat_id = act("create_group", userid="before", name="群", external_userids=[customer])["chat_id"]
    receiver.next()
    config_id = caller.ok("add_contact_way", {"type": 1, "scene": 2, "user": ["before"]})["config_id"]
    msgid = caller.ok("add_msg_template", {"sender": "before", "text": {"content": "改名前"}})["msgid"]
    act("chat", userid="before", external_userid=customer, by="customer")

    act("member", action="update", userid="before", new_userid="After")

    told = receiver.next()[0]
    assert (told["ChangeType"], told["UserID"], told["NewUserID"]) == ("update_user", "before", "After")
    assert caller.get("user/get", userid="before")["errcode"] == 60111
    assert caller.get("externalcontact/list", userid="After")["external_userid"] == [customer]
    detail = caller.get("externalcontact/get", external_userid=customer)
    assert [each["userid"] for each in detail["follow_user"]] == ["After"]
    group = caller.ok("groupchat/get", {"chat_id": chat_id})["group_chat"]
    assert (group["owner"], group["member_list"][0]["userid"]) == ("After", "After")
    assert group["member_list"][1]["invitor"] == {"userid": "After"}
    assert caller.ok("get_contact_way", {"config_id": config_id})["contact_way"]["user"] == ["After"]
    act("settle")
    results = caller.ok("get_groupmsg_send_result", {"msgid": msgid, "userid": "After"})["send_list"]
    assert [(each["userid"], each["status"]) for each in results] == [("After", 1)]
    act("leave", userid="after")
    receiver.next()


# -- customers ---------------------------------------------------------------------------------------------------------


def test_a_wecom_user_has_a_company_and_no_unionid(caller, receiver):
    userid = caller.guides()[0]
    made = caller.simulator.act("scan", userid=userid, name="王总", corp_name="远山贸易", position="采购")
    event = receiver.next()[0]
    assert "WelcomeCode" not in event
    assert made["external_userid"].startswith("wo")
    contact = caller.get("externalcontact/get", external_userid=made["external_userid"])["external_contact"]
    assert (contact["type"], contact["corp_name"], contact["position"]) == (2, "远山贸易", "采购")
    assert contact["external_profile"]["external_corp_name"] == "远山贸易"
    assert "unionid" not in contact


def test_personal_tags_have_no_id_and_do_not_show_in_the_batch(caller):
    userid = caller.guides()[0]
    channels = {"nickname": "果园直播", "source": 2}
    customer = caller.simulator.act("scan", userid=userid, add_way=10, channels=channels)["external_userid"]
    tag = caller.ok("get_corp_tag_list")["tag_group"][0]["tag"][0]["id"]
    caller.simulator.act("edit", userid=userid, external_userid=customer, personal_tags=["老友"], add_tag=[tag])
    follow = caller.get("externalcontact/get", external_userid=customer)["follow_user"][0]
    assert [(each["type"], each["tag_name"], "tag_id" in each) for each in follow["tags"]][1:] == [(2, "老友", False)]
    assert (follow["add_way"], follow["wechat_channels"]) == (10, channels)
    cursor, mine = "", []
    while not mine:
        page = caller.ok("batch/get_by_user", {"userid_list": [userid], "limit": 100, "cursor": cursor})
        rows = page["external_contact_list"]
        mine = [each for each in rows if each["external_contact"]["external_userid"] == customer]
        cursor = page["next_cursor"]
    assert mine[0]["follow_info"]["tag_id"] == [tag]
    assert mine[0]["follow_info"]["wechat_channels"] == channels


def test_pages_may_be_short_or_empty_while_there_is_more(caller):
    userid = caller.guides()[1]

    def pages():
        cursor, found = "", []
        while True:
            page = caller.ok("batch/get_by_user", {"userid_list": [userid], "limit": 5, "cursor": cursor})
            found.append([each["external_contact"]["external_userid"] for each in page["external_contact_list"]])
            cursor = page["next_cursor"]
            if not cursor:
                return found

    whole = pages()
    caller.simulator.post("/_sim/switches", {"short_page_rate": 0.7})
    short = pages()
    caller.simulator.post("/_sim/switches", {"short_page_rate": 0.0})
    assert [each for page in short for each in page] == [each for page in whole for each in page]
    assert min(len(each) for each in short[:-1]) < 5


def test_only_own_apps_list_everybody_served(simulator, caller, narrow):
    rows = caller.ok("contact_list", {"limit": 1000})["info_list"]
    assert {each["follow_userid"] for each in rows if each["is_customer"]} <= set(narrow)


def test_nobody_outside_the_range_is_written_to_or_shown(caller, narrow):
    everybody = [each["external_userid"] for each in caller.people()]
    made = caller.ok("add_msg_template", {"external_userid": everybody, "text": {"content": "范围"}})
    assert made["fail_list"]
    caller.simulator.act("settle")
    tasks = caller.ok("get_groupmsg_task", {"msgid": made["msgid"]})["task_list"]
    assert {each["userid"] for each in tasks} <= set(narrow)
    jobid = caller.ok("add_moment_task", {"text": {"content": "范围"}})["jobid"]
    caller.simulator.act("settle")
    moment_id = caller.get("externalcontact/get_moment_task_result", jobid=jobid)["result"]["moment_id"]
    shown = caller.ok("get_moment_task", {"moment_id": moment_id})["task_list"]
    assert {each["userid"] for each in shown} <= set(narrow)


def test_a_group_of_somebody_outside_is_not_shown(caller, narrow):
    guides = caller.simulator.get(f"/_sim/corps/{caller.corpid}/guides")["items"]
    outside = next(each["userid"] for each in guides if each["userid"] not in narrow)
    strange = caller.simulator.act("create_group", userid=outside, name="外面")["chat_id"]
    refused = caller.post("externalcontact/groupchat/get", {"chat_id": strange})
    assert (refused["errcode"], refused["group_chat"]) == (60011, {})


# -- members who may not -----------------------------------------------------------------------------------------------


def test_members_who_may_not_take_over(caller):
    act = caller.simulator.act
    handover, takeover = caller.guides()[:2]
    customer = next(each for each in caller.friends_of(handover) if each not in caller.friends_of(takeover))
    body = {"handover_userid": handover, "takeover_userid": takeover, "external_userid": [customer]}
    for standing, errcode in (({"real_named": False}, 40098), ({"banned": True}, 40143)):
        act("member", action="update", userid=takeover, **standing)
        assert caller.ok("transfer_customer", body)["customer"][0]["errcode"] == errcode
        if "real_named" in standing:
            assert caller.errcode("add_contact_way", {"type": 1, "scene": 2, "user": [takeover]}) == 40098
        act("member", action="update", userid=takeover, real_named=True, banned=False)
    act("member", action="update", userid=takeover, status=4)
    assert caller.errcode("transfer_customer", body) == 41054
    assert caller.errcode("add_contact_way", {"type": 1, "scene": 2, "user": [takeover]}) == 41054
    assert takeover not in caller.guides()
    act("member", action="update", userid=takeover, status=1)


def test_an_owner_gives_away_300_groups_a_day(caller):
    act = caller.simulator.act
    owner = act("member", action="create", userid="many.groups")["userid"]
    heir = caller.guides()[0]
    chat_ids = [act("create_group", corpid=caller.corpid, userid=owner, name="群")["chat_id"] for _ in range(301)]
    refused = []
    for start in (0, 100, 200, 300):
        body = {"chat_id_list": chat_ids[start : start + 100], "new_owner": heir}
        refused += caller.ok("groupchat/onjob_transfer", body)["failed_chat_list"]
    assert [(each["chat_id"], each["errcode"]) for each in refused] == [(chat_ids[300], 45009)]
    caller.simulator.post("/_sim/clock", {"advance_seconds": DAY})
    body = {"chat_id_list": chat_ids[300:], "new_owner": heir}
    assert caller.ok("groupchat/onjob_transfer", body)["failed_chat_list"] == []


# -- content, welcome, links -------------------------------------------------------------------------------------------


def test_a_file_serves_what_it_was_uploaded_for(caller):
    text = {"text": {"content": "图"}}
    sender = {"sender": caller.guides()[0]}
    file = upload(caller, "media/upload", type="file")["media_id"]
    moment = upload(caller, "media/upload_attachment", media_type="image", attachment_type=1)["media_id"]
    picture = upload(caller, "media/upload", type="image")["media_id"]

    def send(media_id):
        attachments = [{"msgtype": "image", "image": {"media_id": media_id}}]
        return caller.errcode("add_msg_template", {**text, **sender, "attachments": attachments})

    assert [send(file), send(moment), send(picture)] == [40007, 41072, 0]


def test_a_voice_lasts_a_minute_at_most(caller):
    frame = bytes([0x3C]) + bytes(31)  # 12.2 kbit/s, 20 ms
    for seconds, errcode in ((60, 0), (61, 45007)):
        voice = b"#!AMR\n" + frame * (50 * seconds)
        assert upload(caller, "media/upload", filename="a.amr", content=voice, type="voice")["errcode"] == errcode


def test_a_fetched_file_is_announced(caller, receiver):
    url = upload(caller, "media/uploadimg")["url"]
    body = {"scene": 1, "type": "file", "filename": "a.png", "url": url, "md5": "0" * 32}
    jobid = caller.post("media/upload_by_url", body)["jobid"]
    caller.simulator.act("settle")
    event = receiver.next()[0]
    assert (event["Event"], event["JobId"]) == ("upload_media_job_finish", jobid)
    done = caller.post("media/get_upload_by_url_result", {"jobid": jobid})
    assert (done["status"], done["detail"]["errcode"]) == (3, 301019)


def test_who_chats_already_needs_no_welcome(caller):
    userid = caller.guides()[0]
    came = caller.simulator.act("scan", userid=userid)
    pair = {"userid": userid, "external_userid": came["external_userid"]}
    caller.simulator.act("chat", **pair, by="guide")
    body = {"welcome_code": came["welcome_code"], "text": {"content": "欢迎"}}
    assert caller.errcode("send_welcome_msg", body) == 41051


def test_events_of_the_archive_the_app_and_a_links_profile(caller, receiver):
    act = caller.simulator.act
    userid = caller.guides()[0]
    came = act("scan", userid=userid)
    act("agree_to_archive", userid=userid, external_userid=came["external_userid"])
    added, agreed = receiver.next(2)
    assert agreed["ChangeType"] == "msg_audit_approved"
    assert agreed["WelcomeCode"] == added["WelcomeCode"]
    act("enter_agent", userid=userid)
    opened = receiver.next()[0]
    assert (opened["Event"], opened["FromUserName"], opened["AgentID"]) == ("enter_agent", userid, str(caller.agentid))
    link = {"link_name": "看看", "range": {"user_list": [userid]}}
    link_id = caller.ok("customer_acquisition/create_link", link)["link"]["link_id"]
    caller.simulator.post("/_sim/switches", {"open_profile_events": True})
    act("open_link", link_id=link_id, state="s1", only_look=True)
    caller.simulator.post("/_sim/switches", {"open_profile_events": False})
    looked = receiver.next()[0]
    assert (looked["ChangeType"], looked["LinkId"], looked["State"]) == ("open_profile", link_id, "s1")


# -- provider, ids, transport ------------------------------------------------------------------------------------------


def test_a_provider_asks_who_may_have_customers(simulator, caller):
    assert caller.errcode("check_follow_user", {"userid": caller.guides()}) == 48002
    suite = simulator.post("/_sim/suites", {"kind": "customized"})["suite_id"]
    code = simulator.post(f"/_sim/suites/{suite}/authorise", {"corpid": caller.corpid})
    app = next(each for each in simulator.corps()[0]["apps"] if each["suite_id"] == suite)
    query = {"corpid": code["corpid"], "corpsecret": app["secret"]}
    token = simulator.get("/cgi-bin/gettoken", **query)["access_token"]
    own = [caller.guides()[0], "yunying"]
    theirs = simulator.post(f"/_sim/suites/{suite}/ids", {"corpid": caller.corpid, "ids": own})["ids"]
    able, unable = theirs[own[0]], theirs[own[1]]

    def ask(path, body):
        url = simulator.api_base + f"externalcontact/{path}"
        return requests.post(url, params={"access_token": token}, json=body, timeout=10).json()

    told = ask("check_follow_user", {"userid": [able, unable], "partyid": [1]})
    assert told["authorized"] == {"userid": [able], "partyid": [1]}
    assert told["unauthorized"] == {"userid": [unable], "partyid": []}
    assert ask("contact_list", {})["errcode"] == 48002
    made = ask("customer_acquisition/create_link", {"link_name": "服务商", "range": {"user_list": [able]}})
    foreign = {"link_id": made["link"]["link_id"]}
    assert caller.errcode("customer_acquisition/delete_link", foreign) == 41098
    assert ask("customer_acquisition/delete_link", foreign)["errcode"] == 0
    simulator.post(f"/_sim/suites/{suite}/cancel", {"corpid": caller.corpid})


def test_an_openid_belongs_to_one_mini_program(simulator, caller):
    first, second = (simulator.post("/_sim/mini_programs", {"corpid": caller.corpid}) for _ in range(2))
    customer = next(each for each in caller.people() if each["unionid"] and each["follows"])
    sessions = []
    for program in (first, second):
        where = f"/_sim/mini_programs/{program['appid']}/login"
        code = simulator.post(where, {"external_userid": customer["external_userid"]})["js_code"]
        query = {**program, "js_code": code, "grant_type": "authorization_code"}
        sessions.append(simulator.get("/api.weixin.qq.com/sns/jscode2session", **query))
    assert sessions[0]["openid"] != sessions[1]["openid"]
    assert sessions[0]["unionid"] == sessions[1]["unionid"] == customer["unionid"]

    def who(**ids):
        return caller.post("idconvert/unionid_to_external_userid", ids)

    for session in sessions:
        assert (
            who(unionid=session["unionid"], openid=session["openid"])["external_userid"]
            == (customer["external_userid"])
        )
    assert who(unionid="oSomebodyElse", openid=sessions[0]["openid"])["errcode"] == 610018
    simulator.post("/_sim/switches", {"strict_openids": True})
    assert who(unionid=customer["unionid"], openid="oInvented")["errcode"] == 845001
    simulator.post("/_sim/switches", {"strict_openids": False})


def test_debug_echoes_what_was_understood_five_times_a_minute(caller):
    body = {"chat_id": "wrNone"}
    answers = [caller.post("externalcontact/groupchat/get", body, debug=1) for _ in range(6)]
    assert answers[0]["debug"] == {"query": {"debug": "1"}, "body": body}
    assert [each["errcode"] for each in answers] == [40058] * 5 + [45009]
    assert caller.errcode("groupchat/get", body) == 40058


def test_escaped_characters_may_be_refused(caller):
    url = caller.simulator.api_base + "externalcontact/add_corp_tag"
    caller.simulator.post("/_sim/switches", {"refuse_escapes": True})
    body = {"group_name": "转义", "tag": [{"name": "一"}]}
    query = {"access_token": caller.token}
    escaped = requests.post(url, params=query, data=json.dumps(body), timeout=10).json()
    raw = requests.post(url, params=query, data=json.dumps(body, ensure_ascii=False).encode(), timeout=10).json()
    caller.simulator.post("/_sim/switches", {"refuse_escapes": False})
    assert (escaped["errcode"], raw["errcode"]) == (40033, 0)


def test_a_redirect_is_not_an_answer(caller, receiver):
    receiver.redirect = True
    caller.simulator.act("scan", userid=caller.guides()[0])
    eventually(lambda: caller.simulator.get("/_sim/counters")["callbacks"]["pending"] == 0)
    assert receiver.attempts == 3


# -- an older world ----------------------------------------------------------------------------------------------------

YOUNGER = {  # what the first snapshots did not have
    "members": {"real_named", "banned"},
    "customers": {"kind", "corp_name", "position"},
    "follows": {"personal_tags", "channels"},
    "departments": {"name_en"},
    "groups": {"heir", "inherited", "transfers", "welcome_template", "talk"},
    "apps": {"suite_id", "visible", "forbidden", "unlicensed", "redirect_domain"},
}
YOUNGER_TABLES = {
    *("transfers", "unassigned", "links", "link_customers", "chat_keys", "join_ways", "group_welcomes", "strategies"),
    *("chats", "temp_chats", "member_tags", "past_members", "past_groups", "deeds"),
    *("left", "trusted_ips", "link_quota", "link_access", "behaviour", "pending_ids", "given_groups"),
}


def test_a_world_that_an_older_simulator_saved_goes_on(tmp_path):
    path = tmp_path / "world.json.gz"
    with running_simulator(guides=3, contacts=30, snapshot=path) as simulator:
        simulator.post("/_sim/snapshot")
        before = Caller(simulator).people()
    state = json.loads(gzip.decompress(path.read_bytes()))
    del state["suites"], state["mini_programs"]
    for corp in state["corps"]:
        for table in YOUNGER_TABLES:
            del corp[table]
        for table, fields in YOUNGER.items():
            old = corp[table]
            kept = [place for place, name in enumerate(old["fields"]) if name not in fields]
            assert len(old["fields"]) - len(kept) == len(fields)
            old["rows"] = [[row[place] for place in kept] for row in old["rows"]]
            old["fields"] = [old["fields"][place] for place in kept]
    path.write_bytes(gzip.compress(json.dumps(state).encode()))

    with running_simulator(snapshot=path) as simulator:
        caller = Caller(simulator)
        assert caller.people() == before
        first, second = caller.guides()[:2]
        customer = caller.friends_of(first)[0]
        body = {"handover_userid": first, "takeover_userid": second, "external_userid": [customer]}
        assert caller.ok("transfer_customer", body)["customer"][0]["errcode"] == 0
        assert caller.ok("groupchat/list", {"limit": 10})["group_chat_list"]
        made = {"link_name": "新", "range": {"user_list": [first]}}
        assert caller.ok("customer_acquisition/create_link", made)["link"]["link_id"]
