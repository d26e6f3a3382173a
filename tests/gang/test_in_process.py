"""A gang of threads: messages, deaths, and who starts again."""

import numpy as np
import pytest

import minimr as mr
from minimr.gang.in_process import RESTARTS_MAX, InProcessGang


def around(members, tag="ring", value=None):
    """Send to the next rank, receive from the one before."""
    members.send((members.rank + 1) % members.size, tag, members.rank if value is None else value)
    return members.receive((members.rank - 1) % members.size, tag)


def dying(victim, number, epochs=1):
    return lambda rank, epoch, count: rank == victim and epoch <= epochs and count == number


def test_results_come_by_rank():
    assert InProcessGang(4).run(around) == [3, 0, 1, 2]


def test_values_keep_their_types():
    value = {"a": np.arange(6.0).reshape(2, 3), "b": [1, (2.5, None)], "c": b"x", 3: "text"}
    (came, _) = InProcessGang(2).run(lambda members: around(members, value=value))
    np.testing.assert_array_equal(came.pop("a"), value["a"])
    assert came == {"b": [1, (2.5, None)], "c": b"x", 3: "text"}


def test_nobody_shares_an_array():
    def program(members):
        mine = np.zeros(3)
        members.send(1 - members.rank, "x", mine)
        mine += 1
        theirs = members.receive(1 - members.rank, "x")
        theirs += 5
        return theirs.tolist()

    assert InProcessGang(2).run(program) == [[5.0] * 3] * 2


def test_each_tag_has_its_own_order():
    def program(members):
        if members.rank == 0:
            for number in range(3):
                members.send(1, "a", number)
            members.send(1, "b", "first")
            return None
        return [members.receive(0, "b"), *(members.receive(0, "a") for _ in range(3))]

    assert InProcessGang(2).run(program)[1] == ["first", 0, 1, 2]


def test_what_cannot_travel_is_an_error_at_the_sender():
    with pytest.raises(TypeError, match="set"):
        InProcessGang(2).run(lambda members: around(members, value={1, 2}))


def test_what_was_sent_before_leaving_is_received():
    def program(members):
        if members.rank == 0:
            members.send(1, "x", 1)
            return None
        first = members.receive(0, "x")
        with pytest.raises(mr.MemberLost) as caught:
            members.receive(0, "x")
        return first, caught.value.rank

    assert InProcessGang(2).run(program) == [None, (1, 0)]


def test_one_who_has_left_is_lost():
    def program(members):
        return members.receive(0, "never") if members.rank == 1 else None

    with pytest.raises(mr.MemberLost, match="has left"):
        InProcessGang(2).run(program)


def test_the_first_error_is_the_one_that_is_raised():
    def program(members):
        if members.rank == 2:
            raise ValueError("mine")
        return around(members)

    with pytest.raises(ValueError, match="mine"):
        InProcessGang(3).run(program)


def counting(members):
    """Two rounds; how many were saved before this epoch."""
    before = members.saved or 0
    around(members)
    members.save(before + 1)
    around(members)
    return members.epoch, before


def test_all_start_again_from_what_they_saved():
    results = InProcessGang(3, "all", dies=dying(1, 2)).run(counting)
    assert [epoch for epoch, _ in results] == [2, 2, 2]
    assert results[1] == (2, 1)  # It died after it had saved.


def test_a_gang_that_keeps_dying_is_given_up():
    gang = InProcessGang(2, "all", dies=dying(1, 1, epochs=99))
    with pytest.raises(mr.MemberLost, match="member 1"):
        gang.run(around)
    assert gang.members[0].epoch == RESTARTS_MAX + 1


def test_one_alone_starts_again_and_the_others_await_it():
    def program(members):
        if members.rank == 0:
            return members.epoch, around(members, value="new" if members.epoch > 1 else "old")
        with pytest.raises(mr.MemberLost):
            members.receive(0, "ring")
        with pytest.raises(mr.MemberLost):
            members.send(0, "ring", 1)
        members.await_member(0)
        members.send(0, "ring", 7)
        return members.epoch, members.receive(0, "ring")

    gang = InProcessGang(2, "one", dies=dying(0, 1))
    assert gang.run(program) == [(2, 7), (1, "new")]


def test_nobody_comes_back_to_a_gang_that_starts_as_a_whole():
    def program(members):
        if members.rank == 0:
            return
        with pytest.raises(mr.MemberLost):
            members.receive(0, "x")
        members.await_member(0)
        return

    with pytest.raises(mr.MemberLost):
        InProcessGang(2).run(program)


def test_traffic_and_notes_are_kept():
    gang = InProcessGang(2)
    gang.run(lambda members: (around(members, value=np.zeros(10)), members.note(what="hi"))[1])
    assert gang.members[0].sent.messages == 1
    assert gang.members[0].sent.array_bytes == 80
    assert {"event": "member_note", "rank": 1, "epoch": 1, "what": "hi"} in gang.notes
