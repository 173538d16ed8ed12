"""What WeCom tells between two full syncs, handed to the handlers as the inbox does."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import callbacks
from contacts.models import Follow, GroupChat, GroupMember, Staff, Store

CONTACT, CHAT, STAFF = "change_external_contact", "change_external_chat", "change_contact"


@pytest.fixture
def synced(world):
    world.sync()
    return world


def added(world, simulator, userid: str, **scan) -> dict:
    """A customer adds a guide, and the event is handled."""
    person = simulator.act("scan", userid=userid, **scan)
    half = scan.get("half")
    world.tell(
        CONTACT,
        "add_half_external_contact" if half else "add_external_contact",
        UserID=userid,
        ExternalUserID=person["external_userid"],
    )
    return person


def guide_of(world) -> str:
    return sorted(world.listed())[0][0]


def test_a_new_friend_is_a_contact_at_once(synced, simulator):
    userid = guide_of(synced)

    person = added(synced, simulator, userid, state="poster-7", name="陈小满")

    follow = synced.follow(userid, person["external_userid"])
    assert (follow.contact.name, follow.state) == ("陈小满", "poster-7")
    assert follow.contact.main_guide_id == follow.staff_id
    assert follow.contact.source_state == "poster-7"
    ((contact_id, props, occurred_at),) = synced.events("friend_added")
    assert (contact_id, occurred_at) == (follow.contact_id, follow.added_at)
    assert props == {"staff_id": follow.staff_id, "state": "poster-7", "add_way": 1}


def test_told_twice_is_written_once(synced, simulator):
    userid = guide_of(synced)
    person = added(synced, simulator, userid)
    pair = {"UserID": userid, "ExternalUserID": person["external_userid"]}

    synced.tell(CONTACT, "add_external_contact", **pair)
    synced.tell(CONTACT, "edit_external_contact", **pair)
    synced.sync()

    assert len(synced.events("friend_added")) == 1
    assert synced.pairs() == synced.listed()


def test_a_half_added_friend_waits_for_the_guide(synced, simulator):
    userid = guide_of(synced)
    person = added(synced, simulator, userid, half=True)
    pair = {"userid": userid, "external_userid": person["external_userid"]}
    with synced.scope():
        assert not Follow.objects.filter(external_userid=person["external_userid"]).exists()

    simulator.act("accept", **pair)
    synced.tell(CONTACT, "add_external_contact", UserID=userid, ExternalUserID=person["external_userid"])

    assert synced.follow(userid, person["external_userid"]).lost_at is None


def test_a_friend_wecom_does_not_show_yet_is_asked_for_again(synced):
    with pytest.raises(callbacks.NotYet):
        synced.tell(CONTACT, "add_external_contact", UserID=guide_of(synced), ExternalUserID="wm-not-there-yet")


def test_an_edit_brings_remark_and_tags(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    simulator.act("edit", userid=userid, external_userid=external, remark="爱喝茶")

    synced.tell(CONTACT, "edit_external_contact", UserID=userid, ExternalUserID=external)

    assert synced.follow(userid, external).remark == "爱喝茶"


@pytest.mark.parametrize(
    ("change", "fields", "by"),
    [
        ("del_follow_user", {}, "contact"),
        ("del_external_contact", {}, "staff"),
        ("del_external_contact", {"Source": "DELETE_BY_TRANSFER"}, "transfer"),
    ],
)
def test_a_friendship_ends(synced, change, fields, by):
    userid, external, _created = next(p for p in sorted(synced.listed()))
    told_at = timezone.now().replace(microsecond=0)

    for _twice in range(2):
        synced.tell(CONTACT, change, told_at=told_at, UserID=userid, ExternalUserID=external, **fields)

    follow = synced.follow(userid, external)
    assert (follow.lost_at, follow.lost_by) == (told_at, by)
    ((contact_id, props, occurred_at),) = synced.events("friend_lost")
    assert (contact_id, props["lost_by"], occurred_at) == (follow.contact_id, by, told_at)


def test_a_loss_replayed_after_months_is_a_loss_but_no_news(synced):
    """The log has no place for events so old, and would refuse them all."""
    userid, external, _created = min(synced.listed(), key=lambda pair: pair[2])
    with synced.scope():
        Follow.objects.filter(external_userid=external).update(added_at=timezone.now() - timedelta(days=500))

    told_at = timezone.now().replace(microsecond=0) - timedelta(days=400)
    synced.tell(CONTACT, "del_follow_user", told_at=told_at, UserID=userid, ExternalUserID=external)

    assert synced.follow(userid, external).lost_at == told_at
    assert synced.events("friend_lost") == []


def test_losing_one_of_two_guides_leaves_the_other_as_main_guide(synced):
    person = next(p for p in synced.people() if len(p["follows"]) == 2)
    older, newer = (f["userid"] for f in sorted(person["follows"], key=lambda f: f["createtime"]))

    synced.tell(CONTACT, "del_follow_user", UserID=newer, ExternalUserID=person["external_userid"])

    left = synced.follow(older, person["external_userid"])
    assert (left.contact.main_guide_id, left.contact.lost_at) == (left.staff_id, None)


def test_a_loss_that_is_told_late_does_not_end_the_newer_friendship(synced, simulator):
    userid = guide_of(synced)
    before = timezone.now() - timedelta(hours=1)
    person = added(synced, simulator, userid)

    synced.tell(CONTACT, "del_follow_user", told_at=before, UserID=userid, ExternalUserID=person["external_userid"])

    assert synced.follow(userid, person["external_userid"]).lost_at is None


def test_a_friend_who_comes_back_is_revived(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    hour_ago = timezone.now() - timedelta(hours=1)
    simulator.act("delete_follow", userid=userid, external_userid=external, by="customer")
    synced.tell(CONTACT, "del_follow_user", told_at=hour_ago, UserID=userid, ExternalUserID=external)
    synced.tell(CONTACT, "edit_external_contact", UserID=userid, ExternalUserID=external)
    assert synced.follow(userid, external).lost_at  # still listed, but by the old friendship

    simulator.act("scan", userid=userid, external_userid=external)
    synced.tell(CONTACT, "add_external_contact", UserID=userid, ExternalUserID=external)

    assert synced.follow(userid, external).lost_at is None
    assert len(synced.events("friend_added")) == 1


def test_an_end_that_is_told_before_its_beginning_is_the_end(synced, simulator):
    """The beginning waited while WeCom was busy, say; WeCom lists a customer who deleted the guide for ever."""
    userid = guide_of(synced)
    person = simulator.act("scan", userid=userid)
    pair = {"UserID": userid, "ExternalUserID": person["external_userid"]}
    added_at = synced.now()
    simulator.act("delete_follow", userid=userid, external_userid=person["external_userid"], by="customer")

    synced.tell(CONTACT, "del_follow_user", told_at=added_at + timedelta(seconds=1), **pair)
    synced.tell(CONTACT, "add_external_contact", told_at=added_at, **pair)

    follow = synced.follow(userid, person["external_userid"])
    assert (follow.lost_by, follow.lost_at is None) == ("contact", False)
    assert (len(synced.events("friend_added")), len(synced.events("friend_lost"))) == (1, 1)


def test_a_second_end_that_is_told_before_its_beginning_is_the_end(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    pair = {"UserID": userid, "ExternalUserID": external}
    simulator.act("delete_follow", userid=userid, external_userid=external, by="customer")
    synced.tell(CONTACT, "del_follow_user", told_at=synced.now() - timedelta(hours=1), **pair)
    simulator.act("scan", userid=userid, external_userid=external)
    again_at = synced.now()
    simulator.act("delete_follow", userid=userid, external_userid=external, by="customer")

    synced.tell(CONTACT, "del_follow_user", told_at=again_at + timedelta(seconds=1), **pair)
    synced.tell(CONTACT, "add_external_contact", told_at=again_at, **pair)

    follow = synced.follow(userid, external)
    assert follow.lost_at == (again_at + timedelta(seconds=1)).replace(microsecond=0)
    assert len(synced.events("friend_lost")) == 2


def test_an_end_whose_beginning_wecom_does_not_show_yet_waits_for_it(synced, simulator):
    userid = guide_of(synced)
    person = simulator.act("scan", userid=userid)
    pair = {"UserID": userid, "ExternalUserID": person["external_userid"]}
    simulator.act("delete_follow", userid=userid, external_userid=person["external_userid"], by="customer")
    ended_at = synced.now() + timedelta(seconds=1)
    simulator.post("/_sim/switches", {"stale_detail_seconds": 60})
    with pytest.raises(callbacks.NotYet):
        synced.tell(CONTACT, "del_follow_user", told_at=ended_at, **pair)
    simulator.post("/_sim/switches", {"stale_detail_seconds": 0})

    synced.tell(CONTACT, "del_follow_user", told_at=ended_at, **pair)

    assert synced.follow(userid, person["external_userid"]).lost_by == "contact"


def test_people_come_and_go_in_a_group(synced, simulator):
    with synced.scope():
        group = GroupChat.objects.get()
        inside = set(GroupMember.objects.values_list("member_id", flat=True))
        new = Follow.objects.exclude(external_userid__in=inside).select_related("contact").first()
        old = GroupMember.objects.exclude(contact=None).first()
    simulator.act("join_group", chat_id=group.chat_id, external_userid=new.external_userid)
    simulator.act("leave_group", chat_id=group.chat_id, external_userid=old.member_id)

    for _twice in range(2):
        synced.tell(CHAT, "update", ChatId=group.chat_id, UpdateDetail="add_member")

    with synced.scope():
        assert GroupMember.objects.get(member_id=new.external_userid).contact_id == new.contact_id
        assert GroupMember.objects.get(member_id=old.member_id).left_at
    ((joined, props, _at),) = synced.events("group_joined")
    ((left, _props, _at2),) = synced.events("group_left")
    assert (joined, left) == (new.contact_id, old.contact_id)
    assert props == {"chat_id": group.chat_id}


def test_a_group_still_shown_as_it_was_is_read_again(synced):
    with synced.scope():
        group = GroupChat.objects.get()
    with pytest.raises(callbacks.NotYet):
        synced.tell(CHAT, "update", ChatId=group.chat_id, LastMemVer=group.member_version, CurMemVer="next")


def test_a_group_is_made_and_dissolved(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    made = simulator.act("create_group", userid=userid, name="新品群", external_userids=[external])

    synced.tell(CHAT, "create", ChatId=made["chat_id"])
    assert [props["chat_id"] for _c, props, _at in synced.events("group_joined")] == [made["chat_id"]]
    synced.tell(CHAT, "dismiss", ChatId=made["chat_id"])

    with synced.scope():
        group = GroupChat.objects.get(chat_id=made["chat_id"])
        assert (group.name, group.dismissed_at is not None) == ("新品群", True)
        assert not GroupMember.objects.filter(chat=group, left_at=None).exists()


def test_of_a_group_whose_making_was_not_told_the_members_join_all_the_same(synced, simulator):
    userid, external, _created = sorted(synced.listed())[0]
    simulator.post("/_sim/clock", {"advance_seconds": 60})  # made after the full sync, which shows nobody's joining
    made = simulator.act("create_group", userid=userid, name="新品群", external_userids=[external])

    synced.tell(CHAT, "update", ChatId=made["chat_id"], UpdateDetail="add_member")
    synced.tell(CHAT, "create", ChatId=made["chat_id"])  # late

    assert [props["chat_id"] for _c, props, _at in synced.events("group_joined")] == [made["chat_id"]]


def test_a_group_member_who_becomes_a_customer_is_linked(synced, simulator):
    with synced.scope():
        group = GroupChat.objects.get()
    stranger = simulator.act("scan", userid=guide_of(synced), half=True)["external_userid"]
    simulator.act("join_group", chat_id=group.chat_id, external_userid=stranger)
    synced.tell(CHAT, "update", ChatId=group.chat_id)
    with synced.scope():
        assert GroupMember.objects.get(member_id=stranger).contact_id is None

    simulator.act("accept", userid=guide_of(synced), external_userid=stranger)
    synced.tell(CONTACT, "add_external_contact", UserID=guide_of(synced), ExternalUserID=stranger)

    with synced.scope():
        friend = Follow.objects.get(external_userid=stranger)
        assert GroupMember.objects.get(member_id=stranger).contact_id == friend.contact_id
    assert [contact for contact, _props, _at in synced.events("group_joined")] == [friend.contact_id]


def test_staff_come_move_and_go(synced, simulator):
    simulator.act("member", action="create", userid="newguide", name="新导购", department=[3])
    synced.tell(STAFF, "create_user", UserID="newguide")
    with synced.scope():
        staff = Staff.objects.select_related("store").get(userid="newguide")
    assert (staff.name, staff.is_guide, staff.store.department_id) == ("新导购", True, 3)

    simulator.act("member", action="update", userid="newguide", department=[1])
    synced.tell(STAFF, "update_user", UserID="newguide")
    with synced.scope():
        staff = Staff.objects.select_related("store").get(userid="newguide")
        assert Store.objects.filter(department_id=1).exists()
    assert staff.store.department_id == 1

    simulator.act("member", action="delete", userid="newguide")
    synced.tell(STAFF, "delete_user", UserID="newguide")
    with synced.scope():
        staff.refresh_from_db()
    assert (staff.is_guide, staff.left_at is not None) == (False, True)


def test_a_guide_with_another_userid_is_the_same_guide(synced, simulator):
    userid = guide_of(synced)
    mine = {pair for pair in synced.pairs() if pair[0] == userid}
    with synced.scope():
        staff_id = Staff.objects.get(userid=userid).id

    simulator.act("member", action="update", userid=userid, new_userid="Xiaolin.New")
    synced.tell(STAFF, "update_user", UserID=userid, NewUserID="Xiaolin.New")

    renamed = {("Xiaolin.New", external, since) for _, external, since in mine}
    assert renamed <= synced.pairs()
    assert added(synced, simulator, "Xiaolin.New")["external_userid"]
    synced.sync()
    assert synced.pairs() == synced.listed()
    with synced.scope():
        assert Staff.objects.get(userid="Xiaolin.New").id == staff_id
        assert not Staff.objects.filter(userid=userid).exists()
    assert synced.events("friend_lost") == []
