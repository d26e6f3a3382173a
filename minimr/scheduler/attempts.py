"""How attempts end, and what follows: success, failure, and output that is lost again.

A message about an attempt that is not running (late, repeated, from a worker that was given up)
changes nothing. So the first completion of a reduce task that is accepted is its commit, and there
is never a second: the files of other attempts are left out when the job is published.
"""

from typing import Any

from minimr.scheduler import events, policy
from minimr.scheduler.actions import SetTimer
from minimr.scheduler.dispatch import enqueue
from minimr.scheduler.jobs import all_done, fail
from minimr.scheduler.journal import Committed, MapAccepted, OutputLost
from minimr.scheduler.running import cancel, release
from minimr.scheduler.state import (
    NO_WORKERS,
    NOTHING,
    AttemptId,
    Failure,
    Gang,
    Job,
    Location,
    Output,
    Task,
    Worker,
)
from minimr.scheduler.tables import JOB_TABLE, TASK_TABLE, JobState, Step, TaskState, move
from minimr.scheduler.turn import Turn


def done(turn: Turn, event: events.AttemptDone) -> None:
    worker = turn.state.workers.get(event.worker)
    if worker is None:
        turn.record("stale_message", None, worker=event.worker, what=f"done {event.attempt}")
        return
    job = turn.state.jobs.get(event.attempt.job)
    task = job.task(event.attempt) if job else None
    if job is None or task is None:
        return
    running = task.running.get(event.attempt)
    if running is not None and running.worker == worker.name:
        _succeed(turn, job, task, worker, event)
        if worker.draining:
            move_datasets(turn, worker)
    elif event.output.part is not None and task.winner != event.attempt:
        cause = "another attempt was first" if task.winner else "it does not run any more"
        turn.record_attempt("commit_denied", event.attempt, worker.name, cause=cause)


def _succeed(turn: Turn, job: Job, task: Task, worker: Worker, event: events.AttemptDone) -> None:
    output, stage = event.output, task.stage
    release(turn, task, event.attempt)
    if text := _differs(job, task, output.digest):
        fields = {"reason": "user", "charged": True, "error": text}
        turn.record_attempt("attempt_failed", event.attempt, worker.name, **fields)
        fail(turn, job, text)
        return
    for rival in list(task.running):
        cancel(turn, task, rival)
    task.state = move(TASK_TABLE, task.state, Step.SUCCEEDED)
    accept(job, task, worker.name, event.attempt, output)
    if stage is job.reduce_stage:
        _reached(job, worker.name)
    if (seconds := output.stats.get("seconds")) is not None:
        stage.seconds += seconds
        stage.timed += 1
    _blame(turn, task, worker)
    _record_done(turn, event)
    if stage is job.map_stage:
        if job.plan.survives:
            record = MapAccepted(event.attempt, worker.name, worker.address, output)
            turn.write(job, record)
        map_done(turn, job, task, worker)
    else:
        turn.write(job, Committed(event.attempt, worker.name, output))
        _record_commit(turn, event)
    task.output = output.kept()
    if job.skipped > job.plan.skip_max:
        fail(turn, job, policy.skipped_too_many(job.skipped, job.plan.skip_max))
    elif stage is job.last_stage and stage.complete:
        all_done(turn, job)


def _differs(job: Job, task: Task, digest: str | None) -> str | None:
    """Why output that was made again cannot stand for the one that was read before."""
    if task.digest is None or digest is None or task.digest == digest or not job.read:
        return None
    return (
        f"{task.name} gave other output when it ran again ({task.digest[:8]}, then {digest[:8]}), "
        "and reduce tasks may have read the first. A map must depend on its input alone: "
        "look for random numbers, the time, or the order of a set"
    )


def _reached(job: Job, worker: str) -> None:
    """A reduce task that is done has read everything: what its worker said of holders is over."""
    for reports in job.unreached.values():
        reports.pop(worker, None)


def accept(job: Job, task: Task, worker: str, attempt: AttemptId, output: Output) -> None:
    """This attempt's output is the task's. The same for a live message and the journal's replay."""
    task.won, task.worker, task.output = attempt.number, worker, output
    task.counters = output.counters or NOTHING
    job.skipped += len(output.skipped) - len(task.skipped)
    task.skipped = output.skipped
    task.digest = output.digest or task.digest
    task.stage.done += 1
    if task.stage is job.map_stage and output.inline is not None:
        job.inlined.append(task.index)


