"""Curves as one SVG document, drawn by hand: lines over two axes, and a legend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLORS = ("#2a6f97", "#c0392b", "#2f855a", "#7a5195", "#d68910", "#12b5c9", "#5d6d7e", "#8b4513")
DASHES = ("none", "6 3", "2 2")
"""Which of the curves with one color it is: the first is drawn without a gap."""
WIDTH, HEIGHT, LEFT, TOP, GAP, LEGEND = 260.0, 180.0, 64.0, 34.0, 84.0, 150.0
STYLE = "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#888}"


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
    body = [f'<text x="8" y="18" class="title">{escape(y_title)}</text>']
    for number, panel in enumerate(panels):
        body += _panel(panel, LEFT + number * (WIDTH + GAP))
    for number, curve in enumerate(panels[0].curves):
        y, x = TOP + 14 + 18 * number, width - LEGEND
        body.append(f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" {_stroke(number)}/>')
        body.append(f'<text x="{x + 24}" y="{y}">{escape(curve.name)}</text>')
    height = max(TOP + HEIGHT + 46, TOP + 14 + 18 * len(panels[0].curves))
    size = f'width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>\n"])


def _panel(panel: Panel, left: float) -> list[str]:
    xs = [x for curve in panel.curves for x, _ in curve.points] or [0.0]
    ys = [y for curve in panel.curves for _, y in curve.points] or [0.0]
    across, up = _scale(min(xs), max(xs), WIDTH), _scale(min(ys), max(ys), HEIGHT)
    bottom = TOP + HEIGHT
    found = [
        f'<line class="axis" x1="{left}" x2="{left + WIDTH}" y1="{bottom}" y2="{bottom}"/>',
        f'<line class="axis" x1="{left}" x2="{left}" y1="{TOP}" y2="{bottom}"/>',
        f'<text x="{left}" y="{bottom + 32}" class="title">{escape(panel.title)}</text>',
        f'<text x="{left + WIDTH}" y="{bottom + 16}" text-anchor="end">{max(xs):.6g}</text>',
        f'<text x="{left - 6}" y="{TOP + 8}" text-anchor="end">{max(ys):.3g}</text>',
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">{min(ys):.3g}</text>',
    ]
    for number, curve in enumerate(panel.curves):
        places = [f"{left + across(x):.1f},{bottom - up(y):.1f}" for x, y in curve.points]
        found.append(
            f'<polyline points="{" ".join(places)}" fill="none" {_stroke(number)}'
            f' stroke-width="1.5"><title>{escape(curve.name)}</title></polyline>'
        )
    return found


def _stroke(number: int) -> str:
    """How that curve is drawn; no two look alike as long as there are DASHES left."""
    lap, color = divmod(number, len(COLORS))
    return f'stroke="{COLORS[color]}" stroke-dasharray="{DASHES[lap % len(DASHES)]}"'


def _scale(low: float, high: float, length: float) -> Callable[[float], float]:
    """From values between `low` and `high` to a distance along an axis."""
    span = (high - low) or 1.0
    return lambda value: (value - low) / span * length
