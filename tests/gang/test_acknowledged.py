"""What is acknowledged and answered: not before it is due, and to no other question.

And who ends because of a range that nobody has any more.
"""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minimr as mr
from minimr.gang.key_range import KeyRange, Push
from minimr.gang.members import Traffic
from tests.gang.regression import START, update


class Scripted:
    """Member 0, of two unless the test says so; the test plays the others.

    What member 1 says goes into `heard`, what the others say into `heard_from`. None is its loss.
    """

    rank, epoch, saved, sent = 0, 1, None, Traffic()

    def __init__(self, size=2):
        self.size = size
        self.heard_from = {rank: queue.Queue() for rank in range(1, size)}
        self.heard, self.said = self.heard_from[1], queue.Queue()

    def send(self, to, tag, value):
        self.said.put(value)

    def receive(self, source, tag):
        message = self.heard_from[source].get()
        if message is None:
            raise mr.MemberLost(source, "it died")
        return message

    def await_member(self, rank):
        raise mr.MemberLost(rank, "the test is over")

    def note(self, **fields):
        pass

    def until(self, kind):
        """The kinds of what is said, up to the first of this kind."""
        kinds = []
        while not kinds or kinds[-1] != kind:
            kinds.append(self.said.get(timeout=10)[0])
        return kinds


def test_the_replica_comes_first():
    """Else what was read or acknowledged may be gone, and the next read see an earlier version."""
    members = Scripted()
    members.heard.put(["joined", 1, None, None, None])
    mr.ParameterServer(members, START, update, None)
    push = Push(1, 0, 0, [1], np.ones((1, len(START) // 2 + 2)))
    members.heard.put(["push", push.to_list()])
    members.heard.put(["read", 0, None])
    members.heard.put(["join"])
    assert members.until("joined") == ["join", "copied", "copy", "joined"]
    members.heard.put(["copied", 1])
    assert members.until("values") == ["pushed", "values"]
    members.heard.put(["push", push.to_list()])  # Sent again, for the answer was lost.
    assert members.until("pushed") == ["pushed"]
    members.heard.put(None)


def test_an_answer_to_an_earlier_question_is_none_to_this_one():
    """Both come from member 1 before our own range, which waits for two pushes, has answered."""
    members = Scripted()
    members.heard.put(["joined", 1, None, None, None])
    server = mr.ParameterServer(members, START, update, 0)
    ours = len(START) // 2
    theirs, rows = np.zeros(len(START) - ours), np.ones((1, ours + 2))
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(server.read, 1)
        members.until("read")
        members.heard.put(["values", 1, 1, theirs])
        members.heard.put(["values", 0, 0, theirs - 7.0])  # Late: it had been asked for again.
        for source in range(2):
            members.heard.put(["push", Push(source, 0, 0, [source], rows).to_list()])
        members.heard.put(["copied", 2])
        assert read.result(10)[ours:].tolist() == theirs.tolist()
    members.heard.put(None)


class Full(Scripted):
    """Member 1 takes no copies yet: whoever sends one waits."""

    def __init__(self):
        super().__init__()
        self.takes, self.copying, self.asked = (threading.Semaphore(0) for _ in range(3))

    def send(self, to, tag, value):
        if value[0] == "copy":
            self.copying.release()
            assert self.takes.acquire(timeout=10)
        super().send(to, tag, value)

    def receive(self, source, tag):
        self.asked.release()
        return super().receive(source, tag)


def test_what_comes_is_taken_in_while_others_do_not_take_what_is_sent():
    """Else two that send to each other stop as soon as neither may send any more unread."""
    members = Full()
    members.heard.put(["joined", 1, None, None, None])
    mr.ParameterServer(members, START, update, None)
    push = Push(1, 0, 0, [1], np.ones((1, len(START) // 2 + 2)))
    members.heard.put(["push", push.to_list()])
    assert members.copying.acquire(timeout=10)
    members.heard.put(["copied", 1])
    members.heard.put(["read", 1, None])
    taken = [members.asked.acquire(timeout=10) for _ in range(5)]  # For the next one, too.
    members.takes.release()
    assert all(taken)
    assert members.until("values") == ["join", "copied", "copy", "pushed", "values"]
    members.heard.put(None)


RANGE = KeyRange(START[:3], members=4, in_clocks=True, finished=[34] * 4, version=34).to_dict()


def test_a_range_whose_only_replica_is_lost_too_does_not_begin_anew():
    """Member 2 was started again with us, and has nothing of its range that we could go on from."""
    members = Scripted(3)
    members.heard_from[1].put(["joined", 1, 34, None, RANGE])
    members.heard_from[2].put(["joined", 2, None, None, None])
    with pytest.raises(mr.MemberLost, match=r"member 2 .* the only replica of a range"):
        mr.ParameterServer(members, START, update, 0)
    for heard in members.heard_from.values():
        heard.put(None)


def test_a_member_that_has_nothing_yet_does_not_say_where_others_go_on():
    """Member 2 was started again with us. It gets its range from member 3, and we ours from 1."""
    members = Scripted(4)
    members.heard_from[1].put(["joined", 1, 34, None, RANGE])
    members.heard_from[2].put(["join"])
    members.heard_from[2].put(["joined", 2, None, None, None])
    members.heard_from[3].put(["joined", 1, 34, RANGE, None])
    assert mr.ParameterServer(members, START, update, 0).clock == 34
    for heard in members.heard_from.values():
        heard.put(None)


class Returning(Scripted):
    """Whoever is lost is started again, and says no more than the test does."""

    def await_member(self, rank):
        pass


def test_whoever_needs_a_range_that_nobody_has_ends():
    """Else it would wait for ever for those who are started again, and they would find it so."""
    members = Returning(3)
    for heard in members.heard_from.values():
        heard.put(["joined", 1, None, None, None])
    server = mr.ParameterServer(members, START, update, 0)
    for heard in members.heard_from.values():
        heard.put(None)
        heard.put(["join"])
    with pytest.raises(mr.MemberLost, match="the only replica of a range"):
        server.read(0)


def test_one_may_be_lost_when_the_other_has_its_ranges_again():
    members = Returning(3)
    first, second = members.heard_from.values()
    for heard in (first, second):
        heard.put(["joined", 1, None, None, None])
    server = mr.ParameterServer(members, START, update, 0)
    first.put(None)
    first.put(["join"])
    first.put(["read", 0, 0])  # So it has them.
    members.until("values")
    second.put(None)
    second.put(["join"])
    members.until("joined")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(server.read, 0)
        members.until("read")
        for heard in (first, second):
            heard.put(["values", 0, 0, np.zeros(4)])
        assert len(read.result(10)) == len(START)
