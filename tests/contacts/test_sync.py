"""The full sync against the simulator: what it finds, how it goes on after a break, and whom it takes for lost."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from contacts import follows, groups, sync, tasks, turns
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity, Staff, Store, SyncChunk, SyncRun
from wecom.errors import WeComError
from wecom.models import CorpApp
from wecom.types import FollowedContact, FollowInfo, GroupDetail, Person
from wecom.types import GroupMember as ChatMember

LIST = "externalcontact/batch/get_by_user"


def lost_follows(world) -> list[tuple[str, str]]:
    with world.scope():
        return list(Follow.objects.exclude(lost_at=None).values_list("external_userid", "lost_by"))


def pair(external_userid: str, *, userid: str, added_at: datetime, state: str) -> FollowedContact:
    """A listed pair; all are of one person."""
    return FollowedContact(
        Person(external_userid, "陈小满", unionid="union-1"),
        FollowInfo(userid, "", "", added_at, (), (), add_way=1, state=state, oper_userid=userid),
    )


def test_a_full_sync_holds_what_wecom_lists(world):
    run = world.sync()

    people = world.people()
    assert (run.status, run.error) == ("done", "")
    assert world.pairs() == world.listed()
    assert run.counts["follows_listed"] == run.counts["follows_stored"] == len(world.listed())
    assert run.counts["contacts_listed"] == run.counts["contacts_stored"] == len(people)
    with world.scope():
        assert Store.objects.filter(corp=world.corp).count() == 6
        assert Staff.objects.filter(corp=world.corp, is_guide=True).count() == 6
        ours = {
            name: dict(Identity.objects.filter(type=name).values_list("value", "contact__name"))
            for name in ("external_userid", "unionid")
        }
    assert ours["external_userid"] == {f"{world.corp.corpid}:{p['external_userid']}": p["name"] for p in people}
    assert ours["unionid"] == {p["unionid"]: p["name"] for p in people if p["unionid"]}


def test_details_of_friendships_and_contacts(world):
    world.sync()

    person = next(p for p in world.people() if len(p["follows"]) == 2)
    userids = sorted(person["follows"], key=lambda f: f["createtime"])
    detail = world.wecom.external_contact(external_userid=person["external_userid"])
    told = {f.userid: f for f in detail.follows}
    first, last = (world.follow(f["userid"], person["external_userid"]) for f in userids)
    for ours in (first, last):
        theirs = told[ours.staff.userid]
        assert (ours.remark, ours.state, ours.add_way) == (theirs.remark, theirs.state, theirs.add_way)
        assert tuple(ours.corp_tag_ids) == theirs.tag_ids
    contact = first.contact
    assert contact == last.contact
    assert (contact.first_added_at, contact.source_state) == (first.added_at, first.state)
    assert contact.main_guide_id == last.staff_id  # nobody has interacted since: the later friendship
    assert contact.lost_at is None
    assert first.staff.store.name != ""


def test_a_person_listed_twice_for_one_guide_is_one_friend(world):
    at = world.now()
    pairs = [
        pair("wm-new", userid="lin", added_at=at - timedelta(days=1), state="new"),
        pair("wm-old", userid="lin", added_at=at - timedelta(days=9), state="old"),
        pair("wm-new", userid="su", added_at=at - timedelta(days=30), state="first"),
    ]

    with world.scope():
        listed = follows.Listed.of(world.corp, pairs)
        done = follows.befriend(corp=world.corp, listed=listed, read_at=at, at=at)

    assert (done.stored, done.created, len(set(done.contact_ids))) == (2, 1, 1)
    follow = world.follow("lin", "wm-new")
    assert (follow.state, follow.added_at) == ("new", at - timedelta(days=1))
    assert (follow.contact.main_guide_id, follow.contact.source_state) == (follow.staff_id, "first")
    assert [props["state"] for _contact, props, _at in world.events("friend_added")] == ["new"]


def test_ids_of_any_length_are_kept(world):
    at = world.now()
    external, userid, chat_id, tag = "wm" + "x" * 900, "lin" + "y" * 300, "wr" + "z" * 500, "et" + "t" * 400
    long = pair(external, userid=userid, added_at=at, state="s" * 300)
    long = replace(long, follow=replace(long.follow, tag_ids=(tag,)))
    member = ChatMember(external, 2, at, 0, unionid="union-1")

    with world.scope():
        follows.befriend(corp=world.corp, listed=follows.Listed.of(world.corp, [long]), read_at=at, at=at)
        groups.store(corp=world.corp, groups=[GroupDetail(chat_id, "群", userid, at, "", "1", [member])], at=at)

        follow = Follow.objects.select_related("staff").get(external_userid=external)
        joined = GroupMember.objects.select_related("chat").get(member_id=external)
    assert (follow.staff.userid, follow.corp_tag_ids) == (userid, [tag])
    assert (joined.chat.chat_id, joined.contact_id) == (chat_id, follow.contact_id)


def test_groups_and_their_members(world):
    world.sync()

    listed = [ref.chat_id for ref in world.wecom.group_chats()]
    with world.scope():
        assert set(GroupChat.objects.values_list("chat_id", flat=True)) == set(listed)
    for chat_id in listed:
        shown = world.wecom.group_chat(chat_id=chat_id)
        with world.scope():
            group = GroupChat.objects.select_related("owner").get(chat_id=chat_id)
            members = {m.member_id: m for m in GroupMember.objects.filter(chat=group).select_related("contact")}
        assert (group.name, group.owner.userid, group.member_count) == (shown.name, shown.owner, len(shown.members))
        assert {(m.userid, m.joined_at) for m in shown.members} == {
            (m.member_id, m.joined_at) for m in members.values()
        }
        externals = [m for m in members.values() if m.kind == 2]
        assert externals
        assert all(m.contact_id for m in externals)


def test_a_second_sync_changes_nothing(world):
    world.sync()
    before = world.pairs()
    with world.scope():
        rows = list(Contact.objects.order_by("id").values())

    run = world.sync()

    assert world.pairs() == before
    assert (run.counts["follows_added"], run.counts["follows_lost"]) == (0, 0)
    with world.scope():
        assert list(Contact.objects.order_by("id").values()) == rows
    assert world.events("friend_added") == []


def test_goes_on_where_it_was_interrupted(world, simulator, monkeypatch):
    monkeypatch.setattr(sync, "PAIRS_PER_WRITE", 100)
    run_id = sync.start(brand_id=world.brand.id, corp_id=world.corp.id, at=world.now())
    wecom, at = world.wecom, world.now()
    sync.advance(brand_id=world.brand.id, run_id=run_id, wecom=wecom, at=at)  # the directory
    sync.advance(brand_id=world.brand.id, run_id=run_id, wecom=wecom, at=at, writes=1)
    with world.scope():
        half = SyncChunk.objects.get(run=run_id)
        assert Follow.objects.count() == half.follows_seen == 100
        assert half.cursor
    simulator.post("/_sim/faults", {"path": LIST, "mode": "http_500"})
    with pytest.raises(WeComError):
        world.sync()
    with world.scope():
        assert SyncRun.objects.get(pk=run_id).status == "running"
        assert SyncChunk.objects.get(run=run_id).cursor == half.cursor
    simulator.delete("/_sim/faults")

    run = world.sync()

    assert (run.id, run.status) == (run_id, "done")
    assert world.pairs() == world.listed()
    assert run.counts["follows_listed"] == len(world.listed())
    assert lost_follows(world) == []


def test_a_cursor_that_wecom_no_longer_takes_begins_the_chunk_anew(world, monkeypatch):
    monkeypatch.setattr(sync, "PAIRS_PER_WRITE", 100)
    run_id = sync.start(brand_id=world.brand.id, corp_id=world.corp.id, at=world.now())
    for _step in range(2):
        sync.advance(brand_id=world.brand.id, run_id=run_id, wecom=world.wecom, at=world.now(), writes=1)
    with world.scope():
        assert SyncChunk.objects.filter(run=run_id).update(cursor="of-yesterday") == 1

    run = world.sync()

    assert (run.id, run.status) == (run_id, "done")
    assert run.counts["follows_listed"] == run.counts["follows_stored"] == len(world.listed())


def test_another_worker_on_the_same_run_is_not_overwritten(world, monkeypatch):
    monkeypatch.setattr(sync, "PAIRS_PER_WRITE", 100)
    run_id = sync.start(brand_id=world.brand.id, corp_id=world.corp.id, at=world.now())
    sync.advance(brand_id=world.brand.id, run_id=run_id, wecom=world.wecom, at=world.now())

    real = sync.portions

    def slow(*args, **options):
        """The other worker is quicker: its cursor has moved on by the time our pages are here."""
        for portion in real(*args, **options):
            with world.scope():
                SyncChunk.objects.filter(run=run_id).update(cursor="moved on")
            yield portion

    monkeypatch.setattr(sync, "portions", slow)
    with pytest.raises(sync.Overtaken):
        sync.advance(brand_id=world.brand.id, run_id=run_id, wecom=world.wecom, at=world.now())
    assert world.pairs() == set()


def test_a_failing_list_marks_nobody_lost(world, simulator):
    world.sync()
    gone = sorted(world.listed())[0]
    simulator.act("delete_follow", userid=gone[0], external_userid=gone[1], by="guide")
    simulator.post("/_sim/faults", {"path": LIST, "mode": "errcode", "errcode": 40058})

    run = world.sync()

    assert run.status == "partial"
    assert "#0" in run.error
    assert lost_follows(world) == []
    simulator.delete("/_sim/faults")
    assert world.sync().status == "done"
    assert lost_follows(world) == [(gone[1], "staff")]


def test_a_list_that_ends_early_marks_nobody_lost(world, simulator):
    """The batch list says that it is complete but lacks customers whom the guide's own list has."""
    world.sync()
    wecom = world.wecom
    whole = wecom.contacts_of

    def cut(**asked):
        page = whole(**asked)
        return type(page)(page.items[:-7], "")

    wecom.contacts_of = cut
    run_id = sync.start(brand_id=world.brand.id, corp_id=world.corp.id, at=world.now() + timedelta(seconds=5))
    run = sync.run_to_end(brand_id=world.brand.id, run_id=run_id, wecom=wecom, at=world.now())

    assert run.status == "partial"
    assert "doubted" in run.error
    assert lost_follows(world) == []


