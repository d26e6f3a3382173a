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
    ),
    Mutant(
        "released in the middle of its work",
        "a worker that wants to leave may go while it runs attempts",
        "scheduler/workers.py",
        "    if worker is not None and worker.draining and not worker.attempts "
        "and not worker.holds:\n",
        "    if worker is not None and worker.draining and not worker.holds:\n",
        seeds=1500,
        kinds=("drain",),
    ),
    Mutant(
        "no leave",
        "a worker that wants to leave is never released",
        "scheduler/workers.py",
        "        turn.emit(ReleaseWorker(name, turn.cause))\n",
        "        pass\n",
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
        kinds=("drain",),
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
        kinds=("coordinator_crash", "loss"),
    ),
    Mutant(
        "a zombie keeps what it had",
        "a worker that was given up and has a new name goes on with its old attempts",
        "scheduler/worker_machine.py",
        """\
        return [*actions, DropEverything(), *again]
""",
        """\
        return []
""",
    ),
    Mutant(
        "a lease is looked at once",
        "the timer of a lease that was renewed is not set again",
        "scheduler/workers.py",
        """\
        turn.emit(SetTimer(worker.expires_at, event))
        return
""",
        """\
        return
""",
    ),
    Mutant(
        "nobody greets a worker",
        "one that joins gets no work until something else happens",
        "scheduler/workers.py",
        """\
        _take_back(turn, worker, event)
    turn.wake(event.worker)
""",
        """\
        _take_back(turn, worker, event)
""",
    ),
    Mutant(
        "a worker's jobs are not noted",
        "it is not told to forget a job for which it only ran attempts",
        "scheduler/running.py",
        "    job.workers.add(worker.name)\n",
        "",
    ),
    Mutant(
        "disconnected, and nothing more",
        "a broken connection is no reason to start its attempts elsewhere",
        "scheduler/workers.py",
        "    lost(turn, event.worker, event.text)\n",
        "    turn.state.workers.pop(event.worker, None)\n",
    ),
    Mutant(
        "the queue outlives its worker",
        "what waited at a worker that was given up starts when it has its new name",
        "scheduler/worker_machine.py",
        """\
        self.queue.clear()
        # Nobody has heard""",
        """\
        # Nobody has heard""",
    ),
)
