"""Every section of calls, through HTTP, against the simulator."""

from datetime import UTC, datetime, timedelta

import pytest

from contacts.reading import portions
from wecom import errors
from wecom.client import client_for
from wecom.models import Corp
from wecom.types import JobStatus, SendStatus, TaskStatus

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


def friends(simulator, wecom, userid):
    """Customers of a guide who have not deleted them."""
    people = simulator.get(f"/_sim/corps/{wecom.corpid}/people", limit=5000)["items"]
    return [
        person["external_userid"]
        for person in people
        for follow in person["follows"]
        if follow["userid"] == userid and not follow["deleted_by_customer"]
    ]


def window():
    now = datetime.now(UTC)
    return {"start": now - timedelta(days=1), "end": now + timedelta(days=1)}


def test_reads_the_directory(wecom):
    departments = wecom.departments()
    root = next(each for each in departments if each.parent_id == 0)
    members = [member for each in departments for member in wecom.department_users(department_id=each.id)]

    assert root.id == 1
    assert set(wecom.follow_users()) <= {member.userid for member in members}
    assert wecom.user(userid=members[0].userid) == members[0]
    with pytest.raises(errors.Gone):
        wecom.user(userid="nobody")


def test_pages_through_all_pairs_once(wecom):
    guides = wecom.follow_users()
    listed = {(guide, each) for guide in guides for each in wecom.external_userids(userid=guide)}
    pairs, cursor = [], ""
    while True:
        page = wecom.contacts_of(userids=guides, cursor=cursor, limit=7)
        pairs += [(item.follow.userid, item.person.external_userid) for item in page]
        cursor = page.next_cursor
        if not cursor:
            break

    assert len(pairs) == len(set(pairs))
    assert set(pairs) == listed


def test_tells_a_customer_the_same_by_both_calls(wecom):
    guide = wecom.follow_users()[0]
    item = wecom.contacts_of(userids=[guide]).items[0]
    detail = wecom.external_contact(external_userid=item.person.external_userid)

    assert detail.person == item.person
    assert item.follow in detail.follows
    assert item.follow.added_at is not None
    assert item.follow.added_at.tzinfo is UTC


def test_pages_that_come_short_or_empty_are_not_the_end(simulator, wecom):
    guides = wecom.follow_users()
    listed = {(guide, each) for guide in guides for each in wecom.external_userids(userid=guide)}
    simulator.post("/_sim/switches", {"short_page_rate": 0.8})
    read = [*portions(wecom, Corp(corpid=wecom.corpid), userids=guides, cursor="", size=10, most=1000)]
    simulator.post("/_sim/switches", {"short_page_rate": 0.0})

    assert {
        (each.follow.userid, each.person.external_userid) for portion in read for each in portion.listed.pairs
    } == listed


def test_no_page_is_read_that_is_not_given(simulator, wecom, monkeypatch):
    monkeypatch.setattr("contacts.reading.PAIRS_PER_PAGE", 5)
    guides = wecom.follow_users()
    before = asked_pages(simulator)
    (portion,) = portions(wecom, Corp(corpid=wecom.corpid), userids=guides, cursor="", size=1, most=1)

    assert portion.cursor, "or nothing could be read ahead"
    assert portion.calls == asked_pages(simulator) - before == 1


def asked_pages(simulator) -> int:
    """How often a page of customers was asked for."""
    return int(simulator.get("/_sim/counters")["calls"].get("externalcontact/batch/get_by_user", 0))


def test_knows_where_people_of_other_companies_and_channels_come_from(simulator, wecom):
    guide = wecom.follow_users()[0]
    channels = {"nickname": "果园直播", "source": 2}
    who = {"userid": guide, "add_way": 10, "channels": channels, "corp_name": "远山贸易", "position": "采购"}
    came = simulator.act("scan", corpid=wecom.corpid, **who)["external_userid"]
    detail = wecom.external_contact(external_userid=came)

    assert (detail.person.kind, detail.person.company, detail.person.position) == (2, "远山贸易", "采购")
    assert (detail.person.unionid, detail.follows[0].channel) == ("", "果园直播")
    simulator.act("delete_follow", corpid=wecom.corpid, userid=guide, external_userid=came, by="guide")