def test_a_customer_deleted_by_the_guide_is_lost_by_staff(world, simulator):
    world.sync()
    userid, external, _created = next(p for p in sorted(world.listed()) if single(world, p[1]))
    simulator.act("delete_follow", userid=userid, external_userid=external, by="guide")

    run = world.sync()

    follow = world.follow(userid, external)
    assert run.counts["follows_lost"] == 1
    assert (follow.lost_by, follow.lost_at is not None) == ("staff", True)
    assert (follow.contact.main_guide_id, follow.contact.lost_at) == (None, follow.lost_at)
    ((contact_id, props, _at),) = world.events("friend_lost")
    assert (contact_id, props) == (follow.contact_id, {"staff_id": follow.staff_id, "lost_by": "staff"})


def test_a_customer_who_deleted_the_guide_stays_lost_though_listed(world, simulator):
    world.sync()
    userid, external, _created = sorted(world.listed())[3]
    world.tell("change_external_contact", "del_follow_user", UserID=userid, ExternalUserID=external)
    lost = world.follow(userid, external)
    assert (lost.lost_by, lost.lost_at is None) == ("contact", False)

    run = world.sync(at=world.now() + timedelta(hours=1))

    assert (userid, external) in {(u, e) for u, e, _c in world.listed()}
    assert run.status == "done"
    assert world.follow(userid, external).lost_at == lost.lost_at


