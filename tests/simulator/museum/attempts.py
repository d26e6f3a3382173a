"""Mistakes with attempts: retries, limits, backups, slots."""

from tests.simulator.museum.mutant import Mutant

ATTEMPTS = (
    Mutant(
        "losses are charged",
        "a task pays for the workers that were lost under it, and fails when there were four",
        "scheduler/policy.py",
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled"})\n',
        'UNCHARGED = frozenset({"fetch", "cancelled"})\n',
    ),
    Mutant(
        "failures are not charged",
        "a task that kills its slot is tried again as if nothing had been",
        "scheduler/policy.py",
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled"})\n',
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "died"})\n',
    ),
    Mutant(
        "retries without end",
        "a task that always fails is tried for ever",
        "scheduler/policy.py",
        "    if task.failures >= ATTEMPTS_MAX:\n",
        "    if False:\n",
        seeds=2000,
    ),
    Mutant(
        "the same record a third time",
        "what failed twice at one record is tried again",
        "scheduler/policy.py",
        "        if max(task.positions.count(failure.position), "
        "task.skip.count(failure.position)) >= 2:\n",
        "        if False:\n",
        seeds=2000,
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
        "    else:\n",
    ),
    Mutant(
        "no end of backups",
        "what is late gets one rival after the other",
        "scheduler/backups.py",
        "    if task.state is not TaskState.RUNNING or len(task.running) != 1 or stage.mean_s is None:\n"
        "        return False\n"
        "    (running,) = task.running.values()\n",
        "    if task.state is not TaskState.RUNNING or not task.running or stage.mean_s is None:\n"
        "        return False\n"
        "    running = next(iter(task.running.values()))\n",
    ),
    Mutant(
        "a backup of what is done",
        "a backup starts though the attempt that it was meant for has won meanwhile",
        "scheduler/dispatch.py",
        "            return task if task.state is TaskState.RUNNING else _take(state, stage, worker)\n",
        "            return task\n",
    ),
    Mutant(
        "orders counted twice",
        "an order that arrives twice is run twice",
        "scheduler/worker_machine.py",
        "                if event.attempt not in self._inside and event not in self.queue:\n",
        "                if True:\n",
        seeds=2000,
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
)
