"""What becomes of the scheduler's actions: messages, in their order."""

import threading
from itertools import chain

import pytest

from minimr.cluster import messages as m
from minimr.cluster.connection import encode_messages
from minimr.cluster.jobs import JobBook
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.performer import Performer
from minimr.cluster.wire import Blob
from minimr.scheduler import actions, events
from minimr.scheduler.state import AttemptId, Location

ATTEMPT = AttemptId("data-1", "load", 0, 0)
FORGET = actions.ForgetJob("worker-1", "data-1", "test")


class Connection:
    """Keeps what is sent."""

    def __init__(self):
        self.frames = []

    def send(self, messages):
        self.frames.append(list(messages))


@pytest.fixture
def peer():
    return Peer(Connection(), "worker", "worker-1", cargo={"data-1"})


@pytest.fixture
def outboxes():
    return Outboxes()


@pytest.fixture
def performer(peer, outboxes):
    nothing = [].append
    workers = {peer.name: peer}
    return Performer(JobBook(0), workers, outboxes, nothing, nothing, lambda *_: [], nothing)


def test_a_job_is_forgotten_behind_what_was_ordered_of_it(performer, peer, outboxes):
    """All in one batch of events: a lost partition is to be made again, and its client goes."""
    outboxes.tell(peer, m.Run(ATTEMPT, None))
    performer.perform(actions.CancelAttempt("worker-1", ATTEMPT, "test"))
    performer.perform(FORGET)
    outboxes.flush()
    assert peer.connection.frames == [[m.Run(ATTEMPT, None), m.Cancel(ATTEMPT), m.Forget("data-1")]]


def test_to_forget_a_job_has_time_until_there_is_more_to_say(performer, peer, outboxes):
    performer.perform(FORGET)
    outboxes.flush()
    assert peer.connection.frames == []
    outboxes.tell(peer, m.Beat())
    outboxes.flush()
    assert peer.connection.frames == [[m.Forget("data-1"), m.Beat()]]


def test_a_member_hears_of_very_many_partitions_in_messages_that_can_travel(peer, outboxes):
    """Its worker was cut off, and the next one, as one message was over the limits."""
    book, nothing = JobBook(0), [].append
    gang = m.Submit(1, "adds", "gang", 1, 0, "data-1", "", Blob(b""), None, None, False, False)
    attempt = AttemptId(book.add(gang).plan.job, "gang", 0, 0)
    performer = Performer(book, {"worker-1": peer}, outboxes, nothing, nothing, nothing, nothing)
    places = tuple(
        Location(AttemptId("data-1", "load", index, 0), "worker-1", ("127.0.0.1", 40_000), 0)
        for index in range(30_000)
    )
    performer.perform(actions.Assign("worker-1", attempt, "test", partitions=places))
    outboxes.flush()
    [messages] = peer.connection.frames
    encode_messages(messages)
    told = [each.attempts for each in messages if isinstance(each, m.MapsAt)]
    assert [*chain(*told)] == [place.attempt for place in places]


def test_an_output_that_no_thread_can_publish_fails_its_job_in_words(monkeypatch, tmp_path):
    """Not the coordinator, and the other jobs with it."""
    book, posted, nothing = JobBook(0), [], [].append
    output = {"staging": str(tmp_path / "staging"), "final": str(tmp_path), "format": "text"}
    nobody = m.Submit(1, "count", "job", 1, 1, None, "", Blob(b""), Blob(b""), output, False, False)
    monkeypatch.setattr("minimr.cluster.jobs.Joined", lambda _: [b""])
    job = book.add(nobody).plan.job
    performer = Performer(book, {}, Outboxes(), nothing, posted.append, lambda *_: [], nothing)

    def refused(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    performer.perform(actions.Publish(job, (), (), {}, (), ""))
    (published,) = posted
    assert isinstance(published, events.Published)
    assert published.error == (
        "the coordinator cannot publish the output: can't start new thread; submit the job again"
    )