def test_a_later_friendship_revives_the_follow(world, simulator):
    world.sync()
    userid, external, created = next(p for p in sorted(world.listed()) if single(world, p[1]))
    simulator.act("delete_follow", userid=userid, external_userid=external, by="customer")
    world.tell(
        "change_external_contact", "del_follow_user", UserID=userid, ExternalUserID=external, told_at=world.now()
    )
    assert world.follow(userid, external).contact.lost_at
    simulator.post("/_sim/clock", {"advance_seconds": 60})
    simulator.act("scan", userid=userid, external_userid=external, state="again")

    run = world.sync(at=world.now())

    follow = world.follow(userid, external)
    assert run.counts["follows_revived"] == 1
    assert (follow.lost_at, follow.lost_by, follow.state) == (None, "", "again")
    assert follow.added_at.timestamp() > created
    assert follow.contact.lost_at is None
    assert follow.contact.main_guide_id == follow.staff_id
    assert follow.contact.first_added_at.timestamp() == created  # the first friendship stays the first
    assert len(world.events("friend_added")) == 1


def test_what_later_syncs_find_is_news(world, simulator):
    world.sync()
    scanned = simulator.act("scan", userid=sorted(world.listed())[0][0], state="poster")

    world.sync()

    (event,) = world.events("friend_added")
    with world.scope():
        contact = Contact.objects.get(pk=event[0])
    assert contact.name == scanned["name"]


