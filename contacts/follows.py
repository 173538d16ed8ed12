"""The friendships of guides and contacts: how they begin, end and begin again, and what a contact's row says of them.

WeCom goes on listing a customer who deleted the guide. So a loss told by the customer's own callback is undone only by
a friendship that began later; a loss of the staff's making is also undone by a list read well after it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from contacts import profile_changes, settling
from contacts.groups import NEWS, link_members
from contacts.models import Follow, Identity, Staff
from contacts.oneid.identity import Attached, Claim, Draft, Key, Ready, attach, canonical
from contacts.personal_data import erasure
from contacts.sets import as_array, as_json, clean, execute
from events import log
from scrm.lib.ids import made_id
from wecom.models import Corp
from wecom.types import FollowedContact

LONG_AGO = datetime(2016, 4, 18, tzinfo=UTC)
"""WeCom's own first day: for friendships whose beginning it does not tell, so that they never count as newer."""

SETTLING = timedelta(minutes=10)
"""What WeCom shows can lag behind what it told (api-reference §4.3), and its clock beside ours: for so long after an
event a contradiction proves nothing."""

# If a guide has one person twice, the later friendship.
UPSERT = """
INSERT INTO contacts_follow AS f (brand_id, staff_id, contact_id, external_userid, remark, description, add_way, state,
                                  corp_tag_ids, added_at, lost_by, seen_run)
SELECT DISTINCT ON (staff_id, contact_id)
       %(brand)s, staff_id, contact_id, external_userid, remark, description, add_way, state,
       corp_tag_ids, added_at, '', %(run)s
FROM ROWS FROM (
    json_to_recordset(%(follows)s) AS (external_userid text, remark text, description text, add_way int, state text,
                                       corp_tag_ids text[], added_at timestamptz),
    unnest(%(staff)s::bigint[]), unnest(%(contacts)s::bigint[])
) WITH ORDINALITY
  AS r (external_userid, remark, description, add_way, state, corp_tag_ids, added_at, staff_id, contact_id, n)
ORDER BY staff_id, contact_id, added_at DESC, n DESC
ON CONFLICT (brand_id, staff_id, contact_id) DO UPDATE SET
    external_userid = CASE WHEN EXCLUDED.added_at >= f.added_at THEN EXCLUDED.external_userid
                           ELSE f.external_userid END,
    remark = EXCLUDED.remark, description = EXCLUDED.description, add_way = EXCLUDED.add_way, state = EXCLUDED.state,
    corp_tag_ids = EXCLUDED.corp_tag_ids,
    added_at = GREATEST(f.added_at, EXCLUDED.added_at),
    lost_at = CASE WHEN {back} THEN NULL ELSE f.lost_at END,
    lost_by = CASE WHEN {back} THEN '' ELSE f.lost_by END,
    seen_run = GREATEST(f.seen_run, EXCLUDED.seen_run)
RETURNING staff_id, contact_id, lost_at
""".format(back="(EXCLUDED.added_at > f.lost_at OR (f.lost_by <> 'contact' AND f.lost_at < %(proven)s))")

REFRESH = """
UPDATE contacts_contact c
SET name = r.name, avatar = r.avatar, gender = r.gender, kind = r.kind,
    phone = CASE WHEN c.phone = '' THEN r.phone ELSE c.phone END
FROM json_to_recordset(%(rows)s) AS r (id bigint, name text, avatar text, gender smallint, kind smallint, phone text)
WHERE c.brand_id = %(brand)s AND c.id = r.id
  AND ((c.name, c.avatar, c.gender, c.kind) IS DISTINCT FROM (r.name, r.avatar, r.gender, r.kind)
       OR (c.phone = '' AND r.phone <> ''))
"""


@dataclass(frozen=True, slots=True)
class Befriended:
    """What a set of listed pairs changed."""

    stored: int
    """friendships written: the pairs, less those that were one person twice for one guide"""
    contact_ids: list[int]
    """of the pairs, in their order"""
    created: int
    new: list[tuple[int, int]]
    """(staff_id, contact_id) never seen before"""
    revived: list[tuple[int, int]]
    """(staff_id, contact_id) that had been lost"""


