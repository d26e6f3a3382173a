"""The parameter server: its staleness, its bytes, and what it survives."""

import numpy as np
import pytest

import minimr as mr
from minimr.gang.in_process import InProcessGang
from minimr.gang.key_range import KeyRange, Push
from minimr.shuffle import codec
from tests.gang.regression import CLOCKS, START, alone, training, update
from tests.observe.checks.runs import staleness_found


def same(results):
    return len({parameters.tobytes() for parameters, *_ in results}) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_staleness_0_is_synchronous_to_the_byte(size):
    """Nine members for seven partitions: two have nothing to push but their clocks."""
    gang = InProcessGang(size)
    results = gang.run(training(0))
    expected, tails = alone()
    assert all(parameters.tobytes() == expected.tobytes() for parameters, *_ in results)
    assert results[0][1] == tails
    assert staleness_found(gang.notes, size) == []


@pytest.mark.parametrize("staleness", [1, 3, None])
@pytest.mark.parametrize("size", [2, 4])
def test_others_count_each_update_and_keep_the_bound(size, staleness):
    gang = InProcessGang(size)
    results = gang.run(training(staleness))
    updates = CLOCKS if staleness is not None else CLOCKS * size
    assert same(results)
    assert [len(tails) for _, tails, _ in results] == [updates] * size
    assert staleness_found(gang.notes, size) == []
    most = updates if staleness is None else staleness
    assert all(0 <= each <= most for *_, stale in results for each in stale)


def test_asynchronous_staleness_is_what_came_between():
    """Two members read version 0; whoever pushes second finds one update in between."""
    key_range = KeyRange(np.zeros(1), members=2, in_clocks=False)
    rows = np.ones((1, 3))
    key_range.accept(Push(0, 0, 0, [0], rows), update)
    key_range.accept(Push(1, 0, 0, [1], rows), update)
    key_range.accept(Push(0, 1, 1, [0], rows), update)
    assert key_range.staleness == [0, 1, 1]


def test_the_staleness_of_a_clock_is_that_of_its_oldest_read():
    """Clock 1 is pushed from version 0 by one member and, when that has counted, from 1."""
    key_range = KeyRange(np.zeros(1), members=2, in_clocks=True)
    rows = np.ones((1, 3))
    for source, clock, base in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)]:
        key_range.accept(Push(source, clock, base, [source], rows), update)
    assert key_range.staleness == [0, 1]
    assert key_range.bases == {}


def test_a_push_counts_once():
    once, twice = (KeyRange(np.zeros(2), members=1, in_clocks=True) for _ in range(2))
    push = Push(0, 0, 0, [1, 0], np.arange(8.0).reshape(2, 4) + 1)
    assert once.accept(push, update)
    assert twice.accept(push, update)
    assert not twice.accept(push, update)
    assert once.parameters.tobytes() == twice.parameters.tobytes()
    assert (twice.version, twice.accepted) == (1, 1)


def test_a_clock_without_any_row_is_read_again_as_it_was_read():
    """A member that died between two servers asks again for what it had read, and gets that."""
    key_range = KeyRange(np.zeros(1), members=1, in_clocks=True)
    key_range.accept(Push(0, 0, 0, [0], np.ones((1, 2))), lambda w, g, t, m, *_: (w + g, m))
    version, read = key_range.at(1, 0)
    key_range.accept(Push(0, 1, 1, [], np.empty((0, 1))), update)
    assert key_range.at(1, 0) == (version, read)
    assert read == 1.0


def test_a_sum_that_is_no_number_is_for_callers_to_see():
    """numpy would warn, and warnings are errors here."""
    key_range = KeyRange(np.zeros(1), members=1, in_clocks=True)
    key_range.accept(Push(0, 0, 0, [0, 1], np.array([[1e308, 0, 1], [1e308, 0, 1]])), update)
    assert not np.isfinite(key_range.parameters).any()


