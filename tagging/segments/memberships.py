"""Who is in a segment: how it is kept up to date, who is in now, and who was when and why. Scoped throughout.

realtime  computed when used; nobody is remembered
dynamic   kept up to date as things happen and as time passes; every stay is remembered with its reason
static    taken once from the conditions; changed by hand or by taking it again"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _

from contacts.models import Contact
from scrm.lib.errors import Conflict, FieldError, Invalid, found
from tagging.language import compiler, references
from tagging.language.conditions import Names
from tagging.models import Membership, Segment, SegmentFill
from tagging.segments import fills, flips, followers
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

MAX_BY_HAND = 500
Mode = Segment.Mode


@dataclass(frozen=True, slots=True)
class State:
    """How a segment stands: `seen` of `contacts` looked at by the first fill, done when `since` is set."""

    mode: str
    members: int
    since: datetime | None
    is_filling: bool
    share: float
    """of the contacts, how many the first fill has seen: 0 to 1"""


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay in words. `left_at` None: still in."""

    segment_id: int
    segment: str
    contact_id: int
    entered_at: datetime
    entered: str
    entered_reason: Mapping[str, Any]
    left_at: datetime | None
    left: str
    left_reason: Mapping[str, Any] | None


def set_mode(*, segment_id: int, mode: str, actor: Actor, at: datetime) -> Segment:
    """Choose how the segment is kept up to date; dynamic and static begin with a first fill. Audited.

    Setting static again takes its members anew. Raises Invalid for an unknown mode or a tree that cannot be dynamic,
    NotFound, Conflict for an archived segment."""
    if mode not in Mode.values:
        remedy = _("可选：%(choices)s。") % {"choices": _("、").join(Mode.values)}
        wrong = FieldError("mode", "tagging.unknown_choice", _("没有这种更新方式。"), remedy)
        raise Invalid(_("有字段不正确。"), errors=[wrong])
    segment = found(Segment.objects.filter(pk=segment_id).select_for_update(of=("self",)))
    if segment.archived_at is not None:
        raise Conflict(
            _("这个人群已归档。"), remedy=_("新建一个人群，或选择未归档的人群。"), code="tagging.segment_archived"
        )
    before = segment.mode
    if mode == Mode.DYNAMIC:
        _check_dynamic(segment.tree)
    if mode != before or mode == Mode.STATIC:
        segment.mode, segment.updated_at = mode, at
        segment.save(update_fields=["mode", "updated_at"])
        if mode == Mode.REALTIME:
            fills.end(segment, at=at)
        else:
            fills.begin(segment, at=at)
        if Mode.STATIC in (mode, before) and mode != before:
            # Who names a static segment means its list, and not its conditions.
            _ask_anew(segment, at=at)
        audit.record(
            actor=actor,
            action="segment.mode",
            object_type="segment",
            object_id=segment.pk,
            before={"mode": before},
            after={"mode": mode},
            at=at,
        )
    return segment


def tree_changed(segment: Segment, *, at: datetime) -> None:
    """The segment's tree has changed: it, and whoever asks about it, is looked at anew. Static ones keep their members.

    Called by segments.save, after the new tree is stored."""
    if segment.mode == Mode.DYNAMIC:
        fills.begin(segment, at=at)
    _ask_anew(segment, at=at)


def check_change(segment: Segment, tree: Any) -> None:
    """Whether a segment that is followed may have this tree. Called by segments.save, before it is stored.

    Raises Invalid for one that would follow itself."""
    if segment.mode == Mode.DYNAMIC or _dynamic_asking(segment):
        _check_dynamic(tree)
    for follower in followers.all_of_them():
        if any(_asks(named, segment) for _name, named in follower.trees()):
            wrong = follower.refused(tree, "tree")
            if wrong:
                raise Invalid(_("生命周期阶段引用了这个人群。"), errors=wrong, code="tagging.invalid_condition")


def _dynamic_asking(segment: Segment) -> list[Segment]:
    dynamic = Segment.objects.filter(mode=Mode.DYNAMIC, archived_at=None).exclude(pk=segment.pk)
    return [other for other in dynamic if _asks(other.tree, segment)]


