"""Customer groups and who is in them. Rows of those who left stay, with the time they were found gone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from contacts.models import GroupChat, Identity, Staff
from contacts.oneid.identity import Claim, Key, attach, canonical, resolve
from contacts.sets import as_json, clean, execute
from events import log
from scrm.lib.ids import made_id
from wecom.models import Corp
from wecom.types import GroupDetail

EXTERNAL = 2
"""WeCom's member type of everybody who is not staff"""
NEWS = timedelta(days=7)
"""What began longer ago than this is found, not news: it makes no event, and the log has no place for it."""

CHATS = """
INSERT INTO contacts_groupchat AS g (brand_id, corp_id, chat_id, name, owner_id, member_count, member_version,
                                     created_at, seen_run)
SELECT %(brand)s, %(corp)s, chat_id, name, owner_id, member_count, member_version, created_at, %(run)s
FROM json_to_recordset(%(rows)s) AS r (chat_id text, name text, owner_id bigint, member_count int,
     member_version text, created_at timestamptz)
ORDER BY chat_id
ON CONFLICT (brand_id, corp_id, chat_id) DO UPDATE SET
    name = EXCLUDED.name, owner_id = EXCLUDED.owner_id, member_count = EXCLUDED.member_count,
    member_version = EXCLUDED.member_version, created_at = EXCLUDED.created_at, dismissed_at = NULL,
    seen_run = GREATEST(g.seen_run, EXCLUDED.seen_run)
RETURNING chat_id, id
"""

MEMBERS = """
INSERT INTO contacts_groupmember AS m (brand_id, chat_id, member_id, kind, contact_id, joined_at, join_scene)
SELECT %(brand)s, chat, member_id, kind, contact_id, joined_at, join_scene
FROM json_to_recordset(%(rows)s) AS r (chat bigint, member_id text, kind smallint, contact_id bigint,
     joined_at timestamptz, join_scene int)
ORDER BY chat, member_id
ON CONFLICT (brand_id, chat_id, member_id) DO UPDATE SET
    kind = EXCLUDED.kind, contact_id = COALESCE(EXCLUDED.contact_id, m.contact_id), joined_at = EXCLUDED.joined_at,
    join_scene = EXCLUDED.join_scene, left_at = NULL
WHERE (m.kind, m.joined_at, m.join_scene) IS DISTINCT FROM (EXCLUDED.kind, EXCLUDED.joined_at, EXCLUDED.join_scene)
   OR m.left_at IS NOT NULL OR EXCLUDED.contact_id IS DISTINCT FROM m.contact_id
"""

Known = tuple[str, str, str, int]
"""name, owner's userid, member_version and number of members, as our row of a group has them"""
Place = tuple[int, str]
"""(our number of the group, member_id)"""


def known(*, corp: Corp, chat_ids: Collection[str], lock: bool = False) -> dict[str, Known]:
    """What we know of these groups, of those that live. Scoped; `lock`: nobody else writes them until its end.

    Who reads groups from WeCom compares it from before and after: a row that changed meanwhile is newer than what was
    read, and is left as it is."""
    rows = GroupChat.objects.filter(corp=corp, chat_id__in=chat_ids, dismissed_at=None).order_by("chat_id")
    rows = rows.select_for_update(of=("self",)) if lock else rows
    told = rows.values_list("chat_id", "name", "owner__userid", "member_version", "member_count")
    return {chat_id: (name, owner or "", version, count) for chat_id, name, owner, version, count in told}


def store(*, corp: Corp, groups: Sequence[GroupDetail], at: datetime, run_id: int = 0, announce: bool = True) -> int:
    """Write groups as WeCom shows them, with their members; whoever is no longer listed has left. Scoped.

    A handful of statements however many groups. `announce`: write group_joined and group_left for contacts.
    How many members were written. Repeating it changes nothing."""
    if not groups:
        return 0
    chats = _store_chats(corp, groups, run_id=run_id)
    contacts = _contacts(corp, groups, at=at)
    listed: dict[Place, dict[str, Any]] = {}
    for group in groups:
        for member in group.members:
            chat = chats[group.chat_id]
            listed[chat, member.userid] = {
                "chat": chat,
                "member_id": member.userid,
                "kind": member.kind,
                "contact_id": contacts.get(member.userid) if member.kind == EXTERNAL else None,
                "joined_at": member.joined_at or group.created_at or at,
                "join_scene": member.join_scene,
            }
    there = _there_now(chats.values())
    execute(MEMBERS, brand=corp.brand_id, rows=as_json(listed.values()))
    left = [place for place in there if place not in listed]
    _leave(left, at=at)
    if announce:
        spelled = {number: chat_id for chat_id, number in chats.items()}
        came = [
            ("group_joined", place, row["contact_id"], row["joined_at"])
            for place, row in listed.items()
            if place not in there
        ]
        went = [("group_left", place, there[place], at) for place in left]
        _announce(came + went, spelled, brand_id=corp.brand_id, at=at)
    return len(listed)


def dismiss(*, corp: Corp, chat_ids: Iterable[str], at: datetime) -> int:
    """These groups are no more; their members are out of them. Scoped. Nobody left by their own will, so no event."""
    gone = execute(
        """UPDATE contacts_groupchat SET dismissed_at = %(at)s
           WHERE brand_id = %(brand)s AND corp_id = %(corp)s AND chat_id = ANY (%(ids)s) AND dismissed_at IS NULL
           RETURNING id""",
        at=at,
        brand=corp.brand_id,
        corp=corp.id,
        ids=list(chat_ids),
    )
    if gone:
        execute(
            """UPDATE contacts_groupmember SET left_at = %(at)s
               WHERE brand_id = %(brand)s AND chat_id = ANY (%(ids)s) AND left_at IS NULL""",
            at=at,
            brand=corp.brand_id,
            ids=[chat for (chat,) in gone],
        )
    return len(gone)