def test_a_member_without_customers_has_an_empty_list(simulator, wecom):
    guide = wecom.follow_users()[0]
    simulator.post("/_sim/faults", {"path": "externalcontact/list", "mode": "errcode", "errcode": 84061, "count": 1})

    assert wecom.external_userids(userid=guide) == []


def test_makes_marks_and_deletes_tags(wecom):
    guide = wecom.follow_users()[0]
    customer = wecom.contacts_of(userids=[guide]).items[0].person.external_userid

    first, second = wecom.add_corp_tag(group="果园 测试", names=["婴童", "家纺"])
    wecom.mark_tag(userid=guide, external_userid=customer, add=[first.id, second.id])
    wecom.mark_tag(userid=guide, external_userid=customer, add=[first.id])  # a repeat is harmless
    wecom.mark_tag(userid=guide, external_userid=customer, remove=[second.id])

    follow = next(f for f in wecom.external_contact(external_userid=customer).follows if f.userid == guide)
    assert first.id in follow.tag_ids
    assert second.id not in follow.tag_ids
    assert (first.name, first.group_name) == ("婴童", "果园 测试")
    with pytest.raises(errors.Gone) as taken:
        wecom.add_corp_tag(group="果园 测试", names=["婴童"])
    assert taken.value.problem_code == "wecom.name_taken"
    wecom.delete_corp_tags(tag_ids=[first.id])
    wecom.delete_corp_tags(tag_ids=[first.id])
    assert [tag.deleted for group in wecom.corp_tags(tag_ids=[first.id]) for tag in group.tags] == [True]
    wecom.delete_corp_tags(group_ids=[second.group_id])


def test_reads_groups(simulator, wecom):
    guide = wecom.follow_users()[0]
    made = simulator.act("create_group", userid=guide, name="会员日")
    refs = wecom.group_chats(owners=[guide]).items
    group = wecom.group_chat(chat_id=made["chat_id"])

    assert made["chat_id"] in [ref.chat_id for ref in refs]
    assert (group.name, group.owner) == ("会员日", guide)
    assert [member.kind for member in group.members if member.userid == guide] == [1]
    with pytest.raises(errors.Gone) as gone:
        wecom.group_chat(chat_id="wrNoSuchGroup")
    assert gone.value.problem_code == "wecom.no_group"


def test_a_mass_send_from_task_to_result(simulator, wecom):
    guide = wecom.follow_users()[0]
    receivers = friends(simulator, wecom, guide)[:3]

    sent = wecom.add_msg_template(
        chat_type="single", sender=guide, external_userids=[*receivers, "wmStranger"], text="签到领积分"
    )
    with pytest.raises(errors.StillDispatching):
        wecom.message_tasks(msgid=sent.msgid)
    simulator.act("settle", corpid=wecom.corpid)
    tasks = wecom.message_tasks(msgid=sent.msgid)
    results = wecom.message_results(msgid=sent.msgid, userid=guide)

    assert sent.failed == ["wmStranger"]
    assert [(task.userid, task.status) for task in tasks] == [(guide, TaskStatus.SENT)]
    assert {result.external_userid for result in results} == set(receivers)
    assert all(result.status is SendStatus.SENT and result.sent_at for result in results)
    received = simulator.journal(corpid=wecom.corpid, kind="single")
    assert {row["external_userid"] for row in received if row["msgid"] == sent.msgid} == set(receivers)
    listed = {each.msgid: each for each in wecom.group_messages(chat_type="single", **window())}
    assert listed[sent.msgid].text == "签到领积分"


def test_a_send_to_nobody_says_so(wecom):
    guide = wecom.follow_users()[0]
    with pytest.raises(errors.Gone) as refusal:
        wecom.add_msg_template(chat_type="single", sender=guide, external_userids=["wmStranger"], text="你好")
    assert refusal.value.problem_code == "wecom.nobody"


