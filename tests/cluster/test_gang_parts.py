"""The parts of a gang in one process: checkpoints, partitions of others, mail, notes."""

import queue
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import minimr as mr
from minimr.block import Block
from minimr.cluster import messages as m
from minimr.cluster.checkpoints import SAVED_BYTES_MAX, Checkpoints
from minimr.cluster.connection import Connection
from minimr.cluster.fetch import FetchError, Source
from minimr.cluster.gang_messages import Meet, noted
from minimr.cluster.gang_task import GangSpec, MemberTask, WatchedMembers
from minimr.cluster.partitions import Partitions
from minimr.cluster.places import dataset_path
from minimr.cluster.shuffle_server import ShuffleServer
from minimr.cluster.slot_mail import SlotMail
from minimr.errors import MinimrError, UsageError
from minimr.gang.in_process import InProcessGang
from minimr.scheduler.state import AttemptId
from minimr.tasks.resident import open_resident, store_block
from minimr.tasks.watcher import NOBODY

TOKEN = bytes(range(32))
NOWHERE = ("127.0.0.1", 9)


# Checkpoints


def test_a_member_finds_what_the_last_attempt_before_it_saved(tmp_path):
    Checkpoints(tmp_path, 1, 0, 0).keep(b"old")
    Checkpoints(tmp_path, 1, 1, 0).keep(b"new")
    Checkpoints(tmp_path, 1, 1, 0).keep(b"newer")
    Checkpoints(tmp_path, 2, 2, 0).keep(b"another's")
    assert Checkpoints(tmp_path, 1, 3, 0).newest() == b"newer"
    assert Checkpoints(tmp_path, 1, 1, 0).newest() == b"old"


def test_what_was_saved_before_a_new_beginning_does_not_count(tmp_path):
    Checkpoints(tmp_path, 1, 4, 0).keep(b"old")
    assert Checkpoints(tmp_path, 1, 5, 5).newest() is None
    assert Checkpoints(tmp_path, 1, 6, 5).newest() is None


def test_an_attempt_that_was_given_up_cannot_write_over_its_successor(tmp_path):
    zombie, heir = (Checkpoints(tmp_path, 0, number, 0) for number in (0, 1))
    heir.keep(b"heir")
    zombie.keep(b"zombie")
    assert Checkpoints(tmp_path, 0, 2, 0).newest() == b"heir"


def test_too_much_is_refused_and_leaves_what_was_there(tmp_path):
    kept = Checkpoints(tmp_path, 0, 0, 0)
    kept.keep(b"small")
    with pytest.raises(UsageError, match="may save up to 67,108,864"):
        kept.keep(bytes(SAVED_BYTES_MAX + 1))
    assert Checkpoints(tmp_path, 0, 1, 0).newest() == b"small"


def test_a_directory_that_a_worker_does_not_reach_is_named(tmp_path):
    with pytest.raises(MinimrError, match=r"gone.*All workers must reach that directory"):
        Checkpoints(tmp_path / "gone", 0, 0, 0).keep(b"x")


# Partitions


def made(index):
    return AttemptId("data-1", "load", index, 0)


@pytest.fixture
def server(tmp_path):
    """Another worker, with partitions 0 to 2."""
    held = {}
    for index in range(3):
        path = held[made(index)] = dataset_path(tmp_path / "there", "data-1", index)
        path.parent.mkdir(parents=True, exist_ok=True)
        store_block(path, Block({"x": np.arange(index * 1000.0, index * 1000.0 + 500)}))
    each = ShuffleServer(TOKEN, held.get)
    each.start()
    yield each
    each.close()


@pytest.fixture
def partitions(tmp_path):
    ticks = []
    each = Partitions(TOKEN, tmp_path / "here", "gang-2", "here", lambda: ticks.append(1))
    each.ticks = ticks
    return each


def test_partitions_of_another_worker_come_whole_and_once(server, partitions):
    sources = [Source(made(index), "there", server.address) for index in (2, 0)]
    paths = partitions.bring(sources)
    assert [open_resident(str(path)).block.columns["x"][0] for path in paths] == [2000.0, 0.0]
    assert partitions.ticks
    server.close()
    assert partitions.bring(sources) == paths


