"""Many byte strings as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.cluster.joined import Joined, joined
from minimr.errors import ProtocolError


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_every_item_comes_back(items):
    again = Joined(joined(items))
    assert list(again) == items
    assert [again[number] for number in range(len(again))] == items


@given(st.lists(st.binary(max_size=9), max_size=9), st.data())
def test_bytes_that_are_cut_or_too_many_are_refused(items, data):
    whole = joined(items)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for bad in (whole[:cut], whole + b"x"):
        with pytest.raises(ProtocolError):
            Joined(bad)


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_item_of_another_number(index):
    with pytest.raises(IndexError):
        Joined(joined([b"a", b"b"]))[index]


def test_a_count_that_is_a_lie_asks_for_no_memory():
    with pytest.raises(ProtocolError, match="4294967295 items is cut off"):
        Joined(b"\xff" * 8)
