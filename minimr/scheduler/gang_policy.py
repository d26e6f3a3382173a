"""Where the members of a gang go, and when: pure functions of what they look at.

A gang gets all its slots in one moment or none of them (Ousterhout's coscheduling, "Scheduling
techniques for concurrent systems", ICDCS 1982): members that wait for one another while each holds
a slot could wait for ever. It takes its turn among the jobs like any other. When it is due and the
slots are not free yet, no new work is given out, and it starts when enough of what runs has ended.
It must not wait for slots that other gangs hold, for these end when they like.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from minimr.scheduler import policy
from minimr.scheduler.state import Job, State, Task
from minimr.scheduler.tables import JobState, TaskState


def share(rank: int, members: int, partitions: int) -> range:
    """The partitions that a member owns: neighbours, whatever the workers are."""
    return range(rank * partitions // members, (rank + 1) * partitions // members)


def inputs(task: Task) -> list[Task]:
    """The tasks that made the partitions which this member owns."""
    job = task.stage.job
    made = job.source.map_stage.tasks if job.source else []
    return [made[index] for index in share(task.index, job.plan.maps, len(made))]


def has_inputs(task: Task) -> bool:
    """Is every partition of this member somewhere now?"""
    return all(each.worker is not None for each in inputs(task))


def missing(job: Job) -> list[Task]:
    """The members that do not run and have not ended."""
    return [task for task in job.map_stage.tasks if task.state is TaskState.PENDING]


def is_waiting(job: Job) -> bool:
    """A gang that is to start, and whose data is there."""
    if job.gang is None or job.state is not JobState.RUNNING or job.gang.started:
        return False
    return all(map(has_inputs, job.map_stage.tasks))


def is_incomplete(job: Job) -> bool:
    """A gang that lacks members which could run at once if there were a slot.

    The others hold their slots and wait, so it comes before everything else.
    """
    if job.gang is None or job.state is not JobState.RUNNING or job.plan.restart != "one":
        return False
    lost = missing(job)
    able = [task for task in lost if task.index not in job.gang.mourning and has_inputs(task)]
    return 0 < len(lost) < len(job.map_stage.tasks) and bool(able)


def due(state: State) -> list[Job]:
    """The gang for which room is to be kept until it can start, if there is one.

    Gangs start in their order, lest small ones keep a large one waiting for ever.
    """
    waiting = [job for job in state.gangs.values() if is_waiting(job)]
    possible = [job for job in waiting if job.plan.maps <= slots(state)]
    without_gangs = sum(
        max(0, worker.slots - worker.members)
        for worker in state.workers.values()
        if policy.gets_work(worker, state)
    )
    first = policy.fair_order(possible)[:1]
    return [job for job in first if job.plan.maps <= without_gangs]


def slots(state: State) -> int:
    """How many slots the cluster has for a gang, whoever has them now."""
    return sum(worker.slots for worker in state.workers.values() if not worker.draining)


def room(state: State) -> dict[str, int]:
    """The workers that could start members at once, and how many."""
    free = {
        worker.name: worker.slots - len(worker.attempts)
        for worker in state.workers.values()
        if policy.gets_work(worker, state)
    }
    return {name: count for name, count in free.items() if count > 0}


def placement(tasks: Iterable[Task], free: Mapping[str, int]) -> dict[int, str]:
    """A worker for each member's rank, as far as the room reaches.

    First who holds most of a member's partitions, then who has most room. A worker where a member
    failed before comes last.
    """
    left, places, waiting = dict(free), dict[int, str](), list(tasks)
    held = {task.index: Counter(each.worker for each in inputs(task)) for task in waiting}
    wishes = [
        (-count, task.index, name)
        for task in waiting
        for name, count in held[task.index].items()
        if name is not None and name not in task.failed_on
    ]
    for _, rank, name in sorted(wishes):
        if rank not in places and left.get(name):
            places[rank] = name
            left[name] -= 1
    for task in waiting:
        open_to = [name for name, count in left.items() if count]
        if task.index not in places and open_to:
            bad = task.failed_on
            name = min(open_to, key=lambda name: (name in bad, -left[name], name))
            places[task.index] = name
            left[name] -= 1
    return places
