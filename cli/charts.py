"""Numbers drawn with characters."""

from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉"


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve of one line, `width` characters or fewer: the lowest value lowest, to scale."""
    if not values:
        return ""
    chosen = _evenly(values, width)
    low, high = min(chosen), max(chosen)
    if low == high:
        return LEVELS[0] * len(chosen)
    scale = (len(LEVELS) - 1) / (high - low)
    return "".join(LEVELS[round((value - low) * scale)] for value in chosen)


def bar(value: float, maximum: float, width: int) -> str:
    """A bar whose length is to `width` as `value` is to `maximum`, to an eighth of a character."""
    eighths = round(value / maximum * width * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + EIGHTHS[rest].strip()


def _evenly(values: Sequence[float], width: int) -> list[float]:
    """At most `width` of the values at even distances, the first and the last among them."""
    if len(values) <= width:
        return list(values)
    last = len(values) - 1
    return [values[round(index * last / (width - 1))] for index in range(width)]
