"""Decisions that could be made otherwise, as pure functions of what they look at.

Changing one of these changes how well the system runs, never whether its answer is right.
"""

from collections.abc import Mapping
from math import ceil

from minimr.scheduler.state import Failure, Job, Stage, State, Task, Worker

LEASE_S = 10.0
HEARTBEAT_S = 1.0
ATTEMPTS_MAX = 4
LOSSES_MAX = 20
BACKUP_MIN_S = 0.25
BACKUP_FACTOR = 1.5
BACKUP_CHECK_S = 0.05
BACKUP_UNKNOWN_S = 0.25
BLAME_MAX = 3
EXCLUDE_S = 60.0
PROGRESS_TIMEOUT_S = 600.0
# A holder of map output that does not answer is believed in until so many workers miss it, or one
# does for so long. A holder that is dead is found out sooner, by its lease.
WITNESSES = 2
UNREACHED_MAX_S = 2 * LEASE_S
FETCH_PAUSE_FIRST_S = 0.25
FETCH_PAUSE_MAX_S = 8.0
# For how long workers and clients look for a coordinator that is gone. Without a journal none
# comes back, and only a broken connection can be mended.
PATIENCE_S = 60.0
PATIENCE_WITHOUT_JOURNAL_S = 2.0
RETURN_S = LEASE_S
# A member that ended because of another waits so long for the news of that one.
MOURNING_S = 2.0
# A gang larger than the cluster fails after so long; one that lacks a member and has no slot for it
# stops after so long, and begins again.
GANG_TOO_LARGE_S = 10.0
GANG_INCOMPLETE_S = 60.0
SHORT_TASK_S = 0.01
LONG_TASK_S = 0.5
# Failures that say nothing about the task: they are not charged to it, only capped.
UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "member_lost"})


def queue_limit(worker: Worker, stage: Stage, now: float) -> int:
    """How many attempts a worker may hold, waiting ones included, for one more of this stage.

    Attempts sent ahead hide the round trip to the coordinator, which matters as much as tasks are
    short. Behind a long task a waiting one would miss the slots that become idle elsewhere, and
    nobody knows how long tasks are before one has ended. So all that the worker has must be short,
    whatever job it is of: only the worker knows behind which of them another one would wait.
    """
    if len(worker.attempts) < worker.slots:
        return worker.slots
    depth = min(map(_queue_depth, {stage, *worker.stages}))
    if depth == 1 or _is_held_up(worker, now):
        return worker.slots
    # Members of gangs are as long as they like.
    return worker.members + (worker.slots - worker.members) * depth


def _queue_depth(stage: Stage) -> int:
    """How many attempts a slot may have while it runs one of this stage."""
    mean_s = stage.mean_s
    if mean_s is None or mean_s > LONG_TASK_S:
        return 1
    return 16 if mean_s < SHORT_TASK_S else 2


def _is_held_up(worker: Worker, now: float) -> bool:
    """Does an attempt run there that takes long, though others of its stage were short?

    Attempts start in the order in which they were sent, so the first of them is the oldest.
    """
    for attempt, running in worker.attempts.items():
        if attempt.stage != "gang":
            return running.started_at is not None and now - running.started_at > LONG_TASK_S
    return False


def fair_order(jobs: list[Job]) -> list[Job]:
    """Fair share: the job that runs least goes first, the older one at a tie."""
    return sorted(jobs, key=lambda job: (job.running, job.order)) if len(jobs) > 1 else jobs


def placement_quota(partitions: int, slots: int, slots_total: int) -> int:
    """How many partitions of a dataset one worker should hold: its share of the slots."""
    return ceil(partitions * slots / max(slots_total, 1))


def may_run_on(task: Task, worker: str, state: State) -> bool:
    """A task that failed on a worker is tried elsewhere, if there is an elsewhere now."""
    if not (task.failed_on or task.avoid):
        return True
    bad = task.failed_on | task.avoid
    return worker not in bad or not any(
        name not in bad and gets_work(other, state) for name, other in state.workers.items()
    )


def gets_work(worker: Worker, state: State) -> bool:
    """A worker that leaves gets nothing; an excluded one only if there is no other."""
    if worker.draining:
        return False
    return worker.name not in state.excluded or len(state.excluded) >= len(state.workers)


def backup_after_s(mean_s: float) -> float:
    """For how long an attempt may run before a second one is worth a slot that has no other work.

    The paper starts backups "when a MapReduce operation is close to completion" (section 3.6); here
    that is when nothing waits any more, and for those attempts that are clearly late.
    """
    return max(BACKUP_MIN_S, BACKUP_FACTOR * mean_s)


def is_unreachable(reports: Mapping[str, float], now: float) -> bool:
    """Whether what a holder keeps must be made elsewhere. `reports` says who misses it since when.

    Two reducers of one worker are one witness: they use the same link, and the fault may be theirs.
    """
    if len(reports) >= WITNESSES:
        return True
    return any(now - since >= UNREACHED_MAX_S for since in reports.values())


def fetch_pause_s(missed: int) -> float:
    """How long a reduce task waits before it tries again what it could not reach `missed` times."""
    return float(min(FETCH_PAUSE_MAX_S, FETCH_PAUSE_FIRST_S * 2 ** (missed - 1)))


def gives_up(task: Task, failure: Failure) -> str | None:
    """Why the job must fail now, or None for another attempt.

    The same record failing twice will fail for ever, so the second time is the last. What a member
    of a gang raises it would raise again, at the price of starting all of them, so the first is.
    """
    if failure.reason in UNCHARGED:
        if task.losses >= LOSSES_MAX:
            return _unstable(task, failure)
        return None
    if task.stage.kind == "gang" and failure.reason in ("user", "exit"):
        return f"{task.name} ended in an error"
    if failure.position is not None:
        if max(task.positions.count(failure.position), task.skip.count(failure.position)) >= 2:
            return f"{task.name} failed twice at the same record{_advice(task, failure)}"
        skipped = sum("+" not in place.rpartition(":")[2] for place in task.skip)
        if skipped > task.stage.job.plan.skip_max:  # A "+" names a block to be read by records.
            return skipped_too_many(skipped, task.stage.job.plan.skip_max)
    if task.failures >= ATTEMPTS_MAX:
        return f"{task.name} failed {task.failures} times"
    return None


def _advice(task: Task, failure: Failure) -> str:
    """User code that raises tells its author what is wrong with it; a segfault does not."""
    if failure.reason != "died" or task.stage.job.plan.skip_max:
        return ""
    return " (--skip-bad-records, or skip_bad_records, would leave it out)"


def _unstable(task: Task, failure: Failure) -> str:
    lost = f"{task.name} was lost {task.losses} times; the cluster is not stable enough"
    if failure.reason == "member_lost":
        return f"{lost}, or its program waits for a message of a member that has ended"
    if failure.reason != "fetch":
        return lost
    return f"{lost}. See whether the workers can reach each other; the last fetch failed"


def skipped_too_many(skipped: int, skip_max: int) -> str:
    return (
        f"{skipped} records were bad, and --skip-bad-records (skip_bad_records) allows {skip_max}"
    )
