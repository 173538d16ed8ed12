"""What a condition is, and which kinds there are. Apps to the right add theirs in AppConfig.ready().

A tree is `{"all": […]}`, `{"any": […]}`, `{"none": […]}` of trees and leaves; a leaf is `{"kind": …, fields}`.
Rules that every kind keeps:
* A leaf holds or does not hold, never "unknown": its SQL is two-valued.
* Comparing with a missing value is false, also for "is not"; `is_missing` and `or_missing` ask for missing ones.
* Counts and sums of nothing are 0: "no event" includes contacts who never had any.
* Windows are `[start, at)`; calendar windows are the brand's (tagging.windows).

A kind of another app, say points:

    class PointsBalance(Condition):
        kind, label, group = "points_balance", _("积分余额"), "points"
        params = (compare.OP, Param("value", _("积分"), "int", required=True))
        def sql(self, leaf, frame): …   # EXISTS (… WHERE p.brand_id = %s AND p.contact_id = {frame.alias}.id AND …)
        def actual(self, leaf, frame): …
        def sentence(self, leaf, names): …

    tagging.conditions.register(PointsBalance())"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from scrm.lib.errors import FieldError, Text, found
from tagging.language import changes, past, windows
from tagging.language.params import Param, values
from tagging.language.sql import Sql
from tagging.models import Segment
from tenants.models import Brand

Leaf = Mapping[str, Any]

GROUPS: dict[str, Text] = {
    "profile": _("资料"),
    "tag": _("标签"),
    "behaviour": _("行为"),
    "order": _("订单"),
    "points": _("积分"),
    "relation": _("关系"),
    "touch": _("触达"),
}


@dataclass(frozen=True)
class Frame:
    """What a leaf compiles in: whose contacts, as of when, under which table alias."""

    brand_id: int
    at: datetime
    alias: str = "c"
    within: tuple[int, int] | None = None
    """the caller reads only contacts of these ids (first, last): sub-selects need not look at others"""
    sample: int = 0
    """a mask: only contacts of whose id's hash these bits are 0 are read (tagging.estimate); 0: everybody"""
    singly: bool = False
    """the caller has some contacts in hand and asks one by one: sub-selects look at the one, not at the brand"""
    known_at: datetime | None = None
    """explaining a past moment: only what was known by then counts (tagging.past); None: everything known now"""

    def __post_init__(self) -> None:
        # The alias is the one piece of a caller's text that enters the statement.
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,30}", self.alias):
            raise ValueError(f"not a table alias: {self.alias!r}")

    @cached_property
    def zone(self) -> ZoneInfo:
        """The brand's time zone; asks the database once."""
        return ZoneInfo(Brand.objects.values_list("timezone", flat=True).get(pk=self.brand_id))

    @property
    def then(self) -> past.Then | None:
        """The past moment that is asked about, for what has a history of its own; None: the present."""
        return None if self.known_at is None else past.Then(self.brand_id, self.alias, self.known_at)

    def in_range(self, column: str) -> list[Sql]:
        """The caller's range said of a sub-select's contact column: the planner cannot infer it through a semi-join."""
        made = [] if self.within is None else [Sql(f"{column} BETWEEN %s AND %s", self.within)]
        made += [sampled(column, self.sample)] if self.sample else []
        return made + ([Sql(f"{column} = {self.alias}.id")] if self.singly else [])

    def window(self, leaf: Leaf) -> windows.Window:
        """The leaf's window as seen at `at`."""
        zone = self.zone if windows.needs_zone(leaf) else ZoneInfo("UTC")
        return windows.window_of(leaf, at=self.at, zone=zone)

    def known(self, events: str = "e") -> list[Sql]:
        """Said of a reading of events_event under that alias: only events that had been received by `known_at`."""
        return [] if self.known_at is None else [Sql(f"{events}.received_at <= %s", (self.known_at,))]

    def source(self, table: str) -> Sql:
        """What to read a table from: itself, or the table as it was at `known_at`, for tables that have a history."""
        return Sql(table) if self.then is None else past.source(table, self.then)

    def segment(self, segment_id: int) -> Segment:
        """A segment that a leaf names. Scoped; asks once per frame. Raises NotFound."""
        if segment_id not in self._segments:
            self._segments[segment_id] = found(Segment.objects.filter(pk=segment_id))
        return self._segments[segment_id]

    @cached_property
    def _segments(self) -> dict[int, Segment]:
        return {}


