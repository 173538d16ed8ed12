"""Conditions on who the contact is known as, on other segments, and on chance."""

import hashlib
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.models import Identity
from scrm.lib.errors import FieldError, found
from tagging.language import changes, compiler, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, exists
from tagging.models import Segment

HAS = (("has", gettext_lazy("有")), ("has_not", gettext_lazy("没有")))
IN = (("in", gettext_lazy("在")), ("not_in", gettext_lazy("不在")))
SHARES = 10_000


class HasIdentity(Condition):
    """{"kind": "identity", "type": "unionid" or ["unionid", "phone"], "op": "has"}: known by one of these."""

    kind = "identity"
    label = gettext_lazy("身份")
    group = "profile"
    null_rule = gettext_lazy("只看有没有这种身份，不看它的值。")
    params = (
        Param(
            "type", gettext_lazy("身份类型"), "choice", required=True, many=True, choices=tuple(Identity.Type.choices)
        ),
        Param("op", gettext_lazy("比较"), "choice", choices=HAS, default="has"),
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the identities."""
        found = exists(
            "contacts_identity i",
            [
                Sql("i.brand_id = %s", (frame.brand_id,)),
                Sql(f"i.contact_id = {frame.alias}.id"),
                *frame.in_range("i.contact_id"),
                Sql("i.type = ANY (%s::text[])", (params.values(leaf["type"]),)),
                *_seen(frame),
            ],
        )
        return ~found if leaf.get("op") == "has_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's identities."""
        return changes.by_sources("identity")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """Never by time alone."""
        return None

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The types the contact is known by, with since when: {type: first_seen_at}; not the values."""
        where = all_of(
            [Sql("i.brand_id = %s", (frame.brand_id,)), Sql(f"i.contact_id = {frame.alias}.id"), *_seen(frame)]
        )
        return Sql(
            "(SELECT jsonb_object_agg(x.type, x.seen) FROM (SELECT i.type, min(i.first_seen_at) AS seen"  # noqa: S608
            f" FROM contacts_identity i WHERE {where.text} GROUP BY i.type) x)",
            where.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """unionid、手机号."""
        labels = dict(Identity.Type.choices)
        return _("、").join(str(labels.get(type_, type_)) for type_ in actual) if actual else _("没有身份")

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """有身份 unionid / 手机号."""
        labels = dict(Identity.Type.choices)
        types = " / ".join(str(labels[type_]) for type_ in params.values(leaf["type"]))
        return (_("没有身份 %(types)s") if leaf.get("op") == "has_not" else _("有身份 %(types)s")) % {"types": types}


def _seen(frame: Frame) -> list[Sql]:
    return [] if frame.known_at is None else [Sql("i.first_seen_at <= %s", (frame.known_at,))]


class InSegment(Condition):
    """{"kind": "segment", "segment_id": 7, "op": "in"}: the other segment's question, asked at the same moment."""

    kind = "segment"
    label = gettext_lazy("人群")
    group = "profile"
    null_rule = gettext_lazy("按那个人群现在的条件一起计算，不是某次的名单；固定名单的人群看名单。")
    params = (
        Param("segment_id", gettext_lazy("人群"), "segment", required=True),
        Param("op", gettext_lazy("比较"), "choice", choices=IN, default="in"),
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """The other tree's expression in this place; of a static segment, its list."""
        segment = frame.segment(leaf["segment_id"])
        made = _listed(segment, frame) if _is_static(segment) else compiler.compiled(segment.tree, frame)
        return ~made if leaf.get("op") == "not_in" else made

    def inner(self, leaf: Leaf, frame: Frame) -> Any:
        """The other segment's tree."""
        segment = frame.segment(leaf["segment_id"])
        return None if _is_static(segment) else segment.tree

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """What touches the other segment. Scoped."""
        segment = found(Segment.objects.filter(pk=leaf["segment_id"]))
        touched = changes.by_sources("segment")
        if not _is_static(segment):
            for _path, inner in compiler.leaves_of(segment.tree):
                touched |= compiler.kind_of(inner).touched_by(inner)
        return touched

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """The first moment of any of the other segment's leaves."""
        tree = self.inner(leaf, frame)
        if tree is None:
            return None
        flips = [compiler.kind_of(inner).next_flip(inner, frame) for _path, inner in compiler.leaves_of(tree)]
        return changes.earliest([flip for flip in flips if flip is not None])

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """Whether the contact is in it."""
        made = self.sql({**leaf, "op": "in"}, frame)
        return Sql(f"to_jsonb({made.text})", made.params)

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """在 / 不在."""
        return _("在这个人群里") if actual else _("不在这个人群里")

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """在人群 沉默 里."""
        said = _("不在人群 %(name)s 里") if leaf.get("op") == "not_in" else _("在人群 %(name)s 里")
        return said % {"name": names.of("segment", leaf["segment_id"])}


def _is_static(segment: Segment) -> bool:
    return segment.mode == Segment.Mode.STATIC


def _listed(segment: Segment, frame: Frame) -> Sql:
    return exists(
        "tagging_membership m",
        [
            Sql("m.brand_id = %s AND m.segment_id = %s", (frame.brand_id, segment.pk)),
            Sql(f"m.contact_id = {frame.alias}.id AND m.entered_at <= %s", (frame.at,)),
            *frame.in_range("m.contact_id"),
            Sql("(m.left_at IS NULL OR m.left_at > %s)", (frame.at,)),
        ],
    )


class Bucket(Condition):
    """{"kind": "bucket", "salt": "2026-q4", "lo": 0, "hi": 10}: from lo % up to, not including, hi % of all contacts.

    The same contacts each time; another salt draws others, unrelated."""

    kind = "bucket"
    label = gettext_lazy("随机分桶")
    group = "profile"
    null_rule = gettext_lazy("每位客户总在一个位置；同一个名称每次分到同样的人，换一个名称就重新分。")
    params = (
        Param("salt", gettext_lazy("分桶名称"), "text", required=True),
        Param("lo", gettext_lazy("从"), "int", required=True, maximum=100, unit="%"),
        Param("hi", gettext_lazy("到"), "int", required=True, maximum=100, unit="%"),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """lo < hi."""
        if leaf["lo"] >= leaf["hi"]:
            yield FieldError(
                f"{path}.hi",
                "tagging.out_of_range",
                _("从 %(lo)d%% 到 %(hi)d%% 没有人。") % {"lo": leaf["lo"], "hi": leaf["hi"]},
                _("让 hi 大于 lo，例如 0 到 10；包含 lo，不包含 hi。"),
            )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A hash of salt and id."""
        place = _place(leaf, frame)
        return Sql(
            f"({place.text} >= %s AND {place.text} < %s)",
            (*place.params, leaf["lo"] * 100, *place.params, leaf["hi"] * 100),
        )

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """By nothing."""
        return changes.NOTHING

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """Never."""
        return None

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The contact's place: 0 to 9999, hundredths of a per cent."""
        place = _place(leaf, frame)
        return Sql(f"to_jsonb({place.text})", place.params)

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """排在 37.21%."""
        return _("排在 %(place)s%%") % {"place": f"{actual / 100:.2f}"}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """随机分桶 2026-q4 的 0%–10%."""
        return _("随机分桶 %(salt)s 的 %(lo)d%%–%(hi)d%%") % {"salt": leaf["salt"], "lo": leaf["lo"], "hi": leaf["hi"]}


def place_of(*, salt: str, contact_id: int) -> int:
    """Where a contact stands in the drawing of that name: 0 to 9999. The same number as in SQL."""
    digest = hashlib.md5(f"{salt}:{contact_id}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % SHARES


def _place(leaf: Leaf, frame: Frame) -> Sql:
    return Sql(f"(('x' || left(md5(%s || ':' || {frame.alias}.id), 8))::bit(32)::bigint %% {SHARES})", (leaf["salt"],))


class InGroup(Condition):
    """{"kind": "group_member", "chat_id": 3 or [3, 4], "live": true, "op": "has", window}: is in a customer group.

    No chat_id: in any. With a window: joined within it. `live` false: was in it and left; "any": either."""

    kind = "group_member"
    label = gettext_lazy("客户群")
    group = "relation"
    null_rule = gettext_lazy("默认只看现在所在的群；已解散的群不算。")
    params = (
        Param("chat_id", gettext_lazy("客户群"), "group", many=True),
        *windows.PARAMS,
        Param(
            "live",
            gettext_lazy("关系"),
            "any",
            choices=(
                (True, gettext_lazy("现在在群里")),
                (False, gettext_lazy("曾在群里，已退出")),
                ("any", gettext_lazy("现在或曾经")),
            ),
            default=True,
        ),
        Param("op", gettext_lazy("比较"), "choice", choices=HAS, default="has"),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """`live` is true, false or "any"; the window possible."""
        live = leaf.get("live")
        if live is not None and not isinstance(live, bool) and live != "any":
            yield FieldError(
                f"{path}.live",
                "tagging.unknown_choice",
                _("live 不能是 %(value)s。") % {"value": params.shown(live)},
                _('填 true（现在）、false（已退出）或 "any"（都算）。'),
            )
        yield from windows.check(leaf, path)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the memberships."""
        made = [
            Sql("m.brand_id = %s", (frame.brand_id,)),
            Sql(f"m.contact_id = {frame.alias}.id"),
            *frame.in_range("m.contact_id"),
        ]
        live = leaf.get("live", True)
        if live is not None and live != "any":
            made.append(Sql("m.left_at IS NULL" if live else "m.left_at IS NOT NULL"))
        if leaf.get("chat_id") is not None:
            made.append(Sql("m.chat_id = ANY (%s::bigint[])", (params.values(leaf["chat_id"]),)))
        if windows.is_said(leaf):
            made += windows.inside("m.joined_at", frame.window(leaf))
        made.append(_undissolved(frame))
        members = frame.source("contacts_groupmember")
        found = exists(Sql(f"{members.text} m", members.params), made)
        return ~found if leaf.get("op") == "has_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's groups."""
        return changes.by_sources("group")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When a joining leaves the window."""
        if not windows.is_said(leaf):
            return None
        flip = changes.row_flip(leaf, frame, "m.joined_at")
        return Sql(
            f"(SELECT min({flip.text}) FROM contacts_groupmember m"  # noqa: S608
            f" WHERE m.brand_id = %s AND m.contact_id = {frame.alias}.id)",
            (*flip.params, frame.brand_id),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The contact's groups, latest first: [{chat_id, name, joined_at, left_at}], or null."""
        members = frame.source("contacts_groupmember")
        return Sql(
            "(SELECT jsonb_agg(to_jsonb(x)) FROM (SELECT m.chat_id, g.name, m.joined_at, m.left_at"  # noqa: S608
            f" FROM {members.text} m JOIN contacts_groupchat g ON g.brand_id = %s AND g.id = m.chat_id"
            f" WHERE m.brand_id = %s AND m.contact_id = {frame.alias}.id ORDER BY m.joined_at DESC LIMIT 10) x)",
            (*members.params, frame.brand_id, frame.brand_id),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """福利一群、福利二群（已退出）."""
        if not actual:
            return _("没有加入过客户群")
        return _("、").join(
            (row["name"] or f"#{row['chat_id']}") + (_("（已退出）") if row["left_at"] else "") for row in actual
        )

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """在客户群 福利一群 里; 近 7 天 加入 任一客户群."""
        chats = names.of("group", leaf["chat_id"]) if leaf.get("chat_id") is not None else _("任一客户群")
        live, has_not = leaf.get("live", True), leaf.get("op") == "has_not"
        if live is False:
            said = _("没有退出过 %(chats)s") if has_not else _("退出了 %(chats)s")
        elif live == "any":
            said = _("从未加入 %(chats)s") if has_not else _("加入过 %(chats)s")
        else:
            said = _("不在 %(chats)s 里") if has_not else _("在 %(chats)s 里")
        told = said % {"chats": chats}
        if not windows.is_said(leaf):
            return told
        return _("%(said)s（%(window)s 加入）") % {"said": told, "window": windows.phrase(leaf)}


def _undissolved(frame: Frame) -> Sql:
    until = "d.dismissed_at IS NOT NULL" if frame.known_at is None else "d.dismissed_at <= %s"
    gone = Sql(
        "m.chat_id = ANY (ARRAY(SELECT d.id FROM contacts_groupchat d WHERE d.brand_id = %s AND " + until + "))",  # noqa: S608
        (frame.brand_id, *(() if frame.known_at is None else (frame.known_at,))),
    )
    return ~gone