def test_a_partition_that_is_here_is_not_copied(partitions, tmp_path):
    path = dataset_path(tmp_path / "here", "data-1", 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    assert partitions.bring([Source(made(0), "here", NOWHERE)]) == [path]


def test_partitions_that_are_gone_and_holders_that_are_silent_are_told_apart(server, partitions):
    with pytest.raises(FetchError) as gone:
        partitions.bring([Source(made(7), "there", server.address)])
    assert (gone.value.gone, gone.value.unreached) == ([made(7)], [])
    with pytest.raises(FetchError) as here:
        partitions.bring([Source(made(1), "here", NOWHERE)])
    assert here.value.gone == [made(1)]
    server.close()
    with pytest.raises(FetchError) as silent:
        partitions.bring([Source(made(0), "there", server.address)])
    assert (silent.value.gone, silent.value.unreached) == ([], [made(0)])


# Meeting


def listening(tmp_path, job, rank, attempt=0, epoch=1):
    """The link of a member of a gang of two."""
    order = SimpleNamespace(attempt=AttemptId(job, "gang", rank, attempt), epoch=epoch)
    spec = GangSpec(members=2, partitions=2, checkpoints=str(tmp_path))
    return MemberTask(spec, order, TOKEN, mail=None, tell=print, watcher=NOBODY)._listen()


@pytest.mark.parametrize(("job", "attempt", "epoch"), [("gang-3", 5, 1), ("gang-2", 4, 3)])
def test_a_member_of_another_gang_is_not_taken_for_ours(tmp_path, job, attempt, epoch):
    """Where a member died one of another gang may listen next, at the port that is dialled; or one
    of the same gang, which has begun anew and counts epochs from 1 again."""
    ours = [listening(tmp_path, "gang-2", rank, 5) for rank in range(2)]
    strange = listening(tmp_path, job, 1, attempt, epoch)
    addresses = [link.address for link in ours]
    with pytest.raises(mr.MemberLost, match="wrong token"):
        strange.connect(addresses, epoch)
    with ThreadPoolExecutor(2) as pool:
        for met in [pool.submit(link.connect, addresses, 1) for link in ours]:
            met.result(30)
        for left in [pool.submit(link.close) for link in (*ours, strange)]:
            left.result(30)


# Mail and notes


def test_a_member_hears_at_once_and_the_slot_gets_the_rest_later():
    ours, theirs = socket.socketpair()
    worker, slot = Connection(ours), Connection(theirs)
    mail = SlotMail(slot)
    worker.send([m.Forget("job-1")])
    assert mail.receive() == [m.Forget("job-1")]
    heard = []
    mail.listen(lambda message: isinstance(message, Meet) and not heard.append(message))
    meet = Meet(AttemptId("gang-1", "gang", 0, 0), ["there"], [1])
    worker.send([meet, m.Forget("job-2")])
    worker.send([m.Forget("job-3")])
    assert [mail.receive(), mail.receive()] == [[m.Forget("job-2")], [m.Forget("job-3")]]
    assert heard == [meet]
    worker.close()
    with pytest.raises(EOFError):
        mail.receive()
    slot.close()


def test_all_that_is_sent_or_comes_is_a_sign_of_progress():
    """Three members, so each sends two times in each half of the ring, and meets as many arrays."""
    ticks = queue.SimpleQueue()

    def program(members):
        watcher = SimpleNamespace(tick=lambda: ticks.put(members.rank))
        return mr.all_reduce(WatchedMembers(members, watcher), np.ones(3)).tolist()

    assert InProcessGang(3).run(program) == [[3.0] * 3] * 3
    assert sorted(ticks.get() for _ in range(ticks.qsize())) == [0] * 8 + [1] * 8 + [2] * 8


def test_notes_are_what_json_can_say():
    gang = InProcessGang(1)

    def program(members):
        watched = WatchedMembers(members, NOBODY)
        watched.note(loss=np.float64(0.5), step=np.int64(3), shape=(1, 2))
        with pytest.raises(UsageError, match="takes numbers"):
            watched.note(what=object())
        with pytest.raises(UsageError, match="too long"):
            watched.note(what="x" * 5000)
        with pytest.raises(UsageError, match="too large a number"):
            watched.note(what=[2**70])

    gang.run(program)
    (line,) = gang.notes
    assert (line["loss"], line["step"], line["shape"]) == (0.5, 3, [1, 2])
    assert type(line["loss"]) is float
    assert noted(line | {"t": 9, "job": "other"}).keys() == line.keys() - {"event"}
