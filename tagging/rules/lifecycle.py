"""The brand's own lifecycle: ordered stages, each with a condition; a contact is in the first that holds.

A brand that has defined no stages has none kept: its segments ask the built-in ones (leaves.lifecycle), and nothing
is written. Once it has, every contact has one open spell. A contact is looked at again when something happens to them,
when a moment comes at which time alone may change a stage (kept with the spell), and once in a while all are. A
change is an event, `lifecycle_changed` {from, to}; the first look, and a look after the rules were changed, write
spells but no events."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import log
from events.reactors import Batch, Reactor
from scrm.lib.errors import FieldError, Invalid, Text
from tagging.language import changes, compiler
from tagging.language.conditions import Frame
from tagging.language.leaves.lifecycle import STAGES as BUILT_IN
from tagging.language.params import is_clean_text
from tagging.language.sql import Sql
from tagging.models import LifecycleSpell, LifecycleStage, TagRun
from tagging.segments import segments
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

MOST_STAGES = 12
KEY = re.compile(r"[a-z][a-z0-9_]{0,29}")
OLDEST_TOLD = timedelta(days=1)
OWN = "lifecycle_changed"
SKIPPED = frozenset({OWN, "segment_entered", "segment_left"})
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

    No stages: the lifecycle is no longer kept; its history stays. Raises Invalid (`stages[2].tree.all[0].days`)."""
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
    TagRun.objects.filter(kind=TagRun.Kind.LIFECYCLE, finished_at=None).update(finished_at=at)
    if made:
        TagRun.objects.create(kind=TagRun.Kind.LIFECYCLE, at=at, began_by=actor.id)
    return made


def handle(batch: Batch) -> None:
    """Look at the contacts of a batch. Scoped."""
    look(contact_ids={row.contact_id for row in batch.rows if row.type not in SKIPPED}, at=batch.at)


REACTOR = Reactor("lifecycle", None, handle)


def look(
    *,
    at: datetime,
    contact_ids: Collection[int] | None = None,
    between: tuple[int, int] | None = None,
    is_told: bool = True,
) -> int:
    """Look at some contacts, or at all with ids of a range; returns how many changed their stage. Scoped.

    Whoever looks holds the brand's turn, so that what is written last is what was seen last."""
    kept = stages()
    if not kept or (contact_ids is not None and not contact_ids):
        return 0
    brand_id = current_brand_id()
    frame = Frame(brand_id=brand_id, at=at, within=between, singly=contact_ids is not None)
    stage, due = _stage_sql(kept, frame), _due_sql(kept, frame)
    if contact_ids is not None:
        who = Sql("c.id = ANY (ARRAY(SELECT unnest(%s::bigint[])))", (sorted(contact_ids),))
    else:
        first, last = between or (0, 2**63 - 1)
        who = Sql("c.id BETWEEN %s AND %s", (first, last))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [(_LOCK_SPACE << 40) + brand_id])
        cursor.execute(
            f"SELECT n.id, n.stage, n.due_at, s.stage, s.since, s.due_at FROM ("  # noqa: S608
            f" SELECT c.id, {stage.text} AS stage, {due.text} AS due_at FROM contacts_contact c"
            f" WHERE c.brand_id = %s AND {who.text}) AS n"
            " LEFT JOIN LATERAL (SELECT s.stage, s.since, s.due_at FROM tagging_lifecyclespell s"
            " WHERE s.brand_id = %s AND s.contact_id = n.id AND s.until IS NULL) AS s ON TRUE"
            " WHERE s.stage IS DISTINCT FROM n.stage OR s.due_at IS DISTINCT FROM n.due_at ORDER BY n.id",
            [*stage.params, *due.params, brand_id, *who.params, brand_id],
        )
        rows = cursor.fetchall()
    return _write(rows, brand_id=brand_id, at=at, is_told=is_told)


def look_at_due(*, at: datetime, limit: int = 2000) -> int:
    """Look at those whose moment has come; returns how many were looked at. Scoped."""
    due = LifecycleSpell.objects.filter(until=None, due_at__lte=at).order_by("due_at")
    ids = list(due.values_list("contact_id", flat=True)[:limit])
    if ids and not look(contact_ids=ids, at=at):
        # Of contacts who are hidden (merged, erased) nothing is seen: their moment is past for good.
        shown = {key for (key,) in _rows("SELECT id FROM contacts_contact WHERE id = ANY (%s)", [ids])}
        hidden = [key for key in ids if key not in shown]
        LifecycleSpell.objects.filter(until=None, contact_id__in=hidden).update(due_at=None)
    return len(ids)


def waits(*, at: datetime) -> bool:
    """Whether somebody's moment has come. Scoped."""
    return LifecycleSpell.objects.filter(until=None, due_at__lte=at).exists() and LifecycleStage.objects.exists()


def matrix(*, start: datetime, end: datetime) -> dict[tuple[str, str], int]:
    """(stage at `start`, stage at `end`) → contacts. Scoped. Who was not there at the start counts from "-".

    Contacts in i at the start are the sum of row i; M[i, j] is the count divided by it."""
    rows = _rows(
        """
        SELECT coalesce(a.stage, '-'), b.stage, count(*)
        FROM tagging_lifecyclespell b
        LEFT JOIN tagging_lifecyclespell a ON a.brand_id = b.brand_id AND a.contact_id = b.contact_id
          AND a.since <= %(start)s AND (a.until IS NULL OR a.until > %(start)s)
        WHERE b.brand_id = %(brand)s AND b.since <= %(end)s AND (b.until IS NULL OR b.until > %(end)s)
        GROUP BY 1, 2
        """,
        {"brand": current_brand_id(), "start": start, "end": end},
    )
    return {(source, target): count for source, target, count in rows}


