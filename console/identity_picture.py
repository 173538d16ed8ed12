"""A picture of an identity graph: identities on an ellipse, evidence as lines between them. Plain SVG, no script."""

from dataclasses import dataclass
from math import cos, pi, sin

from contacts.models import Identity
from contacts.oneid.graph import Edge, Graph, Node
from contacts.oneid.strengths import is_strong

WIDTH, BOX, ROW = 420, 150, 44
"""of the picture and of a node's box, in pixels of the card it is in: text stays as large as it says"""
TALLEST = 270
"""half of the picture; with more than ten identities boxes may touch"""
LONGEST = 16
"""characters of a value in its box; the whole value is in its title"""


@dataclass(frozen=True, slots=True)
class Spot:
    """A node with its place: the middle of its box."""

    node: Node
    label: str
    short: str
    strong: bool
    x: int
    y: int

    @property
    def left(self) -> int:
        """Where the box begins."""
        return self.x - BOX // 2


@dataclass(frozen=True, slots=True)
class Line:
    """An edge with both its ends."""

    edge: Edge
    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What the template draws."""

    spots: list[Spot]
    lines: list[Line]
    height: int
    width: int = WIDTH
    box: int = BOX


def draw(graph: Graph, *, phones: bool) -> Picture:
    """Place the identities; phone numbers masked unless `phones`."""
    labels = dict(Identity.Type.choices)
    spots: dict[str, Spot] = {}
    number = len(graph.nodes)
    across, up = WIDTH / 2 - BOX / 2 - 4, _half_height(number)
    middle = round(up + ROW / 2 + 4)
    for place, node in enumerate(graph.nodes):
        angle = 2 * pi * place / max(number, 1) - pi / 2
        value = node.value if phones or node.type not in ("phone", "order_phone") else _masked(node.value)
        short = value if len(value) <= LONGEST else f"{value[:6]}…{value[-8:]}"
        spots[node.id] = Spot(
            node,
            str(labels[node.type]),
            short,
            is_strong(node.type),
            round(WIDTH / 2 + across * cos(angle)) if number > 1 else WIDTH // 2,
            round(middle + up * sin(angle)),
        )
    lines = []
    for edge in graph.edges:
        one, other = spots.get(edge.source), spots.get(edge.target)
        if one and other:
            lines.append(Line(edge, one.x, one.y, other.x, other.y))
    return Picture(list(spots.values()), lines, 2 * middle)


def _half_height(number: int) -> float:
    """From the middle to the highest box: high enough that neighbours on the ellipse do not cover each other."""
    if number < 3:
        return 0.0 if number < 2 else float(ROW)
    return min(TALLEST, max(60.0, (ROW + 8) / (1 - cos(2 * pi / number))))


def _masked(number: str) -> str:
    return f"{number[:3]}****{number[-4:]}" if len(number) >= 8 else "****"
