"""The brand's own lifecycle: ordered stages, each with a condition; a contact is in the first that holds.

A brand that has defined no stages has none kept: its segments ask the built-in ones (leaves.lifecycle), and nothing
is written. Once it has, every contact has one open spell (`tagging.rules.spells` keeps them), and the matrix says who
moved from where to where."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError, Invalid, Text
from tagging.language import compiler, nesting
from tagging.language.leaves.lifecycle import STAGES as BUILT_IN
from tagging.language.params import is_clean_text
from tagging.models import LifecycleSpell, LifecycleStage, TagRun
from tagging.segments import segments
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

MOST_STAGES = 12
KEY = re.compile(r"[a-z][a-z0-9_]{0,29}")
NEWCOMERS, FIRST, REPLACED = "-", "*", "~"
"""in the matrix, where contacts come from who have not moved; no stage's key looks like this"""
WON_BACK: dict[str, Any] = {
    "all": [
        {"kind": "lost", "op": "is_not"},
        {"kind": "event", "event": "friend_lost", "agg": "count", "op": "gte", "value": 1},
        {"kind": "event", "event": "friend_added", "agg": "count", "op": "gte", "value": 1, "days": 30},
    ]
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage as an operator writes it."""

    key: str
    name: str
    tree: Any


def defaults() -> list[Stage]:
    """What a brand begins with: today's built-in stages, and won back before them."""
    order = ("lost", "visitor", "new", "active", "silent")
    names = dict(BUILT_IN)
    built_in = [Stage(key, str(names[key]), {"kind": "lifecycle", "stage": key}) for key in order]
    return [built_in[0], Stage("won_back", _("赢回"), WON_BACK), *built_in[1:]]


def stages() -> list[LifecycleStage]:
    """The brand's, in order; none if it keeps none. Scoped."""
    return list(LifecycleStage.objects.order_by("position"))


def labels() -> dict[str, Text]:
    """Key → name of the brand's stages, with "" for contacts whom no rule fits. Scoped."""
    return {stage.key: stage.name for stage in stages()} | {"": gettext_lazy("未归类")}


def save(*, wanted: Sequence[Stage], actor: Actor, at: datetime) -> list[LifecycleStage]:
    """Put these stages in the place of the present ones, and begin to look at everybody anew. Scoped; audited.

    No stages: the lifecycle is no longer kept; whoever is in one leaves it, and the history stays.
    Raises Invalid (`stages[2].tree.all[0].days`)."""
    _check(wanted)
    before = [{"key": stage.key, "name": stage.name, "tree": stage.tree} for stage in stages()]
    LifecycleStage.objects.all().delete()
    made = [
        LifecycleStage(position=position, key=stage.key, name=stage.name.strip(), tree=stage.tree, created_at=at)
        for position, stage in enumerate(wanted)
    ]
    LifecycleStage.objects.bulk_create(made)
    audit.record(
        actor=actor,
        action="lifecycle.save",
        object_type="lifecycle",
        object_id=0,
        before={"stages": before},
        after={"stages": [{"key": stage.key, "name": stage.name, "tree": stage.tree} for stage in wanted]},
        at=at,
    )
    place_anew(began_by=actor.id, at=at)
    return made


def place_anew(*, began_by: str, at: datetime) -> None:
    """Begin to look at everybody by the stages as they are now; without stages, to end what is open. Scoped."""
    TagRun.objects.filter(kind=TagRun.Kind.LIFECYCLE, finished_at=None).update(finished_at=at)
    TagRun.objects.create(kind=TagRun.Kind.LIFECYCLE, at=at, began_by=began_by)


def matrix(*, start: datetime, end: datetime) -> dict[tuple[str, str], int]:
    """(where from, stage at `end`) → contacts; column by column all who are there at `end`. Scoped.

    Where from is the stage at `start`, or what kept the contact from having moved: NEWCOMERS came after `start`, FIRST
    were there but had not been placed yet, REPLACED had their stage changed by changed stages in between. M[i, j], the
    share of those in i who moved to j, is the count divided by the sum of row i."""
    rows = _rows(
        """
        SELECT CASE WHEN a.stage IS NULL AND p.is_first THEN %(first)s WHEN a.stage IS NULL THEN %(new)s
                    WHEN p.is_first OR p.is_replaced THEN %(replaced)s ELSE a.stage END, b.stage, count(*)
        FROM tagging_lifecyclespell b
        JOIN contacts_contact c ON c.brand_id = b.brand_id AND c.id = b.contact_id
        LEFT JOIN tagging_lifecyclespell a ON a.brand_id = b.brand_id AND a.contact_id = b.contact_id
          AND a.since <= %(start)s AND (a.until IS NULL OR a.until > %(start)s)
        LEFT JOIN (
            SELECT contact_id, bool_or(cause = 'first') AS is_first, bool_or(cause = 'rules') AS is_replaced
            FROM tagging_lifecyclespell
            WHERE brand_id = %(brand)s AND since > %(start)s AND since <= %(end)s AND cause IN ('first', 'rules')
            GROUP BY contact_id
        ) AS p ON p.contact_id = b.contact_id
        WHERE b.brand_id = %(brand)s AND b.since <= %(end)s AND (b.until IS NULL OR b.until > %(end)s)
        GROUP BY 1, 2
        """,
        {
            "brand": current_brand_id(),
            "start": start,
            "end": end,
            "first": FIRST,
            "new": NEWCOMERS,
            "replaced": REPLACED,
        },
    )
    return {(source, target): count for source, target, count in rows}


def counts() -> dict[str, int]:
    """Key of a stage → contacts in it now; "" for those whom none fits. Scoped."""
    rows = _rows(
        "SELECT s.stage, count(*) FROM tagging_lifecyclespell s"
        " JOIN contacts_contact c ON c.brand_id = s.brand_id AND c.id = s.contact_id"
        " WHERE s.brand_id = %s AND s.until IS NULL GROUP BY 1",
        [current_brand_id()],
    )
    return dict(rows)


def kept_since() -> datetime | None:
    """When the first spell began: before it the matrix knows nothing. Scoped."""
    return LifecycleSpell.objects.order_by("since").values_list("since", flat=True).first()


def _check(wanted: Sequence[Stage]) -> None:
    errors = []
    if len(wanted) > MOST_STAGES:
        errors.append(FieldError("stages", "tagging.out_of_range", _("最多 12 个阶段。"), _("合并一些阶段。")))
    seen: set[str] = set()
    for index, stage in enumerate(wanted):
        key = stage.key if isinstance(stage.key, str) else ""
        if not KEY.fullmatch(key) or key in seen:
            errors.append(
                FieldError(
                    f"stages[{index}].key",
                    "tagging.bad_name",
                    _("代号要是小写字母、数字和下划线，以字母开头，不能重复。"),
                    _("例如 won_back。"),
                )
            )
        seen.add(key)
        if not is_clean_text(stage.name) or len(stage.name) > 30 or not stage.name.strip():
            errors.append(
                FieldError(
                    f"stages[{index}].name", "tagging.bad_name", _("阶段的名称要有 1 到 30 个字符。"), _("例如“赢回”。")
                )
            )
        errors += _wrong_tree(stage, f"stages[{index}].tree")
    if errors:
        raise Invalid(_("阶段有 %(n)d 处不正确。") % {"n": len(errors)}, errors=errors, code="tagging.invalid_stages")


def _wrong_tree(stage: Stage, path: str) -> Sequence[FieldError]:
    try:
        compiler.validate(stage.tree, path=path)
        # Before it is asked whether a stage that it names is there: none may be named.
        if not (found := circular(stage.tree, path)):
            segments.check(stage.tree, path=path)
    except Invalid as wrong:
        return wrong.errors
    return found


def circular(tree: Any, path: str) -> list[FieldError]:
    """Where a valid tree of a stage asks for a stage, itself or by a segment that it names. Scoped."""
    return [
        FieldError(
            f"{place}.kind", "tagging.segment_cycle", _("阶段的条件不能再问阶段。"), _("改用“阶段（内置）”或别的条件。")
        )
        for place, leaf in compiler.leaves_of(tree, path)
        if any(inner["kind"] == "stage" for _path, inner in compiler.leaves_of(nesting.inlined(leaf)))
    ]


def _rows(sql: str, given: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall()
