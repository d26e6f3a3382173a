"""Gangs: tasks that run at the same time and talk to each other.

Everything else here may run in any order and any number at once; that is why a lost task is run
again and nobody notices. Members of a gang need each other, so three things are different.

*They start together.* All members are assigned in one turn, or none (gang_policy.py). A member that
has its data and listens says so; when all of them have, each is told the addresses of all.

*They are lost together*, if the job says restart="all": when one is lost, the others are stopped
and all begin again from what each has saved last, in the next epoch. This is what elastic training
does (torchrun, Horovod). With restart="one" the lost member alone is started again, and the others
are told its new address; they hold their slots while they wait, so a gang that finds no slot for
a lost member for too long gives back all its slots and begins anew, with nothing saved, as it does
when a member is lost that others, who have ended, would have to help; or end, while it starts.

*They fail after one another.* Whoever talks to a member that dies notices before the coordinator
does, and ends because of it (MemberLost). It is not the one to blame: it mourns, which is to say
that it waits a moment for the news of the one that died, so that the death is charged to that one.

The decisions are taken by looking at the state at the end of each turn (`settle`), not by events:
however a member came to be lost, what is to be done about it depends on who runs now.
"""

from minimr.scheduler import events, gang_policy, policy
from minimr.scheduler.actions import Assign, Meet, MeetAgain, MemberEnded, SetTimer
from minimr.scheduler.attempts import lose
from minimr.scheduler.jobs import fail
from minimr.scheduler.running import cancel, enter
from minimr.scheduler.state import AttemptId, Gang, Job, Location, State, Task
from minimr.scheduler.tables import TASK_TABLE, JobState, Step, TaskState, move
from minimr.scheduler.turn import Turn


def member_ready(turn: Turn, event: events.MemberReady) -> None:
    job = turn.state.jobs.get(event.attempt.job)
    task = job.task(event.attempt) if job else None
    running = task.running.get(event.attempt) if task else None
    if job is None or job.gang is None or running is None or running.worker != event.worker:
        return
    job.gang.ready[event.attempt] = event.address
    address = "{}:{}".format(*event.address)
    turn.record_attempt("member_ready", event.attempt, event.worker, address=address)
    _introduce(turn, job, job.gang)


def _introduce(turn: Turn, job: Job, gang: Gang) -> None:
    """When every member runs and listens: tell the new ones of all, the others of the new ones."""
    now = [attempt for task in job.map_stage.tasks for attempt in task.running]
    if len(now) < job.plan.maps or not all(attempt in gang.ready for attempt in now):
        return
    gang.ready = {attempt: gang.ready[attempt] for attempt in now}
    old, gang.met = gang.met.intersection(now), set(now)
    addresses = tuple(gang.ready[attempt] for attempt in now)
    new = [attempt for attempt in now if attempt not in old]
    if not new:
        return  # Somebody said twice that it is ready.
    for attempt in now:
        worker = job.map_stage.tasks[attempt.index].running[attempt].worker
        if attempt not in old:
            turn.emit(Meet(worker, attempt, addresses, turn.cause))
            continue
        for other in new:
            at = gang.ready[other]
            turn.emit(MeetAgain(worker, attempt, other.index, at, turn.cause))
    turn.record(
        "gang_formed",
        job,
        attempts=[attempt.number for attempt in now],
        epochs=[gang.epoch(attempt) for attempt in now],
        addresses=["{}:{}".format(*address) for address in addresses],
        new=[attempt.index for attempt in new],
    )


def look(turn: Turn, event: events.GangTimer) -> None:
    """Its time has come: what waited is decided at the end of this turn."""
    if event.job in turn.state.jobs:
        turn.wake_all()


def settle(turn: Turn) -> None:
    """Before others get work: see to every gang that lacks members."""
    for job in list(turn.state.gangs.values()):
        if job.gang is not None and job.state is JobState.RUNNING:
            _settle(turn, job, job.gang)


def _settle(turn: Turn, job: Job, gang: Gang) -> None:
    lost = gang_policy.missing(job)
    gang.mourning = {rank: until for rank, until in gang.mourning.items() if until > turn.now}
    if not gang.started:
        _wait_for_slots(turn, job, gang)
    elif not lost:
        gang.short_since = None
        if job.map_stage.done and (late := _strangers(job, gang)):
            _stop(turn, job, gang, f"{_names(late)} started again when others had ended")
        elif job.plan.restart == "one":
            _tell_of_the_ended(turn, job, gang)
    elif all(task.index in gang.mourning for task in lost):
        pass  # The news of what they mourn is on its way.
    elif job.plan.restart == "all" or job.map_stage.done or len(lost) == job.plan.maps:
        _stop(turn, job, gang, f"{_names(lost)} lost")
    else:
        _complete(turn, job, gang)


def _strangers(job: Job, gang: Gang) -> list[Task]:
    """The members that run and have not met the others: who has ended meets nobody any more."""
    return [task for task in job.map_stage.tasks if task.running and not gang.met & {*task.running}]


