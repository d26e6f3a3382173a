"""Curves as one SVG document, drawn by hand: lines over two axes, and a legend.

A loss falls by orders of magnitude, and then what tells two curves apart is all below the first
hundredth of an axis. So an axis of positive numbers that span so much is logarithmic, and says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

COLORS = ("#2a6f97", "#c0392b", "#2f855a", "#7a5195", "#d68910", "#12b5c9", "#5d6d7e", "#8b4513")
DASHES = ("none", "6 3", "2 2")
"""Which of the curves with one color it is: the first is drawn without a gap."""
WIDTH, HEIGHT, LEFT, TOP, GAP, LEGEND = 260.0, 180.0, 64.0, 34.0, 84.0, 150.0
BOTTOM = TOP + HEIGHT
STYLE = (
    "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#888}"
    ".mark{stroke:#ddd}"
)
WIDE_SPAN = 100.0
"""From here on an axis is logarithmic."""
MARKS_MAX = 6
TEXT_HEIGHT = 13.0

Along = Callable[[float], float]
"""Where on an axis a value has its place."""


@dataclass(frozen=True)
class Curve:
    """Points (x, y) with finite numbers, under a name."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves over the same axes."""

    title: str
    curves: Sequence[Curve]


def draw(panels: Sequence[Panel], y_title: str) -> str:
    """The SVG document: the panels side by side, one legend for all."""
    width = LEFT + len(panels) * (WIDTH + GAP) + LEGEND
    ys = [y for panel in panels for curve in panel.curves for _, y in curve.points] or [0.0]
    scale = _logarithmic if min(ys) > 0 and max(ys) > WIDE_SPAN * min(ys) else _scale
    title = f"{y_title}, logarithmic" if scale is _logarithmic else y_title
    body = [f'<text x="8" y="18" class="title">{escape(title)}</text>']
    up = scale(min(ys), max(ys), HEIGHT)
    marks = _decades(min(ys), max(ys), up) if scale is _logarithmic else []
    for number, panel in enumerate(panels):
        left = LEFT + number * (WIDTH + GAP)
        body += [line for y in marks for line in _mark(y, left, up)]
        body += _panel(panel, left, up, (min(ys), max(ys)))
    for number, curve in enumerate(panels[0].curves):
        y, x = TOP + 14 + 18 * number, width - LEGEND
        body.append(f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" {_stroke(number)}/>')
        body.append(f'<text x="{x + 24}" y="{y}">{escape(curve.name)}</text>')
    height = max(TOP + HEIGHT + 46, TOP + 14 + 18 * len(panels[0].curves))
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    fit = 'style="max-width:100%;height:auto"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {fit}><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>\n"])


def _panel(panel: Panel, left: float, up: Along, ends: tuple[float, float]) -> list[str]:
    """Over axes of which `up` is the vertical one, with numbers at its `ends`."""
    xs = [x for curve in panel.curves for x, _ in curve.points] or [0.0]
    across = _scale(min(xs), max(xs), WIDTH)
    found = [
        f'<line class="axis" x1="{left}" x2="{left + WIDTH}" y1="{BOTTOM}" y2="{BOTTOM}"/>',
        f'<line class="axis" x1="{left}" x2="{left}" y1="{TOP}" y2="{BOTTOM}"/>',
        f'<text x="{left}" y="{BOTTOM + 32}" class="title">{escape(panel.title)}</text>',
        f'<text x="{left + WIDTH}" y="{BOTTOM + 16}" text-anchor="end">{_short(max(xs))}</text>',
        f'<text x="{left - 6}" y="{TOP + 8}" text-anchor="end">{ends[1]:.3g}</text>',
        f'<text x="{left - 6}" y="{BOTTOM}" text-anchor="end">{ends[0]:.3g}</text>',
    ]
    for number, curve in enumerate(panel.curves):
        places = [f"{left + across(x):.1f},{BOTTOM - up(y):.1f}" for x, y in curve.points]
        found.append(
            f'<polyline points="{" ".join(places)}" fill="none" {_stroke(number)}'
            f' stroke-width="1.5"><title>{escape(curve.name)}</title></polyline>'
        )
    return found


def _short(x: float) -> str:
    """Steps are counted, time and bytes are not."""
    return f"{x:.6g}" if x == round(x) else f"{x:.3g}"


def _stroke(number: int) -> str:
    """How that curve is drawn; no two look alike as long as there are DASHES left."""
    lap, color = divmod(number, len(COLORS))
    return f'stroke="{COLORS[color]}" stroke-dasharray="{DASHES[lap % len(DASHES)]}"'


def _scale(low: float, high: float, length: float) -> Along:
    """From values between `low` and `high` to a distance along an axis."""
    span = (high - low) or 1.0
    return lambda value: (value - low) / span * length


def _logarithmic(low: float, high: float, length: float) -> Along:
    """The same, by the logarithms of values above zero."""
    along = _scale(log10(low), log10(high), length)
    return lambda value: along(log10(value))


def _decades(low: float, high: float, up: Along) -> list[float]:
    """Some of the powers of ten between them, as far as there is room for their numbers."""
    first, last = ceil(log10(low)), floor(log10(high))
    step = (last - first) // MARKS_MAX + 1
    found = [10.0**power for power in range(ceil(first / step) * step, last + 1, step)]
    return [each for each in found if TEXT_HEIGHT < up(each) < HEIGHT - TEXT_HEIGHT]


def _mark(value: float, left: float, up: Along) -> list[str]:
    y = BOTTOM - up(value)
    return [
        f'<line class="mark" x1="{left}" x2="{left + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>',
    ]