def _ask_anew(segment: Segment, *, at: datetime) -> None:
    """What is true of the segment is no longer: who asks about it, is looked at anew."""
    for each in _dynamic_asking(segment):
        fills.begin(each, at=at)
    for follower in followers.all_of_them():
        if any(_asks(tree, segment) for _name, tree in follower.trees()):
            follower.ask_anew(at=at)


def archived(segment: Segment, *, at: datetime) -> None:
    """An archived segment is followed no longer, and its members leave. Called by segments.archive."""
    fills.end(segment, at=at)


def add(*, segment_id: int, contact_ids: Collection[int], actor: Actor, at: datetime) -> int:
    """Put up to 500 contacts into a static segment by hand; how many came in. Audited.

    Numbers that are not the brand's contacts are passed over. Raises Invalid, NotFound."""
    return _by_hand(segment_id, contact_ids, enters=True, actor=actor, at=at)


def remove(*, segment_id: int, contact_ids: Collection[int], actor: Actor, at: datetime) -> int:
    """Take up to 500 contacts out of a static segment; how many left. Audited. Raises Invalid, NotFound."""
    return _by_hand(segment_id, contact_ids, enters=False, actor=actor, at=at)


def state(segment: Segment) -> State:
    """How many are in, and how far the first fill is. Counts the members."""
    return states([segment])[segment.pk]


def states(segments: Sequence[Segment]) -> dict[int, State]:
    """Segment id → how it stands. Counts the members: two queries for all, two more for each that is being filled."""
    fills_of = {fill.segment_id: fill for fill in SegmentFill.objects.filter(segment__in=segments, is_current=True)}
    inside = Membership.objects.filter(segment__in=fills_of, left_at=None).order_by()
    members = dict(inside.values_list("segment_id").annotate(n=Count("contact_id"))) if fills_of else {}
    return {each.pk: _stands(each, fills_of.get(each.pk), members.get(each.pk, 0)) for each in segments}


def _stands(segment: Segment, fill: SegmentFill | None, members: int) -> State:
    if segment.mode == Mode.REALTIME or fill is None:
        return State(segment.mode, 0, None, is_filling=False, share=0.0)
    if fill.ended_at is not None:
        return State(segment.mode, members, fill.began_at, is_filling=False, share=1.0)
    everybody = Contact.objects.count()
    seen = Contact.objects.filter(pk__lt=fill.next_contact).count()
    return State(segment.mode, members, None, is_filling=True, share=seen / everybody if everybody else 1.0)


def members(segment_id: int, *, limit: int = 50, after: int = 0) -> list[Contact]:
    """Contacts who are in now, by id, those after `after`."""
    ids = Membership.objects.filter(segment=segment_id, left_at=None, contact_id__gt=after)
    some = list(ids.order_by("contact_id").values_list("contact_id", flat=True)[:limit])
    by_id = Contact.objects.select_related("main_guide").in_bulk(some)
    return [by_id[key] for key in some if key in by_id]


def history(*, contact_id: int | None = None, segment_id: int | None = None, limit: int = 50) -> list[Stay]:
    """Stays of a contact, in a segment, or both; latest first. Reasons in words, in the active language."""
    rows = Membership.objects.select_related("segment")
    if contact_id is not None:
        rows = rows.filter(contact=contact_id)
    if segment_id is not None:
        rows = rows.filter(segment=segment_id)
    stays = list(rows.order_by("-entered_at", "segment_id", "contact_id")[:limit])
    words = _Words({row.segment_id for row in stays})
    return [
        Stay(
            row.segment_id,
            row.segment.name,
            row.contact_id,
            row.entered_at,
            words.of(row.segment_id, row.entered_version, row.entered_reason),
            row.entered_reason,
            row.left_at,
            words.of(row.segment_id, row.left_version, row.left_reason) if row.left_reason else "",
            row.left_reason,
        )
        for row in stays
    ]


def tree_of(segment: Segment) -> Any:
    """The tree that says who is in now: the segment's own, or for a static one, its list."""
    return {"kind": "segment", "segment_id": segment.pk} if segment.mode == Mode.STATIC else segment.tree


