import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.shuffle.passes import FAN_IN, fan_in_for, next_pass


@given(st.integers(0, 1000), st.integers(2, 70))
def test_a_pass_takes_each_run_once_and_in_order(runs, fan_in):
    groups = next_pass(runs, fan_in)
    assert [run for group in groups for run in group] == list(range(runs))
    assert all(1 <= len(group) <= fan_in for group in groups)


@given(st.integers(1, 1000), st.integers(2, 70))
def test_few_enough_runs_are_left_after_the_fewest_passes(runs, fan_in):
    passes = 0
    count = runs
    while count > fan_in:
        count = len(next_pass(count, fan_in))
        passes += 1
    assert runs <= fan_in ** (passes + 1)
    assert passes == 0 or runs > fan_in**passes


def test_no_more_is_merged_than_needed():
    assert [len(group) for group in next_pass(65, 64)] == [2] + [1] * 63
    assert [len(group) for group in next_pass(64, 64)] == [1] * 64
    assert [len(group) for group in next_pass(7, 4)] == [4, 1, 1, 1]


def test_a_merge_of_one_run_is_refused():
    with pytest.raises(ValueError, match="makes nothing longer"):
        next_pass(3, 1)


def test_fan_in_follows_the_memory():
    assert fan_in_for(256 << 20, 1 << 20) == FAN_IN
    assert fan_in_for(30 << 20, 1 << 20) == 10
    assert fan_in_for(0, 1 << 20) == 2


def test_fan_in_follows_the_largest_block_too():
    assert fan_in_for(96 << 20, 1 << 20, 2 << 20) == 32
    assert fan_in_for(96 << 20, 1 << 20, 16 << 20) == 4
    assert fan_in_for(96 << 20, 1 << 20, 80 << 20) == 2
