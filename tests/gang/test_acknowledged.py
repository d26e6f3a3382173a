"""What is acknowledged and answered: not before it is due, and to no other question."""

import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import minimr as mr
from minimr.gang.key_range import Push
from minimr.gang.members import Traffic
from tests.gang.regression import START, update


class Scripted:
    """Member 0 of two; the test plays member 1."""

    rank, size, epoch, saved, sent = 0, 2, 1, None, Traffic()

    def __init__(self):
        self.heard, self.said = queue.Queue(), queue.Queue()

    def send(self, to, tag, value):
        self.said.put(value)

    def receive(self, source, tag):
        message = self.heard.get()
        if message is None:
            raise mr.MemberLost(source, "the test is over")
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
    members = Scripted()
    members.heard.put(["joined", [], 0, None, None])
    mr.ParameterServer(members, START, update, None)
    push = Push(1, 0, 0, [1], np.ones((1, len(START) // 2 + 2)))
    members.heard.put(["push", push.to_list()])
    members.heard.put(["read", 0, None])
    assert members.until("values") == ["join", "copied", "copy", "values"]
    members.heard.put(["copied", 1])
    assert members.until("pushed") == ["pushed"]
    members.heard.put(["push", push.to_list()])  # Sent again, for the answer was lost.
    assert members.until("pushed") == ["pushed"]
    members.heard.put(None)


def test_an_answer_to_an_earlier_question_is_none_to_this_one():
    """Both come from member 1 before our own range, which waits for two pushes, has answered."""
    members = Scripted()
    members.heard.put(["joined", [], 0, None, None])
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
        assert read.result(10)[ours:].tolist() == theirs.tolist()
    members.heard.put(None)
