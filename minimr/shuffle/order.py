"""Stable orders of typed keys, by sorting numbers instead of comparing keys.

A stable argsort must remember where each item came from. Here the memory is in the number itself:
the key's bits stand above, the item's index below, both in one uint64, and a plain sort of those
numbers (which numpy does with vector instructions, several times as fast as an argsort) leaves the
indices in order in the low bits. Equal keys fall in order of their indices, which is stability.

Keys of more bits than there is room for are sorted in several rounds, the least significant digits
first, each round stable (a radix sort with digits of about 40 bits; Knuth, TAOCP 5.2.5). All kinds
of numbers and strings of bytes become such digits: ints less the least of them, floats by their
bits, strings by words of eight bytes. Where the first word tells nearly all keys apart, it is
faster still to sort by that one alone, stably or not, and to settle the ties.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minimr.shuffle.byte_strings import ByteStrings

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

SIGN = np.uint64(1 << 63)
FIXED_WIDTH_MAX = 64
"""Strings of one width up to this are sorted by all their words at once."""
FEW_SHARE = 64
"""Of so many numbers one may stand wrong after a round by their highest bits."""
WORDS_MAX = 8
"""Longer strings that agree in so many words of eight bytes are compared by Python."""


@dataclass(frozen=True)
class Field:
    """A part of the keys: n numbers, of which the lowest `bits` bits may differ."""

    values: Words
    bits: int


def order_of(keys: "npt.NDArray[np.generic] | ByteStrings") -> Ints:
    """Return the indices that sort int64, float64 or bool keys, or strings, stably; (n,) int64.

    Floats must not be NaN; -0.0 and 0.0 are equal.
    """
    if isinstance(keys, ByteStrings):
        if keys.width is not None and keys.width <= FIXED_WIDTH_MAX:
            return _order_of_rows(keys, keys.width)
        return _order_of_strings(keys)
    if len(keys) < 2 or bool((keys[1:] >= keys[:-1]).all()):  # type: ignore[operator]
        return np.arange(len(keys), dtype=np.int64)
    return _order_of_numbers(field(sortable(keys)))


def sortable(keys: "npt.NDArray[np.generic]") -> Words:
    """Return int64, float64 or bool keys as uint64 of the same order; equal keys as equal ones."""
    if keys.dtype == np.float64:
        bits = (keys + 0.0).view(np.int64)  # type: ignore[operator]  # + 0.0 makes 0.0 of -0.0
        flip = (bits >> np.int64(63)).view(np.uint64) | SIGN  # all bits of a negative float
        return bits.view(np.uint64) ^ flip  # type: ignore[no-any-return]
    return keys.astype(np.int64, copy=False).view(np.uint64) ^ SIGN


def field(values: Words) -> Field:
    """Return numbers as a field of as few bits as they need; the array is changed."""
    if not len(values):
        return Field(values, 0)
    least = values.min()
    bits = int(values.max() - least).bit_length()
    values -= least
    return Field(values, bits)


def _order_of_numbers(numbers: Field) -> Ints:
    """Sort by the highest bits, as many as there is room for, and settle what these leave wrong.

    Numbers that differ in their lowest bits alone are few in most keys: one round will do. Where
    they are many, the round was in vain.
    """
    count = len(numbers.values)
    room = 64 - _index_bits(count)
    lowest_bits = np.uint64(max(0, numbers.bits - room))
    order = order_of_fields([Field(numbers.values >> lowest_bits, min(numbers.bits, room))], count)
    if not lowest_bits:
        return order
    ordered = numbers.values[order]
    falls = np.flatnonzero(ordered[1:] < ordered[:-1])
    if len(falls) > count // FEW_SHARE:
        return order_of_fields([numbers], count)
    if len(falls):
        highest = ordered >> lowest_bits
        run = np.cumsum(np.concatenate([[False], highest[1:] != highest[:-1]]))
        is_wrong = np.zeros(run[-1] + 1, np.bool_)
        is_wrong[run[falls]] = True
        wrong = np.flatnonzero(is_wrong[run])
        order[wrong] = order[wrong][order_of_fields([field(ordered[wrong])], len(wrong))]
    return order


def _index_bits(count: int) -> int:
    return max(count - 1, 0).bit_length()


def order_of_fields(fields: Sequence[Field], count: int) -> Ints:
    """Return the stable order of `count` items by several fields, the most significant first."""
    index_bits = _index_bits(count)
    room = 64 - index_bits
    indices = np.arange(count, dtype=np.uint64)
    order: Ints | None = None
    for digit in _digits(fields, room):
        packed = digit if order is None else digit[order]
        packed <<= np.uint64(index_bits)
        packed |= indices
        packed.sort()
        packed &= np.uint64((1 << index_bits) - 1)
        places = packed.view(np.int64)
        order = places if order is None else order[places]
    return indices.view(np.int64) if order is None else order


def _digits(fields: Sequence[Field], room: int) -> "list[Words]":
    """Cut the fields, read as one long number for each item, into digits of at most `room` bits.

    The least significant digit comes first. The fields may be changed.
    """
    if len(fields) == 1 and fields[0].bits <= room:
        return [fields[0].values] if fields[0].bits else []
    digits: list[Words] = []
    used = room
    for each in reversed(fields):
        taken = 0
        while taken < each.bits:
            if used == room:
                digits.append(np.zeros(len(each.values), np.uint64))
                used = 0
            bits = min(each.bits - taken, room - used)
            mask = np.uint64((1 << bits) - 1)
            digits[-1] |= ((each.values >> np.uint64(taken)) & mask) << np.uint64(used)
            used += bits
            taken += bits
    return digits


def _order_of_rows(keys: ByteStrings, width: int) -> Ints:
    """Sort by the first word, which tells most keys apart, then by the others what is still tied.

    The first sort need not be stable, since ties are settled by the index at the end.
    """
    first = keys.words(0)
    order = np.argsort(first)
    first = first[order]
    same = first[1:] == first[:-1]
    if not same.any():
        return order
    starts = np.concatenate([[True], ~same])
    tied = np.flatnonzero(np.concatenate([same, [False]]) | ~starts)
    items = order[tied]
    run = np.cumsum(starts)[tied].astype(np.uint64)
    words = [keys.words(number, items) for number in range(1, -(-width // 8))]
    fields = [run, *words, items.astype(np.uint64)]
    order[tied] = items[order_of_fields(list(map(field, fields)), len(items))]
    return order


def _order_of_strings(keys: ByteStrings) -> Ints:
    """Sort by the first word, then what is still tied by the next, as long as there are ties."""
    lengths = keys.lengths()
    order = np.arange(len(keys), dtype=np.int64)
    tied = (
        order.copy()
    )  # places in `order` whose keys are not told apart yet; runs of them are neighbours
    run = np.zeros(len(keys), np.uint64)  # of each such place, which run it belongs to
    for number in range(WORDS_MAX):
        items = order[tied]
        words = keys.words(number, items)
        ends = np.clip(lengths[items] - 8 * number, 0, 9).astype(np.uint64)  # "a" before "a\0"
        places = order_of_fields([field(run), field(words), field(ends.copy())], len(items))
        order[tied] = items = items[places]
        words, ends, run = words[places], ends[places], run[places]
        same = (run[1:] == run[:-1]) & (words[1:] == words[:-1]) & (ends[1:] == ends[:-1])
        same &= ends[1:] == 9  # shorter ones are equal, and in order
        if not same.any():
            return order
        starts = np.concatenate([[True], ~same])
        run = np.cumsum(starts).astype(np.uint64)
        member = np.concatenate([same, [False]]) | np.concatenate([[False], same])
        tied, run = tied[member], run[member]
    for places in np.split(tied, np.flatnonzero(run[1:] != run[:-1]) + 1):
        items = order[places].tolist()
        order[places] = sorted(items, key=keys.__getitem__)
    return order