def sampled(column: str, mask: int) -> Sql:
    """Whether a contact is of the fixed sample; worded as the samples' indexes are, which is how they are found."""
    return Sql(f"(hashint8({column}) & {int(mask)}) = 0")


@dataclass(frozen=True, slots=True)
class Reference:
    """A leaf names a row of the brand: `type` is tag, staff, store or another that `references` knows."""

    type: str
    value: int | str
    """its id; a tag also by name (分组·名称)"""
    field: str


class Names:
    """What the rows that a tree refers to are called; a row that is gone shows its id."""

    def __init__(self, known: Mapping[tuple[str, int | str], str] | None = None) -> None:
        self._known = known or {}

    def of(self, type_: str, one_or_many: Any) -> str:
        """`小林、小陈` for one id or a list of them."""
        return _("、").join(self._known.get((type_, value), f"#{value}") for value in values(one_or_many))


class Condition(ABC):
    """One kind of leaf."""

    kind: ClassVar[str]
    label: ClassVar[Text]
    group: ClassVar[str]
    params: ClassVar[tuple[Param, ...]] = ()
    null_rule: ClassVar[Text] = ""
    """what becomes of contacts without a value, in one sentence for the builder"""
    has_history: ClassVar[bool] = True
    """whether the leaf can be told for a past moment; if not, explaining one says so and judges by the present"""

    def past_note(self, leaf: Leaf) -> Text:
        """Why the leaf cannot be told for a past moment; empty if it can."""
        return "" if self.has_history else _("没有历史记录，按现在的情况判断。")

    def inner(self, leaf: Leaf, frame: Frame) -> Any:
        """The tree that the leaf stands for, for explaining: of a segment, its own. None for every other leaf."""
        return None

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """What is wrong beyond single fields; called only when each field by itself is right."""
        yield from ()

    def references(self, leaf: Leaf) -> Iterator[Reference]:
        """The rows of the brand that the leaf names."""
        for param in self.params:
            if param.is_reference and leaf.get(param.name) is not None:
                yield from (Reference(param.type, value, param.name) for value in values(leaf[param.name]))

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """By which events and changed rows its truth can change; a kind that does not know says: by anything."""
        return changes.ANYTHING

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """A timestamptz for the contact frame.alias: the first moment after frame.at at which time alone can change it.

        Too early costs a look, too late is wrong; NULL, or None for the whole kind, says never. A kind that does not
        know is looked at again within the hour."""
        return Sql("%s::timestamptz", (frame.at + changes.UNKNOWN,))

    @abstractmethod
    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Whether it holds for contacts_contact AS frame.alias: two-valued, brand_id named in every sub-select."""

    @abstractmethod
    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """A jsonb expression: what is true of the contact, with its evidence (event ids, times)."""

    @abstractmethod
    def sentence(self, leaf: Leaf, names: Names) -> str:
        """The leaf in words, in the active language."""

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """`actual` in words."""
        return "" if actual is None else str(actual)

    def describe(self) -> dict[str, Any]:
        """More for the builder than `params` say."""
        return {}


_REGISTRY: dict[str, Condition] = {}


def register(condition: Condition) -> None:
    """Add a kind. Registering a kind twice is a programming error."""
    if condition.kind in _REGISTRY:
        raise ValueError(f"condition kind {condition.kind!r} is registered already")
    _REGISTRY[condition.kind] = condition


def of_kind(kind: str) -> Condition | None:
    """The condition of this kind, if there is one."""
    return _REGISTRY.get(kind)


def kinds() -> Iterable[Condition]:
    """All kinds, in order of registration."""
    return _REGISTRY.values()