def link_members(*, corp: Corp, fresh: Mapping[Key, int], at: datetime, announce: bool = True) -> None:
    """Give group members who have just become somebody we know their contact. Scoped.

    `announce`: write group_joined of those who joined lately, as for everything else that a person did before we knew
    them, or before we were told that we do."""
    prefix = f"{corp.corpid}:"
    rows = [
        {"member": value.removeprefix(prefix), "contact": contact}
        for (type_, value), contact in fresh.items()
        if type_ == Identity.Type.EXTERNAL_USERID and value.startswith(prefix)
    ]
    if not rows:
        return
    linked = execute(
        """UPDATE contacts_groupmember m SET contact_id = r.contact
           FROM json_to_recordset(%(rows)s) AS r (member text, contact bigint), contacts_groupchat g
           WHERE m.brand_id = %(brand)s AND m.member_id = r.member AND m.contact_id IS NULL AND m.kind = 2
             AND g.brand_id = %(brand)s AND g.id = m.chat_id AND g.corp_id = %(corp)s
           RETURNING g.chat_id, m.chat_id, m.member_id, m.contact_id, m.joined_at, m.left_at IS NULL""",
        brand=corp.brand_id,
        corp=corp.id,
        rows=as_json(rows),
    )
    if announce:
        came = [
            ("group_joined", (chat, member), contact, joined_at)
            for _spelled, chat, member, contact, joined_at, is_there in linked
            if is_there
        ]
        _announce(came, {row[1]: row[0] for row in linked}, brand_id=corp.brand_id, at=at)


def _store_chats(corp: Corp, groups: Sequence[GroupDetail], *, run_id: int) -> dict[str, int]:
    """Our numbers of the groups."""
    userids = {group.owner for group in groups}
    owners = dict(Staff.objects.filter(corp=corp, userid__in=userids).values_list("userid", "id"))
    rows = [
        {
            "chat_id": group.chat_id,
            "name": clean(group.name, 200),
            "owner_id": owners.get(group.owner),
            "member_count": len(group.members),
            "member_version": clean(group.version, 64),
            "created_at": group.created_at,
        }
        for group in groups
    ]
    return dict(execute(CHATS, brand=corp.brand_id, corp=corp.id, run=run_id, rows=as_json(rows)))


def _contacts(corp: Corp, groups: Sequence[GroupDetail], *, at: datetime) -> dict[str, int]:
    """The contacts among the external members, by member id. A member who is nobody's customer does not become one,
    but one known by unionid alone is then known by external_userid too."""
    people: dict[str, tuple[Key, ...]] = {}
    for member in (member for group in groups for member in group.members if member.kind == EXTERNAL):
        key = (Identity.Type.EXTERNAL_USERID.value, canonical("external_userid", member.userid, scope=corp.corpid))
        people[member.userid] = (key, (Identity.Type.UNIONID.value, member.unionid)) if member.unionid else (key,)
    known = resolve(key for keys in people.values() for key in keys)
    # Known by one of two, or as two contacts: then somebody learns something.
    half = [keys for keys in people.values() if 0 < sum(key in known for key in keys) < len(keys)]
    half += [keys for keys in people.values() if len({known.get(key) for key in keys} - {None}) > 1]
    if half:
        attach(claims=[Claim(keys) for keys in half], at=at)
        known = resolve(key for keys in people.values() for key in keys)
    return {each: known[keys[0]] for each, keys in people.items() if keys[0] in known}


def _there_now(chats: Iterable[int]) -> dict[Place, int | None]:
    """Who is in these groups by our rows, and their contacts."""
    found = execute(
        """SELECT chat_id, member_id, contact_id FROM contacts_groupmember
           WHERE brand_id = current_setting('orchard.brand_id')::bigint AND chat_id = ANY (%(ids)s)
             AND left_at IS NULL""",
        ids=list(chats),
    )
    return {(chat, member): contact for chat, member, contact in found}


def _leave(places: Sequence[Place], *, at: datetime) -> None:
    if places:
        execute(
            """UPDATE contacts_groupmember m SET left_at = %(at)s
               FROM json_to_recordset(%(rows)s) AS r (chat bigint, member text)
               WHERE m.brand_id = current_setting('orchard.brand_id')::bigint AND m.chat_id = r.chat
                 AND m.member_id = r.member""",
            at=at,
            rows=as_json({"chat": chat, "member": member} for chat, member in places),
        )


def _announce(
    moves: Sequence[tuple[str, Place, int | None, datetime]],
    spelled: Mapping[int, str],
    *,
    brand_id: int,
    at: datetime,
) -> None:
    """Events of those members who are contacts."""
    events = [
        log.NewEvent(
            type=type_,
            occurred_at=moment,
            id=made_id(brand_id, type_, place[0], contact, int(moment.timestamp())),
            contact_id=contact,
            props={"chat_id": spelled[place[0]]},
            source="wecom",
        )
        for type_, place, contact, moment in moves
        if contact and moment >= at - NEWS
    ]
    log.write(events, at=at)


def unread(*, corp: Corp, run_id: int, limit: int) -> list[str]:
    """Chat ids that the run has listed but not yet read. Scoped."""
    waiting = GroupChat.objects.filter(corp=corp, dismissed_at=None).exclude(seen_run=run_id)
    return list(waiting.order_by("id").values_list("chat_id", flat=True)[:limit])
