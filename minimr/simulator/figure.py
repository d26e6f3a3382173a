"""Figure 3 of the paper (Dean and Ghemawat, OSDI 2004), drawn from simulated runs.

One column for each run, one row for each direction in which data moves: the input that map tasks
read, the shuffle, and the output that reduce tasks write, all as rates over time. Map output that
is lost with its worker has to be made again, so its input counts as negative when it is lost.
Below zero means that the job moves backwards.

`rates` turns transfers into curves, `draw` turns curves into one SVG document.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from minimr.simulator.work import Transfer

KINDS = ("input", "shuffle", "output")
STEP_S = 10.0
"""The width of one point of a curve."""

GB = 1e9
PANEL_WIDTH, PANEL_HEIGHT = 230.0, 110.0
LEFT, TOP, GAP_X, GAP_Y = 62.0, 46.0, 22.0, 16.0
COLORS = {"input": "#2a6f97", "shuffle": "#7a5195", "output": "#2f855a"}
STYLE = (
    "text{font:11px sans-serif;fill:#333}.title{font-weight:bold;font-size:12px}"
    ".grid{stroke:#ddd}.axis{stroke:#888}.done{stroke:#c0392b}.paper{stroke:#666}"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One run: `curves[kind][i]` is the mean rate (bytes per second) in step i."""

    title: str
    curves: dict[str, list[float]]
    done_s: float
    paper_s: float


def rates(
    transfers: Iterable[Transfer],
    losses: Iterable[tuple[float, int]],
    end_s: float,
    step_s: float = STEP_S,
) -> dict[str, list[float]]:
    """The mean rate of each kind in each step from 0 to `end_s`, in bytes per second.

    `losses` are moments and the bytes of input that had to be read again from then on. Transfers of
    other kinds are left out; one without duration falls into the step in which it ends.
    """
    steps = int(end_s / step_s) + 1
    curves = {kind: [0.0] * steps for kind in KINDS}
    for transfer in transfers:
        if transfer.kind in curves:
            _spread(curves[transfer.kind], transfer, step_s)
    for seconds, size_bytes in losses:
        curves["input"][int(seconds / step_s)] -= size_bytes / step_s
    return curves


def _spread(curve: list[float], transfer: Transfer, step_s: float) -> None:
    first = int(transfer.start / step_s)
    last = min(int(transfer.end / step_s), len(curve) - 1)
    seconds = transfer.end - transfer.start
    if seconds <= 0:
        curve[last] += transfer.size_bytes / step_s
        return
    for step in range(first, last + 1):
        begin, end = step * step_s, (step + 1) * step_s
        part = (min(end, transfer.end) - max(begin, transfer.start)) / seconds
        curve[step] += part * transfer.size_bytes / step_s


def draw(columns: list[Column], step_s: float = STEP_S) -> str:
    """The SVG document: a panel for each run and kind, all on the same axes."""
    end_s = _round_up(max(max(c.done_s, c.paper_s) for c in columns) + step_s, 100.0)
    width = LEFT + len(columns) * (PANEL_WIDTH + GAP_X)
    height = TOP + 36
    body: list[str] = []
    for kind in KINDS:
        panel = _scale(columns, kind, end_s)
        for number, column in enumerate(columns):
            x = LEFT + number * (PANEL_WIDTH + GAP_X)
            body += _panel(panel, column, kind, x, height - 36, step_s)
            if kind == KINDS[0]:
                body.append(_text(x + PANEL_WIDTH / 2, TOP - 28, column.title, "middle", "title"))
        body.append(_label(height - 36 + panel.height / 2, f"{kind} (GB/s)"))
        height += panel.height + GAP_Y
    for number in range(len(columns)):
        x = LEFT + number * (PANEL_WIDTH + GAP_X) + PANEL_WIDTH / 2
        body.append(_text(x, height - 20, "seconds", "middle"))
    legend = "A solid line ends the simulated run, a dashed one the paper's."
    body.append(_text(LEFT, height - 4, legend, "start"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">'
    )
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", background, *body, "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Scale:
    """From seconds and bytes per second to the inside of a panel, in pixels."""

    end_s: float
    low: float
    high: float

    @property
    def height(self) -> float:
        return PANEL_HEIGHT * (self.high - self.low) / self.high

    def x(self, seconds: float) -> float:
        return PANEL_WIDTH * seconds / self.end_s

    def y(self, rate: float) -> float:
        return self.height * (self.high - rate) / (self.high - self.low)


def _scale(columns: list[Column], kind: str, end_s: float) -> _Scale:
    """One scale for a row, with round ends; below zero only as far as a curve goes."""
    values = [rate for column in columns for rate in column.curves[kind]]
    step = 5 * GB if max(values) > 8 * GB else GB
    return _Scale(end_s, -_round_up(-min(0.0, *values), step), _round_up(max(values), step) or step)


def _panel(
    scale: _Scale, column: Column, kind: str, left: float, top: float, step_s: float
) -> list[str]:
    lines = [f'<g transform="translate({left:.1f},{top:.1f})">']
    lines += _grid(scale)
    points = [
        f"{scale.x((i + 0.5) * step_s):.1f},{scale.y(rate):.1f}"
        for i, rate in enumerate(column.curves[kind])
    ]
    zero, end = scale.y(0.0), scale.x((len(points) - 0.5) * step_s)
    area = f"0,{zero:.1f} {' '.join(points)} {end:.1f},{zero:.1f}"
    color = COLORS[kind]
    lines.append(f'<polygon points="{area}" fill="{color}" fill-opacity="0.25" stroke="{color}"/>')
    lines += _mark(scale, column.paper_s, "paper", ' stroke-dasharray="4 3"')
    lines += _mark(scale, column.done_s, "done", "")
    if kind == KINDS[0]:
        words = f"done {column.done_s:.0f} s (paper {column.paper_s:.0f} s)"
        lines.append(_text(PANEL_WIDTH, -4, words, "end"))
    return [*lines, "</g>"]


def _grid(scale: _Scale) -> list[str]:
    lines = []
    step = 5 * GB if scale.high > 8 * GB else GB
    for i in range(round(scale.low / step), round(scale.high / step) + 1):
        y, style = scale.y(i * step), "grid" if i else "axis"
        lines.append(f'<line class="{style}" x1="0" x2="{PANEL_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(_text(-5, y + 4, f"{i * step / GB:.0f}", "end"))
    for seconds in range(0, int(scale.end_s), 500):
        x = scale.x(seconds)
        line = f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{scale.height:.1f}"/>'
        lines += [line, _text(x, scale.height + 12, str(seconds), "middle")]
    return lines


def _mark(scale: _Scale, seconds: float, style: str, more: str) -> list[str]:
    x = scale.x(seconds)
    return [
        f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{scale.height:.1f}"{more}/>'
    ]


def _label(y: float, words: str) -> str:
    return (
        f'<text x="18" y="{y:.1f}" text-anchor="middle" '
        f'transform="rotate(-90 18 {y:.1f})">{words}</text>'
    )


def _text(x: float, y: float, words: str, anchor: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def _round_up(value: float, step: float) -> float:
    return -(-value // step) * step