def test_reminds_three_times_and_cancels_twice(simulator, wecom):
    guide = wecom.follow_users()[1]
    sent = wecom.add_msg_template(
        chat_type="single", sender=guide, external_userids=friends(simulator, wecom, guide)[:1], text="提醒"
    )
    simulator.post("/_sim/clock", {"advance_seconds": 10})

    for _time in range(3):
        wecom.remind(msgid=sent.msgid)
    with pytest.raises(errors.Throttled) as often:
        wecom.remind(msgid=sent.msgid)
    assert often.value.retry_after == 24 * 3600
    wecom.cancel_message(msgid=sent.msgid)
    wecom.cancel_message(msgid=sent.msgid)
    with pytest.raises(errors.Gone) as cancelled:
        wecom.message_tasks(msgid=sent.msgid)
    assert cancelled.value.problem_code == "wecom.task_cancelled"


def test_a_moment_from_job_to_reactions(simulator, wecom):
    guide = wecom.follow_users()[0]
    media = wecom.upload_attachment(kind="image", filename="新品.png", data=PNG)
    attachment = {"msgtype": "image", "image": {"media_id": media.media_id}}

    jobid = wecom.add_moment(text="新品到店", attachments=[attachment], userids=[guide])
    assert wecom.moment_job(jobid=jobid).status is not JobStatus.FINISHED
    simulator.post("/_sim/clock", {"advance_seconds": 600})
    job = wecom.moment_job(jobid=jobid)
    assert job.status is JobStatus.FINISHED
    visible = wecom.moment_visible(moment_id=job.moment_id, userid=guide).items
    assert len(visible) > 0
    simulator.act("settle", corpid=wecom.corpid)

    assert [task.status for task in wecom.moment_tasks(moment_id=job.moment_id)] == [TaskStatus.SENT]
    assert set(wecom.moment_shown(moment_id=job.moment_id, userid=guide).items) <= set(visible)
    reactions = wecom.moment_reactions(moment_id=job.moment_id, userid=guide)
    assert all(reaction.external_userid in visible for reaction in [*reactions.likes, *reactions.comments])
    listed = {each.moment_id: each for each in wecom.moments(**window())}
    assert listed[job.moment_id].media_ids == (media.media_id,)


def test_a_refused_moment_job_has_our_word_for_it(simulator, wecom):
    jobid = wecom.add_moment(text="没有人看得到", tag_ids=["etNoSuchTag"])
    simulator.post("/_sim/clock", {"advance_seconds": 600})

    job = wecom.moment_job(jobid=jobid)
    assert (job.status, job.code, job.moment_id) == (JobStatus.FINISHED, "wecom.tag_gone", "")


def test_messages_members_and_names_the_unknown(wecom):
    guide = wecom.follow_users()[0]
    message = wecom.send_app_message(userids=[guide, "Nobody"], text="有 3 个任务待确认")

    assert message.msgid
    assert message.invalid_userids == ("nobody",)


def test_a_contact_way_lives_and_dies(wecom):
    guides = wecom.follow_users()
    way = wecom.add_contact_way(userids=guides[:2], state="store-2")
    wecom.update_contact_way(config_id=way.config_id, userids=guides[:1], remark="换人")

    assert way.qr_code.startswith("https://")
    wecom.delete_contact_way(config_id=way.config_id)
    wecom.delete_contact_way(config_id=way.config_id)


def test_media_for_messages(wecom):
    assert wecom.upload_media(kind="image", filename="海报.png", data=PNG).media_id
    assert wecom.upload_image(filename="a.png", data=PNG).startswith("http")
    with pytest.raises(errors.Rejected) as refusal:
        wecom.upload_media(kind="image", filename="a.png", data=b"not an image")
    assert refusal.value.problem_code == "wecom.media_invalid"


def test_another_brand_has_no_client_for_the_corp(cast, link):
    from scrm.lib.errors import NotFound

    with pytest.raises(NotFound):
        client_for(brand_id=cast.other.id, corp_id=link.corp_id)
