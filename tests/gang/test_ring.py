"""Ring all-reduce: the sum, the bytes, the traffic."""

from fractions import Fraction

import numpy as np
import pytest

import minimr as mr
from minimr.gang import ring
from minimr.gang.in_process import InProcessGang


def arrays_of(size, length, dtype=np.float64):
    chance = np.random.default_rng([size, length])
    return [(100 * chance.normal(size=length)).astype(dtype) for _ in range(size)]


def reduced(arrays):
    gang = InProcessGang(len(arrays))
    return gang, gang.run(lambda members: mr.all_reduce(members, arrays[members.rank].copy()))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("length", [0, 1, 4, 7, 120, 1001])
def test_everybody_has_the_sum_to_the_byte(size, length, monkeypatch):
    monkeypatch.setattr(ring, "SEGMENT_BYTES", 160)  # Several segments a chunk.
    arrays = arrays_of(size, length)
    _, results = reduced(arrays)
    np.testing.assert_allclose(results[0], np.sum(arrays, axis=0), rtol=1e-12, atol=1e-11)
    assert len({result.tobytes() for result in results}) == 1


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_the_order_of_the_sum_is_the_documented_one(size):
    arrays = arrays_of(size, 3 * size)
    _, (result, *_) = reduced(arrays)
    for chunk in range(size):
        part = slice(3 * chunk, 3 * chunk + 3)
        total = arrays[chunk][part].copy()
        for step in range(1, size):
            total = total + arrays[(chunk + step) % size][part]
        assert result[part].tobytes() == total.tobytes()


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("length", [60, 61, 119, 3])
def test_each_sends_its_exact_share(size, length):
    gang, _ = reduced(arrays_of(size, length))
    sent = [member.sent.array_bytes // 8 for member in gang.members]
    share = Fraction(2 * (size - 1) * length, size)
    assert sum(sent) == 2 * (size - 1) * length
    assert all(abs(each - share) < 2 for each in sent)
    if length % size == 0:
        assert sent == [share] * size


@pytest.mark.parametrize(("length", "messages"), [(20, 1), (21, 2)])
def test_two_members_swap_what_is_small(length, messages, monkeypatch):
    monkeypatch.setattr(ring, "SWAP_BYTES", 160)
    gang, _ = reduced(arrays_of(2, length))
    assert [member.sent.messages for member in gang.members] == [messages, messages]


def test_what_is_no_number_is_the_same_everywhere():
    """To the bit: which of two such values a sum becomes depends on their order."""
    arrays = [np.array([0x7FF8_0000_0000_0000 + rank], np.uint64).view(float) for rank in range(2)]
    _, results = reduced(arrays)
    assert results[0].tobytes() == results[1].tobytes()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [0, 3, 121])
def test_packed_sums_are_the_same_everywhere(size, length):
    """Each hop rounds by at most 2**-11 of the chunk's largest; there are as many as members."""
    arrays = arrays_of(size, length)
    gang = InProcessGang(size)
    half = mr.HalfPrecision()
    results = gang.run(lambda me: mr.all_reduce(me, arrays[me.rank].copy(), half))
    assert len({result.tobytes() for result in results}) == 1
    bound = size * 2**-11 * np.abs(arrays).sum(axis=0).max(initial=0)
    np.testing.assert_allclose(results[0], np.sum(arrays, axis=0), rtol=0, atol=bound)
    assert sum(each.sent.array_bytes for each in gang.members) == 2 * (size - 1) * length * 2


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.complex128])
def test_other_elements_and_shapes(dtype):
    arrays = [each.astype(dtype).reshape(3, 4) for each in arrays_of(3, 12)]
    _, results = reduced(arrays)
    assert results[2].dtype == dtype
    np.testing.assert_allclose(results[2], np.sum(arrays, axis=0), rtol=1e-5)


def test_it_works_in_place_and_says_where_it_cannot():
    def program(members):
        array = np.ones((4, 2))
        assert mr.all_reduce(members, array) is array
        with pytest.raises(mr.UsageError, match="contiguous"):
            mr.all_reduce(members, array.T)

    InProcessGang(2).run(program)


@pytest.mark.parametrize("other", [np.ones(9), np.ones(8, np.float32)])
def test_members_that_do_not_agree(other):
    with pytest.raises(mr.UsageError, match="same shape and dtype"):
        reduced([np.ones(8), other])


def test_a_member_is_lost():
    gang = InProcessGang(3, dies=lambda rank, _epoch, number: rank == 1 and number == 3)
    with pytest.raises(mr.MemberLost, match="member 1"):
        gang.run(lambda members: mr.all_reduce(members, np.ones(9)))


def test_gather_and_broadcast():
    def program(members):
        everybody = mr.all_gather(members, f"from {members.rank}")
        return everybody, mr.broadcast(members, members.rank * 10, root=2)

    expected = ([f"from {rank}" for rank in range(3)], 20)
    assert InProcessGang(3).run(program) == [expected] * 3