def _tell_of_the_ended(turn: Turn, job: Job, gang: Gang) -> None:
    """Else one that has just been started again waits for those that ended meanwhile."""
    tasks = job.map_stage.tasks
    ended = {task.index for task in tasks if task.state is TaskState.DONE}
    news, gang.ended = sorted(ended - gang.ended), ended
    for task in tasks:
        for attempt, running in task.running.items():
            for rank in news:
                turn.emit(MemberEnded(running.worker, attempt, rank))


def _names(tasks: list[Task]) -> str:
    return ", ".join(task.name for task in tasks) + (" was" if len(tasks) == 1 else " were")


def _wait_for_slots(turn: Turn, job: Job, gang: Gang) -> None:
    there = gang_policy.slots(turn.state)
    if there >= job.plan.maps:
        gang.short_since = None
        return
    slots = "1 slot" if there == 1 else f"{there} slots"
    text = (
        f"the gang has {job.plan.maps} members, and the cluster has {slots}; "
        "start more workers, or give fewer members"
    )
    if _is_short_for(turn, job, gang, policy.GANG_TOO_LARGE_S, text):
        fail(turn, job, text)


def _is_short_for(turn: Turn, job: Job, gang: Gang, limit_s: float, text: str) -> bool:
    """Note that there are too few slots; True if that has been so for as long as may be."""
    if gang.short_since is None:
        gang.short_since = turn.now
        turn.emit(SetTimer(turn.now + limit_s, events.GangTimer(job.plan.job)))
        turn.record("gang_waits", job, text=text, seconds_max=limit_s)
    return turn.now >= gang.short_since + limit_s


def _stop(turn: Turn, job: Job, gang: Gang, cause: str) -> None:
    """All begin again together. What members had as their result is of the time before."""
    turn.record("gang_restarted", job, cause=cause)
    turn.cause = f"gang restarted: {cause}"
    for task in job.map_stage.tasks:
        for attempt in list(task.running):
            cancel(turn, task, attempt)
            task.state = move(TASK_TABLE, task.state, Step.ATTEMPT_OVER)
        if task.state is TaskState.DONE:
            assert task.winner is not None
            turn.record_attempt("output_lost", task.winner, task.worker or "", cause=turn.cause)
            lose(job, task)
    gang.started, gang.short_since = False, None
    gang.ready, gang.met, gang.ended, gang.mourning = {}, set(), set(), {}
    if job.plan.restart == "one":
        _begin_new_life(job, gang)
    _wait_for_slots(turn, job, gang)
    turn.wake_all()


def _begin_new_life(job: Job, gang: Gang) -> None:
    """Members that were started one by one have saved what does not belong together."""
    gang.life = max(task.attempts for task in job.map_stage.tasks)
    for task in job.map_stage.tasks:
        task.attempts = gang.life


def _complete(turn: Turn, job: Job, gang: Gang) -> None:
    """Start the lost members again beside those that wait for them."""
    able = [
        task
        for task in gang_policy.missing(job)
        if task.index not in gang.mourning and gang_policy.has_inputs(task)
    ]
    places = gang_policy.placement(able, gang_policy.room(turn.state))
    for rank, worker in places.items():
        _assign(turn, job.map_stage.tasks[rank], worker)
        turn.wake_all()
    lost = gang_policy.missing(job)
    text = f"there is no slot, or no data, for {', '.join(task.name for task in lost)}"
    if not lost:
        gang.short_since = None
    elif _is_short_for(turn, job, gang, policy.GANG_INCOMPLETE_S, text):
        _stop(turn, job, gang, text)


def start(turn: Turn) -> bool:
    """Start the gang whose turn it is, if there is room for all of it. True if there was."""
    for job in gang_policy.due(turn.state):
        places = gang_policy.placement(job.map_stage.tasks, gang_policy.room(turn.state))
        if job.gang is not None and len(places) == job.plan.maps:
            job.gang.started, job.gang.has_turn = True, False
            turn.record("gang_started", job, members=job.plan.maps, cause=turn.cause)
            for task in job.map_stage.tasks:
                _assign(turn, task, places[task.index])
            turn.wake_all()
            return True
    return False


def _assign(turn: Turn, task: Task, name: str) -> None:
    job = task.stage.job
    assert job.gang is not None
    attempt = AttemptId(job.plan.job, task.stage.kind, task.index, task.attempts)
    task.attempts += 1
    task.state = move(TASK_TABLE, task.state, Step.ASSIGNED)
    enter(turn, task, turn.state.workers[name], attempt, backup=False)
    partitions = tuple(_whereabouts(turn.state, each) for each in gang_policy.inputs(task))
    epoch = job.gang.epoch(attempt)
    turn.emit(Assign(name, attempt, turn.cause, epoch=epoch, partitions=partitions))
    turn.record_attempt("attempt_started", attempt, name, cause=turn.cause, epoch=epoch)


def _whereabouts(state: State, made: Task) -> Location:
    """Where a partition of the dataset is."""
    assert made.winner is not None
    assert made.worker is not None
    return Location(made.winner, made.worker, state.workers[made.worker].address, 0)
