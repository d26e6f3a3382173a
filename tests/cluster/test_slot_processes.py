"""What a worker does with its slots' processes: hear them to the end, and keep nothing of them."""

import os
import signal

import pytest

import minimr as mr
from minimr.cluster import messages as m
from minimr.cluster.connection import Connection
from minimr.cluster.loop import Loop
from minimr.cluster.places import scratch_path
from minimr.cluster.slot_processes import OUR_FRAME, PRINTED_MAX, SlotProcesses
from tests.cluster.gated import Gate, GatedCount, Misbehaves
from tests.cluster.processes import child_of, descriptors, wait_for
from tests.cluster.running import Running

NUMBER, PID, KILLED = 4, 77, "killed by signal 9 (Killed)"


class Nursery:
    """Bears slots that are nothing but their end of the socket; who is killed is only noted."""

    def __init__(self):
        self.slots, self.killed, self.forks = [], [], self
        self.is_there = True

    def spawn(self, _serial, sock, _output):
        if not self.is_there:
            raise BrokenPipeError
        self.slots.append(Connection(sock.dup()))

    def kill(self, serial):
        if not self.is_there:
            raise BrokenPipeError
        self.killed.append(serial)


@pytest.fixture
def nursery():
    each = Nursery()
    yield each
    for slot in each.slots:
        slot.close()


@pytest.fixture
def said():
    return []


@pytest.fixture
def loop():
    each = Loop(lambda _: None, lambda: None)
    yield each
    each.close()


@pytest.fixture
def processes(nursery, loop, said, tmp_path):
    each = one_slot(nursery, loop, said, tmp_path)
    yield each
    if each.living:
        each.exited(1, KILLED)


def one_slot(nursery, loop, said, directory):
    """With the number NUMBER and the serial 1, which has begun."""
    processes = SlotProcesses(nursery, loop, directory, lambda *message: said.append(message))
    processes.spawn(NUMBER)
    processes.living[NUMBER].pid = PID
    scratch_path(directory, PID).mkdir(parents=True)
    return processes


def test_those_that_died_in_a_row_before_they_began_are_counted(processes):
    for serial in (1, 2, 3):
        processes.exited(serial, KILLED)
        processes.spawn(NUMBER)
        assert processes.stillborn == serial - 1, "the first one had begun"
    processes.living[NUMBER].pid = PID
    processes.exited(4, KILLED)
    assert processes.stillborn == 0


def test_a_nursery_that_is_gone_is_no_error_of_whoever_asks_it(nursery, processes):
    """Of its end the worker reads next. It may just have said that a slot died."""
    nursery.is_there = False
    processes.kill(NUMBER)
    processes.spawn(NUMBER + 1)
    processes.exited(2, KILLED)
    assert nursery.killed == []


def test_the_last_answers_of_a_slot_count(processes, nursery, said):
    nursery.slots[0].send([m.Hello(PID)])
    assert processes.exited(1, KILLED).text == f"the slot process was {KILLED}"
    assert said == [(NUMBER, m.Hello(PID))]


def test_a_slot_that_died_leaves_no_descriptor_and_no_file(nursery, loop, said, tmp_path):
    """Though something that it started and that cannot be found has its socket, too."""
    before = descriptors()
    one_slot(nursery, loop, said, tmp_path).exited(1, KILLED)
    with pytest.raises(EOFError):
        nursery.slots[0].receive()
    nursery.slots.pop().close()
    assert descriptors() == before
    assert [path for path in tmp_path.rglob("*") if path.name != "scratch"] == []


def test_only_the_end_of_what_a_slot_printed_is_told(processes):
    os.write(processes.living[NUMBER].output, b"a" + b"b" * PRINTED_MAX)
    assert processes.exited(1, KILLED).text.endswith("its last words:\n" + "b" * PRINTED_MAX)


@pytest.mark.parametrize("theirs", ['  File "/home/job.py", line 5 in map\n', ""])
def test_of_a_crash_the_users_frames_are_told(processes, theirs):
    head = "Fatal Python error: Segmentation fault\n\nStack (most recent call first):\n"
    ours = f'{OUR_FRAME}tasks/map_task.py", line 63 in run_map\n  File "click", line 1 in a\n' * 40
    os.write(processes.living[NUMBER].output, f"{head}{theirs}{ours}".encode())
    told = processes.exited(1, KILLED).text.partition("its last words:\n")[2]
    assert told == f"{head}{theirs or ours}".rstrip()[-PRINTED_MAX:]


def test_what_is_printed_after_a_cut_begins_at_the_start(processes):
    output = processes.living[NUMBER].output
    os.write(output, b"told already")
    os.ftruncate(output, 0)
    os.write(output, b"new")
    assert processes.exited(1, KILLED).text.endswith("its last words:\nnew")


def test_a_job_that_is_over_is_forgotten_by_the_slots_that_knew_it(processes, nursery):
    slot = processes.living[NUMBER]
    slot.cargo, slot.told = {"job-1", "job-2"}, {"job-1": 3, "job-2": 1}
    for _ in range(2):
        processes.forget("job-1")
    processes.flush()
    processes.flush()
    slot.connection.close()
    assert nursery.slots[0].receive() == [m.Forget("job-1")]
    with pytest.raises(EOFError):
        nursery.slots[0].receive()
    assert (slot.cargo, slot.told) == ({"job-2"}, {"job-2": 1})


@pytest.mark.parametrize("nursery_is_there", [True, False])
def test_a_slot_that_says_no_more_is_killed_if_there_is_who_can(
    processes, nursery, nursery_is_there
):
    nursery.is_there = nursery_is_there
    nursery.slots[0].shut()
    processes.living[NUMBER].connection.receive()
    assert nursery.killed == [1] * nursery_is_there


def test_without_a_nursery_who_has_said_its_process_id_is_killed(processes, monkeypatch):
    """Who has not, runs no user code; and 0 would be the worker itself."""
    killed = []
    monkeypatch.setattr(os, "killpg", lambda *who: killed.append(who))
    processes.living[NUMBER].pid = 0
    processes.kill_orphans()
    processes.living[NUMBER].pid = PID
    processes.kill_orphans()
    assert killed == [(PID, signal.SIGKILL)]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("one\n")
    return path


@pytest.mark.slow
def test_a_job_that_closes_its_slots_socket_and_stays_fails(text, tmp_path):
    with mr.Cluster(1) as cluster:
        job = Running(cluster, Misbehaves(deed="close everything and stay"), text, tmp_path / "out")
        with pytest.raises(mr.JobFailed, match="killed by signal 9"):
            job.finish()


@pytest.mark.slow
def test_a_slot_that_runs_user_code_does_not_outlive_a_nursery_that_is_killed(text, tmp_path):
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(1) as cluster:
        job = Running(cluster, GatedCount(gate=gate.path, at="reduce"), text, tmp_path / "out")
        job.wait_for(event="attempt_started", stage="reduce")
        nursery = child_of(*cluster.worker_pids)
        slot = os.pidfd_open(child_of(nursery))
        os.kill(nursery, signal.SIGKILL)
        wait_for(slot)
        os.close(slot)
        gate.open()
        job.finish()
