"""Which task goes to which worker, now.

Work is pulled: a worker with room takes the next ready task of the job that runs least. Workers
take turns, one task each, so that a short stage spreads over all of them.
"""

from collections import deque

from minimr.scheduler import policy
from minimr.scheduler.actions import Action, Assign, Record
from minimr.scheduler.state import AttemptId, Job, Location, Stage, State, Task, Worker
from minimr.scheduler.tables import TASK_TABLE, JobState, Step, move


def enqueue(task: Task, first: bool = False) -> None:
    """Put a pending task where the workers look for it. One without its input waits outside."""
    stage = task.stage
    queue = stage.ready
    source = stage.job.source
    if source is not None and stage is stage.job.map_stage:
        twin = source.map_stage.tasks[task.index]
        if twin.worker is None:
            return
        queue = stage.pinned.setdefault(twin.worker, deque())
    if first:
        queue.appendleft(task.index)
    else:
        queue.append(task.index)


def dispatch(state: State, hungry: list[Worker], cause: str) -> list[Action]:
    """Assign ready tasks to the workers in `hungry` until each is full or finds nothing."""
    result: list[Action] = []
    jobs = [job for job in state.jobs.values() if _has_work(job)]
    turn = deque(sorted(hungry, key=lambda worker: len(worker.attempts)))
    while turn and jobs:
        worker = turn.popleft()
        task = _next_task(state, jobs, worker)
        if task is not None:
            result += _assign(task, worker, cause)
            turn.append(worker)
    return result


def _has_work(job: Job) -> bool:
    """Is anything queued that may start now?"""
    if job.state is not JobState.RUNNING:
        return False
    maps, reduces = job.map_stage, job.reduce_stage
    if maps.ready or any(maps.pinned.values()):
        return True
    return reduces is not None and bool(reduces.ready) and maps.complete


def _next_task(state: State, jobs: list[Job], worker: Worker) -> Task | None:
    for job in policy.fair_order(jobs):
        for stage in (job.map_stage, job.reduce_stage):
            if stage is not None and (task := _take(state, stage, worker)):
                return task
    return None


def _take(state: State, stage: Stage, worker: Worker) -> Task | None:
    """The next task of this stage for this worker, taken out of its queue."""
    if pinned := stage.pinned.get(worker.name):
        return stage.tasks[pinned.popleft()]
    if not stage.ready or len(worker.attempts) >= policy.queue_limit(worker, stage):
        return None
    job = stage.job
    if stage is job.reduce_stage and not job.map_stage.complete:
        return None
    has_room = stage.kind != "load" or _has_room(state, stage, worker)
    for position, index in enumerate(stage.ready):
        task = stage.tasks[index]
        # A partition that failed elsewhere may have no other place left than one that is full.
        if not (has_room or task.failed_on):
            continue
        if policy.may_run_on(task, worker.name, state.workers):
            del stage.ready[position]
            return task
    return None


def _has_room(state: State, stage: Stage, worker: Worker) -> bool:
    """Spread a dataset evenly: rounds will run where its partitions are."""
    total = sum(each.slots for each in state.workers.values())
    quota = policy.placement_quota(len(stage.tasks), worker.slots, total)
    job_id = stage.job.plan.job
    held = sum(1 for job, _ in worker.holds if job == job_id)
    held += sum(1 for attempt in worker.attempts if attempt.job == job_id)
    return held < quota


def _assign(task: Task, worker: Worker, cause: str) -> list[Action]:
    stage, job = task.stage, task.stage.job
    attempt = AttemptId(job.plan.job, stage.kind, task.index, task.attempts)
    task.attempts += 1
    task.state = move(TASK_TABLE, task.state, Step.ASSIGNED)
    task.running[attempt] = worker.name
    worker.attempts[attempt] = None
    job.running += 1
    job.workers.add(worker.name)
    assign = Assign(worker.name, attempt, cause)
    if stage is job.reduce_stage:
        announce, inline = _news(job, worker), _inline(job, task.index)
        assign = Assign(worker.name, attempt, cause, announce, inline)
    fields = {
        "task": task.name,
        "stage": stage.kind,
        "index": task.index,
        "attempt": attempt.number,
        "worker": worker.name,
        "cause": cause,
    }
    return [assign, Record("attempt_started", job.plan.job, fields)]


def _news(job: Job, worker: Worker) -> tuple[Location, ...]:
    """The map outputs that this worker has not been told of yet."""
    known = job.told.get(worker.name, 0)
    job.told[worker.name] = len(job.locations)
    return tuple(job.locations[known:])


def _inline(job: Job, partition: int) -> tuple[tuple[int, object], ...]:
    return tuple(
        (task.index, task.output.inline[partition])
        for task in job.map_stage.tasks
        if task.output and task.output.inline is not None
    )
