"""Merging contacts and splitting them again.

A merge makes one contact (the loser) an alias of another (the survivor): what is the loser's follows by `followers`,
and a journal keeps what is needed to undo it. Splitting reads the journal, so that without changes in between every
row is as it was; rows made since go by the identity they carry, else they stay with the survivor. Merges of one
person are undone from the last to the first: to split an earlier one, later ones are taken back and done again.

Append-only books (points) are not rewritten: transfers move what is left, and move it back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from contacts import gone, profile_changes
from contacts.merging import rows
from contacts.merging.followers import followers, hold_turns
from contacts.merging.pairs import Pairs
from contacts.models import Contact, IdentityConflict, Merge, MergeMoved
from contacts.sets import as_array, as_json, execute
from contacts.settling import settle
from events import log
from scrm.lib.errors import Conflict, NotFound
from scrm.lib.ids import made_id
from tenants.actors import SYSTEM, Actor
from tenants.scope import current_brand_id

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('contacts.identity', %(brand)s))"
"""The brand's identity lock: who is who does not change under attach, merge and split."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One merge: `loser` becomes an alias of `survivor`."""

    survivor: int
    loser: int
    evidence: dict[str, Any] = field(default_factory=dict)


def merge(*, wanted: Sequence[Wanted], actor: Actor = SYSTEM, reason: str = "", at: datetime) -> list[int]:
    """Merge contacts, set-based; the numbers of the merges, in order. Scoped. A pair that is one already is left out.

    Numbers of merged contacts mean those they were merged into. Keep a call below some hundred pairs: it is one
    transaction. Raises NotFound for a number that is no contact."""
    if not wanted:
        return []
    brand = current_brand_id()
    _hold(brand)
    made: list[int] = []
    resolved = _resolved(wanted)
    with gone.shown():
        _lock(each for one in resolved for each in (one.survivor, one.loser))
    for round_ in _rounds(resolved):
        with gone.shown():
            ids = _write_merges(round_, actor=actor, reason=reason, at=at)
            pairs = Pairs(brand, ids, [one.loser for one in round_], [one.survivor for one in round_], at)
            _carry_out(pairs)
        _tell("contact_merged", pairs, at=at)
        made += ids
    _close_conflicts(at=at, actor=actor, contacts={one.survivor for one in resolved})
    return made


def split(*, merge_ids: Sequence[int], actor: Actor, reason: str = "", at: datetime) -> int:
    """Undo merges; how many were still in force. Scoped. Later merges of the same people stay in force.

    Raises NotFound for a number that is no merge, Conflict for one that was split before."""
    _hold(current_brand_id())
    found = {one.pk: one for one in Merge.objects.filter(pk__in=list(merge_ids))}
    if set(merge_ids) - found.keys():
        raise NotFound(_("没有这次合并。"))
    if any(one.split_at for one in found.values()):
        raise Conflict(_("这次合并已经拆分过了。"), remedy=_("刷新页面看现在的身份。"), code="merge.split")
    done = {merge.pk for merge in _undo_with_later(found, at=at)}
    Merge.objects.filter(pk__in=found).update(split_at=at, split_by=actor.label or actor.id, split_reason=reason)
    for layer in _layers([found[pk] for pk in sorted(found)]):
        _tell("contact_split", _pairs(layer, at=at), at=at)
    return len(done & found.keys())


def follow_up(*, merge_ids: Collection[int], at: datetime) -> None:
    """Carry over what was written to losers by transactions that did not know of the merge yet. Scoped; repeatable."""
    # Or a split between the look at the merges and what follows would be undone by halves.
    _hold(current_brand_id())
    with gone.shown():
        for layer in _layers(list(Merge.objects.filter(pk__in=merge_ids, split_at=None).order_by("pk"))):
            pairs = _pairs(layer, at=at)
            for follower in followers():
                follower.merge(pairs)