class _Words:
    """Reasons in words, each by the tree of its own version."""

    def __init__(self, segment_ids: Collection[int]) -> None:
        fills_ = SegmentFill.objects.filter(segment__in=segment_ids).order_by("number")
        self._trees = {(fill.segment_id, fill.version): fill.tree for fill in fills_}
        self._names = Names(references.names_of({"any": list(self._trees.values())})) if self._trees else Names()

    def of(self, segment_id: int, version: int | None, reason: Mapping[str, Any]) -> str:
        """`行为：近 7 天 有过 签到`."""
        said = {
            flips.EVENT: _("发生了行为"),
            flips.ROW: _("资料或标签有变化"),
            flips.TIME: _("时间到了"),
            flips.FILL: _("首次计算"),
            flips.VERSION: _("条件修改后重新计算"),
            flips.HAND: _("人工调整"),
        }.get(reason.get("cause", ""), "")
        tree = self._trees.get((segment_id, version or 0))
        leaves = dict(compiler.leaves_of(tree)) if tree else {}
        turned = zip(reason.get("leaves", []), reason.get("held", []), strict=False)
        named = [(leaves[path], held) for path, held in turned if path in leaves]
        if not named:
            return said
        sentences = _("；").join(
            (_("满足了「%(leaf)s」") if held else _("不再满足「%(leaf)s」"))
            % {"leaf": compiler.kind_of(leaf).sentence(leaf, self._names)}
            for leaf, held in named
        )
        return _("%(cause)s：%(leaves)s") % {"cause": said, "leaves": sentences}


def _check_dynamic(tree: Any) -> None:
    """Segments do not follow each other's events: that could go on for ever, and naming the segment says it better."""
    errors = [
        FieldError(
            path,
            "tagging.own_events",
            _("动态人群的条件不能看进入或离开人群的行为。"),
            _("用“属于人群”条件，或把更新方式改为用时计算。"),
        )
        for path, leaf in compiler.leaves_of(tree)
        if flips.OWN_EVENTS & (compiler.kind_of(leaf).touched_by(leaf).events or frozenset())
    ]
    if errors:
        raise Invalid(_("这个人群不能设为动态。"), errors=errors, code="tagging.invalid_condition")


def _asks(tree: Any, asked: Segment) -> bool:
    """Whether the tree names the segment, itself or by others that it names."""
    seen: set[int] = set()
    waiting = followers.segments_named(tree)
    while waiting:
        if asked.pk in waiting:
            return True
        seen |= waiting
        trees = Segment.objects.filter(pk__in=waiting).values_list("tree", flat=True)
        waiting = set().union(*(followers.segments_named(each) for each in trees)) - seen
    return False


def _by_hand(segment_id: int, contact_ids: Collection[int], *, enters: bool, actor: Actor, at: datetime) -> int:
    segment = found(Segment.objects.filter(pk=segment_id).select_for_update(of=("self",)))
    fill = SegmentFill.objects.filter(segment=segment, is_current=True).select_related("segment").first()
    if segment.mode != Mode.STATIC or fill is None:
        raise Invalid(
            _("只有静态人群可以人工增减成员。"), remedy=_("把更新方式改为静态，或修改条件。"), code="tagging.not_static"
        )
    if len(contact_ids) > MAX_BY_HAND:
        raise Invalid(_("一次最多 %(n)d 位客户。") % {"n": MAX_BY_HAND}, remedy=_("分几次提交。"))
    flips.hold(current_brand_id())
    known = Contact.objects.filter(pk__in=contact_ids).values_list("pk", flat=True)
    inside = set(
        Membership.objects.filter(segment=segment, left_at=None, contact__in=contact_ids).values_list(
            "contact_id", flat=True
        )
    )
    some = [pk for pk in known if pk not in inside] if enters else sorted(inside)
    reason = {"cause": flips.HAND, "leaves": [], "why": actor.id}
    flips.write(fill, [flips.Flip(pk, enters, at, reason, is_told=True) for pk in some], at=at)
    audit.record(
        actor=actor,
        action="segment.members",
        object_type="segment",
        object_id=segment.pk,
        after={"entered" if enters else "left": some},
        at=at,
    )
    return len(some)