@dataclass(frozen=True, slots=True)
class Loss:
    """A friendship that ended, and when by WeCom's clock."""

    staff_id: int
    external_userid: str
    lost_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """Pairs as WeCom lists them, made ready to be written. Making it needs no database, so another thread may."""

    pairs: Sequence[FollowedContact]
    people: dict[str, list[FollowedContact]]
    """the pairs of each external_userid"""
    ready: Ready
    """one claim per person, in the order of `people`"""
    follows: str
    """JSON of one row per pair"""

    @classmethod
    def of(cls, corp: Corp, pairs: Sequence[FollowedContact]) -> "Listed":
        """Group the pairs by person; those with a unionid first, since it is what ties people together."""
        people: dict[str, list[FollowedContact]] = {}
        for pair in sorted(pairs, key=lambda pair: not pair.person.unionid):
            people.setdefault(pair.person.external_userid, []).append(pair)
        claims = [Claim(_keys(corp, same), _draft(same)) for same in people.values()]
        return cls(pairs, people, Ready.of(claims, brand=corp.brand_id), as_json(map(_follow_row, pairs)))


@dataclass(frozen=True, slots=True)
class _Guide:
    id: int
    active: bool


def befriend(
    *, corp: Corp, listed: Listed, read_at: datetime, at: datetime, run_id: int = 0, first_run: bool = False
) -> Befriended:
    """Write what WeCom lists: contacts, identities, friendships; a handful of statements however many. Scoped.

    `read_at`: the list was not read before this moment. In a corp's `first_run` everything is new and nothing is news;
    else friend_added is written for what is new or has come back, unless it is older than a week.
    Repeating it changes nothing."""
    if not listed.pairs:
        return Befriended(0, [], 0, [], [])
    guides = _guides(corp, {pair.follow.userid for pair in listed.pairs})
    mains = [_main_guide(same, guides) for same in listed.people.values()]
    attached = attach(claims=listed.ready, at=at, guides=mains, mostly_new=first_run)
    owner = dict(zip(listed.people, attached.contact_ids, strict=True))
    contact_ids = [owner[pair.person.external_userid] for pair in listed.pairs]
    staff_ids = [guides[pair.follow.userid].id for pair in listed.pairs]
    was_lost = _lost_before(set(contact_ids) - attached.created)
    written = execute(
        UPSERT,
        brand=corp.brand_id,
        run=run_id,
        proven=read_at - SETTLING,
        follows=listed.follows,
        staff=as_array(staff_ids),
        contacts=as_array(contact_ids),
    )
    new = [(staff, contact) for staff, contact, _lost in written if (staff, contact) not in was_lost]
    revived = [(staff, contact) for staff, contact, lost in written if lost is None and was_lost.get((staff, contact))]
    known = set() if first_run else set(contact_ids) - attached.created
    with profile_changes.noted(known, at=at):
        _refresh(corp, listed, attached)
        # A contact made a moment ago from a single pair was written settled.
        several = {owner[each] for each, same in listed.people.items() if len(same) > 1}
        plain = attached.created - attached.shared - several
        settle_main_guide({contact for _staff, contact in chain(new, revived) if contact not in plain})
    if not first_run:
        erasure.keep_bare(contact_ids)
    if attached.fresh:
        link_members(corp=corp, fresh=attached.fresh, at=at, announce=not first_run)
    if not first_run:
        in_time = sorted(zip(staff_ids, contact_ids, listed.pairs, strict=True), key=lambda row: _since(row[2]))
        latest = {(staff, contact): pair for staff, contact, pair in in_time}
        news = [(*pair, latest[pair]) for pair in chain(new, revived)]
        _announce_added(news, brand_id=corp.brand_id, at=at)
    return Befriended(len(written), contact_ids, len(attached.created), new, revived)


