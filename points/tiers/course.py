"""How one contact's tier goes on: a pure function of the rules, of what was known when, and of promises by hand.

An upgrade comes at the moment at which its fact became known. Nothing takes a tier away before its spell ends: then
what was reached in the year that ends there decides. Whoever is short of it has the days of grace, and of protection
after an upgrade, to make up for it. So it does not matter when anybody looks: looking once at the end gives the same
spells as looking after every event."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from points.models import TierRules, TierSpell
from points.tiers.periods import TICK, spell_end, window_start

Reason = TierSpell.Reason


@dataclass(frozen=True, slots=True)
class Fact:
    """The metric's amount of the moment `counted` changes by `amount`, as became known at `known`."""

    known: datetime
    counted: datetime
    amount: int
    fires: bool = True
    """whether what it brings about may set anything off: imported history does not"""


@dataclass(frozen=True, slots=True)
class Floor:
    """No lower than `tier` while it lasts."""

    tier: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Rules:
    """A brand's rules; `tiers` from the lowest."""

    tiers: Sequence[tuple[str, int]]
    """(code, threshold)"""
    window: str
    at_end: str
    grace: timedelta
    protection: timedelta
    since: datetime
    zone: ZoneInfo

    def rank(self, code: str) -> int:
        """1 for the lowest; 0 for none, or for a tier that is no more."""
        return next((place for place, (each, _least) in enumerate(self.tiers, 1) if each == code), 0)

    def code(self, rank: int) -> str:
        """The tier of a rank."""
        return self.tiers[rank - 1][0] if rank else ""

    def level(self, amount: int) -> int:
        """The rank that an amount reaches."""
        return sum(least <= amount for _code, least in self.tiers)


@dataclass(frozen=True, slots=True)
class Spell:
    """One stay, as points.models.TierSpell tells it."""

    since: datetime
    tier: str
    was: str
    reason: str
    metric: int
    held_since: datetime
    ends_at: datetime | None
    protected_until: datetime | None = None
    by_hand: bool = False
    base_tier: str = ""
    base_ends_at: datetime | None = None
    fires: bool = True
    """not kept; whether the change may set anything off"""


def amount(facts: Sequence[Fact], *, start: datetime, at: datetime) -> int:
    """The metric at `at`: what counts from `start` on and was known by then."""
    return sum(fact.amount for fact in facts if fact.known <= at and start <= fact.counted <= at)