def follow_up_split(*, merge_ids: Collection[int], at: datetime) -> None:
    """Carry back what was written to survivors by transactions that did not know of the split yet and names an identity
    of the other. Scoped; repeatable. Those who are merged again since are left alone."""
    _hold(current_brand_id())
    apart = Merge.objects.filter(pk__in=merge_ids, split_at__isnull=False, loser__gone_at=None, survivor__gone_at=None)
    for layer in _layers(list(apart.order_by("pk"))):
        with gone.shown():
            _lock(each for one in layer for each in (one.survivor_id, one.loser_id))
            pairs = _pairs(layer, at=at)
            for follower in followers():
                follower.split(pairs)


def _carry_out(pairs: Pairs) -> None:
    with profile_changes.noted(pairs.survivors, at=pairs.at):
        rows.take_over(pairs)
        rows.hide(pairs)
        for follower in followers():
            follower.merge(pairs)
        settle(pairs.survivors)
        rows.note_after(pairs)


def _take_back(pairs: Pairs) -> None:
    with profile_changes.noted(pairs.survivors, at=pairs.at):
        rows.show(pairs)
        for follower in followers():
            follower.split(pairs)
        rows.give_back(pairs)
        settle([*pairs.survivors, *pairs.losers])
        MergeMoved.objects.filter(merge__in=list(pairs.merges)).delete()


def _undo_with_later(wanted: dict[int, Merge], *, at: datetime) -> list[Merge]:
    """Take back the wanted merges and those built on them, then do these again."""
    later = _built_on(wanted.values())
    every = sorted([*wanted.values(), *later], key=lambda one: one.pk)
    with gone.shown():
        _lock(each for one in every for each in (one.survivor_id, one.loser_id))
        for layer in _layers(every[::-1]):
            _take_back(_pairs(layer, at=at))
        for layer in _layers(later):
            _carry_out(_pairs(layer, at=at))
    return every


def _built_on(merges: Iterable[Merge]) -> list[Merge]:
    """Later merges in force that touch the same people, and those built on these, in order."""
    known = {one.pk: one for one in merges}
    found: dict[int, Merge] = {}
    people: dict[int, int] = {}
    for one in known.values():
        for person in (one.survivor_id, one.loser_id):
            people[person] = min(people.get(person, one.pk), one.pk)
    fresh = dict(people)
    while fresh:
        touching = Merge.objects.filter(Q(survivor__in=fresh) | Q(loser__in=fresh), split_at=None).order_by("pk")
        met = [
            one
            for one in touching
            if one.pk not in known
            and one.pk not in found
            and one.pk > min(people.get(p, one.pk) for p in (one.survivor_id, one.loser_id))
        ]
        fresh = {}
        for one in met:
            found[one.pk] = one
            for person in (one.survivor_id, one.loser_id):
                if one.pk < people.get(person, one.pk + 1):
                    people[person] = fresh[person] = one.pk
    return [found[pk] for pk in sorted(found)]


def _resolved(wanted: Sequence[Wanted]) -> list[Wanted]:
    """The pairs in terms of today's contacts and of each other, each contact a loser at most once."""
    now = gone.current({each for one in wanted for each in (one.survivor, one.loser)})
    into: dict[int, int] = {}

    def root(contact: int) -> int:
        while contact in into:
            contact = into[contact]
        return contact

    chosen = []
    for one in wanted:
        if one.survivor not in now or one.loser not in now:
            raise NotFound(_("没有这位客户。"), remedy=_("请检查客户的标识；未添加过导购的访客还不是客户。"))
        survivor, loser = root(now[one.survivor]), root(now[one.loser])
        if survivor != loser:
            into[loser] = survivor
            chosen.append(Wanted(survivor, loser, one.evidence))
    return chosen


