"""Conditions on tags. A tag past its expires_at counts as gone, swept or not."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError
from tagging.language import changes, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names, Reference
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, among, exists

OPS = (("has", gettext_lazy("有该标签")), ("has_not", gettext_lazy("没有该标签")))


class HasTag(Condition):
    """{"kind": "tag", "tag_id": 7 or [7, 8], "op": "has"}, or "tag": "兴趣·婴童"; with a window: given within it."""

    kind = "tag"
    label = gettext_lazy("标签")
    group = "tag"
    null_rule = gettext_lazy("过期的标签从过期那一刻起算没有。")
    params = (
        Param("tag_id", gettext_lazy("标签"), "tag", many=True),
        Param("tag", gettext_lazy("标签名"), "text", many=True),
        Param("op", gettext_lazy("比较"), "choice", choices=OPS, default="has"),
        *windows.PARAMS,
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """Exactly one of tag_id and tag."""
        if (leaf.get("tag_id") is None) == (leaf.get("tag") is None):
            yield FieldError(
                f"{path}.tag_id",
                "tagging.missing_field",
                _("要写 tag_id 或 tag 中的一个。"),
                _("写标签的 id，或名称“分组·名称”。"),
            )
        yield from windows.check(leaf, path)

    def references(self, leaf: Leaf) -> Iterator[Reference]:
        """Tags by id or by name."""
        field = "tag" if leaf.get("tag_id") is None else "tag_id"
        for value in params.values(leaf[field]):
            yield Reference("tag", value, field)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the live tags."""
        made = [*_live(frame), _of_tags(leaf, frame)]
        if windows.is_said(leaf):
            made += windows.inside("t.given_at", frame.window(leaf))
        found = exists(_tags(frame), made)
        return ~found if leaf.get("op") == "has_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's tags."""
        return changes.by_sources("tag")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the first of the tags runs out, or was given too long ago. (An expired tag is gone at that moment.)"""
        where = all_of([*_live(frame), _of_tags(leaf, frame)])
        flip = changes.row_flip(leaf, frame, "t.given_at")
        return Sql(
            f"(SELECT min(least(t.expires_at, {flip.text})) FROM tagging_contacttag t WHERE {where.text})",  # noqa: S608
            (*flip.params, *where.params),
        )

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The live tags of those asked for: [{tag_id, given_at, source, expires_at, evidence}], or null."""
        where, tags = all_of([*_live(frame), _of_tags(leaf, frame)]), _tags(frame)
        return Sql(
            "(SELECT jsonb_agg(jsonb_build_object('tag_id', t.tag_id, 'given_at', t.given_at, 'source', t.source,"  # noqa: S608
            " 'expires_at', t.expires_at, 'evidence', t.evidence) ORDER BY t.given_at DESC)"
            f" FROM {tags.text} WHERE {where.text})",
            (*tags.params, *where.params),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """有，2026-11-20 12:00 打上."""
        if not actual:
            return _("没有")
        return _("有，%(at)s 打上") % {"at": windows.local_text(actual[0]["given_at"], zone)}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """有标签 兴趣·婴童; 近 7 天 打上标签 …."""
        tags = names.of("tag", leaf["tag"] if leaf.get("tag_id") is None else leaf["tag_id"])
        has_not = leaf.get("op") == "has_not"
        if windows.is_said(leaf):
            said = _("%(window)s 没有打上标签 %(tags)s") if has_not else _("%(window)s 打上标签 %(tags)s")
            return said % {"window": windows.phrase(leaf), "tags": tags}
        return (_("没有标签 %(tags)s") if has_not else _("有标签 %(tags)s")) % {"tags": tags}


def _tags(frame: Frame) -> Sql:
    table = frame.source("tagging_contacttag")
    return Sql(f"{table.text} t", table.params)


def _live(frame: Frame) -> list[Sql]:
    return [
        Sql("t.brand_id = %s", (frame.brand_id,)),
        Sql(f"t.contact_id = {frame.alias}.id"),
        *frame.in_range("t.contact_id"),
        Sql("(t.expires_at IS NULL OR t.expires_at > %s)", (frame.at,)),
    ]


def _of_tags(leaf: Leaf, frame: Frame) -> Sql:
    if leaf.get("tag_id") is not None:
        return among("t.tag_id", params.values(leaf["tag_id"]), "bigint")
    # A brand has some hundreds of tags: finding one by its shown name is a glance, not a scan worth an index.
    return Sql(
        "t.tag_id = ANY (ARRAY(SELECT g.id FROM tagging_tag g WHERE g.brand_id = %s AND"
        " CASE WHEN g.\"group\" = '' THEN g.name ELSE g.\"group\" || '·' || g.name END = ANY (%s::text[])))",
        (frame.brand_id, params.values(leaf["tag"])),
    )
