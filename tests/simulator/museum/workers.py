"""Mistakes about workers: who is alive, who may leave, who may come back."""

from tests.simulator.museum.mutant import Mutant

WORKERS = (
    Mutant(
        "a lease never ends",
        "a worker that fell silent is waited for",
        "scheduler/workers.py",
        "    if worker.expires_at > turn.now:\n",
        "    if True:\n"
        "        worker.expires_at = max(worker.expires_at, turn.now + policy.LEASE_S)\n",
    ),
    Mutant(
        "heartbeats do not renew",
        "every worker is given up when its first lease ends",
        "scheduler/workers.py",
        """\
    if worker := turn.state.workers.get(event.worker):
        worker.expires_at = turn.now + policy.LEASE_S
""",
        """\
    turn.state.workers.get(event.worker)
""",
        seeds=2000,
    ),
    Mutant(
        "what was lost stays assigned",
        "the attempts of a lost worker are waited for",
        "scheduler/workers.py",
        """\
        over(turn, attempt, Failure("worker_lost", f"worker {name} was lost: {text}"), worker)
""",
        """\
        over(turn, attempt, Failure("worker_lost", f"worker {name} was lost: {text}"), worker)
        break
""",
    ),
    Mutant(
        "released with what is needed",
        "a worker that wants to leave may go while it holds output that reducers need",
        "scheduler/workers.py",
        "    if worker is not None and worker.draining and not worker.attempts "
        "and not worker.holds:\n",
        "    if worker is not None and worker.draining and not worker.attempts:\n",
        seeds=2000,
    ),
    Mutant(
        "released in the middle of its work",
        "a worker that wants to leave may go while it runs attempts",
        "scheduler/workers.py",
        "    if worker is not None and worker.draining and not worker.attempts "
        "and not worker.holds:\n",
        "    if worker is not None and worker.draining and not worker.holds:\n",
        seeds=2000,
    ),
    Mutant(
        "no leave",
        "a worker that wants to leave is never released",
        "scheduler/workers.py",
        "        turn.emit(ReleaseWorker(name, turn.cause))\n",
        "        pass\n",
        seeds=2000,
    ),
    Mutant(
        "work for one that leaves",
        "a worker that wants to leave gets new attempts",
        "scheduler/policy.py",
        """\
    if worker.draining:
        return False
""",
        "",
        seeds=2000,
    ),
    Mutant(
        "nothing is forgotten",
        "workers keep the output of jobs that have ended",
        "scheduler/jobs.py",
        "            turn.emit(ForgetJob(name, job_id, turn.cause))\n",
        "",
    ),
    Mutant(
        "a name that comes back",
        "no fence: a worker that was given up keeps its name after a restart, and what it holds",
        "scheduler/workers.py",
        "    return now < state.awaited_until and worker not in state.fenced\n",
        "    return now < state.awaited_until\n",
    ),
    Mutant(
        "a zombie keeps what it had",
        "a worker that was given up and has a new name goes on with its old attempts",
        "scheduler/worker_machine.py",
        """\
        return [*actions, DropEverything()]
""",
        """\
        return []
""",
    ),
)
