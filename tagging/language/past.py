"""The tables that conditions read, as they were at a past moment: for explaining one contact, or a few.

What is read, and how far back it goes:
* the contact's own columns: `profile_changed` events undo later changes; last_active_at comes from the log;
* tags: a row that is there has been there since given_at; spells that ended are told by tag_given and tag_taken;
* friendships and groups: likewise, by friend_added and friend_lost, group_joined and group_left.
An expiry counts from its moment, whether or not it had been swept then. The log itself needs nothing: a reading of it
leaves out what was received later (Frame.known)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from contacts.activity import BY_THE_CONTACT
from tagging.language.sql import Sql


@dataclass(frozen=True, slots=True)
class Then:
    """A past moment: whose rows, of which contact, by what was known when."""

    brand_id: int
    alias: str
    """of contacts_contact in the statement"""
    at: datetime


COLUMNS = {
    # how the jsonb value v of each column is read
    "name": "coalesce({v} #>> '{{}}', '')",
    "avatar": "coalesce({v} #>> '{{}}', '')",
    "phone": "coalesce({v} #>> '{{}}', '')",
    "source_state": "coalesce({v} #>> '{{}}', '')",
    "gender": "({v} #>> '{{}}')::smallint",
    "kind": "({v} #>> '{{}}')::smallint",
    "first_added_at": "({v} #>> '{{}}')::timestamptz",
    "lost_at": "({v} #>> '{{}}')::timestamptz",
}


def source(table: str, then: Then) -> Sql:
    """A derived table of the same columns, for the contact then.alias."""
    return _SOURCES[table](then)


def contacts(then: Then, contact_ids: list[int]) -> Sql:
    """`contacts_contact` as it was, of these contacts only, under the same alias."""
    at = then.at
    columns = [_undone(name, form) for name, form in COLUMNS.items()]
    acts = "e.type = ANY (%s) OR starts_with(e.type, 'x_')"
    return Sql(
        f"(SELECT c.brand_id, c.id, c.created_at, c.main_guide_id, {', '.join(columns)},"  # noqa: S608 - our own text
        " (SELECT max(e.occurred_at) FROM events_event e WHERE e.brand_id = c.brand_id AND e.contact_id = c.id"
        f"   AND e.received_at <= %s AND e.fires AND ({acts})) AS last_active_at"
        f" FROM contacts_contact c WHERE c.brand_id = %s AND c.id = ANY (%s::bigint[])) {then.alias}",
        (
            *(value for name in COLUMNS for value in (name, at)),
            *(at, sorted(BY_THE_CONTACT)),
            *(then.brand_id, contact_ids),
        ),
    )


def _undone(name: str, form: str) -> str:
    """The column before the first change after the moment; without one, as it is."""
    value = (
        "coalesce((SELECT coalesce(e.props -> 'old', 'null') FROM events_event e WHERE e.brand_id = c.brand_id"  # noqa: S608
        " AND e.contact_id = c.id AND e.type = 'profile_changed' AND e.props ->> 'field' = %s AND e.occurred_at > %s"
        f" ORDER BY e.occurred_at, e.id LIMIT 1), to_jsonb(c.{name}))"
    )
    return f"{form.format(v=value)} AS {name}"


def _tags(then: Then) -> Sql:
    at, who = then.at, f"{then.alias}.id"
    return Sql(
        "(SELECT t.brand_id, t.contact_id, t.tag_id, t.source, t.given_at, t.expires_at, t.evidence"  # noqa: S608
        f" FROM tagging_contacttag t WHERE t.brand_id = %s AND t.contact_id = {who} AND t.given_at <= %s"
        " UNION ALL SELECT y.brand_id, y.contact_id, y.tag_id, y.source, y.occurred_at, NULL,"
        "   jsonb_build_object('event_ids', jsonb_build_array(y.id))"
        "   FROM (SELECT DISTINCT ON ((e.props ->> 'tag_id')::bigint) e.brand_id, e.contact_id, e.type, e.occurred_at,"
        "         e.id, (e.props ->> 'tag_id')::bigint AS tag_id, e.props ->> 'source' AS source"
        f"        FROM events_event e WHERE e.brand_id = %s AND e.contact_id = {who}"
        "         AND e.type IN ('tag_given', 'tag_taken') AND e.occurred_at <= %s"
        "         ORDER BY (e.props ->> 'tag_id')::bigint, e.occurred_at DESC, e.type) y"
        "   WHERE y.type = 'tag_given' AND NOT EXISTS (SELECT 1 FROM tagging_contacttag r"
        "         WHERE r.brand_id = y.brand_id AND r.contact_id = y.contact_id AND r.tag_id = y.tag_id"
        "           AND r.given_at <= %s))",
        (then.brand_id, at, then.brand_id, at, at),
    )


def _follows(then: Then) -> Sql:
    """Rows that began by then; of those that began anew later, what the last event before, or the next one, says.

    A friendship out of the first sync has no friend_added: that it is lost later tells that it was there."""
    at, who = then.at, f"{then.alias}.id"
    told = (
        "FROM events_event e WHERE e.brand_id = f.brand_id AND e.contact_id = f.contact_id"
        " AND e.type IN ('friend_added', 'friend_lost') AND e.props -> 'staff_id' = to_jsonb(f.staff_id)"
    )
    return Sql(
        "(SELECT f.brand_id, f.contact_id, f.staff_id, f.state, f.added_at,"  # noqa: S608
        " CASE WHEN f.lost_at <= %s THEN f.lost_at END AS lost_at"
        f" FROM contacts_follow f WHERE f.brand_id = %s AND f.contact_id = {who} AND f.added_at <= %s"
        " UNION ALL SELECT f.brand_id, f.contact_id, f.staff_id, coalesce(b.state, f.state),"
        " CASE WHEN b.type = 'friend_added' THEN b.occurred_at END,"
        " CASE WHEN b.type = 'friend_lost' THEN b.occurred_at END"
        " FROM contacts_follow f"
        f" LEFT JOIN LATERAL (SELECT e.type, e.occurred_at, e.props ->> 'state' AS state {told}"
        "   AND e.occurred_at <= %s ORDER BY e.occurred_at DESC LIMIT 1) b ON TRUE"
        f" LEFT JOIN LATERAL (SELECT e.type {told} AND e.occurred_at > %s ORDER BY e.occurred_at LIMIT 1) n ON TRUE"
        f" WHERE f.brand_id = %s AND f.contact_id = {who} AND f.added_at > %s"
        " AND (b.type IS NOT NULL OR n.type = 'friend_lost'))",
        (at, then.brand_id, at, at, at, then.brand_id, at),
    )


def _members(then: Then) -> Sql:
    """Likewise: whoever came back to a group has a row that knows of no time before, but the log does."""
    at, who = then.at, f"{then.alias}.id"
    told = (
        "FROM events_event e WHERE e.brand_id = m.brand_id AND e.contact_id = m.contact_id"
        " AND e.type IN ('group_joined', 'group_left') AND e.props ->> 'chat_id' = g.chat_id"
    )
    return Sql(
        "(SELECT m.brand_id, m.contact_id, m.chat_id, m.joined_at,"  # noqa: S608
        " CASE WHEN m.left_at <= %s THEN m.left_at END AS left_at FROM contacts_groupmember m"
        f" WHERE m.brand_id = %s AND m.contact_id = {who} AND m.joined_at <= %s"
        " UNION ALL SELECT m.brand_id, m.contact_id, m.chat_id,"
        " CASE WHEN b.type = 'group_joined' THEN b.occurred_at END,"
        " CASE WHEN b.type = 'group_left' THEN b.occurred_at END"
        " FROM contacts_groupmember m JOIN contacts_groupchat g ON g.brand_id = m.brand_id AND g.id = m.chat_id"
        f" LEFT JOIN LATERAL (SELECT e.type, e.occurred_at {told}"
        "   AND e.occurred_at <= %s ORDER BY e.occurred_at DESC LIMIT 1) b ON TRUE"
        f" LEFT JOIN LATERAL (SELECT e.type {told} AND e.occurred_at > %s ORDER BY e.occurred_at LIMIT 1) n ON TRUE"
        f" WHERE m.brand_id = %s AND m.contact_id = {who} AND m.joined_at > %s"
        " AND (b.type IS NOT NULL OR n.type = 'group_left'))",
        (at, then.brand_id, at, at, at, then.brand_id, at),
    )


_SOURCES: dict[str, Callable[[Then], Sql]] = {
    "tagging_contacttag": _tags,
    "contacts_follow": _follows,
    "contacts_groupmember": _members,
}
