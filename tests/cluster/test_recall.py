"""What of a journal the next start needs."""

from minimr.cluster import recall
from minimr.scheduler.journal import (
    Committed,
    JobAccepted,
    JobClosed,
    MapAccepted,
    OutputLost,
    Publishing,
    WorkerLost,
)
from minimr.scheduler.recovery import durable, restore
from minimr.scheduler.state import AttemptId, JobPlan, Output

ADDRESS = ("127.0.0.1", 1)


def story(job, order, *, ended=True):
    """All records that there are of a job: one that loses a map output, or has lost it for now."""
    made, again, reduced = (
        AttemptId(job, stage, 0, number)
        for stage, number in (("map", 0), ("map", 1), ("reduce", 0))
    )
    records = [
        JobAccepted(JobPlan(job, "x", "job", 1, 1, publishes=True), order),
        MapAccepted(made, "worker-1", ADDRESS, Output()),
        OutputLost(made, "test"),
    ]
    if not ended:
        return records
    return [
        *records,
        MapAccepted(again, "worker-1", ADDRESS, Output()),
        Committed(reduced, "worker-1", Output(part={})),
        Publishing(job),
        JobClosed(job, "succeeded", ""),
    ]


def test_all_is_needed_of_jobs_that_run_or_ended_last_and_nothing_of_others(monkeypatch):
    monkeypatch.setattr(recall, "KEPT_MAX", 1)
    old, last = story("job-1", 0), story("job-2", 1)
    running = story("job-3", 2, ended=False)
    mixed = [old[0], running[0], *old[1:4], WorkerLost("worker-7"), *running[1:], *old[4:], *last]
    values = [f"value {number}" for number in range(len(mixed))]
    kept = recall.still_needed(values, mixed)
    records = [record for record, value in zip(mixed, values, strict=True) if value in kept]
    assert records == [each for each in mixed if each not in old]
    before, after = (restore(each, 1, 0.0)[0].state for each in (mixed, records))
    assert durable(after) == durable(before)
    assert (after.fenced, after.submitted) == (before.fenced, before.submitted)