def _rounds(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """In order, so that nobody occurs twice in a round."""
    rounds: list[list[Wanted]] = []
    free: dict[int, int] = {}
    for one in wanted:
        place = max(free.get(one.survivor, 0), free.get(one.loser, 0))
        while len(rounds) <= place:
            rounds.append([])
        rounds[place].append(one)
        free[one.survivor] = free[one.loser] = place + 1
    return rounds


def _layers(merges: Sequence[Merge]) -> list[list[Merge]]:
    """The merges in the given order, as few rounds as possible in which nobody occurs twice."""
    by_pair = {(one.survivor_id, one.loser_id, one.pk): one for one in merges}
    rounds = _rounds([Wanted(s, loser, {"pk": pk}) for s, loser, pk in by_pair])
    return [[by_pair[w.survivor, w.loser, w.evidence["pk"]] for w in round_] for round_ in rounds]


def _pairs(merges: Sequence[Merge], *, at: datetime) -> Pairs:
    return Pairs(
        current_brand_id(),
        [one.pk for one in merges],
        [one.loser_id for one in merges],
        [one.survivor_id for one in merges],
        at,
    )


def hold(brand: int) -> None:
    """Take the brand's identity lock until the transaction ends. Scoped; before any row is locked."""
    execute(LOCK, brand=brand)


def _hold(brand: int) -> None:
    """Before any row is locked, or looked at to decide: who is who stays as it is, and nobody writes rows in bulk."""
    hold(brand)
    hold_turns(brand)


def _lock(contact_ids: Iterable[int]) -> None:
    """Nobody writes rows for these contacts until we are done: foreign keys wait for the row. In order of id."""
    execute(
        """SELECT id FROM contacts_contact WHERE brand_id = current_setting('orchard.brand_id')::bigint
             AND id = ANY (%(ids)s::bigint[]) ORDER BY id FOR UPDATE""",
        ids=as_array(sorted(set(contact_ids))),
    )


def _write_merges(round_: Sequence[Wanted], *, actor: Actor, reason: str, at: datetime) -> list[int]:
    written = execute(
        """INSERT INTO contacts_merge (brand_id, survivor_id, loser_id, merged_at, actor, actor_label, reason, evidence)
           SELECT current_setting('orchard.brand_id')::bigint, survivor, loser, %(at)s, %(actor)s, %(label)s,
                  %(reason)s, evidence
           FROM ROWS FROM (json_to_recordset(%(rows)s) AS (survivor bigint, loser bigint, evidence jsonb))
             WITH ORDINALITY AS r (survivor, loser, evidence, n) ORDER BY n RETURNING id""",
        at=at,
        actor=actor.id,
        label=actor.label,
        reason=reason,
        rows=as_json({"survivor": w.survivor, "loser": w.loser, "evidence": w.evidence} for w in round_),
    )
    return [row[0] for row in written]


def _tell(type_: str, pairs: Pairs, *, at: datetime) -> None:
    """One event on the survivor, which a reactor meets once everything before it is committed."""
    log.write(
        [
            log.NewEvent(
                type=type_,
                occurred_at=at,
                id=made_id(pairs.brand, type_, merge_id, at.isoformat()),
                contact_id=survivor,
                props={"merge_id": merge_id, "other_id": loser},
            )
            for merge_id, loser, survivor in zip(pairs.merges, pairs.losers, pairs.survivors, strict=True)
        ],
        at=at,
    )


def _close_conflicts(*, contacts: Collection[int], actor: Actor, at: datetime) -> None:
    """Open conflicts between contacts who are one now are settled: theirs, and those of who was merged into them."""
    with gone.shown():
        people = {*contacts, *Contact.objects.filter(merged_into__in=contacts).values_list("pk", flat=True)}
    opened = IdentityConflict.objects.filter(resolved_at=None, contact__in=people, other__in=people)
    found = list(opened.values_list("pk", "contact_id", "other_id"))
    now = gone.current({each for _pk, one, other in found for each in (one, other)})
    same = [pk for pk, one, other in found if now.get(one, one) == now.get(other, other)]
    IdentityConflict.objects.filter(pk__in=same).update(
        resolved_at=at, resolution=IdentityConflict.Resolution.MERGED, resolved_by=actor.label or actor.id
    )