def kept_since() -> datetime | None:
    """When the first spell began: before it the matrix knows nothing. Scoped."""
    return LifecycleSpell.objects.order_by("since").values_list("since", flat=True).first()


_LOCK_SPACE = 0x6C6966


def _stage_sql(kept: Sequence[LifecycleStage], frame: Frame) -> Sql:
    cases, params = [], []
    for stage in kept:
        compiler.validate(stage.tree, depth=compiler.STORED_DEPTH)
        condition = compiler.compiled(stage.tree, frame)
        cases.append(f"WHEN {condition.text} THEN %s")
        params += [*condition.params, stage.key]
    return Sql(f"(CASE {' '.join(cases)} ELSE '' END)", tuple(params))


def _due_sql(kept: Sequence[LifecycleStage], frame: Frame) -> Sql:
    leaves = [leaf for stage in kept for _path, leaf in compiler.leaves_of(stage.tree)]
    flips = [flip for leaf in leaves if (flip := compiler.kind_of(leaf).next_flip(leaf, frame)) is not None]
    return changes.earliest(flips) or Sql("NULL::timestamptz")


def _write(rows: Sequence[tuple[Any, ...]], *, brand_id: int, at: datetime, is_told: bool) -> int:
    """Rows: contact, stage and due as seen, stage, since and due as known."""
    changed = [row for row in rows if row[1] != row[3]]
    moments = [_moment(row, at) for row in changed]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tagging_lifecyclespell s SET due_at = n.due_at"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS n (id, due_at)"
            " WHERE s.brand_id = %s AND s.contact_id = n.id AND s.until IS NULL",
            [[row[0] for row in rows if row[1] == row[3]], [row[2] for row in rows if row[1] == row[3]], brand_id],
        )
        if not changed:
            return 0
        ids = [row[0] for row in changed]
        cursor.execute(
            "UPDATE tagging_lifecyclespell s SET until = n.moment, due_at = NULL"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS n (id, moment)"
            " WHERE s.brand_id = %s AND s.contact_id = n.id AND s.until IS NULL",
            [ids, moments, brand_id],
        )
        cursor.execute(
            "INSERT INTO tagging_lifecyclespell (brand_id, contact_id, since, stage, due_at)"
            " SELECT %s, n.id, n.moment, n.stage, n.due_at"
            " FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::timestamptz[])"
            " AS n (id, moment, stage, due_at) ORDER BY n.id ON CONFLICT DO NOTHING",
            [brand_id, ids, moments, [row[1] for row in changed], [row[2] for row in changed]],
        )
    if is_told:
        told = [(row[0], moment, row[3], row[1]) for row, moment in zip(changed, moments, strict=True) if row[4]]
        _tell(told, brand_id=brand_id, at=at)
    return len(changed)


def _moment(row: tuple[Any, ...], at: datetime) -> datetime:
    """When the stage changed: at the known moment if time alone did it, however late somebody looked."""
    _contact, _stage, _due, _known, since, known_due = row
    moment = at
    if known_due is not None and known_due <= at:
        moment = max(known_due, at - OLDEST_TOLD)
    if since is not None and moment <= since:
        moment = since + timedelta(microseconds=1)
    return moment


def _tell(told: Sequence[tuple[int, datetime, str, str]], *, brand_id: int, at: datetime) -> None:
    if not told:
        return
    log.write_select(
        select="SELECT made_id(concat_ws(':', %s::text, %s::text, n.id::text,"
        " extract(epoch FROM n.moment)::text)) AS id,"
        " n.moment AS occurred_at, %s::text AS type, n.id AS contact_id,"
        " jsonb_build_object('from', n.was, 'to', n.now) AS props"
        " FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[]) AS n (id, moment, was, now)",
        params=[brand_id, OWN, OWN, *(list(column) for column in zip(*told, strict=True))],
        at=at,
    )


def _check(wanted: Sequence[Stage]) -> None:
    errors = []
    if len(wanted) > MOST_STAGES:
        errors.append(FieldError("stages", "tagging.out_of_range", _("最多 12 个阶段。"), _("合并一些阶段。")))
    seen: set[str] = set()
    for index, stage in enumerate(wanted):
        if not isinstance(stage.key, str) or not KEY.fullmatch(stage.key) or stage.key in seen:
            errors.append(
                FieldError(
                    f"stages[{index}].key",
                    "tagging.bad_name",
                    _("代号要是小写字母、数字和下划线，以字母开头，不能重复。"),
                    _("例如 won_back。"),
                )
            )
        seen.add(stage.key)
        if not is_clean_text(stage.name) or len(stage.name) > 30 or not stage.name.strip():
            errors.append(
                FieldError(
                    f"stages[{index}].name", "tagging.bad_name", _("阶段的名称要有 1 到 30 个字符。"), _("例如“赢回”。")
                )
            )
        try:
            segments.check(stage.tree, path=f"stages[{index}].tree")
        except Invalid as wrong:
            errors += wrong.errors
        else:
            errors += _circular(stage, index)
    if errors:
        raise Invalid(_("阶段有 %(n)d 处不正确。") % {"n": len(errors)}, errors=errors, code="tagging.invalid_stages")


def _circular(stage: Stage, index: int) -> list[FieldError]:
    return [
        FieldError(
            f"{path}.kind", "tagging.segment_cycle", _("阶段的条件不能再问阶段。"), _("改用“阶段（内置）”或别的条件。")
        )
        for path, leaf in compiler.leaves_of(stage.tree, f"stages[{index}].tree")
        if leaf["kind"] == "stage"
    ]


def _rows(sql: str, given: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall()