class Course:
    """One contact's way from a spell (or none) on. Used once: `go` to a moment."""

    def __init__(self, rules: Rules, facts: Sequence[Fact], floors: Sequence[Floor], spell: Spell | None) -> None:
        self.rules, self.facts, self.floors, self.spell = rules, facts, floors, spell
        self.made: list[Spell] = []

    def go(self, *, start: datetime, until: datetime, reason: str) -> None:
        """Follow everything in `(start, until]`, after a first look at `start` whose change has that reason."""
        self._start = start
        if self.spell and self.spell.tier and not self.rules.rank(self.spell.tier):
            self._give(start, self._level(start), Reason.RULES)
        else:
            self._rise(start, reason)
        moments = {fact.known for fact in self.facts} | {floor.since for floor in self.floors}
        for moment in sorted(each for each in moments if start < each <= until):
            self._pass(moment)
            if not self._renews(moment):
                self._rise(moment, Reason.REACHED)
        self._pass(until)

    def due(self, at: datetime) -> datetime | None:
        """When time alone may change something next after `at`: the spell's end, then the end of the days of grace."""
        end = self.spell.ends_at if self.spell else None
        return end if self.spell is None or end is None or end > at else self._judged_at(self.spell)

    # -- up ------------------------------------------------------------------------------------------------------------

    def _rise(self, at: datetime, reason: str) -> None:
        now, level, floor = self._rank(), self._level(at), self._floor(at)
        if level > now or (self.spell and self.spell.by_hand and level == now):
            self._give(at, level, reason)
        elif floor and self.rules.rank(floor.tier) > max(now, level):
            self._give_by_hand(at, floor, Reason.FLOOR)

    def _renews(self, at: datetime) -> bool:
        """In the days of grace, what is reached late still counts for the year that is over."""
        spell = self.spell
        if spell is None or spell.by_hand or spell.ends_at is None or at < spell.ends_at:
            return False
        if self._level_of_end(spell.ends_at, at) < self._rank():
            return False
        self._give(at, self._rank(), Reason.RENEWED)
        self._rise(at, Reason.REACHED)
        return True

    # -- down ----------------------------------------------------------------------------------------------------------

    def _pass(self, moment: datetime) -> None:
        """What time alone brings about up to the moment."""
        while self.spell and (due := self._judged_at(self.spell)) is not None and due <= moment:
            end = self.spell.ends_at
            if end is None:
                return
            at = max(due, self._start)
            if self.spell.by_hand:
                self._end_by_hand(at)
            elif self._is_kept(self.spell, end):
                kept = self.rules.at_end == TierRules.AtEnd.KEEP and self._level_of_end(end, end) < self._rank()
                self._give(max(end, self._start), self._rank(), Reason.KEPT if kept else Reason.RENEWED)
            else:
                self._end(end, at)

    def _judged_at(self, spell: Spell) -> datetime | None:
        """When the spell goes over into another: at its end, or later by grace and protection."""
        end = spell.ends_at
        if end is None or spell.by_hand or self._is_kept(spell, end):
            return end
        return max(end + self.rules.grace, spell.protected_until or end)

    def _is_kept(self, spell: Spell, end: datetime) -> bool:
        if self.rules.at_end == TierRules.AtEnd.KEEP:
            return True
        return self._level_of_end(end, end) >= self.rules.rank(spell.tier)

    def _end(self, end: datetime, at: datetime) -> None:
        """Down, by the rules; a promise by hand holds from below."""
        earned, floor = self._after(self._rank(), self._level_of_end(end, at)), self._floor(at)
        if floor and self.rules.rank(floor.tier) > earned:
            base = self.rules.code(earned)
            base_end = spell_end(self.rules.window, at, self.rules.zone) if base else None
            self._give_by_hand(at, floor, Reason.FLOOR, base=base, base_ends_at=base_end)
        else:
            self._give(at, earned, Reason.ENDED)

    def _end_by_hand(self, at: datetime) -> None:
        """Back to the tier under the promise, as far as its own time has not run out."""
        spell = self.spell
        if spell is None:
            return
        base, ends_at = self.rules.rank(spell.base_tier), spell.base_ends_at
        level = self._level(at)
        if base and ends_at is not None and ends_at <= at:
            base, ends_at = self._after(base, level), None
        if level > base:
            base, ends_at = level, None
        floor = self._floor(at)
        if floor and self.rules.rank(floor.tier) > base:
            self._give_by_hand(at, floor, Reason.FLOOR, base=self.rules.code(base), base_ends_at=ends_at)
        else:
            self._give(at, base, Reason.FLOOR_ENDED, ends_at=ends_at)

    def _after(self, rank: int, level: int) -> int:
        """The rank after one whose time is over and whose threshold was not reached."""
        fallen = {TierRules.AtEnd.KEEP: rank, TierRules.AtEnd.ONE_DOWN: rank - 1}
        return max(fallen.get(TierRules.AtEnd(self.rules.at_end), 0), level)

    # -- what is known -------------------------------------------------------------------------------------------------

    def _rank(self) -> int:
        return self.rules.rank(self.spell.tier) if self.spell else 0

    def _amount(self, at: datetime) -> int:
        return amount(self.facts, start=window_start(self.rules.window, at, self.rules.zone), at=at)

    def _level(self, at: datetime) -> int:
        return self.rules.level(self._amount(at))

    def _level_of_end(self, end: datetime, at: datetime) -> int:
        """What was reached in the year that ends at `end`, and in the days of grace after it until `at`."""
        start = window_start(self.rules.window, end - TICK, self.rules.zone)
        return self.rules.level(amount(self.facts, start=start, at=at - TICK if at == end else at))

    def _floor(self, at: datetime) -> Floor | None:
        """The promise in force, the highest if there are several (a merge may bring some together)."""
        live = [each for each in self.floors if each.since <= at and (each.until is None or at < each.until)]
        return max(live, key=lambda each: self.rules.rank(each.tier), default=None)

    # -- spells --------------------------------------------------------------------------------------------------------

    def _give(self, at: datetime, rank: int, reason: str, *, ends_at: datetime | None = None) -> None:
        if rank == 0 and self.spell is None:
            return
        is_up = rank > self._rank()
        moment = self._moment(at)
        self._begin(
            Spell(
                since=moment,
                tier=self.rules.code(rank),
                was=self.spell.tier if self.spell else "",
                reason=reason,
                metric=self._amount(at),
                held_since=moment,
                ends_at=(ends_at or spell_end(self.rules.window, moment, self.rules.zone)) if rank else None,
                protected_until=moment + self.rules.protection if is_up and self.rules.protection else None,
                fires=self._may_fire(at, reason),
            )
        )

    def _give_by_hand(
        self, at: datetime, floor: Floor, reason: str, *, base: str | None = None, base_ends_at: datetime | None = None
    ) -> None:
        moment, under = self._moment(at), self.spell
        if base is None and under is not None:
            held = (under.base_tier, under.base_ends_at) if under.by_hand else (under.tier, under.ends_at)
            base, base_ends_at = held
        self._begin(
            Spell(
                since=moment,
                tier=floor.tier,
                was=under.tier if under else "",
                reason=reason,
                metric=self._amount(at),
                held_since=moment,
                ends_at=floor.until,
                by_hand=True,
                base_tier=base or "",
                base_ends_at=base_ends_at,
            )
        )

    def _begin(self, spell: Spell) -> None:
        if self.spell and spell.tier == spell.was:
            # Nothing that anybody sees has changed but how long it lasts.
            spell = replace(spell, held_since=self.spell.held_since)
        self.spell = spell
        self.made.append(spell)

    def _moment(self, at: datetime) -> datetime:
        return max(at, self.spell.since + TICK) if self.spell else at

    def _may_fire(self, at: datetime, reason: str) -> bool:
        if reason in (Reason.START, Reason.RULES):
            return False
        causes = [fact for fact in self.facts if fact.known == at]
        return not causes or any(fact.fires for fact in causes)
