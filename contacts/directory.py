"""The corp's directory as we need it: stores (departments with guides in them) and staff."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contacts.follows import settle_customers_of
from contacts.models import Staff
from contacts.sets import as_json, clean, execute
from wecom.models import Corp
from wecom.types import Department, Member, MemberStatus

STORES = """
INSERT INTO contacts_store AS s (brand_id, corp_id, department_id, name)
SELECT %(brand)s, %(corp)s, department_id, name
FROM json_to_recordset(%(rows)s) AS r (department_id bigint, name text)
ON CONFLICT (brand_id, corp_id, department_id) DO UPDATE SET name = EXCLUDED.name WHERE s.name <> EXCLUDED.name
"""

# Rows whose guides changed in a way that matters to their customers come back.
STAFF = """
INSERT INTO contacts_staff AS s (brand_id, corp_id, userid, name, store_id, is_guide, wecom_status, left_at)
SELECT %(brand)s, %(corp)s, r.userid, r.name,
       (SELECT id FROM contacts_store t
        WHERE t.brand_id = %(brand)s AND t.corp_id = %(corp)s AND t.department_id = r.department),
       r.is_guide, r.status, r.left_at
FROM json_to_recordset(%(rows)s) AS r (userid text, name text, department bigint, is_guide boolean, status smallint,
     left_at timestamptz)
ORDER BY r.userid
ON CONFLICT (brand_id, corp_id, userid) DO UPDATE SET
    name = COALESCE(NULLIF(EXCLUDED.name, ''), s.name), store_id = EXCLUDED.store_id, is_guide = EXCLUDED.is_guide,
    wecom_status = EXCLUDED.wecom_status, left_at = CASE WHEN EXCLUDED.left_at IS NULL THEN NULL
                                                         ELSE COALESCE(s.left_at, EXCLUDED.left_at) END
"""


@dataclass(frozen=True, slots=True)
class Directory:
    """What WeCom showed of the corp, read to the end."""

    departments: Sequence[Department]
    members: Sequence[Member]
    guides: frozenset[str]
    """userids with 客户联系"""


def store(*, corp: Corp, seen: Directory, at: datetime) -> dict[str, int]:
    """Write stores and staff; staff no longer shown have left. Scoped. Counts of stores, staff and guides.

    The main guide of customers is settled anew where a guide came, went, or lost 客户联系."""
    before = _able(corp)
    guides = seen.guides
    members = {member.userid: member for member in seen.members}
    for userid in guides - members.keys():  # a guide outside the departments we may see
        members[userid] = Member(userid, "", (), 0)
    of_guides = {department_of(member) for member in members.values() if member.userid in guides}
    stores = [each for each in seen.departments if each.id in of_guides]
    store_departments(corp=corp, departments=stores)
    store_members(corp=corp, members=members.values(), guides=guides, at=at)
    gone = Staff.objects.filter(corp=corp, left_at=None).exclude(userid__in=list(members))
    gone.update(left_at=at, is_guide=False)
    settle_customers_of(before ^ _able(corp), at=at)
    return {"stores": len(stores), "staff": len(members), "guides": len(guides)}


def store_departments(*, corp: Corp, departments: Iterable[Department]) -> None:
    """Enter these departments as stores, under their present names. Scoped."""
    rows = [{"department_id": each.id, "name": clean(each.name, 100)} for each in departments]
    execute(STORES, brand=corp.brand_id, corp=corp.id, rows=as_json(rows))


def store_members(*, corp: Corp, members: Iterable[Member], guides: frozenset[str], at: datetime) -> None:
    """Enter these members as staff of the store of their main department. Scoped. Settles nobody's main guide."""
    rows = [
        {
            "userid": each.userid,
            "name": clean(each.name, 100),
            "department": department_of(each),
            "is_guide": each.userid in guides and each.status != MemberStatus.LEFT,
            "status": each.status,
            "left_at": at if each.status == MemberStatus.LEFT else None,
        }
        for each in members
    ]
    execute(STAFF, brand=corp.brand_id, corp=corp.id, rows=as_json(rows))


def store_one(*, corp: Corp, member: Member, is_guide: bool, at: datetime) -> None:
    """Enter one member, and settle the customers if that changes who may be written through. Scoped."""
    before = _able(corp)
    store_members(corp=corp, members=[member], guides=frozenset({member.userid} if is_guide else ()), at=at)
    settle_customers_of(before ^ _able(corp), at=at)


def leave(*, corp: Corp, userid: str, at: datetime) -> None:
    """A member left the corp; their friendships wait for inheritance. Scoped. Harmless if we never knew them."""
    staff = Staff.objects.filter(corp=corp, userid__iexact=userid, left_at=None)
    ids = list(staff.values_list("id", flat=True))
    Staff.objects.filter(id__in=ids).update(left_at=at, is_guide=False, wecom_status=MemberStatus.LEFT)
    settle_customers_of(ids, at=at)


def rename(*, corp: Corp, old: str, new: str) -> None:
    """A member's userid changed. Scoped. Nothing happens if the new one is known already."""
    if not Staff.objects.filter(corp=corp, userid=new).exists():
        Staff.objects.filter(corp=corp, userid__iexact=old).update(userid=new)


def department_of(member: Member) -> int:
    """The department that counts as the member's store; 0 if none is shown."""
    return member.main_department or next(iter(member.departments), 0)


def _able(corp: Corp) -> set[int]:
    """Staff who can be anybody's main guide."""
    return set(Staff.objects.filter(corp=corp, is_guide=True, left_at=None).values_list("id", flat=True))
