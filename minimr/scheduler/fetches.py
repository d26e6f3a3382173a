"""Whom to believe when a reduce task cannot fetch a map output.

The paper has one rule for map output that is out of reach: its worker has failed, so the map runs
again (Dean and Ghemawat, OSDI 2004, section 3.3). A network breaks in more ways. A holder that
still beats may be out of reach of one reducer and well for all others, and then a map that runs
again costs more than a reduce task that goes elsewhere. So there are two kinds of evidence.

*The holder itself says* that an output is gone or damaged: it is made again at once, elsewhere.

*The holder does not answer*: that is one witness, the worker that asked. The reduce task pauses,
longer every time, and goes to another worker, which reaches the holder or is the second witness. At
two witnesses, or when one has said so for `UNREACHED_MAX_S`, the outputs are made again elsewhere.

Neither of two halves of a cluster reaches the other, and each would take the other's maps over and
lose its own, for ever. So complaints of silence count only while all maps are done, and a verdict
on one holder is the end of all suspicion against others. The half that has everything first is soon
done with its fetches. And whatever else may go round in circles, every failed fetch counts against
the limit of losses of its reduce task, and the job fails with the words of the last one.
"""

from collections.abc import Iterable

from minimr.scheduler import events, policy
from minimr.scheduler.attempts import output_lost, over
from minimr.scheduler.dispatch import enqueue
from minimr.scheduler.state import AttemptId, Failure, Job, State, Task
from minimr.scheduler.tables import TaskState
from minimr.scheduler.turn import Turn


def failed(turn: Turn, event: events.FetchFailed) -> None:
    """Who fetches is not to blame. What is lost is made again, and the task tried again."""
    worker = turn.state.workers.get(event.worker)
    if worker is None or event.attempt not in worker.attempts:
        return
    job = turn.state.jobs[event.attempt.job]
    fetching = job.task(event.attempt)
    assert fetching is not None, "an attempt that runs has a task"
    turn.cause = f"fetch failed in {event.attempt.task}"
    # A member of a gang fetches partitions of the dataset that it works on.
    maker = job.source if job.gang and job.source else job
    unreached = _still_there(maker, event.unreached) if maker.map_stage.complete else []
    lost = _still_there(maker, event.gone) + _given_up(turn, maker, worker.name, unreached)
    lost += _partition_of(fetching, worker.name)
    for task in {task.index: task for task in lost}.values():
        _make_elsewhere(turn, task)
    pause_s = 0.0
    if lost:
        fetching.missed = 0  # It waits for its maps instead.
    elif unreached:
        fetching.missed += 1
        pause_s = policy.fetch_pause_s(fetching.missed)
        _avoid(turn.state, fetching, worker.name)
    over(turn, event.attempt, Failure("fetch", event.text), worker, pause_s)
    turn.wake_all()


def _partition_of(task: Task, worker: str) -> list[Task]:
    """A map over a dataset misses nothing but its partition, which this worker should have."""
    job = task.stage.job
    if job.source is None or job.gang is not None or task.stage is not job.map_stage:
        return []
    twin = job.source.map_stage.tasks[task.index]
    return [twin] if twin.worker == worker else []


def _still_there(job: Job, outputs: Iterable[AttemptId]) -> list[Task]:
    """The map tasks of which these are the outputs now. Complaints about older ones are late."""
    tasks: dict[int, Task] = {}
    for output in outputs:
        task = job.task(output)
        if task is not None and task.winner == output and task.stage is job.map_stage:
            tasks[task.index] = task
    return list(tasks.values())


def _given_up(turn: Turn, job: Job, witness: str, unreached: list[Task]) -> list[Task]:
    """Note who does not reach whom; return the tasks whose holder is out of reach for good."""
    holders = dict.fromkeys(task.worker for task in unreached if task.worker is not None)
    for holder in holders:
        job.unreached.setdefault(holder, {}).setdefault(witness, turn.now)
    found = {name: job.unreached[name] for name in holders}
    bad = {name: each for name, each in found.items() if policy.is_unreachable(each, turn.now)}
    if bad:
        job.unreached = bad
    return [task for task in unreached if task.worker in bad]


def _make_elsewhere(turn: Turn, task: Task) -> None:
    holder = task.worker or ""
    _avoid(turn.state, task, holder)
    output_lost(turn, task, turn.state.workers.get(holder))


def _avoid(state: State, task: Task, worker: str) -> None:
    """Try all other workers before this one. When all had their turn, the next round begins."""
    task.avoid |= {worker}
    if task.avoid.issuperset(state.workers):
        task.avoid = frozenset({worker})


def retry(turn: Turn, event: events.RetryTimer) -> None:
    """The pause of a reduce task is over. It has two if it failed again before the first was over,
    in an attempt of an earlier epoch, and is queued once."""
    job = turn.state.jobs.get(event.job)
    if job is None or job.reduce_stage is None:
        return
    task = job.reduce_stage.tasks[event.index]
    if task.state is TaskState.PENDING and task.index not in task.stage.ready:
        enqueue(task, first=True)
        turn.wake_all()