def _record_done(turn: Turn, event: events.AttemptDone) -> None:
    fields = done_fields(event.output)
    turn.record_attempt("attempt_done", event.attempt, event.worker, **fields)


def done_fields(output: Output) -> dict[str, Any]:
    """What the event log says of an attempt's success."""
    fields = dict(output.stats)
    if output.digest:
        fields["digest"] = output.digest
    if output.inputs:
        fields["inputs"] = output.inputs
    if output.counters:
        fields["counters"] = output.counters
    if output.skipped:
        fields["skipped"] = len(output.skipped)
    return fields


def _record_commit(turn: Turn, event: events.AttemptDone) -> None:
    if part := event.output.part:
        told = {name: part[name] for name in ("records", "bytes", "sha256") if name in part}
        turn.record_attempt("commit_granted", event.attempt, event.worker, **told)


def map_done(turn: Turn, job: Job, task: Task, worker: Worker) -> None:
    output = task.output
    assert output is not None
    if output.inline is None:
        worker.holds[job.plan.job, task.index] = None
        if job.reduce_stage is not None:
            locate(job, task, worker.address)
    for dependent in job.dependents.values():
        if dependent.gang is not None:
            turn.wake_all()
            continue
        twin = dependent.map_stage.tasks[task.index]
        if twin.state is TaskState.PENDING:
            enqueue(twin)
            turn.wake(worker.name)
    if job.map_stage.complete and job.reduce_stage is not None:
        turn.wake_all()


def locate(job: Job, task: Task, address: tuple[str, int]) -> None:
    """Tell where a map output on a disk is."""
    assert task.winner is not None
    assert task.worker is not None
    assert task.output is not None
    size_bytes = task.output.stats.get("bytes_out", 0)
    job.locations.append(Location(task.winner, task.worker, address, size_bytes, task.digest))


def _blame(turn: Turn, task: Task, worker: Worker) -> None:
    """What failed on another worker and succeeds here was that worker's fault, not the task's."""
    if not task.failed_on:
        return
    for name in sorted(task.failed_on - {worker.name}):
        if other := turn.state.workers.get(name):
            other.blame += 1
            if other.blame >= policy.BLAME_MAX:
                exclude(turn, other, f"{other.blame} tasks failed there and succeeded elsewhere")
    task.failed_on = NO_WORKERS


def exclude(turn: Turn, worker: Worker, cause: str) -> None:
    """No more work for a while."""
    worker.blame = 0
    turn.wake_all()  # For a task that is to run elsewhere, there may be no elsewhere any more.
    until = turn.now + policy.EXCLUDE_S
    turn.state.excluded[worker.name] = until
    turn.emit(SetTimer(until, events.ExclusionTimer(worker.name)))
    turn.record("worker_excluded", None, worker=worker.name, seconds=policy.EXCLUDE_S, cause=cause)


def exclusion_over(turn: Turn, event: events.ExclusionTimer) -> None:
    until = turn.state.excluded.get(event.worker)
    if until is not None and until <= turn.now:
        del turn.state.excluded[event.worker]
        turn.wake(event.worker)


def failed(turn: Turn, event: events.AttemptFailed) -> None:
    worker = turn.state.workers.get(event.worker)
    if worker is None:
        turn.record("stale_message", None, worker=event.worker, what=f"failed {event.attempt}")
        return
    if event.failure.reason == "disk_full" and event.attempt in worker.attempts:
        exclude(turn, worker, "its disk is full")
    over(turn, event.attempt, event.failure, worker)


