"""Which task goes to which worker, now.

Work is pulled: a worker with room takes the next ready task of the job that runs least. Workers
take turns, one task each, so that a short stage spreads over all of them. A gang needs room for all
its members at once, and gets it in gangs.py; when it is its turn, nothing else is given out here.
"""

from collections import deque

from minimr.scheduler import gang_policy, policy
from minimr.scheduler.actions import Assign, SetTimer
from minimr.scheduler.events import BackupTimer
from minimr.scheduler.running import enter
from minimr.scheduler.state import Job, Stage, State, Task, Worker
from minimr.scheduler.tables import TASK_TABLE, JobState, Step, TaskState, move
from minimr.scheduler.turn import Turn


def enqueue(task: Task, first: bool = False) -> None:
    """Put a pending task where the workers look for it. One without its input waits outside."""
    stage = task.stage
    if stage.kind == "gang":
        return  # Members start together; see gangs.py.
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


def dispatch(turn: Turn) -> None:
    """Assign ready tasks to the workers that woke up until each is full or finds nothing."""
    state = turn.state
    jobs = [job for job in state.jobs.values() if _has_work(job)]
    if state.gangs:
        if any(map(gang_policy.is_incomplete, state.gangs.values())):
            return
        due = gang_policy.due(state)
        if any(job.gang is not None and job.gang.has_turn for job in due):
            return
        jobs += due
    if not jobs:
        return
    names = state.workers if turn.all_woken else turn.woken
    hungry = [worker for name in names if (worker := state.workers.get(name))]
    if state.excluded or any(worker.draining for worker in hungry):
        hungry = [worker for worker in hungry if policy.gets_work(worker, state)]
    queue = deque(sorted(hungry, key=lambda worker: len(worker.attempts)))
    while queue and jobs:
        worker = queue.popleft()
        if (task := _next_task(turn, jobs, worker)) is not None:
            _assign(turn, task, worker)
            queue.append(worker)


def _has_work(job: Job) -> bool:
    """Is anything queued that may start now?"""
    if job.state is not JobState.RUNNING:
        return False
    maps, reduces = job.map_stage, job.reduce_stage
    if maps.ready or maps.backups or any(maps.pinned.values()):
        return True
    if reduces is None or not maps.complete:
        return False
    return bool(reduces.ready or reduces.backups)


def _next_task(turn: Turn, jobs: list[Job], worker: Worker) -> Task | None:
    for job in policy.fair_order(jobs):
        if job.gang is not None:
            job.gang.has_turn = True  # From now on all that becomes free is kept for it.
            return None
        for stage in (job.map_stage, job.reduce_stage):
            if stage is not None and (task := _take(turn, stage, worker)):
                return task
    return None


def _take(turn: Turn, stage: Stage, worker: Worker) -> Task | None:
    """The next task of this stage for this worker, taken out of its queue."""
    if pinned := stage.pinned.get(worker.name):
        return stage.tasks[pinned.popleft()]
    job = stage.job
    if stage is job.reduce_stage and not job.map_stage.complete:
        return None
    if not stage.ready:
        return _take_backup(turn, stage, worker) if stage.backups else None
    if len(worker.attempts) >= policy.queue_limit(worker, stage, turn.now):
        return None
    has_room = stage.kind != "load" or _has_room(turn.state, stage, worker)
    for position, index in enumerate(stage.ready):
        task = stage.tasks[index]
        # A partition that failed elsewhere, or was lost there, may have no other place left than
        # one that is full.
        if not (has_room or task.failed_on or task.avoid):
            continue
        if policy.may_run_on(task, worker.name, turn.state):
            del stage.ready[position]
            return task
    return None


def _has_room(state: State, stage: Stage, worker: Worker) -> bool:
    """Spread a dataset evenly: rounds will run where its partitions are.

    Slots that members of gangs hold do not count: one of these may wait for this very partition.
    Nor do those of workers that get no work: their share would wait until they do, or are gone.
    """
    able = [each for each in state.workers.values() if policy.gets_work(each, state)]
    total = sum(each.slots - each.members for each in able)
    quota = policy.placement_quota(len(stage.tasks), worker.slots - worker.members, total)
    job_id = stage.job.plan.job
    held = sum(1 for job, _ in worker.holds if job == job_id)
    held += sum(1 for attempt in worker.attempts if attempt.job == job_id)
    return held < quota


def _take_backup(turn: Turn, stage: Stage, worker: Worker) -> Task | None:
    """A task that runs elsewhere for too long, if this worker could start it at once."""
    if len(worker.attempts) >= worker.slots:
        return None
    for position, index in enumerate(stage.backups):
        task = stage.tasks[index]
        elsewhere = all(each.worker != worker.name for each in task.running.values())
        if elsewhere and policy.may_run_on(task, worker.name, turn.state):
            del stage.backups[position]
            return task if task.state is TaskState.RUNNING else _take(turn, stage, worker)
    return None


def _assign(turn: Turn, task: Task, worker: Worker) -> None:
    stage, job = task.stage, task.stage.job
    attempt = task.attempt_id(task.attempts)
    backup = task.state is TaskState.RUNNING
    task.attempts += 1
    task.state = move(TASK_TABLE, task.state, Step.ASSIGNED)
    enter(turn, task, worker, attempt, backup)
    announce, inline, skip = range(0), _inline(job, task), task.skip
    if stage is job.reduce_stage:
        job.read = True
        announce = _news(job, worker)
    turn.emit(Assign(worker.name, attempt, turn.cause, announce, inline, task.careful, skip))
    fields = {"backup": True} if backup else {}
    turn.record_attempt("attempt_started", attempt, worker.name, cause=turn.cause, **fields)
    if job.plan.survives and not stage.ready:
        watch(turn, stage)


def watch(turn: Turn, stage: Stage) -> None:
    """Nothing waits any more: from now on, look for attempts that take too long."""
    if not stage.backups_watched and stage.job.plan.backups:
        stage.backups_watched = True
        at = turn.now + policy.BACKUP_CHECK_S
        turn.emit(SetTimer(at, BackupTimer(stage.job.plan.job, stage.kind)))


def _news(job: Job, worker: Worker) -> range:
    """The map outputs that this worker has not been told of yet."""
    known = job.told.get(worker.name, 0)
    job.told[worker.name] = len(job.locations)
    return range(known, len(job.locations))


def _inline(job: Job, reduce: Task) -> tuple[tuple[int, object, str | None], ...]:
    """What a reduce task needs of the map outputs that travelled inline."""
    if reduce.stage is not job.reduce_stage:
        return ()
    tasks = (job.map_stage.tasks[index] for index in job.inlined)
    return tuple(
        (task.index, task.output.inline[reduce.index], task.digest)
        for task in tasks
        if task.output is not None and task.output.inline is not None
    )
