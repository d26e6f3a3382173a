"""Mistakes with attempts: retries, limits, backups, slots."""

from tests.simulator.museum.mutant import Mutant

ATTEMPTS = (
    Mutant(
        "losses are charged",
        "a task pays for the workers that were lost under it, and fails when there were four",
        "scheduler/policy.py",
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "member_lost"})\n',
        'UNCHARGED = frozenset({"fetch", "cancelled", "member_lost"})\n',
    ),
    Mutant(
        "failures are not charged",
        "a task that kills its slot is tried again as if nothing had been",
        "scheduler/policy.py",
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "member_lost"})\n',
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "died", "member_lost"})\n',
    ),
    Mutant(
        "retries without end",
        "a task that always fails is tried for ever",
        "scheduler/policy.py",
        "    if task.failures >= ATTEMPTS_MAX:\n",
        "    if False:\n",
        kinds=("slot_death",),
    ),
    Mutant(
        "the same record a third time",
        "what failed twice at one record is tried again",
        "scheduler/policy.py",
        "        if max(task.positions.count(failure.position), "
        "task.skip.count(failure.position)) >= 2:\n",
        "        if False:\n",
        kinds=("user_exception",),
    ),
    Mutant(
        "an attempt's number is used again",
        "SPARK-33402: two attempts of a task have one name, and so one file",
        "scheduler/dispatch.py",
        "    task.attempts += 1\n",
        "    task.attempts += not task.running\n",
    ),
    Mutant(
        "a failed attempt's rival is forgotten",
        "a task is queued again though its backup still runs",
        "scheduler/attempts.py",
        "    elif not task.running:\n",
        "    elif True:\n",
    ),
    Mutant(
        "no end of backups",
        "what is late gets one rival after the other",
        "scheduler/backups.py",
        """\
    if len(task.running) != 1:
        return None
    (running,) = task.running.values()
""",
        """\
    if not task.running:
        return None
    running = next(iter(task.running.values()))
""",
    ),
    Mutant(
        "a backup of what is done",
        "a backup starts though the attempt that it was meant for has won meanwhile",
        "scheduler/dispatch.py",
        "task if task.state is TaskState.RUNNING else _take(turn, stage, worker)\n",
        "task\n",
    ),
    Mutant(
        "a cancelled attempt runs on",
        "the worker takes it off its list, and leaves its slot busy with it",
        "scheduler/worker_machine.py",
        """\
                self._finish(slot, attempt)
                return self._stop(slot)
        return []
""",
        """\
                self._finish(slot, attempt)
        return []
""",
    ),
    Mutant(
        "stuck for ever",
        "heartbeats pass for progress, and an attempt that hangs is never given up",
        "scheduler/worker_machine.py",
        "        if count != slot.count or not slot.attempts:\n",
        "        if True:\n",
    ),
    Mutant(
        "a dead slot takes its queue along",
        "attempts that waited behind the one that killed the slot are never run",
        "scheduler/worker_machine.py",
        """\
        self._take_back(slot)
        self.slots[slot.number] = Slot(slot.number)
""",
        """\
        self.slots[slot.number] = Slot(slot.number)
""",
    ),
    Mutant(
        "no slot in its place",
        "a slot that died is not replaced",
        "scheduler/worker_machine.py",
        "        return [*actions, SpawnSlot(slot.number)]\n",
        "        return actions\n",
    ),
    Mutant(
        "nobody looks where it dies",
        "after the death of a slot its record is not looked for, so it cannot be skipped",
        "scheduler/attempts.py",
        '    if failure.reason in ("died", "stuck"):\n',
        "    if False:\n",
        kinds=("segfault",),
    ),
    Mutant(
        "found and not skipped",
        "the record that kills a slot is known, and the next attempt is not told",
        "scheduler/dispatch.py",
        "task.skip\n",
        "()\n",
        kinds=("segfault",),
    ),
    Mutant(
        "any number may be skipped",
        "each task keeps to the limit of bad records, and the job as a whole does not",
        "scheduler/attempts.py",
        "    if job.skipped > job.plan.skip_max:\n",
        "    if False:\n",
        kinds=("user_exception", "segfault"),
    ),
    Mutant(
        "the next in line is blamed",
        "a slot's death is laid on the attempt that waited longest behind",
        "scheduler/worker_machine.py",
        "            victim = slot.attempts[min(unreported, len(slot.attempts) - 1)]\n",
        "            victim = slot.attempts[-1]\n",
        kinds=("segfault",),
    ),
    Mutant(
        "all in the slot are blamed",
        "Dask's mistake: whoever waits where another dies is charged, too",
        "scheduler/worker_machine.py",
        """\
            actions.append(ReportFailure(victim, Failure("died", death.text, death.position)))
""",
        """\
            actions.append(ReportFailure(victim, Failure("died", death.text, death.position)))
            while slot.attempts:
                victim = slot.attempts[0]
                self._finish(slot, victim)
                actions.append(ReportFailure(victim, Failure("died", death.text)))
""",
        kinds=("segfault",),
    ),
    Mutant(
        "a backup beside the original",
        "the rival of a late attempt starts on the worker that makes it late",
        "scheduler/dispatch.py",
        "        elsewhere = all(each.worker != worker.name for each in task.running.values())\n",
        "        elsewhere = True\n",
    ),
    Mutant(
        "a failed task is dropped",
        "an attempt fails, and its task is in no queue any more",
        "scheduler/attempts.py",
        """\
        else:
            enqueue(task, first=True)
        turn.wake_all()
""",
        """\
        turn.wake_all()
""",
    ),
    Mutant(
        "nowhere left to run",
        "a task that failed on every worker waits for one on which it did not",
        "scheduler/policy.py",
        """\
    return worker not in bad or not any(
        name not in bad and gets_work(other, state) for name, other in state.workers.items()
    )
""",
        "    return worker not in bad\n",
        kinds=("slot_death",),
    ),
    Mutant(
        "room that nobody sees",
        "an attempt ends, and its worker is not asked to take another",
        "scheduler/running.py",
        """\
        _start_clocks(turn, worker)
        turn.wake(name)
""",
        """\
        _start_clocks(turn, worker)
""",
    ),
    Mutant(
        "stuck, and left so",
        "an attempt that hangs is given up, and its slot goes on with it",
        "scheduler/worker_machine.py",
        '        return [ReportFailure(victim, Failure("stuck", text)), *self._stop(slot)]\n',
        '        return [ReportFailure(victim, Failure("stuck", text))]\n',
    ),
    Mutant(
        "cancelled in the queue",
        "an attempt that is cancelled before its turn runs when its turn comes",
        "scheduler/worker_machine.py",
        "        self.queue.pop(attempt, None)\n",
        "",
    ),
    Mutant(
        "one order a slot",
        "what waits behind an attempt is thrown away when that is cancelled",
        "scheduler/worker_machine.py",
        """\
        slot.state = SlotState.STOPPING
        self._take_back(slot)
""",
        """\
        slot.state = SlotState.STOPPING
        slot.attempts.clear()
""",
    ),
)
