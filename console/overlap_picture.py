"""How groups overlap, drawn: a column per region with its bar, and dots that say which groups it is in (an UpSet plot).

Circles that overlap tell the truth for three groups at most; this one does for five."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from tagging.segments.overlap import Overlap

MOST_REGIONS = 16
COLUMN, ROW, TALL, LEFT, TOP = 44, 30, 150, 250, 26
NAME = 16


def drawn(names: Sequence[str], seen: Overlap) -> SafeString:
    """The SVG; empty if nobody is in any of the groups. Its text is readable by screen readers as a title."""
    regions = seen.regions[:MOST_REGIONS]
    if not regions:
        return SafeString("")
    most, widest = max(region.count for region in regions), max(seen.sizes) or 1
    wide, high = LEFT + COLUMN * len(regions) + 20, TOP + TALL + 20 + ROW * len(names) + 10
    columns = format_html_join(
        "",
        "{}",
        (
            (_column(place, region.inside, region.count, most, len(names), names),)
            for place, region in enumerate(regions)
        ),
    )
    rows = format_html_join(
        "", "{}", ((_row(place, name, seen.sizes[place], widest, wide),) for place, name in enumerate(names))
    )
    title = _("%(n)d 个人群的重叠") % {"n": len(names)}
    return format_html(
        '<svg viewBox="0 0 {} {}" width="{}" role="img" aria-label="{}" style="max-width: 100%; height: auto">'
        "<title>{}</title>{}{}</svg>",
        wide,
        high,
        wide,
        title,
        title,
        rows,
        columns,
    )


def _row(place: int, name: str, size: int, widest: int, wide: int) -> SafeString:
    """A group: a band, its name, and a bar of its size that grows to the left of the dots."""
    y = TOP + TALL + 20 + ROW * place
    bar = round(60 * size / widest)
    shown = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    return format_html(
        '<rect x="0" y="{}" width="{}" height="{}" fill="var(--o-text)" opacity="{}"></rect>'
        '<text x="0" y="{}" font-size="13" fill="var(--o-text)">{}<title>{}</title></text>'
        '<rect x="{}" y="{}" width="{}" height="10" rx="2" fill="var(--o-text)" opacity="0.45"></rect>',
        y,
        wide,
        ROW,
        "0.05" if place % 2 == 0 else "0",
        y + ROW / 2 + 5,
        f"{shown} {size:,}",
        f"{name} {size:,}",
        LEFT - 20 - bar,
        y + ROW / 2 - 5,
        bar,
    )


def _column(
    place: int, inside: tuple[int, ...], count: int, most: int, groups: int, names: Sequence[str]
) -> SafeString:
    """A region: its bar and number, and a dot in the row of each group that it is in."""
    x = LEFT + COLUMN * place + COLUMN / 2
    tall = max(2, round(TALL * count / most))
    middle = [TOP + TALL + 20 + ROW * row + ROW / 2 for row in range(len(names))]
    dots = format_html_join(
        "",
        '<circle cx="{}" cy="{}" r="6" fill="var(--o-text)" opacity="{}"></circle>',
        ((x, y, "1" if row in inside else "0.15") for row, y in enumerate(middle)),
    )
    line = format_html(
        '<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="var(--o-text)" stroke-width="3"></line>',
        x,
        x,
        middle[inside[0]],
        middle[inside[-1]],
    )
    return format_html(
        '<g><title>{}</title><rect x="{}" y="{}" width="26" height="{}" rx="3" fill="var(--o-primary)"></rect>'
        '<text x="{}" y="{}" font-size="11" text-anchor="middle" fill="var(--o-text)">{}</text>{}{}</g>',
        f"{_('、').join(names[row] for row in inside)}: {count:,}",
        x - 13,
        TOP + TALL - tall,
        tall,
        x,
        TOP + TALL - tall - 5,
        short(count),
        line,
        dots,
    )


def short(count: int) -> str:
    """1234 → 1,234; 1,234,567 → 1.2M: what fits over a narrow bar."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"
