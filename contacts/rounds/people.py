"""Staff and stores: lost `change_contact` of guides and of the departments that are stores.

Who has 客户联系 and what departments are called are two lists; what a guide is called and where they work is asked one
by one. Nobody has left, and nobody has lost 客户联系, on one list's word."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from django.db.models.functions import Lower

from contacts import directory
from contacts.models import Follow, Staff, Store
from contacts.rounds.tally import Tally
from contacts.sets import clean
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Rejected
from wecom.models import Corp
from wecom.types import Department, Member, MemberStatus

MOST_AT_ONCE = 100
"""members asked about in one look"""
NO_MEMBER = "wecom.no_member"
FEWEST_SAME = 3
"""friendships by which a member is known again under another userid"""


def survey(corp: Corp, wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> None:
    """Who is a guide, and what the stores are called. Opens its own scopes. Raises WeComError."""
    departments = wecom.departments()
    listed = {userid.lower(): userid for userid in wecom.follow_users()}
    tally.calls += 2
    with brand_scope(corp.brand_id):
        tally.staff += _name_stores(corp, departments)
        rows = Staff.objects.filter(corp=corp, left_at=None).annotate(lower=Lower("userid")).order_by("id")
        ours = {row.lower: row for row in rows.filter(is_guide=True)}
    unlisted = [row for lower, row in ours.items() if lower not in listed][:MOST_AT_ONCE]
    came = [userid for lower, userid in listed.items() if lower not in ours][:MOST_AT_ONCE]
    gone = [row for row in unlisted if _is_gone(row, wecom, tally)]
    renamed = renames(corp, gone=gone, came=came, wecom=wecom, tally=tally)
    with brand_scope(corp.brand_id):
        for old, new in renamed.items():
            directory.rename(corp=corp, old=old, new=new)
        for row in gone:
            if row.userid not in renamed:
                directory.leave(corp=corp, userid=row.userid, at=clock())
        tally.staff += len(gone)
    for userid in came:
        tally.staff += _enter(corp, userid, departments, wecom, clock, tally, is_guide=True)
    for row in unlisted:
        if row not in gone and _is_no_guide(row, wecom, tally):
            tally.staff += _enter(corp, row.userid, departments, wecom, clock, tally, is_guide=False)


def compare(corp: Corp, guide: Staff, wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> None:
    """What the guide is called and where they work. Opens its own scopes. Raises WeComError."""
    tally.staff += _enter(corp, guide.userid, None, wecom, clock, tally, is_guide=True)


def renames(
    corp: Corp, *, gone: Collection[Staff], came: Collection[str], wecom: WeComClient, tally: Tally
) -> Mapping[str, str]:
    """New userids of members who are no more under their old ones, by the old: a lost `update_user` with NewUserID.

    A member is known by their friendships, whose beginnings stay to the second, as no transfer leaves them. Asks about
    new userids only when somebody is missed. Opens its own scopes. Raises WeComError."""
    found: dict[str, str] = {}
    if not gone:
        return found
    with brand_scope(corp.brand_id):
        known = set(
            Staff.objects.filter(corp=corp)
            .annotate(lower=Lower("userid"))
            .filter(lower__in=[userid.lower() for userid in came])
            .values_list("lower", flat=True)
        )
        friends = {
            row.userid: {
                (external, int(added.timestamp()))
                for external, added in Follow.objects.filter(staff=row).values_list("external_userid", "added_at")
            }
            for row in gone
        }
    for userid in came:
        if userid.lower() in known:
            continue
        try:
            page = wecom.contacts_of(userids=[userid])
        except Rejected:
            continue
        finally:
            tally.calls += 1
        shown = {
            (pair.person.external_userid, int(pair.follow.added_at.timestamp()))
            for pair in page.items
            if pair.follow.added_at is not None
        }
        for old, theirs in friends.items():
            # The few who came since the rename are not among the old ones.
            if old not in found and len(shown & theirs) >= max(min(FEWEST_SAME, len(theirs)), len(shown) / 2, 1):
                found[old] = userid
                break
    return found


def _is_gone(row: Staff, wecom: WeComClient, tally: Tally) -> bool:
    """Whether WeCom, asked about the member, knows none of that userid."""
    tally.calls += 1
    try:
        return wecom.user(userid=row.userid).status == MemberStatus.LEFT
    except Rejected as refusal:
        return refusal.problem_code == NO_MEMBER


def _is_no_guide(row: Staff, wecom: WeComClient, tally: Tally) -> bool:
    """Whether WeCom refuses to list the member's customers."""
    tally.calls += 1
    try:
        wecom.external_userids(userid=row.userid)
    except Rejected:
        return True
    return False


def _enter(
    corp: Corp,
    userid: str,
    departments: Collection[Department] | None,
    wecom: WeComClient,
    clock: Callable[[], datetime],
    tally: Tally,
    *,
    is_guide: bool,
) -> int:
    """Write a member as WeCom shows them, if that differs from our row; 1 if it did.

    One whom WeCom does not show to us keeps their row, but for whether they are a guide."""
    tally.calls += 1
    try:
        member = wecom.user(userid=userid)
    except Rejected:
        return _only_guide(corp, userid, is_guide=is_guide, at=clock())
    department_id = directory.department_of(member)
    with brand_scope(corp.brand_id):
        has_store = Store.objects.filter(corp=corp, department_id=department_id).exists()
        is_same = _as_ours(corp, member, is_guide=is_guide, store=department_id if has_store else None)
    if is_same and (has_store or not is_guide):
        return 0
    theirs: list[Department] = []
    if is_guide and not has_store:
        if departments is None:
            departments = wecom.departments()
            tally.calls += 1
        theirs = [each for each in departments if each.id == department_id]
    if is_same and not theirs:
        return 0
    with brand_scope(corp.brand_id):
        directory.store_departments(corp=corp, departments=theirs)
        directory.store_one(corp=corp, member=member, is_guide=is_guide, at=clock())
    return 1


def _only_guide(corp: Corp, userid: str, *, is_guide: bool, at: datetime) -> int:
    with brand_scope(corp.brand_id):
        row = Staff.objects.filter(corp=corp, userid__iexact=userid).select_related("store").first()
        if row is not None and row.is_guide == is_guide and row.left_at is None:
            return 0
        department = row.store.department_id if row is not None and row.store is not None else 0
        name, spelled, status = (row.name, row.userid, row.wecom_status) if row is not None else ("", userid, 0)
        member = Member(spelled, name, (), department, status)
        directory.store_one(corp=corp, member=member, is_guide=is_guide, at=at)
    return 1


def _as_ours(corp: Corp, member: Member, *, is_guide: bool, store: int | None) -> bool:
    """Whether our row says the same. Scoped."""
    row = Staff.objects.filter(corp=corp, userid=member.userid).select_related("store").first()
    if row is None:
        return False
    has_left = member.status == MemberStatus.LEFT
    ours = (row.name, row.store.department_id if row.store else None, row.is_guide, row.wecom_status)
    shown = (clean(member.name, 100), store, is_guide and not has_left, member.status)
    return ours == shown and (row.left_at is not None) == has_left


def _name_stores(corp: Corp, departments: Collection[Department]) -> int:
    """Give stores the names of their departments; how many had another. Scoped."""
    named = dict(Store.objects.filter(corp=corp).values_list("department_id", "name"))
    other = [each for each in departments if each.id in named and named[each.id] != clean(each.name, 100)]
    directory.store_departments(corp=corp, departments=other)
    return len(other)
