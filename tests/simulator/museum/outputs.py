"""Mistakes with map output: lost, made again, found, and read."""

from tests.simulator.museum.mutant import Mutant

OUTPUTS = (
    Mutant(
        "lost output is not made again",
        "a map task that was done stays done, though its output is gone",
        "scheduler/attempts.py",
        "    if task.state is not TaskState.DONE or not needed:\n",
        "    if task.state is not TaskState.DONE or not needed or task.winner:\n",
    ),
    Mutant(
        "all maps run again",
        "a lost worker takes the work of all others along",
        "scheduler/workers.py",
        """\
    _lose_outputs(turn, list(worker.holds), worker)
    for job in turn.state.jobs.values():
""",
        """\
    _lose_outputs(turn, list(worker.holds), worker)
    for job in turn.state.jobs.values():
        for task in job.map_stage.tasks:
            output_lost(turn, task, turn.state.workers.get(task.worker or ""))
""",
    ),
    Mutant(
        "losses without a word",
        "work that was done runs again, and the log does not say why",
        "scheduler/attempts.py",
        """\
    turn.record_attempt("output_lost", task.winner, task.worker or "", cause=turn.cause)
""",
        "",
    ),
    Mutant(
        "versions mixed",
        "SPARK-23243: a map that runs again gives other output, and some reducers read the first",
        "scheduler/attempts.py",
        "    if task.digest is None or digest is None or task.digest == digest or not job.read:\n",
        "    if True:\n",
        kinds=("nondeterministic", "crash", "corrupt"),
    ),
    Mutant(
        "versions mixed after a restart",
        "SPARK-25341: a restarted coordinator forgets that the first version may have been read",
        "scheduler/recovery.py",
        "            job.read = True\n",
        "",
        seeds=1500,
        kinds=("nondeterministic", "restart", "coordinator_crash"),
    ),
    Mutant(
        "checksums are not looked at",
        "SPARK-4105: a damaged segment is decoded as if it were sound",
        "simulator/disk.py",
        "        if zlib.crc32(data) != self.checksums[partition]:\n",
        "        if False:\n",
    ),
    Mutant(
        "reduces do not wait",
        "a reduce task starts before the last map is done, and misses what that one makes",
        "scheduler/state.py",
        "        return self.done == len(self.tasks)\n",
        "        return self.done >= len(self.tasks) - (self.kind == 'map')\n",
    ),
    Mutant(
        "the heir is not announced",
        "a worker that was told of a map output is not told where its heir is",
        "scheduler/dispatch.py",
        "    return range(known, len(job.locations))\n",
        "    return range(known, len(job.locations)) if known == 0 else range(0)\n",
    ),
    Mutant(
        "each worker is told once too little",
        "the last map output that was made is left out of the news",
        "scheduler/dispatch.py",
        "    return range(known, len(job.locations))\n",
        "    return range(known, max(known, len(job.locations) - 1))\n",
    ),
    Mutant(
        "small outputs are forgotten",
        "map output that travelled inline reaches only reduce tasks that run for the first time",
        "scheduler/dispatch.py",
        "    if reduce.stage is not job.reduce_stage:\n",
        "    if reduce.stage is not job.reduce_stage or reduce.losses:\n",
    ),
    Mutant(
        "a reducer is blamed for its source",
        "a failed fetch is charged to the reduce task",
        "scheduler/policy.py",
        'UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled", "member_lost"})\n',
        'UNCHARGED = frozenset({"worker_lost", "cancelled", "member_lost"})\n',
    ),
    Mutant(
        "an old miss takes the heir along",
        "a reducer that missed an output makes the coordinator give up the one made in its place",
        "scheduler/fetches.py",
        "        if task is not None and task.winner == output and task.stage is job.map_stage:\n",
        "        if task is not None and task.stage is job.map_stage:\n",
    ),
    Mutant(
        "one witness is enough",
        "a reducer that cannot reach a holder has its maps run again, though others can reach it",
        "scheduler/policy.py",
        "    if len(reports) >= WITNESSES:\n",
        "    if reports:\n",
        kinds=("partition_workers",),
    ),
    Mutant(
        "a pause without an end",
        "a reduce task that waits for a holder to answer is not tried again",
        "scheduler/fetches.py",
        "    if task.state is TaskState.PENDING and task.index not in task.stage.ready:\n",
        "    if task.state is TaskState.RUNNING:\n",
    ),
    Mutant(
        "the holder's word is nothing",
        "an output that its holder says is damaged is asked for again and again",
        "scheduler/fetches.py",
        "    lost = _still_there(maker, event.gone) + _given_up(",
        "    lost = _given_up(",
    ),
    Mutant(
        "lost output is found by those who miss it",
        "what a lost worker held counts as there until a reducer asks for it in vain",
        "scheduler/workers.py",
        "    _lose_outputs(turn, list(worker.holds), worker)\n",
        "",
    ),
    Mutant(
        "the digest goes with the output",
        "SPARK-23243, by another way: nobody remembers what the lost version of a map was",
        "scheduler/attempts.py",
        "    task.won = task.worker = task.output = None\n",
        "    task.won = task.worker = task.output = task.digest = None\n",
        kinds=("nondeterministic", "crash", "corrupt"),
    ),
    Mutant(
        "the counters go with the output",
        "the job is done without a lost map, and its counters are missing",
        "scheduler/attempts.py",
        "    task.won = task.worker = task.output = None\n",
        "    task.won = task.worker = task.output = None\n    task.counters = {}\n",
    ),
    Mutant(
        "a segment without its digest",
        "what travels inline is not part of the digest of what a reducer read",
        "scheduler/dispatch.py",
        "        (task.index, task.output.inline[reduce.index], task.digest)\n",
        "        (task.index, task.output.inline[reduce.index], None)\n",
    ),
    Mutant(
        "the neighbour's segment",
        "a reducer gets another partition of the small map outputs",
        "scheduler/dispatch.py",
        "        (task.index, task.output.inline[reduce.index], task.digest)\n",
        "        (task.index, task.output.inline[reduce.index - 1], task.digest)\n",
    ),
)
