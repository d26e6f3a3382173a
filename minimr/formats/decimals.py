"""Decimal text to float64 without a Python step per number, with the bits that `float` gives.

A text of numbers is taken as its runs of digits and the gaps between them. "-12.5e3,7" has the
runs 12, 5, 3 and 7, and what a run is follows from the gap before it: after a point it is a
fraction, after an e an exponent, after anything else the start of a new number. All runs of a text
are read at once: eight digits are one 64-bit word, and three multiplications add up the digits of
every word (Lamport, Multiple Byte Processing with Full-Word Instructions, CACM 18, 1975).

A number is then mantissa * 10^scale with a whole mantissa, of which the nearest double is wanted
(Clinger, How to Read Floating Point Numbers Accurately, PLDI 1990):

- mantissa <= 2^53 and |scale| <= 22: both factors are doubles, so that one multiplication or
  division rounds correctly. Most data is like that.
- mantissa < 2^64 and |scale| <= 27: both are exact in the x87's extended precision, with its 64
  bits. Rounding the result once more, to a double, goes wrong only where it lies exactly half-way
  between two doubles: one number in two thousand.
- the rest goes through `float`, one by one; without extended precision that is all but the first.

No format is known here. A gap that the caller's grammar does not allow ends the attempt with None:
formats have a careful parser besides, which knows what to say about it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# What may stand before a run of digits. One bit each, so that a set of them is a byte.
NEWLINE, COMMA, BLANK, COLON, POINT, EXPONENT, OTHER = (1 << bit for bit in range(7))

GAP_BYTES_MAX = 8
"""The longest gap that is looked at: blanks and line ends, perhaps a comma, a sign."""

PIECE_BYTES = 384 << 10
"""How much text to take at a time: what is made of it stays in the processor's cache."""

COUNT_DIGITS_MAX = 18
COUNT_UNKNOWN = np.uint64((1 << 64) - 1)
DIGITS_MAX = 19  # are sure to fit 64 bits
FAR_SCALE = 9999  # stands for all that is further
EXACT_MANTISSA = np.uint64(1 << 53)
EXACT_SCALE = 22
EXTENDED_SCALE = 27  # 10^27 = 5^27 * 2^27, and 5^27 < 2^64
MINUS = np.uint64(1 << 63)  # the sign bit of a double
HAS_EXTENDED = np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16

# A run to begin and one to end with, so that every other has neighbours, and a word to its left.
_BEFORE, _AFTER = b"\n" * 16 + b"0\n", b"\n0\n"
_SEPARATORS = b"\n\t\r ,:"
_TEN_TO = np.array([float(10**n) for n in range(EXACT_SCALE + 1)])
_TEN_TO_WORD = np.array([10**n for n in range(DIGITS_MAX + 1)], np.uint64)
_TEN_TO_EXTENDED = np.array([1] + [10] * EXTENDED_SCALE, np.longdouble).cumprod()
# The low halves of the bytes that belong to a run of n digits at the end of a word.
_DIGITS_OF_RUN = np.array(
    [int.from_bytes(b"\0" * (8 - n) + b"\x0f" * n, "little") for n in range(9)], np.uint64
)


_CLASSES = np.full(256, OTHER, np.uint8)
for _class, _characters in {
    NEWLINE: b"\n",
    COMMA: b",",
    BLANK: b" \t\r",
    COLON: b":",
    POINT: b".",
    EXPONENT: b"eE",
}.items():
    _CLASSES[list(_characters)] = _class
# What all classes of a gap mean together: blanks count only where nothing else stands.
_MEANINGS = np.full(2 * OTHER, OTHER, np.uint8)
_MEANINGS[[NEWLINE, NEWLINE | BLANK]] = NEWLINE
_MEANINGS[[COMMA, COMMA | BLANK]] = COMMA
for _alone in (BLANK, COLON, POINT, EXPONENT):
    _MEANINGS[_alone] = _alone


@dataclass(frozen=True)
class Grammar:
    """Which gaps a format allows, as sets of classes.

    `follows` says for the class before a run which classes may stand before the next one; `signed`
    holds the classes after which a sign may stand, `counts` those after which a number is but a
    count, of one run. Text begins as if after a NEWLINE.
    """

    follows: dict[int, int]
    signed: int
    counts: int = 0


@dataclass(frozen=True)
class Numbers:
    """The n numbers of a text, in its order, and the c counts between them."""

    before: Bytes
    """(n,) the class of the gap before each: NEWLINE, COMMA, BLANK or COLON."""
    values: Floats
    """(n,), all finite."""
    counts: Words
    """(c,); COUNT_UNKNOWN for those of more than 18 digits."""


@dataclass(frozen=True)
class _Runs:
    """All runs of digits in order, with an empty-handed "0" after the last."""

    lengths: Ints
    ends: Ints
    before: Bytes
    """The class of the gap before each."""
    signs: Words
    """MINUS for those with a minus before them, else 0."""
    values: Words
    """Each as a whole number; without meaning for more than DIGITS_MAX digits."""


