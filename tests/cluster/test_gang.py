"""Gangs in real processes: whoever dies, the result is that of a run in which nobody did."""

import os
import signal

import pytest

import minimr as mr
from minimr.observe.checks import check
from tests.cluster.gang_jobs import STEPS, Adds, EndsTooSoon, Serves
from tests.cluster.gated import Gate, GatedCount
from tests.cluster.shells import shells_in

pytestmark = pytest.mark.slow
PARTITIONS = 5
ROWS = 40
TOTAL = STEPS * float(sum(range(ROWS)))


class Gangs:
    """A cluster of three with a dataset, and the events of it all."""

    def __init__(self, path):
        self.events = []
        self.cluster = mr.Cluster(3, on_event=self.events.append)
        lines = [f"{row} 1:{row / 7} 2:{row * row}" for row in range(ROWS)]
        path.write_text("\n".join(lines))
        self.data = self.cluster.load(path, "libsvm", PARTITIONS)

    def named(self, event):
        return [each for each in self.events if each["event"] == event]


@pytest.fixture(scope="module")
def gangs(tmp_path_factory):
    each = Gangs(tmp_path_factory.mktemp("gangs") / "rows.libsvm")
    yield each
    each.cluster.close()
    assert [found.text for found in check(each.events)] == []


@pytest.mark.parametrize("members", [1, 2, 3])
def test_every_member_has_its_own_partitions_wherever_they_lie(gangs, members):
    found = dict(gangs.data.gang(Adds, members=members))
    assert list(found) == list(range(members))
    assert [index for indices, *_ in found.values() for index in indices] == list(range(PARTITIONS))
    assert [rest for _, *rest in found.values()] == [[TOTAL, 1, members]] * members
    assert gangs.named("job_done")[-1]["counters"] == {"members": members}
    notes = [each for each in gangs.named("member_note") if each["rank"] == 0]
    assert [each["step"] for each in notes[-STEPS:]] == list(range(STEPS))


def test_partitions_whose_files_are_damaged_are_made_again(gangs):
    for path in gangs.cluster._local.base.rglob("datasets/*/*.block"):
        os.truncate(path, 100)
    found = dict(gangs.data.gang(Adds, members=3))
    assert [total for _, total, *_ in found.values()] == [TOTAL] * 3


@pytest.mark.parametrize("deed", ["die", "kill the worker"])
def test_a_kill_costs_time_and_nothing_else(gangs, tmp_path, deed):
    found = gangs.data.gang(Adds(deed=deed, marker=str(tmp_path / "done")), members=3)
    assert [(total, epoch) for _, (_, total, epoch, _) in found] == [(TOTAL, 2)] * 3
    job = gangs.named("gang_restarted")[-1]["job"]
    notes = [each for each in gangs.named("member_note") if each["job"] == job]
    again = [each["step"] for each in notes if each["epoch"] == 2 and each["rank"] == 0]
    assert again == list(range(1, STEPS)), "what was saved is not done again"


def test_a_gang_has_as_many_members_right_after_a_worker_died(tmp_path):
    """The answer of an all-reduce depends on their number, and should not on when a worker died."""
    path = tmp_path / "rows.libsvm"
    path.write_text("1 1:1\n" * 8)
    with mr.Cluster(3) as cluster:
        data = cluster.load(path, "libsvm", 4)
        victim = cluster.worker_pids[0]
        os.kill(victim, signal.SIGKILL)
        while victim in [worker["pid"] for worker in cluster.status()["workers"]]:
            pass
        assert data.members_max == 3
        assert len(data.gang(Adds)) == 3


def test_a_worker_that_leaves_has_no_slot_for_a_gang(tmp_path):
    """It gets no member: a gang with one for each slot waited in vain while it ended its work."""
    path = tmp_path / "rows.libsvm"
    path.write_text("1 1:1\n" * 8)
    with shells_in(tmp_path) as shells, Gate(tmp_path / "gate") as gate:
        shells.coordinator()
        leaving = shells.worker()
        with mr.Cluster(address=shells.address) as cluster:
            data = cluster.load(path, "libsvm", 4)
            job = GatedCount(gate=gate.path)
            submitted = cluster.submit(job, path, tmp_path / "out", backups=False)
            while not gate.waiting():
                pass
            shells.worker()
            leaving.terminate()
            while [each["state"] for each in cluster.status()["workers"]] != ["draining", "alive"]:
                pass
            assert data.members_max == 1
            assert len(data.gang(Adds)) == 1
            gate.open()
            cluster.wait(submitted)


def test_a_member_that_starts_again_alone_meets_those_that_waited_for_it(gangs, tmp_path):
    found = gangs.data.gang(Serves(marker=str(tmp_path / "done")), members=3, restart="one")
    assert found == [(0, ([2, 2], 1)), (1, (None, 2)), (2, (None, 1))]


def test_who_starts_again_does_not_wait_for_those_that_have_ended(gangs, tmp_path):
    """They do not come back: the gang begins anew."""
    job = EndsTooSoon(marker=str(tmp_path / "done"))
    assert gangs.data.gang(job, members=2, restart="one") == [(0, 1), (1, 1)]
    last = gangs.named("gang_restarted")[-1]
    assert last["job"] == gangs.named("job_done")[-1]["job"]
    assert "lost" in last["cause"]


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("raise", "ValueError: step 1 is not to my taste"),
        ("exit", "SystemExit: 3"),
        ("save too much", "a member may save up to 67,108,864"),
        ("note an object", "members.note takes numbers"),
    ],
)
def test_what_a_program_does_wrong_fails_the_job_at_once(gangs, tmp_path, deed, said):
    with pytest.raises(mr.JobFailed) as raised:
        gangs.data.gang(Adds(deed=deed, marker=str(tmp_path / "done")), members=3)
    assert said in str(raised.value)
    assert "Adds failed in member 1 of the gang" in str(raised.value)
    assert "cluster/gang_task.py" not in str(raised.value)
    assert gangs.named("task_printed")[-1]["text"] == f"about to {deed}\n"


@pytest.mark.parametrize(
    ("job", "options", "said"),
    [
        (Adds, {"members": 4}, "a gang of 4 members needs 4 slots, and the cluster has 3"),
        (Adds, {"members": 6}, "has 1 to 5 members, not 6"),
        (Adds, {"members": 0}, "has 1 to 5 members, not 0"),
        (Adds, {"restart": "some"}, 'restart is "all" or "one"'),
        (mr.Job, {}, r"Job has no gang\(blocks, members\)"),
    ],
)
def test_a_gang_that_cannot_be_is_refused_before_anything_starts(gangs, job, options, said):
    with pytest.raises(mr.UsageError, match=said):
        gangs.data.gang(job, **options)
