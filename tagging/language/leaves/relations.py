"""Conditions on whom the contact knows: guides, their stores."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError, Text
from tagging.language import changes, params
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, exists

OPS = (("has", gettext_lazy("是好友")), ("has_not", gettext_lazy("不是好友")))
LIVE = (
    (True, gettext_lazy("现在是好友")),
    (False, gettext_lazy("曾是好友，已删除")),
    ("any", gettext_lazy("现在或曾经")),
)
SHOWN = 10


class FollowedBy(Condition):
    """{"kind": "follow", "guide": 3 or [3, 4], "store": 2, "state": "code-1", "live": true, "op": "has"}.

    What is said must hold of one and the same friendship; nothing said: of any."""

    kind = "follow"
    label = gettext_lazy("好友关系")
    group = "relation"
    null_rule = gettext_lazy("默认只看现在的好友关系；门店是导购现在所属的门店。")
    params = (
        Param("guide", gettext_lazy("导购"), "staff", many=True),
        Param("store", gettext_lazy("门店"), "store", many=True),
        Param("state", gettext_lazy("来源"), "text", many=True),
        Param("live", gettext_lazy("关系"), "any", choices=LIVE, default=True),
        Param("op", gettext_lazy("比较"), "choice", choices=OPS, default="has"),
    )

    def past_note(self, leaf: Leaf) -> Text:
        """Where a guide worked is not kept."""
        return "" if leaf.get("store") is None else _("导购当时在哪家门店没有记录，按现在的门店判断。")

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """`live` is true, false or "any"."""
        live = leaf.get("live")
        if live is not None and not isinstance(live, bool) and live != "any":
            yield FieldError(
                f"{path}.live",
                "tagging.unknown_choice",
                _("live 不能是 %(value)s。") % {"value": params.shown(live)},
                _('填 true（现在）、false（已删除）或 "any"（都算）。'),
            )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the friendships."""
        made = [
            Sql("f.brand_id = %s", (frame.brand_id,)),
            Sql(f"f.contact_id = {frame.alias}.id"),
            *frame.in_range("f.contact_id"),
        ]
        live = leaf.get("live", True)
        if live is not None and live != "any":
            made.append(Sql("f.lost_at IS NULL" if live else "f.lost_at IS NOT NULL"))
        if leaf.get("guide") is not None:
            made.append(Sql("f.staff_id = ANY (%s::bigint[])", (params.values(leaf["guide"]),)))
        if leaf.get("state") is not None:
            made.append(Sql("f.state = ANY (%s::text[])", (params.values(leaf["state"]),)))
        if leaf.get("store") is not None:
            made.append(
                Sql(
                    "f.staff_id = ANY (ARRAY(SELECT w.id FROM contacts_staff w"
                    " WHERE w.brand_id = %s AND w.store_id = ANY (%s::bigint[])))",
                    (frame.brand_id, params.values(leaf["store"])),
                )
            )
        follows = frame.source("contacts_follow")
        found = exists(Sql(f"{follows.text} f", follows.params), made)
        return ~found if leaf.get("op") == "has_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's friendships; where a guide works is looked at when the contact is."""
        return changes.by_sources("follow")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """Never by time alone."""
        return None

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The contact's friendships, latest first: [{staff_id, guide, store, state, added_at, lost_at}], or null."""
        follows = frame.source("contacts_follow")
        return Sql(
            "(SELECT jsonb_agg(to_jsonb(x)) FROM (SELECT f.staff_id, w.name AS guide, s.name AS store, f.state,"  # noqa: S608
            f" f.added_at, f.lost_at FROM {follows.text} f"
            " JOIN contacts_staff w ON w.brand_id = f.brand_id AND w.id = f.staff_id"
            " LEFT JOIN contacts_store s ON s.brand_id = w.brand_id AND s.id = w.store_id"
            f" WHERE f.brand_id = %s AND f.contact_id = {frame.alias}.id"
            f" ORDER BY f.lost_at IS NULL DESC, f.added_at DESC, f.staff_id LIMIT {SHOWN}) x)",
            (*follows.params, frame.brand_id),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """小林（静安店）、小陈（已删除）."""
        if not actual:
            return _("没有好友关系")
        said = []
        for follow in actual:
            note = _("已删除") if follow["lost_at"] else follow["store"]
            said.append(follow["guide"] + (_("（%(parts)s）") % {"parts": note} if note else ""))
        return _("、").join(said)

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """是导购 小林 的好友."""
        parts = []
        if leaf.get("guide") is not None:
            parts.append(_("导购 %(names)s") % {"names": names.of("staff", leaf["guide"])})
        if leaf.get("store") is not None:
            parts.append(_("门店 %(names)s") % {"names": names.of("store", leaf["store"])})
        if leaf.get("state") is not None:
            parts.append(_("来源 %(names)s") % {"names": _("、").join(params.values(leaf["state"]))})
        whom = _("，").join(parts) or _("任一导购")
        live, has_not = leaf.get("live", True), leaf.get("op") == "has_not"
        if live is False:
            said = _("没有删除过好友（%(whom)s）") if has_not else _("曾是好友，已删除（%(whom)s）")
        elif live == "any":
            said = _("从未是好友（%(whom)s）") if has_not else _("现在或曾经是好友（%(whom)s）")
        else:
            said = _("不是好友（%(whom)s）") if has_not else _("是好友（%(whom)s）")
        return said % {"whom": whom}