@pytest.mark.parametrize(("staleness", "versions"), [(0, [4]), (1, [3, 4]), (3, [1, 2, 3, 4])])
def test_a_read_waits_for_exactly_the_clocks_of_its_bound(staleness, versions):
    key_range = KeyRange(np.zeros(1), members=1, in_clocks=True)
    served = []
    for version in range(5):
        key_range.version = version
        served += [version] * key_range.serves(4, staleness)
    assert served == versions


def test_a_read_that_has_to_wait_waits():
    """Member 1 pushes nothing until member 0 has said that it is about to read."""
    seen = []

    def program(members):
        server = mr.ParameterServer(members, START, update, 0)
        if members.rank == 0:
            server.push(0, {0: np.ones(len(START) + 2)})
            members.send(1, "go", None)
            server.read(1)
            seen.append("read")
        else:
            members.receive(0, "go")
            seen.append("push")
            server.push(0, {1: np.ones(len(START) + 2)})
        server.finish(1)

    InProcessGang(2).run(program)
    assert seen == ["push", "read"]


@pytest.mark.parametrize("staleness", [0, 2, None])
@pytest.mark.parametrize("size", [2, 3])
def test_a_member_may_die_at_any_message(size, staleness):
    """Its range comes back from the replica, and nothing is lost, done twice or seen too early."""
    expected, _ = alone()
    for number in range(1, 30, 4):
        for victim in range(size):
            gang = InProcessGang(
                size,
                "one",
                lambda rank, epoch, n, v=victim, m=number: (rank, epoch, n) == (v, 1, m),
            )
            results = gang.run(training(staleness))
            assert same(results)
            updates = CLOCKS if staleness is not None else CLOCKS * size
            assert {len(tails) for _, tails, _ in results} == {updates}
            assert staleness_found(gang.notes, size) == []
            if staleness == 0:
                assert results[0][0].tobytes() == expected.tobytes()


def test_a_member_may_die_again_and_others_after_it():
    deaths = {(0, 1, 9), (0, 2, 7), (2, 1, 31)}
    gang = InProcessGang(3, "one", lambda *which: which in deaths)
    results = gang.run(training(0))
    assert [each.epoch for each in gang.members] == [3, 1, 2]
    assert all(each.tobytes() == alone()[0].tobytes() for each, *_ in results)


def test_a_gang_that_starts_again_as_a_whole():
    gang = InProcessGang(3, "all", lambda rank, epoch, n: (rank, epoch, n) == (1, 1, 20))
    results = gang.run(training(0))
    assert all(each.tobytes() == alone()[0].tobytes() for each, *_ in results)


def test_without_restart_the_loss_ends_everything():
    gang = InProcessGang(3, dies=lambda rank, _epoch, number: rank == 2 and number == 20)
    with pytest.raises(mr.MemberLost, match="member 2"):
        gang.run(training(1))


def test_an_update_that_fails_ends_the_member_whose_range_it_is():
    """Its trainer only waits: what failed was to answer the push of another member."""

    def fails(parameters, _gradient, _tail, _memory, _step, keys):
        if keys.start > 0:
            raise ValueError("no update today")
        return parameters, None

    def program(members):
        server = mr.ParameterServer(members, START, fails, None)
        if members.rank == 0:
            server.push(0, {0: np.ones(len(START) + 2)})
        server.finish(1)

    with pytest.raises(ValueError, match="no update today"):
        InProcessGang(2).run(program)


def test_a_range_restored_is_the_range():
    key_range = KeyRange(START[:3].copy(), members=2, in_clocks=True)
    key_range.accept(Push(0, 0, 0, [0], np.ones((1, 5))), update)
    copy = KeyRange.from_dict(codec.loads(codec.dumps(key_range.to_dict())))
    for each in (key_range, copy):
        each.accept(Push(1, 0, 0, [1], np.ones((1, 5))), update)
    assert copy.parameters.tobytes() == key_range.parameters.tobytes()
    assert copy.version == 1


def test_a_negative_staleness_is_refused():
    with pytest.raises(mr.UsageError, match="staleness"):
        InProcessGang(1).run(lambda members: mr.ParameterServer(members, START, update, -1))
