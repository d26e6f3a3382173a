"""Mistakes about gangs: who starts with whom, who is told what, and who is waited for."""

from tests.simulator.museum.mutant import Mutant

GANGS = (
    Mutant(
        "half a gang",
        "members start as soon as there is a slot for each of them, and not together",
        "scheduler/gangs.py",
        """\
        if job.gang is not None and len(places) == job.plan.maps:
            job.gang.started, job.gang.has_turn = True, False
            turn.record("gang_started", job, members=job.plan.maps, cause=turn.cause)
            for task in job.map_stage.tasks:
                _assign(turn, task, places[task.index])
""",
        """\
        if job.gang is not None and places:
            job.gang.started, job.gang.has_turn = True, False
            turn.record("gang_started", job, members=job.plan.maps, cause=turn.cause)
            for rank in places:
                _assign(turn, job.map_stage.tasks[rank], places[rank])
""",
        mode="gang",
    ),
    Mutant(
        "the others go on",
        "a lost member starts again alone, though all must begin again from what they saved",
        "scheduler/gangs.py",
        '    elif job.plan.restart == "all" or job.map_stage.done or len(lost) == job.plan.maps:\n',
        "    elif job.map_stage.done or len(lost) == job.plan.maps:\n",
        mode="gang",
    ),
    Mutant(
        "the end of one counts for ever",
        "a member that has ended is not started again with the others, who need it",
        "scheduler/gangs.py",
        '    elif job.plan.restart == "all" or job.map_stage.done or len(lost) == job.plan.maps:\n',
        '    elif job.plan.restart == "all" or len(lost) == job.plan.maps:\n',
        mode="gang",
        kinds=("delay", "restart"),
    ),
    Mutant(
        "introduced to the dead",
        "members are told the first address of each rank, which may be that of one that died",
        "scheduler/gangs.py",
        """\
    gang.ready = {attempt: gang.ready[attempt] for attempt in now}
    old, gang.met = gang.met.intersection(now), set(now)
    addresses = tuple(gang.ready[attempt] for attempt in now)
""",
        """\
    old, gang.met = gang.met.intersection(now), set(now)
    first = {each.index: at for each, at in reversed(gang.ready.items())}
    addresses = tuple(first[attempt.index] for attempt in now)
""",
        mode="gang",
    ),
    Mutant(
        "old addresses are kept",
        "what is known of the members of one start is not forgotten at the next",
        "scheduler/gangs.py",
        "    if len(now) < job.plan.maps or not all(attempt in gang.ready for attempt in now):\n",
        "    if len(gang.ready) < job.plan.maps:\n",
        mode="gang",
    ),
    Mutant(
        "an incomplete gang meets",
        "those that run are told of each other, though one of them is lost",
        "scheduler/gangs.py",
        "    if len(now) < job.plan.maps or not all(attempt in gang.ready for attempt in now):\n",
        "    if not all(attempt in gang.ready for attempt in now):\n",
        mode="gang",
    ),
    Mutant(
        "nobody tells the others",
        "those that wait for a member are not told where it is when it has started again",
        "scheduler/gangs.py",
        "            turn.emit(MeetAgain(worker, attempt, other.index, at, turn.cause))\n",
        "            assert at is not None\n",
        mode="gang",
    ),
    Mutant(
        "the messenger is blamed",
        "a member that ends because of another one pays for it",
        "scheduler/policy.py",
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "member_lost"})\n',
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled"})\n',
        mode="gang",
    ),
    Mutant(
        "mourning without end",
        "nothing happens any more if the news of a lost member never comes",
        "scheduler/attempts.py",
        "    turn.emit(SetTimer(until, events.GangTimer(task.stage.job.plan.job)))\n",
        "    assert events is not None\n",
        mode="gang",
    ),
    Mutant(
        "too large for ever",
        "a gang for which the cluster has too few slots waits until somebody adds some",
        "scheduler/gangs.py",
        "        turn.emit(SetTimer(turn.now + limit_s, events.GangTimer(job.plan.job)))\n",
        "        assert SetTimer is not None\n",
        mode="gang",
    ),
    Mutant(
        "a gang holds on to its slots",
        "members wait for a lost one, which waits for data that is to be made in their slots",
        "scheduler/gangs.py",
        """\
    elif _is_short_for(turn, job, gang, policy.GANG_INCOMPLETE_S, text):
        _stop(turn, job, gang, text)
""",
        """\
    elif _is_short_for(turn, job, gang, policy.GANG_INCOMPLETE_S, text):
        gang.short_since = None
""",
        mode="gang",
    ),
    Mutant(
        "a member behind a member",
        "two members of a gang are put into one slot, where the second waits for the first",
        "scheduler/worker_machine.py",
        "    if GANG in (attempt.stage, slot.attempts[0].stage):\n        return False\n",
        "",
        mode="gang",
    ),
    Mutant(
        "no place for a lost partition",
        "a partition goes where there is room by the quota, and not where it was lost: nowhere",
        "scheduler/dispatch.py",
        "        if not (has_room or task.failed_on or task.avoid):\n",
        "        if not (has_room or task.failed_on):\n",
        mode="gang",
    ),
    Mutant(
        "a gang without its data",
        "members start while partitions that they own are made again",
        "scheduler/gang_policy.py",
        "    return all(map(has_inputs, job.map_stage.tasks))\n",
        "    return any(map(has_inputs, job.map_stage.tasks))\n",
        mode="gang",
    ),
    Mutant(
        "somebody else's partitions",
        "shares are rounded up, so that the last members get less, or nothing, and other bytes",
        "scheduler/gang_policy.py",
        "    return range(rank * partitions // members, (rank + 1) * partitions // members)\n",
        "    share = -(-partitions // members)\n"
        "    return range(rank * share, min(partitions, (rank + 1) * share))\n",
        mode="gang",
    ),
)