def lose(*, losses: Iterable[Loss], by: Follow.LostBy, at: datetime) -> int:
    """End friendships, and tell the log. Scoped. How many were alive: one that began after its loss stays."""
    ended = execute(
        """UPDATE contacts_follow f SET lost_at = r.lost_at, lost_by = %(by)s
           FROM json_to_recordset(%(rows)s) AS r (staff_id bigint, external_userid text, lost_at timestamptz)
           WHERE f.brand_id = current_setting('orchard.brand_id')::bigint AND f.staff_id = r.staff_id
             AND f.external_userid = r.external_userid AND f.lost_at IS NULL AND f.added_at <= r.lost_at
           RETURNING f.brand_id, f.staff_id, f.contact_id, f.lost_at""",
        by=by.value,
        rows=as_json(
            {"staff_id": each.staff_id, "external_userid": each.external_userid, "lost_at": each.lost_at}
            for each in losses
        ),
    )
    return _mourn(ended, by=by, at=at)


def sweep(*, staff_id: int, run_id: int, began_at: datetime, listed: Collection[str], at: datetime) -> int:
    """Mark the guide's friendships that run did not see as ended by the staff. Scoped. How many.

    Call it only when the guide's list was read to its end. Those in `listed` (a second, independent list) stay, and
    so do friendships younger than the run."""
    ended = execute(
        """UPDATE contacts_follow SET lost_at = %(at)s, lost_by = 'staff'
           WHERE brand_id = current_setting('orchard.brand_id')::bigint AND staff_id = %(staff)s
             AND seen_run < %(run)s AND lost_at IS NULL AND added_at < %(began)s
             AND external_userid <> ALL (%(listed)s::text[])
           RETURNING brand_id, staff_id, contact_id, lost_at""",
        at=at,
        staff=staff_id,
        run=run_id,
        began=began_at,
        listed=list(listed),
    )
    return _mourn(ended, by=Follow.LostBy.STAFF, at=at)


def settle_main_guide(contact_ids: Collection[int]) -> None:
    """Make main guide, first friendship, source and loss of these contacts agree with their friendships. Scoped."""
    settling.settle(contact_ids)


def settle_customers_of(staff_ids: Collection[int], *, at: datetime) -> None:
    """The same for every contact who follows one of these guides: for guides who left, came, or changed. Scoped.

    The log is told of the contacts whose main guide changes."""
    if staff_ids:
        found = execute(
            """SELECT DISTINCT contact_id FROM contacts_follow
               WHERE brand_id = current_setting('orchard.brand_id')::bigint AND staff_id = ANY (%(ids)s)""",
            ids=list(staff_ids),
        )
        contact_ids = {contact_id for (contact_id,) in found}
        with profile_changes.noted(contact_ids, at=at):
            settle_main_guide(contact_ids)


def _guides(corp: Corp, userids: set[str]) -> dict[str, _Guide]:
    """The corp's staff of these userids; one the directory has not shown yet is entered by userid alone."""
    for _attempt in range(2):
        found = Staff.objects.filter(corp=corp, userid__in=userids).values_list("userid", "id", "is_guide", "left_at")
        guides = {userid: _Guide(id_, is_guide and left_at is None) for userid, id_, is_guide, left_at in found}
        missing = userids - guides.keys()
        if not missing:
            break
        strangers = [Staff(brand_id=corp.brand_id, corp=corp, userid=each, is_guide=True) for each in sorted(missing)]
        Staff.objects.bulk_create(strangers, ignore_conflicts=True)
    return guides


def _since(pair: FollowedContact) -> datetime:
    return pair.follow.added_at or LONG_AGO


def _keys(corp: Corp, same: Sequence[FollowedContact]) -> tuple[Key, ...]:
    person = same[0].person
    external = canonical("external_userid", person.external_userid, scope=corp.corpid)
    mine: Key = (Identity.Type.EXTERNAL_USERID.value, external)
    return (mine, (Identity.Type.UNIONID.value, person.unionid)) if person.unionid else (mine,)


