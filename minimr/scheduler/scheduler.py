"""The scheduler: one event in, a list of actions out.

This is the master of the paper (Dean and Ghemawat, OSDI 2004, sections 3.1 to 3.3) without its
sockets. It hands map tasks to workers, opens the reduce stage when the last map task is done,
retries what failed, runs again what was lost with a worker, and lets exactly one attempt of each
reduce task commit.

Two rules keep it simple:
- A message about an attempt that is not running (late, repeated, from a worker that was given up)
  changes nothing. So the first completion of a reduce task that is accepted is its commit, and
  there is never a second: the files of other attempts are left out when the job is published.
- Any event may free a slot or make a task ready, so each event ends by dispatching.
"""

from collections.abc import Callable
from typing import Any

from minimr.scheduler import actions, events, outcome, policy
from minimr.scheduler.dispatch import dispatch, enqueue
from minimr.scheduler.state import AttemptId, Failure, Job, Location, State, Task, Worker
from minimr.scheduler.tables import (
    ENDED,
    JOB_TABLE,
    TASK_TABLE,
    JobState,
    Step,
    TaskState,
    move,
)


class Scheduler:
    """Owns `state`. `handle` is the only way in; it returns what the world must do, in order."""

    def __init__(self) -> None:
        self.state = State()
        self._now = 0.0
        self._cause = ""
        self._actions: list[actions.Action] = []
        self._wake: dict[str, None] = {}

    def handle(self, event: events.Event, now: float) -> list[actions.Action]:
        """React to one event at time `now` (seconds of a monotonic clock)."""
        self._now, self._actions, self._wake = now, [], {}
        self._cause = type(event).__name__
        HANDLERS[type(event)](self, event)
        if self._wake:
            hungry = [w for name in self._wake if (w := self.state.workers.get(name))]
            self._actions += dispatch(self.state, hungry, self._cause)
        return self._actions

    # Workers

    def _worker_joined(self, event: events.WorkerJoined) -> None:
        expires_at = self._now + policy.LEASE_S
        worker = Worker(event.worker, event.slots, event.address, expires_at)
        self.state.workers[event.worker] = worker
        self._emit(actions.SetTimer(expires_at, events.LeaseTimer(event.worker)))
        address = "{}:{}".format(*event.address)
        self._record("worker_joined", None, worker=event.worker, slots=event.slots, address=address)
        self._wake_all()

    def _heartbeat(self, event: events.Heartbeat) -> None:
        if worker := self.state.workers.get(event.worker):
            worker.expires_at = self._now + policy.LEASE_S

    def _lease_timer(self, event: events.LeaseTimer) -> None:
        worker = self.state.workers.get(event.worker)
        if worker is None:
            return
        if worker.expires_at > self._now:
            self._emit(actions.SetTimer(worker.expires_at, event))
            return
        self._emit(actions.DropWorker(event.worker, self._cause))
        self._worker_lost(event.worker, f"no heartbeat for {policy.LEASE_S:g} s")

    def _connection_lost(self, event: events.ConnectionLost) -> None:
        self._worker_lost(event.worker, event.text)

    def _worker_lost(self, name: str, text: str) -> None:
        """Give up a worker: its attempts start again elsewhere, and so do lost map outputs."""
        worker = self.state.workers.pop(name, None)
        if worker is None:
            return
        self._cause = f"worker_lost {name}"
        self._record("worker_lost", None, worker=name, cause=text)
        for attempt in list(worker.attempts):
            failure = Failure("worker_lost", f"worker {name} was lost: {text}")
            self._attempt_over(attempt, failure, worker)
        for job_id, index in list(worker.holds):
            if job := self.state.jobs.get(job_id):
                self._output_lost(job.map_stage.tasks[index], worker)
        for job in self.state.jobs.values():
            for stage in (job.map_stage, job.reduce_stage):
                if stage is not None:
                    stage.pinned.pop(name, None)
        self._wake_all()

    # Attempts

    def _attempt_done(self, event: events.AttemptDone) -> None:
        worker = self.state.workers.get(event.worker)
        job = self.state.jobs.get(event.attempt.job)
        task = job.task(event.attempt) if job else None
        if worker is None or job is None or task is None:
            return
        current = task.running.get(event.attempt) == worker.name
        if current:
            self._succeed(job, task, worker, event)
        elif event.output.part is not None and task.winner != event.attempt:
            self._record_attempt("commit_denied", event.attempt, worker.name)

    def _succeed(self, job: Job, task: Task, worker: Worker, event: events.AttemptDone) -> None:
        self._release(task, event.attempt)
        for rival in list(task.running):
            self._cancel_attempt(task, rival)
        task.state = move(TASK_TABLE, task.state, Step.SUCCEEDED)
        task.winner, task.worker, task.output = event.attempt, worker.name, event.output
        task.counters = event.output.counters
        stage = task.stage
        stage.done += 1
        if (seconds := event.output.stats.get("seconds")) is not None:
            stage.seconds += seconds
            stage.timed += 1
        self._record_attempt("attempt_done", event.attempt, worker.name, **event.output.stats)
        if stage is job.map_stage:
            self._map_done(job, task, worker)
        elif event.output.part is not None:
            part = event.output.part
            self._record_attempt(
                "commit_granted",
                event.attempt,
                worker.name,
                records=part["records"],
                bytes=part["bytes"],
            )
        if stage is job.last_stage and stage.complete:
            self._all_done(job)

    def _map_done(self, job: Job, task: Task, worker: Worker) -> None:
        output = task.output
        assert output is not None
        assert task.winner is not None
        if output.inline is None:
            worker.holds[job.plan.job, task.index] = None
            if job.reduce_stage is not None:
                size_bytes = output.stats.get("bytes_out", 0)
                location = Location(task.winner, worker.name, worker.address, size_bytes)
                job.locations.append(location)
        for dependent in job.dependents.values():
            twin = dependent.map_stage.tasks[task.index]
            if twin.state is TaskState.PENDING:
                enqueue(twin)
                self._wake[worker.name] = None
        if job.map_stage.complete and job.reduce_stage is not None:
            self._wake_all()

    def _attempt_failed(self, event: events.AttemptFailed) -> None:
        if worker := self.state.workers.get(event.worker):
            self._attempt_over(event.attempt, event.failure, worker)

    def _fetch_failed(self, event: events.FetchFailed) -> None:
        """The reducer is not to blame: the outputs it missed are made again."""
        worker = self.state.workers.get(event.worker)
        if worker is None or event.attempt not in worker.attempts:
            return
        job = self.state.jobs[event.attempt.job]
        for missing in event.missing:
            task = job.task(missing)
            if task is not None and task.winner == missing and task.stage is job.map_stage:
                holder = self.state.workers.get(task.worker or "")
                self._output_lost(task, holder)
        self._attempt_over(event.attempt, Failure("fetch", event.text), worker)
        self._wake_all()

    def _attempt_over(self, attempt: AttemptId, failure: Failure, worker: Worker) -> None:
        """An attempt ended without success: charge it, then retry the task or fail the job."""
        job = self.state.jobs.get(attempt.job)
        task = job.task(attempt) if job else None
        if job is None or task is None or task.running.get(attempt) != worker.name:
            return
        self._release(task, attempt)
        charged = failure.reason not in policy.UNCHARGED
        self._record_attempt(
            "attempt_failed",
            attempt,
            worker.name,
            reason=failure.reason,
            charged=charged,
            error=failure.text,
        )
        if charged:
            task.failures += 1
            task.failed_on.add(worker.name)
            if failure.position is not None:
                task.positions.append(failure.position)
        else:
            task.losses += 1
        if verdict := policy.gives_up(task, failure):
            task.state = move(TASK_TABLE, task.state, Step.GAVE_UP)
            self._fail_job(job, f"{verdict}: {failure.text}")
        elif not task.running:
            task.state = move(TASK_TABLE, task.state, Step.ATTEMPT_OVER)
            enqueue(task, first=True)
            self._wake_all()

    def _output_lost(self, task: Task, holder: Worker | None) -> None:
        """A done map task is done no longer, if anybody still needs what it made."""
        job = task.stage.job
        key = (job.plan.job, task.index)
        if holder is not None:
            holder.holds.pop(key, None)
        needed = job.plan.kind == "load" or job.state is JobState.RUNNING
        if task.state is not TaskState.DONE or not needed:
            return
        assert task.winner is not None
        self._record_attempt("output_lost", task.winner, task.worker or "", cause=self._cause)
        task.state = move(TASK_TABLE, task.state, Step.OUTPUT_LOST)
        task.winner = task.worker = task.output = None
        task.stage.done -= 1
        if job.state is JobState.SUCCEEDED:
            job.state = move(JOB_TABLE, job.state, Step.OUTPUT_LOST)
        enqueue(task, first=True)

    def _release(self, task: Task, attempt: AttemptId) -> str:
        """This attempt runs no more. Returns the worker that ran it, which may be gone."""
        name = task.running.pop(attempt)
        task.stage.job.running -= 1
        if worker := self.state.workers.get(name):
            worker.attempts.pop(attempt, None)
            self._wake[name] = None
        return name

    def _cancel_attempt(self, task: Task, attempt: AttemptId) -> None:
        name = self._release(task, attempt)
        if name in self.state.workers:
            self._emit(actions.CancelAttempt(name, attempt, self._cause))

    # Jobs

    def _job_submitted(self, event: events.JobSubmitted) -> None:
        plan = event.plan
        job = Job(plan, self.state.submitted, self._now)
        self.state.submitted += 1
        self.state.jobs[plan.job] = job
        fields = {"name": plan.name, "kind": plan.kind}
        self._record("job_submitted", job, maps=plan.maps, reduces=plan.reduces, **fields)
        if plan.source is not None:
            source = self.state.jobs.get(plan.source)
            if source is None or source.state is JobState.FAILED or source.dropped:
                self._fail_job(job, f"dataset {plan.source} is closed or failed; load it again")
                return
            job.source = source
            source.dependents[plan.job] = job
        for stage in (job.map_stage, job.reduce_stage):
            for task in stage.tasks if stage else ():
                enqueue(task)
        self._wake_all()

    def _all_done(self, job: Job) -> None:
        self._stop_attempts(job)  # Maps that run again for a reducer that managed without.
        if not job.plan.publishes:
            job.state = move(JOB_TABLE, job.state, Step.SUCCEEDED)
            self._end(job, "")
            return
        job.state = move(JOB_TABLE, job.state, Step.ALL_COMMITTED)
        tasks = job.last_stage.tasks
        winners = tuple(task.winner for task in tasks if task.winner)
        self._emit(
            actions.Publish(
                job.plan.job, winners, outcome.parts(job), outcome.counters(job), self._cause
            )
        )

    def _published(self, event: events.Published) -> None:
        job = self.state.jobs.get(event.job)
        if job is None or job.state is not JobState.PUBLISHING:
            return
        if event.error is not None:
            job.state = move(JOB_TABLE, job.state, Step.GAVE_UP)
        else:
            job.state = move(JOB_TABLE, job.state, Step.PUBLISHED)
        self._end(job, event.error or "")

    def _cancel_requested(self, event: events.CancelRequested) -> None:
        job = self.state.jobs.get(event.job)
        if job is not None and job.state is JobState.RUNNING:
            job.state = move(JOB_TABLE, job.state, Step.CANCELLED)
            self._stop_attempts(job)
            self._end(job, "cancelled")

    def _fail_job(self, job: Job, error: str) -> None:
        if job.state in ENDED:
            return
        job.state = move(JOB_TABLE, job.state, Step.GAVE_UP)
        self._stop_attempts(job)
        for dependent in list(job.dependents.values()):
            self._fail_job(dependent, f"its dataset cannot be rebuilt: {error}")
        self._end(job, error)

    def _stop_attempts(self, job: Job) -> None:
        for stage in (job.map_stage, job.reduce_stage):
            for task in stage.tasks if stage else ():
                for attempt in list(task.running):
                    self._cancel_attempt(task, attempt)
        self._wake_all()

    def _end(self, job: Job, error: str) -> None:
        """Tell the client once; keep a loaded dataset, forget everything else."""
        if not job.announced:
            job.announced = True
            self._record_end(job, error)
            self._emit(outcome.ended(job, error, self._cause))
        if not (job.plan.kind == "load" and job.state is JobState.SUCCEEDED):
            self._forget(job)

    def _record_end(self, job: Job, error: str) -> None:
        if job.state is JobState.SUCCEEDED:
            seconds = round(self._now - job.started_at, 6)
            self._record("job_done", job, counters=outcome.counters(job), seconds=seconds)
        elif job.state is JobState.CANCELLED:
            self._record("job_cancelled", job)
        else:
            self._record("job_failed", job, error=error)

    def _dataset_dropped(self, event: events.DatasetDropped) -> None:
        job = self.state.jobs.get(event.job)
        if job is not None and job.plan.kind == "load":
            job.dropped = True
            self._forget_dropped(job)

    def _forget_dropped(self, job: Job) -> None:
        """A dataset stays while another is derived from it: rebuilding that one needs this."""
        if job.dropped and not job.dependents:
            self._stop_attempts(job)
            self._forget(job)

    def _forget(self, job: Job) -> None:
        job_id = job.plan.job
        self.state.jobs.pop(job_id, None)
        for task in job.map_stage.tasks:
            if task.worker and (worker := self.state.workers.get(task.worker)):
                worker.holds.pop((job_id, task.index), None)
        for name in sorted(job.workers):
            if name in self.state.workers:
                self._emit(actions.ForgetJob(name, job_id, self._cause))
        if job.source is not None:
            job.source.dependents.pop(job_id, None)
            self._forget_dropped(job.source)

    # Small helpers

    def _emit(self, action: actions.Action) -> None:
        self._actions.append(action)

    def _record(self, event: str, job: Job | None, **fields: Any) -> None:
        self._emit(actions.Record(event, job.plan.job if job else None, fields))

    def _record_attempt(self, event: str, attempt: AttemptId, worker: str, **fields: Any) -> None:
        self._emit(actions.Record(event, attempt.job, attempt_fields(attempt, worker) | fields))

    def _wake_all(self) -> None:
        self._wake = dict.fromkeys(self.state.workers)


def attempt_fields(attempt: AttemptId, worker: str) -> dict[str, Any]:
    """What every log line about an attempt says."""
    return {
        "task": attempt.task,
        "stage": attempt.stage,
        "index": attempt.index,
        "attempt": attempt.number,
        "worker": worker,
    }


HANDLERS: dict[type, Callable[[Scheduler, Any], None]] = {
    events.JobSubmitted: Scheduler._job_submitted,
    events.WorkerJoined: Scheduler._worker_joined,
    events.Heartbeat: Scheduler._heartbeat,
    events.AttemptDone: Scheduler._attempt_done,
    events.AttemptFailed: Scheduler._attempt_failed,
    events.FetchFailed: Scheduler._fetch_failed,
    events.ConnectionLost: Scheduler._connection_lost,
    events.LeaseTimer: Scheduler._lease_timer,
    events.CancelRequested: Scheduler._cancel_requested,
    events.Published: Scheduler._published,
    events.DatasetDropped: Scheduler._dataset_dropped,
}
