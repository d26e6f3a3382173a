"""A range server told in turn what members say, without members."""

import numpy as np
import pytest

from minimr.gang.key_range import Push
from minimr.gang.members import MemberLost
from minimr.gang.range_server import RangeServer, range_of
from tests.gang.regression import START, update

NOTHING = [1, None, None, None]


class Told:
    """A server of rank 0, and what it told whom."""

    def __init__(self, size):
        self.messages = []
        self.size = size
        self.server = RangeServer(0, size, START, True, update, None, self._tell)

    def _tell(self, to, message):
        self.messages.append((to, message))

    def start(self):
        return self.server.take_over(dict.fromkeys(range(1, self.size), NOTHING))

    def push(self, source):
        start, end = range_of(len(START), self.size, 0)
        rows = np.ones((1, end - start + 2))
        self.server.serve(source, ["push", Push(source, 0, 0, [source], rows).to_list()])

    def kinds(self):
        told = [(to, message[0]) for to, message in self.messages]
        self.messages.clear()
        return told


@pytest.mark.parametrize("length", [0, 1, 5, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_key_is_in_one_range(length, size):
    ranges = [range(*range_of(length, size, rank)) for rank in range(size)]
    assert [key for each in ranges for key in each] == [*range(length)]


def test_one_that_is_alone_needs_no_replica():
    told = Told(1)
    assert told.start() == 0
    told.push(0)
    told.server.serve(0, ["read", 1, 0])
    assert told.kinds() == [(0, "pushed"), (0, "values")]


def test_what_comes_early_is_served_as_soon_as_there_is_a_range():
    told = Told(2)
    told.server.serve(1, ["read", 0, 0])
    told.push(1)
    assert told.kinds() == []
    told.start()
    assert told.kinds() == [(1, "copied"), (1, "values"), (1, "copy")]


def test_one_that_was_started_again_is_not_answered_what_it_asked_before():
    told = Told(3)
    told.server.serve(1, ["read", 0, 0])
    told.server.forget(1)
    told.start()
    told.server.serve(2, ["read", 1, 0])
    told.server.forget(2)
    for source in range(3):
        told.push(source)
    told.server.serve(1, ["copied", 3])
    assert "values" not in [kind for _, kind in told.kinds()]


def test_it_says_what_it_holds_to_whom_it_concerns():
    """The next member gets its replica of ours, the one before its range."""
    told = Told(4)
    assert told.server.answer_to_join(1, epoch=1) == NOTHING
    told.start()
    answers = [told.server.answer_to_join(rank, epoch=2) for rank in (1, 2, 3)]
    held = [(ours is not None, replica is not None) for *_, ours, replica in answers]
    assert held == [(True, False), (False, False), (False, True)]
    assert [answer[:2] for answer in answers] == [[2, 0]] * 3


def test_two_neighbours_that_come_for_their_ranges_at_once_have_lost_them():
    told = Told(4)
    told.server.see_what_is_left(1)  # We have nothing ourselves yet, and cannot know.
    told.start()
    told.server.see_what_is_left(1)
    told.server.see_what_is_left(3)  # Each has its neighbours still.
    with pytest.raises(MemberLost, match="the only replica"):
        told.server.see_what_is_left(2)


def test_one_after_the_other_may_come_for_its_range():
    told = Told(4)
    told.start()
    told.server.see_what_is_left(1)
    told.server.has_its_ranges(1)
    told.server.see_what_is_left(2)
