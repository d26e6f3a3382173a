from itertools import islice
from sys import getrefcount

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.shuffle.merge import merge

from .values import KEYS_OF_ONE_KIND, same

BOTH_WAYS = pytest.mark.parametrize("in_memory", [True, False])


def as_segment(pairs, block_size):
    """Pairs sorted by key, in the order given among equal keys, cut into blocks."""
    ordered = sorted(pairs, key=lambda pair: (pair[0],))  # None has no < of its own
    for start in range(0, len(ordered), block_size):
        block = ordered[start : start + block_size]
        yield [key for key, _ in block], [value for _, value in block]


def merged(map_outputs, in_memory, block_size=3):
    segments = [as_segment(pairs, block_size) for pairs in map_outputs]
    return [(key, list(values)) for key, values in merge(segments, in_memory)]


def oracle(map_outputs):
    """Promises 2 and 3 of a job, said in the plainest way."""
    pairs = [pair for output in map_outputs for pair in output]
    keys = []
    for key, _ in pairs:
        if key not in keys:
            keys.append(key)
    return [(key, [value for other, value in pairs if other == key]) for key in sorted(keys)]


@st.composite
def map_outputs(draw):
    keys = st.sampled_from(draw(KEYS_OF_ONE_KIND))
    emitted = st.lists(st.tuples(keys, st.integers(0, 99)), max_size=12)
    return draw(st.lists(emitted, max_size=5))


@BOTH_WAYS
@given(map_outputs(), st.integers(1, 4))
def test_groups_are_sorted_and_values_keep_map_order(in_memory, outputs, block_size):
    assert same(merged(outputs, in_memory, block_size), oracle(outputs))


@BOTH_WAYS
def test_values_that_cannot_be_compared_are_never_compared(in_memory):
    outputs = [[("a", {}), ("a", {})], [("a", {})], [("a", object)]]
    assert merged(outputs, in_memory) == [("a", [{}, {}, {}, object])]


@BOTH_WAYS
def test_of_equal_keys_the_first_maps_own_stands_for_all(in_memory):
    (group,) = merged([[(-0.0, 1)], [(0.0, 2)]], in_memory)
    assert repr(group) == "(-0.0, [1, 2])"


@BOTH_WAYS
def test_a_reducer_may_leave_values_unread(in_memory):
    segments = [as_segment([(1, n) for n in range(9)] + [(2, 0)], 2) for _ in range(2)]
    read = [(key, list(islice(values, 1))) for key, values in merge(segments, in_memory)]
    assert read == [(1, [0]), (2, [0])]


@BOTH_WAYS
@pytest.mark.parametrize("others", [[(1.0, 0)], [(True, 0)], [("a", 0)], [((1,), 0)], [(None, 0)]])
def test_keys_of_two_kinds_are_an_error_that_names_both(in_memory, others):
    with pytest.raises(BadRecord, match=r"Keys of two kinds meet in one job: 1 \(int\) and"):
        merged([[(1, 0)], others], in_memory)


def test_the_streaming_merge_reads_one_block_ahead_and_no_more():
    read = []

    def segment():
        for number in range(5):
            read.append(number)
            yield [number], ["value"]

    groups = merge([segment()], in_memory=False)
    next(groups)
    assert read == [0]
    next(groups)
    assert read == [0, 1]


@BOTH_WAYS
def test_no_segments_make_no_groups(in_memory):
    assert merged([], in_memory) == []
    assert merged([[], []], in_memory) == []


def test_a_key_whose_group_is_over_is_held_by_nobody_while_a_block_is_loaded():
    held = []

    def segment(key, end):
        before = getrefcount(key)
        yield [key], [1]
        held.append(getrefcount(key) - before)
        yield [end], [1]

    first, second = (segment("".join(["a", "b"]), end) for end in "cd")
    for _ in merge([first, second], in_memory=False):
        pass
    assert held[1] == 0, "its group goes by the key of the first"


def test_one_of_equal_keys_is_held_and_the_others_are_not():
    keys = ["".join(["a", letter]) for letter in "bbb"]
    before = list(map(getrefcount, keys))

    def segment(numbers):
        for number in numbers:
            yield [keys[number]], [number]

    ((_, values),) = islice(merge([segment([0, 1]), segment([2])], in_memory=False), 1)
    held = [getrefcount(keys[number]) - before[number] for number in values]
    assert held[1:] == [0, 0]