def read_numbers(data: bytes, grammar: Grammar, extended: bool = HAS_EXTENDED) -> Numbers | None:
    """Return the numbers of some whole lines; None if they need a closer look.

    They do where a gap is not allowed, and where a number is not finite as a double.
    """
    text = _BEFORE + data + _AFTER
    runs = _find_runs(np.frombuffer(text, np.uint8), grammar)
    return None if runs is None else _assembled(text, runs, grammar.counts, extended)


def cut_at_newlines(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Cut whole lines into pieces of whole lines: (start + offset in `data`, piece).

    A piece is about PIECE_BYTES long, or as long as one line.
    """
    offset = 0
    while offset < len(data):
        stop = data.rfind(b"\n", offset, offset + PIECE_BYTES) + 1
        if not stop:
            stop = data.find(b"\n", offset) + 1 or len(data)
        yield start + offset, data[offset:stop]
        offset = stop


# ---------------------------------------------------------------------------------------------
# Runs of digits, and the gaps between them. Here `take` stands for [...]: it takes half the time.


def _find_runs(buffer: Bytes, grammar: Grammar) -> _Runs | None:
    is_digit = (buffer - np.uint8(ord("0"))) < 10
    is_edge = np.zeros(len(buffer), bool)
    np.not_equal(is_digit[1:], is_digit[:-1], out=is_edge[1:])
    edges = np.flatnonzero(is_edge)
    gaps, starts, ends = edges[1:-1:2].copy(), edges[2::2].copy(), edges[3::2].copy()
    before = _CLASSES.take(buffer.take(gaps))
    signs = np.zeros(len(starts), np.uint64)
    wide = np.flatnonzero(starts - gaps > 1)
    last = buffer.take(starts[wide] - 1)
    has_sign = (last == ord("+")) | (last == ord("-"))
    signs[wide[last == ord("-")]] = MINUS
    meanings = _wide_gaps(buffer, gaps[wide], starts[wide] - has_sign)
    before[wide] = meanings
    if not _obey(before, meanings[has_sign], grammar):
        return None
    lengths = ends - starts
    return _Runs(lengths, ends, before, signs, _values_of_runs(buffer, ends, lengths))


def _wide_gaps(buffer: Bytes, starts: Ints, stops: Ints) -> Bytes:
    """The meaning of every gap [start, stop), which leaves out the sign before its run."""
    widths = stops - starts
    widest = min(int(widths.max(initial=0)), GAP_BYTES_MAX + 1)
    sets = _CLASSES.take(buffer.take(starts))
    has_comma = sets == COMMA
    for offset in range(1, widest):
        rest = np.flatnonzero(widths > offset)
        classes = _CLASSES.take(buffer.take(starts[rest] + offset))
        sets[rest] |= np.where(has_comma[rest] & (classes == COMMA), OTHER, classes)
        has_comma[rest] |= classes == COMMA
        sets[rest[classes & (NEWLINE | COMMA | BLANK) == 0]] = OTHER  # "::" is not ":"
    sets[widths > GAP_BYTES_MAX] = OTHER
    return _MEANINGS.take(sets)


def _obey(before: Bytes, before_signs: Bytes, grammar: Grammar) -> bool:
    follows = np.zeros(OTHER + 1, np.uint8)
    for first, allowed in grammar.follows.items():
        follows[first] = allowed
    may_follow = follows.take(before[:-1]) & before[1:] != 0
    may_be_signed = before_signs & np.uint8(grammar.signed) != 0
    return bool(before[0] == NEWLINE and may_follow.all() and may_be_signed.all())


def _values_of_runs(buffer: Bytes, ends: Ints, lengths: Ints) -> Words:
    # One that starts at every byte; copied, for every `take` would copy words that overlap.
    words = np.ndarray((len(buffer) - 7,), "<u8", buffer, 0, (1,)).copy()
    values = _eight_digits(words, ends, lengths)
    for done in range(8, min(int(lengths.max()), DIGITS_MAX), 8):
        long = np.flatnonzero(lengths > done)
        more = _eight_digits(words, ends[long] - done, lengths[long] - done)
        values[long] += more * _TEN_TO_WORD[done]
    return values


def _eight_digits(words: Words, ends: Ints, lengths: Ints) -> Words:
    """The last digits, at most eight, of runs that end at `ends`."""
    eight = words.take(ends - 8)
    eight &= _DIGITS_OF_RUN.take(lengths, mode="clip")
    eight *= np.uint64(10 << 8 | 1)
    eight >>= np.uint64(8)
    eight &= np.uint64(0x00FF00FF00FF00FF)  # four numbers of two digits
    eight *= np.uint64(100 << 16 | 1)
    eight >>= np.uint64(16)
    eight &= np.uint64(0x0000FFFF0000FFFF)  # two numbers of four digits
    eight *= np.uint64(10_000 << 32 | 1)
    eight >>= np.uint64(32)
    return eight


# ---------------------------------------------------------------------------------------------
# Numbers made of them.


def _assembled(text: bytes, runs: _Runs, counts: int, extended: bool) -> Numbers | None:
    """Join the runs of each number, and round."""
    starts = runs.before[:-1]
    first = np.flatnonzero(starts & np.uint8((POINT - 1) & ~counts) != 0)  # of each number
    second = first + 1
    wholes, lengths = runs.values.take(first), runs.lengths.take(first)
    has_fraction = runs.before.take(second) == POINT
    fraction_lengths = np.where(has_fraction, runs.lengths.take(second), 0)
    mantissas = wholes * _TEN_TO_WORD.take(fraction_lengths, mode="clip")
    mantissas += np.where(has_fraction, runs.values.take(second), 0)
    scales = -fraction_lengths
    if (runs.before == EXPONENT).any():
        scales += _exponents(runs, second + has_fraction)
    fits = _fit_a_word(wholes, lengths, fraction_lengths)
    doubles, hard = _doubles(mantissas, scales, fits, extended)
    doubles.view(np.uint64)[:] |= runs.signs.take(first)
    if len(hard):
        doubles[hard] = _by_float(text, runs, first[hard])
        if not np.isfinite(doubles[hard]).all():
            return None
    return Numbers(runs.before.take(first), doubles, _counts(runs, starts & np.uint8(counts) != 0))


def _by_float(text: bytes, runs: _Runs, first: Ints) -> list[float]:
    """The numbers that begin with these runs."""
    last = first + (runs.before[first + 1] == POINT)
    last += runs.before[last + 1] == EXPONENT
    starts = runs.ends[first] - runs.lengths[first] - 1  # a sign, or what else is before it
    spans = zip(starts.tolist(), runs.ends[last].tolist(), strict=True)
    return [float(text[start:end].lstrip(_SEPARATORS)) for start, end in spans]


def _counts(runs: _Runs, are_counts: Flags) -> Words:
    at = np.flatnonzero(are_counts)
    counts, lengths = runs.values.take(at), runs.lengths.take(at)
    if lengths.max(initial=0) > COUNT_DIGITS_MAX:
        counts[lengths > COUNT_DIGITS_MAX] = COUNT_UNKNOWN
    return counts


def _fit_a_word(wholes: Words, lengths: Ints, fraction_lengths: Ints) -> Flags:
    """Which mantissas surely fit 64 bits; the 0 of 0.0123 is no digit of it."""
    fits = lengths + fraction_lengths <= DIGITS_MAX
    doubtful = np.flatnonzero(~fits)
    zero = (wholes[doubtful] == 0) & (lengths[doubtful] <= DIGITS_MAX)
    fits[doubtful] = zero & (fraction_lengths[doubtful] <= DIGITS_MAX)
    return fits


def _exponents(runs: _Runs, at: Ints) -> Ints:
    """The exponents of numbers, at those runs that are exponents, else 0."""
    amounts = np.minimum(runs.values.take(at), FAR_SCALE).astype(np.int64)
    amounts[runs.lengths.take(at) > DIGITS_MAX] = FAR_SCALE
    amounts[runs.signs.take(at) == MINUS] *= -1
    return np.where(runs.before.take(at) == EXPONENT, amounts, 0)


def _doubles(mantissas: Words, scales: Ints, fits: Flags, extended: bool) -> tuple[Floats, Ints]:
    """mantissa * 10^scale, correctly rounded, and which of them are still to be made by `float`."""
    sizes = np.abs(scales)
    exact = fits & (mantissas <= EXACT_MANTISSA) & (sizes <= EXACT_SCALE)
    doubles = _scaled(mantissas.astype(np.float64), scales, _TEN_TO)
    if extended and not exact.all():
        middling = np.flatnonzero(fits & ~exact & (sizes <= EXTENDED_SCALE))
        wide = _scaled(
            mantissas[middling].astype(np.longdouble), scales[middling], _TEN_TO_EXTENDED
        )
        doubles[middling] = wide
        # An x87 number is a word of mantissa, of which a double drops 11 bits, and one of the rest.
        half_way = wide.view(np.uint64)[0::2] & np.uint64(0x7FF) == 0x400
        exact[middling] = ~half_way
    return doubles, np.flatnonzero(~exact)


def _scaled(mantissas: Any, scales: Ints, ten_to: Any) -> Any:
    """mantissa * 10^scale, for scales that the table has. One factor is 1: it rounds once."""
    if scales.max(initial=0) > 0:
        mantissas *= ten_to.take(np.maximum(scales, 0), mode="clip")
        scales = np.minimum(scales, 0)
    mantissas /= ten_to.take(-scales, mode="clip")
    return mantissas
