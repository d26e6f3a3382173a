import pytest

from minimr.errors import CorruptData
from minimr.formats.journal import BadJournal
from minimr.scheduler.journal import JobAccepted, JobClosed, Publishing
from minimr.scheduler.state import AttemptId, JobPlan
from minimr.simulator.computation import Broken, UserCode
from minimr.simulator.disk import Disk, JournalDisk, StoredOutput
from minimr.simulator.jobs import trail
from minimr.simulator.storage import Storage

ATTEMPT = AttemptId("job-1", "map", 0, 0)
PLAN = JobPlan("job-1", "test", "job", 2, 1, publishes=True)
RECORDS = [JobAccepted(PLAN, 0), Publishing("job-1"), JobClosed("job-1", "succeeded", "")]


def stored(code: UserCode) -> StoredOutput:
    made = code.map(0)
    return StoredOutput(made.segments, made.checksums)


@pytest.mark.parametrize("truncate", [False, True])
def test_damage_is_found_in_every_segment_and_spoils_no_other_copy(truncate: bool) -> None:
    code = trail(2, 2)
    disk = Disk({ATTEMPT: stored(code)})
    assert disk.damage(ATTEMPT, truncate)
    for partition in range(2):
        if code.map(0).segments[partition]:
            with pytest.raises(CorruptData):
                disk.outputs[ATTEMPT].read(partition)
        assert stored(code).read(partition) == code.map(0).segments[partition]


def test_what_is_not_there_cannot_be_damaged() -> None:
    assert not Disk().damage(ATTEMPT, truncate=False)


def test_a_disk_forgets_one_job() -> None:
    other = AttemptId("job-2", "map", 0, 0)
    disk = Disk({ATTEMPT: StoredOutput((), ()), other: StoredOutput((), ())})
    disk.forget("job-1")
    assert list(disk.outputs) == [other]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_torn_write_leaves_the_records_before_it(share: float) -> None:
    disk = JournalDisk()
    disk.append(RECORDS[:1])
    disk.append(RECORDS[1:2], share)
    assert disk.read() == RECORDS[:1]
    disk.append(RECORDS[1:])
    assert disk.read() == RECORDS


def test_a_torn_write_of_several_records_leaves_some() -> None:
    disk = JournalDisk()
    disk.append(RECORDS, 0.9)
    assert disk.read() == RECORDS[:2]


def test_a_journal_that_rots_is_refused() -> None:
    disk = JournalDisk()
    disk.append(RECORDS[:1])
    disk.append(RECORDS[1:])
    disk.data[60] ^= 1
    with pytest.raises(BadJournal):
        disk.read()


def test_without_a_staging_directory_no_part_is_written() -> None:
    storage = Storage()
    part = storage.write(AttemptId("job-1", "reduce", 0, 0), b"data", 1)
    assert (part["records"], part["bytes"]) == (1, 4)
    storage.abort()
    with pytest.raises(Broken):
        storage.write(AttemptId("job-1", "reduce", 0, 1), b"data", 1)
