"""The identity graph of a contact, and the brand's OneID summary (capabilities X14)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from contacts.models import Identity, IdentityConflict, Merge
from contacts.oneid.strengths import STRENGTH
from contacts.sets import execute


@dataclass(frozen=True, slots=True)
class Node:
    """One identity."""

    id: str
    type: str
    value: str
    strength: float
    first_seen_at: datetime
    source: str
    came_with: int | None
    """number of the merge that brought it; None: the contact's own"""


@dataclass(frozen=True, slots=True)
class Edge:
    """Why two identities are one person."""

    source: str
    target: str
    kind: str
    """`seen`: shown together. `merge`: two contacts were merged"""
    at: datetime
    by: str
    """who showed them (wecom, api, …), or who merged"""
    merge_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """All identities of a contact and what ties them, with the merges in force."""

    nodes: list[Node]
    edges: list[Edge]
    merges: list[Merge]


def graph(contact_id: int) -> Graph:
    """The graph of one contact. Scoped; three queries.

    Edges: what was shown together, and each merge as an edge between an identity of either side."""
    rows = list(Identity.objects.filter(contact=contact_id).order_by("first_seen_at", "type", "value"))
    here = {row.pk for row in rows}
    merges = list(Merge.objects.filter(Q(survivor=contact_id) | Q(loser=contact_id), split_at=None).order_by("pk"))
    inner = [each.loser_id for each in merges]
    # Those who had been merged into a loser before.
    while deeper := [m for m in Merge.objects.filter(survivor__in=inner, split_at=None) if m not in merges]:
        merges += deeper
        inner = [each.loser_id for each in deeper]
    merges.sort(key=lambda each: each.pk)
    brought = _brought([each.pk for each in merges])
    nodes = [
        Node(
            str(row.pk),
            row.type,
            row.value,
            STRENGTH[row.type],
            row.first_seen_at,
            row.source,
            brought.get(str(row.pk)),
        )
        for row in rows
    ]
    edges = [
        Edge(str(row.seen_with), str(row.pk), "seen", row.first_seen_at, row.source)
        for row in rows
        if row.seen_with in here
    ]
    return Graph(nodes, edges + _merge_edges(merges, nodes), merges)


def _brought(merge_ids: list[int]) -> dict[str, int]:
    """Identity → the first merge that moved it."""
    if not merge_ids:
        return {}
    found = execute(
        """SELECT k.id::text, min(j.merge_id) FROM contacts_mergemoved j, jsonb_to_recordset(j.rows) AS k (id uuid)
           WHERE j.brand_id = current_setting('orchard.brand_id')::bigint AND j.kind = 'contacts_identity'
             AND j.merge_id = ANY (%(ids)s) GROUP BY 1""",
        ids=merge_ids,
    )
    return dict(found)


def _merge_edges(merges: list[Merge], nodes: list[Node]) -> list[Edge]:
    """From the evidence's identity, or the survivor's first, to the first identity that the merge brought."""
    edges = []
    own = [node for node in nodes if node.came_with is None]
    for merge in merges:
        came = [node for node in nodes if node.came_with == merge.pk]
        if not came:
            continue
        told = (merge.evidence.get("type"), merge.evidence.get("value"))
        target = next((node for node in came if (node.type, node.value) == told), came[0])
        source = next((node for node in own if (node.type, node.value) == told), own[0] if own else None)
        if source is not None and source.id != target.id:
            by = merge.actor_label or merge.actor
            edges.append(Edge(source.id, target.id, "merge", merge.merged_at, by, merge.pk, merge.reason))
    return edges


@dataclass(frozen=True, slots=True)
class Summary:
    """How well the brand's people are known."""

    contacts: int
    identified: int
    """contacts with two identity types or more"""
    types: dict[str, int]
    """identity type → contacts that have one"""
    pairs: list[dict[str, Any]]
    """per pair of types: contacts with both, and their share of those with the first and with the second"""
    conflicts: int
    merges: int
    """in force"""

    @property
    def identifiability(self) -> float | None:
        """identified ÷ contacts; None without contacts."""
        return self.identified / self.contacts if self.contacts else None


SUMMARY = """
WITH of_contact AS (
  SELECT contact_id, bit_or(1 << (array_position(%(types)s::text[], type) - 1)) AS mask
  FROM contacts_identity WHERE brand_id = current_setting('orchard.brand_id')::bigint GROUP BY contact_id
)
SELECT coalesce(o.mask, 0), count(*) FROM contacts_contact c
LEFT JOIN of_contact o ON o.contact_id = c.id
WHERE c.brand_id = current_setting('orchard.brand_id')::bigint GROUP BY 1
"""


def summary() -> Summary:
    """The brand's OneID in figures, counted now. Scoped; one pass over identities and contacts.

    Identifiability as in X14: contacts with at least two identity types ÷ contacts."""
    types = list(Identity.Type.values)
    execute("SET LOCAL work_mem = '64MB'")
    masks = {int(mask): int(number) for mask, number in execute(SUMMARY, types=types)}

    def having(*wanted: int) -> int:
        bits = sum(1 << place for place in wanted)
        return sum(number for mask, number in masks.items() if mask & bits == bits)

    counts = {type_: having(place) for place, type_ in enumerate(types)}
    pairs = []
    for one, first in enumerate(types):
        for other, second in enumerate(types):
            if one < other and counts[first] and counts[second]:
                both = having(one, other)
                pairs.append(
                    {
                        "first": first,
                        "second": second,
                        "contacts": both,
                        "share_of_first": both / counts[first],
                        "share_of_second": both / counts[second],
                    }
                )
    return Summary(
        contacts=sum(masks.values()),
        identified=sum(number for mask, number in masks.items() if mask.bit_count() >= 2),
        types={type_: number for type_, number in counts.items() if number},
        pairs=pairs,
        conflicts=IdentityConflict.objects.filter(resolved_at=None).count(),
        merges=Merge.objects.filter(split_at=None).count(),
    )