def _draft(same: Sequence[FollowedContact]) -> Draft:
    """A new contact: what its row takes from WeCom's person and, for the phone, from what the guides noted.

    Of a single pair it is as `settle_main_guide` would leave it; with several that will decide source and beginning."""
    person = same[0].person
    phones = chain.from_iterable(pair.follow.remark_mobiles for pair in same)
    draft = Draft(
        name=clean(person.name, 200),
        avatar=clean(person.avatar, 500),
        gender=person.gender,
        kind=person.kind,
        phone=next((canonical("phone", each)[:20] for each in phones if each), ""),
    )
    if len(same) == 1:
        draft.source_state = clean(same[0].follow.state, 64)
        draft.first_added_at = _since(same[0])
    return draft


def _main_guide(same: Sequence[FollowedContact], guides: dict[str, _Guide]) -> int | None:
    """The one guide of a new contact; `settle_main_guide` chooses among several."""
    guide = guides[same[0].follow.userid]
    return guide.id if len(same) == 1 and guide.active else None


def _follow_row(pair: FollowedContact) -> dict[str, Any]:
    follow = pair.follow
    return {
        "external_userid": pair.person.external_userid,
        "remark": clean(follow.remark, 100),
        "description": clean(follow.description, 500),
        "add_way": follow.add_way,
        "state": clean(follow.state, 64),
        "corp_tag_ids": follow.tag_ids,
        "added_at": _since(pair),
    }


def _lost_before(contact_ids: Collection[int]) -> dict[tuple[int, int], bool]:
    """The (staff_id, contact_id) of these contacts' friendships so far, and whether each was lost."""
    if not contact_ids:
        return {}
    found = execute(
        """SELECT f.staff_id, f.contact_id, f.lost_at IS NOT NULL FROM contacts_follow f
           WHERE f.brand_id = current_setting('orchard.brand_id')::bigint AND f.contact_id = ANY (%(ids)s::bigint[])""",
        ids=as_array(contact_ids),
    )
    return {(staff, contact): lost for staff, contact, lost in found}


def _refresh(corp: Corp, listed: Listed, attached: Attached) -> None:
    """Names, pictures and phones of the contacts we knew already."""
    rows = {
        contact_id: {"id": contact_id, **claim.draft.row()}
        for contact_id, claim in zip(attached.contact_ids, listed.ready.claims, strict=True)
        if contact_id not in attached.created
    }
    if rows:
        execute(REFRESH, brand=corp.brand_id, rows=as_json(rows.values()))


def _announce_added(news: Iterable[tuple[int, int, FollowedContact]], *, brand_id: int, at: datetime) -> None:
    """`news`: (staff_id, contact_id, pair)."""
    events = []
    for staff_id, contact_id, pair in news:
        added_at = _since(pair)
        if added_at < at - NEWS:
            continue
        events.append(
            log.NewEvent(
                type="friend_added",
                occurred_at=added_at,
                source="wecom",
                id=made_id(brand_id, "friend_added", staff_id, contact_id, int(added_at.timestamp())),
                contact_id=contact_id,
                props={"staff_id": staff_id, "state": clean(pair.follow.state, 64), "add_way": pair.follow.add_way},
            )
        )
    if events:
        log.write(events, at=at)


def _mourn(ended: Sequence[tuple[int, int, int, datetime]], *, by: Follow.LostBy, at: datetime) -> int:
    """Settle the contacts of friendships that ended, and tell the log if it is news."""
    if not ended:
        return 0
    contact_ids = {contact for _brand, _staff, contact, _lost in ended}
    with profile_changes.noted(contact_ids, at=at):
        settle_main_guide(contact_ids)
    events = [
        log.NewEvent(
            type="friend_lost",
            occurred_at=lost_at,
            source="wecom",
            id=made_id(brand, "friend_lost", staff, contact, int(lost_at.timestamp())),
            contact_id=contact,
            props={"staff_id": staff, "lost_by": by.value},
        )
        for brand, staff, contact, lost_at in ended
        if lost_at >= at - NEWS
    ]
    log.write(events, at=at)
    return len(ended)