def test_a_guide_who_left_is_nobodys_main_guide(world, simulator):
    world.sync()
    userid = sorted(world.listed())[0][0]
    simulator.act("member", action="delete", userid=userid)

    run = world.sync()

    assert run.status == "done"
    with world.scope():
        staff = Staff.objects.get(corp=world.corp, userid=userid)
        assert staff.left_at
        assert not staff.is_guide
        assert not Contact.objects.filter(main_guide=staff).exists()
        assert not Follow.objects.filter(staff=staff).exclude(lost_at=None).exists()  # they wait for inheritance


def test_groups_that_wecom_does_not_show_do_not_cost_the_customers(world, simulator):
    simulator.post("/_sim/faults", {"path": "externalcontact/groupchat/list", "mode": "errcode", "errcode": 48002})

    run = world.sync()

    assert run.status == "partial"
    assert run.error.startswith("groups: wecom.")
    assert world.pairs() == world.listed()
    simulator.delete("/_sim/faults")
    assert world.sync().status == "done"
    assert world.events("friend_added") == []


def test_a_directory_that_wecom_does_not_show_ends_the_run(world, simulator):
    simulator.post("/_sim/faults", {"path": "department/list", "mode": "errcode", "errcode": 40058})
    run = world.sync()
    assert (run.status, run.error.split(":")[0][:6]) == ("failed", "wecom.")


def test_a_wrong_secret_ends_the_run_with_its_reason(world, simulator):
    with world.scope():
        CorpApp.objects.filter(corp=world.corp).update(secret="not-the-secret")

    run = world.sync()

    assert run.status == "failed"
    assert "wecom." in run.error


def test_guides_without_a_licence_do_not_cost_the_others(world, simulator, monkeypatch):
    monkeypatch.setattr(sync, "GUIDES_PER_CHUNK", 2)
    poor = world.wecom.follow_users()[:2]
    agent_id = simulator.corps()[0]["apps"][0]["agentid"]
    simulator.post(f"/_sim/corps/{world.corp.corpid}/apps/{agent_id}", {"unlicensed": poor})

    run = world.sync()

    assert (run.status, run.error) == ("partial", "#0: wecom.no_licence 701008")
    assert world.pairs() == {pair for pair in world.listed() if pair[0] not in poor}
    simulator.post(f"/_sim/corps/{world.corp.corpid}/apps/{agent_id}", {"unlicensed": []})
    assert world.sync().status == "done"
    simulator.post(f"/_sim/corps/{world.corp.corpid}/apps/{agent_id}", {"unlicensed": poor})
    world.sync()
    assert lost_follows(world) == []


def single(world, external: str) -> bool:
    """Whether exactly one guide follows this customer."""
    person = next(p for p in world.people() if p["external_userid"] == external)
    return len(person["follows"]) == 1


def test_a_task_leaves_a_run_that_another_worker_has_in_hand(world, monkeypatch):
    run_id = sync.start(brand_id=world.brand.id, corp_id=world.corp.id, at=world.now())
    monkeypatch.setattr(turns, "_me", lambda: "another worker")
    turns.claim(run_id)
    monkeypatch.undo()

    tasks.sync_corp(brand_id=world.brand.id, corp_id=world.corp.id)
    assert world.pairs() == set()

    turns.end(run_id)
    tasks.sync_corp(brand_id=world.brand.id, corp_id=world.corp.id)
    assert world.pairs() == world.listed()