def over(
    turn: Turn, attempt: AttemptId, failure: Failure, worker: Worker, pause_s: float = 0.0
) -> None:
    """An attempt ended without success: charge it, then retry the task or fail the job.

    A reduce task may have to pause before its retry.
    """
    job = turn.state.jobs.get(attempt.job)
    task = job.task(attempt) if job else None
    if job is None or task is None or attempt not in task.running:
        return
    if task.running[attempt].worker != worker.name:
        return
    knew = failure.position in task.skip[: task.running[attempt].skips]
    release(turn, task, attempt)
    poison = _is_poison(job, failure)
    charged = failure.reason not in policy.UNCHARGED and not poison
    turn.record_attempt(
        "attempt_failed",
        attempt,
        worker.name,
        reason=failure.reason,
        charged=charged,
        error=failure.text,
    )
    _charge(task, failure, worker.name, charged, poison, knew)
    if job.gang is not None and failure.reason in ("member_lost", "fetch"):
        mourn(turn, job.gang, task)
    if verdict := policy.gives_up(task, failure):
        task.state = move(TASK_TABLE, task.state, Step.GAVE_UP)
        fail(turn, job, f"{verdict}: {failure.text}")
    elif not task.running:
        task.state = move(TASK_TABLE, task.state, Step.ATTEMPT_OVER)
        if pause_s:
            turn.emit(SetTimer(turn.now + pause_s, events.RetryTimer(attempt.job, task.index)))
        else:
            enqueue(task, first=True)
        turn.wake_all()
    elif pause_s:
        task.backup_after = turn.now + pause_s


def mourn(turn: Turn, gang: Gang, task: Task) -> None:
    """This member is well but for what it needs: it must not start again before that may be so."""
    until = turn.now + policy.MOURNING_S
    gang.mourning[task.index] = until
    turn.emit(SetTimer(until, events.GangTimer(task.stage.job.plan.job)))


def _is_poison(job: Job, failure: Failure) -> bool:
    """A located record that kills its process is skipped next time, if the user allows it."""
    return job.plan.skip_max > 0 and failure.reason == "died" and failure.position is not None


def _charge(
    task: Task, failure: Failure, worker: str, charged: bool, poison: bool, knew: bool
) -> None:
    if failure.reason in ("died", "stuck"):
        task.careful = True
    if poison and failure.position is not None:
        if knew or failure.position not in task.skip:
            task.skip += (failure.position,)
    elif charged:
        task.failures += 1
        task.failed_on |= {worker}
        if failure.position is not None:
            task.positions += (failure.position,)
    else:
        task.losses += 1


def output_lost(turn: Turn, task: Task, holder: Worker | None) -> None:
    """A done map task is done no longer, if anybody still needs what it made."""
    job = task.stage.job
    key = (job.plan.job, task.index)
    if holder is not None:
        holder.holds.pop(key, None)
    if task.worker in turn.state.awaited:
        turn.state.awaited[task.worker].pop(key, None)
    needed = job.plan.kind == "load" or job.state is JobState.RUNNING
    if task.state is not TaskState.DONE or not needed:
        return
    assert task.winner is not None
    turn.write(job, OutputLost(task.winner, turn.cause))
    turn.record_attempt("output_lost", task.winner, task.worker or "", cause=turn.cause)
    for dependent in job.dependents.values():
        waiting = dependent.map_stage.pinned.get(task.worker or "", ())
        if waiting and task.index in waiting:
            waiting.remove(task.index)  # It will wait where the partition is then.
    lose(job, task)
    if job.state is JobState.SUCCEEDED:
        job.state = move(JOB_TABLE, job.state, Step.OUTPUT_LOST)
    enqueue(task, first=True)
    turn.wake_all()


def move_datasets(turn: Turn, leaving: Worker) -> None:
    """Its partitions of datasets are made again elsewhere, if there is an elsewhere: a worker that
    leaves gets no work, so whoever needs them would wait until it is gone."""
    if all(worker.draining for worker in turn.state.workers.values()):
        return
    for job_id, index in list(leaving.holds):
        job = turn.state.jobs[job_id]
        if job.plan.kind == "load":
            output_lost(turn, job.map_stage.tasks[index], leaving)
    turn.wake(leaving.name)  # It may be spared now.


def lose(job: Job, task: Task) -> None:
    """The same for a live loss and the journal's replay."""
    task.state = move(TASK_TABLE, task.state, Step.OUTPUT_LOST)
    if task.output is not None and task.output.inline is not None:
        job.inlined.remove(task.index)
    task.won = task.worker = task.output = None
    task.stage.done -= 1
