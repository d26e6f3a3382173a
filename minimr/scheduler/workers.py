"""Workers come, keep their lease, leave when asked to, return after a restart, and are given up.

A worker is alive as long as it holds a lease, which every heartbeat renews (Gray and Cheriton, SOSP
1989). When it runs out the worker is given up for good: its name never returns, so whatever it may
still say counts for nothing. That is the fence against a worker that was only cut off.
"""

from minimr.scheduler import events, policy
from minimr.scheduler.actions import CancelAttempt, DropWorker, ReleaseWorker, SetTimer
from minimr.scheduler.attempts import move_datasets, output_lost, over
from minimr.scheduler.journal import WorkerLost
from minimr.scheduler.running import enter
from minimr.scheduler.state import AttemptId, Failure, State, Worker
from minimr.scheduler.tables import TASK_TABLE, JobState, Step, TaskState, move
from minimr.scheduler.turn import Turn


def joined(turn: Turn, event: events.WorkerJoined) -> None:
    expires_at = turn.now + policy.LEASE_S
    worker = Worker(event.worker, event.slots, event.address, expires_at)
    turn.state.workers[event.worker] = worker
    turn.emit(SetTimer(expires_at, events.LeaseTimer(event.worker)))
    address = "{}:{}".format(*event.address)
    turn.record("worker_joined", None, worker=event.worker, slots=event.slots, address=address)
    if may_return(turn.state, event.worker, turn.now):
        _take_back(turn, worker, event)
    turn.wake(event.worker)
    for each in turn.state.workers.values():
        if each.draining:
            move_datasets(turn, each)


def may_return(state: State, worker: str, now: float) -> bool:
    """May a worker of the last epoch keep its name and what it holds?"""
    return now < state.awaited_until and worker not in state.fenced


def _take_back(turn: Turn, worker: Worker, event: events.WorkerJoined) -> None:
    """A worker of the last epoch: keep what it kept, let run on what is still wanted."""
    turn.state.fenced.add(worker.name)
    awaited = turn.state.awaited.pop(worker.name, {})
    holds = set(event.holds)
    if not (awaited or holds or event.running):
        return
    turn.cause = f"worker_returned {worker.name}"
    turn.record(
        "worker_returned",
        None,
        worker=worker.name,
        holds=len(event.holds),
        running=len(event.running),
    )
    for attempt in (*event.holds, *event.running):
        if job := turn.state.jobs.get(attempt.job):
            job.workers.add(worker.name)  # It has something to forget when the job ends.
    worker.holds.update(awaited)
    for job_id, index in awaited:
        task = turn.state.jobs[job_id].map_stage.tasks[index]
        task.stage.job.workers.add(worker.name)
        if task.winner not in holds:
            output_lost(turn, task, worker)
    for attempt in event.running:
        _adopt(turn, worker, attempt)


def _adopt(turn: Turn, worker: Worker, attempt: AttemptId) -> None:
    """An attempt that ran through the restart goes on, unless its task needs it no more."""
    job = turn.state.jobs.get(attempt.job)
    task = job.task(attempt) if job else None
    wanted = task is not None and task.state is TaskState.PENDING
    if job is None or task is None or not wanted or job.state is not JobState.RUNNING:
        turn.emit(CancelAttempt(worker.name, attempt, turn.cause))
        return
    queue = task.stage.ready
    if task.index in queue:
        queue.remove(task.index)
    task.state = move(TASK_TABLE, task.state, Step.ASSIGNED)
    job.read = job.read or task.stage is job.reduce_stage
    enter(turn, task, worker, attempt, backup=False)
    turn.record_attempt("attempt_adopted", attempt, worker.name)


def return_over(turn: Turn, _event: events.ReturnTimer) -> None:
    """Who has not come back by now is lost, with what it held."""
    awaited, turn.state.awaited = turn.state.awaited, {}
    for name, holds in awaited.items():
        turn.state.fenced.add(name)
        turn.journal.append(WorkerLost(name))
        turn.cause = f"worker_lost {name}"
        turn.record("worker_lost", None, worker=name, cause="it did not return after the restart")
        _lose_outputs(turn, list(holds), None)


def heartbeat(turn: Turn, event: events.Heartbeat) -> None:
    if worker := turn.state.workers.get(event.worker):
        worker.expires_at = turn.now + policy.LEASE_S


def lease_timer(turn: Turn, event: events.LeaseTimer) -> None:
    """If the lease has run out, so may others have, after a long pause: give them all up at once,
    lest their work moves on to those that are next."""
    worker = turn.state.workers.get(event.worker)
    if worker is None:
        return
    if worker.expires_at > turn.now:
        turn.emit(SetTimer(worker.expires_at, event))
        return
    cause = turn.cause
    late = [each.name for each in turn.state.workers.values() if each.expires_at <= turn.now]
    for name in late:
        turn.emit(DropWorker(name, cause))
        lost(turn, name, f"no heartbeat for {policy.LEASE_S:g} s")


def connection_lost(turn: Turn, event: events.ConnectionLost) -> None:
    lost(turn, event.worker, event.text)


def lost(turn: Turn, name: str, text: str) -> None:
    """Give up a worker: its attempts start again elsewhere, and so do lost map outputs."""
    worker = turn.state.workers.pop(name, None)
    if worker is None:
        return
    turn.state.excluded.pop(name, None)
    turn.journal.append(WorkerLost(name))
    turn.cause = f"worker_lost {name}"
    turn.record("worker_lost", None, worker=name, cause=text)
    for attempt in list(worker.attempts):
        over(turn, attempt, Failure("worker_lost", f"worker {name} was lost: {text}"), worker)
    _lose_outputs(turn, list(worker.holds), worker)
    for job in turn.state.jobs.values():
        for stage in (job.map_stage, job.reduce_stage):
            if stage is not None:
                stage.pinned.pop(name, None)
    turn.wake_all()


def _lose_outputs(turn: Turn, holds: list[tuple[str, int]], worker: Worker | None) -> None:
    for job_id, index in holds:
        if job := turn.state.jobs.get(job_id):
            output_lost(turn, job.map_stage.tasks[index], worker)


def draining(turn: Turn, event: events.WorkerDraining) -> None:
    """It wants to leave. What it runs may end; partitions of datasets are made again elsewhere."""
    worker = turn.state.workers.get(event.worker)
    if worker is None or worker.draining:
        return
    worker.draining = True
    turn.cause = f"worker_draining {worker.name}"
    turn.record("worker_draining", None, worker=worker.name)
    move_datasets(turn, worker)
    turn.wake(worker.name)
    turn.wake_all()


def release_if_spared(turn: Turn, name: str) -> None:
    """Let a draining worker go once it runs nothing and holds nothing that anybody needs."""
    worker = turn.state.workers.get(name)
    if worker is not None and worker.draining and not worker.attempts and not worker.holds:
        turn.record("worker_released", None, worker=name)
        turn.emit(ReleaseWorker(name, turn.cause))
