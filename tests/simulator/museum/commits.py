"""Mistakes in deciding whose output counts, and in showing it."""

from tests.simulator.museum.mutant import Mutant

COMMITS = (
    Mutant(
        "no arbiter",
        "SPARK-4879: nobody decides between two attempts; the last that is done commits, too",
        "scheduler/attempts.py",
        """\
        cause = "another attempt was first" if task.winner else "it does not run any more"
        turn.record_attempt("commit_denied", event.attempt, worker.name, cause=cause)
""",
        """\
        task.won, task.output = event.attempt.number, event.output
        turn.write(job, Committed(event.attempt, worker.name, event.output))
        _record_commit(turn, event)
""",
    ),
    Mutant(
        "any failure clears the winner",
        "SPARK-6614: the failure of an attempt frees its task, whoever had committed it",
        "scheduler/attempts.py",
        """\
    if job is None or task is None or attempt not in task.running:
        return
""",
        """\
    if job is None or task is None:
        return
    if attempt not in task.running:
        if task.state is TaskState.DONE and task.stage is job.reduce_stage:
            task.state, task.won = TaskState.PENDING, None
            task.stage.done -= 1
            enqueue(task)
            turn.wake_all()
        return
""",
        seeds=2000,
        kinds=("slot_death", "swizzle_clog"),
    ),
    Mutant(
        "a failed attempt commits",
        "SPARK-19631: an attempt that was given up with its worker says that it is done, and wins",
        "scheduler/attempts.py",
        """\
        turn.record("stale_message", None, worker=event.worker, what=f"done {event.attempt}")
        return
""",
        """\
        job = turn.state.jobs.get(event.attempt.job)
        task = job.task(event.attempt) if job else None
        if job and task and task.state is TaskState.PENDING and event.output.part:
            task.state = TaskState.DONE
            accept(job, task, event.worker, event.attempt, event.output)
            task.stage.ready.remove(task.index)
            turn.write(job, Committed(event.attempt, event.worker, event.output))
            _record_done(turn, event)
            _record_commit(turn, event)
            if task.stage.complete:
                all_done(turn, job)
        return
""",
        seeds=1500,
    ),
    Mutant(
        "the key lacks the epoch",
        "SPARK-24589: attempts of two epochs share their numbers, so that one passes for the other",
        "scheduler/state.py",
        "EPOCH_ATTEMPTS = 1000\n",
        "EPOCH_ATTEMPTS = 0\n",
    ),
    Mutant(
        "another answer to the same request",
        "SPARK-18113: who asks to commit a second time is refused, though the first was granted",
        "scheduler/attempts.py",
        "    elif event.output.part is not None and task.winner != event.attempt:\n",
        "    elif event.output.part is not None:\n",
        kinds=("duplicate",),
    ),
    Mutant(
        "a loser runs on",
        "the attempt that came second is not cancelled",
        "scheduler/attempts.py",
        """\
    for rival in list(task.running):
        cancel(turn, task, rival)
""",
        """\
    for rival in list(task.running):
        release(turn, task, rival)
""",
    ),
    Mutant(
        "the rename comes too early",
        "the output is published when one task is still to commit",
        "scheduler/attempts.py",
        "    elif stage is job.last_stage and stage.complete:\n",
        "    elif stage is job.last_stage and stage.done >= len(stage.tasks) - 1:\n",
    ),
    Mutant(
        "success before the rename",
        "the client is told of its output before it is there",
        "scheduler/jobs.py",
        """\
    if not job.plan.publishes:
        job.state = move(JOB_TABLE, job.state, Step.SUCCEEDED)
""",
        """\
    if True:
        job.state = move(JOB_TABLE, job.state, Step.SUCCEEDED)
""",
    ),
    Mutant(
        "parts of any attempt",
        "the files of the first attempts are published, not those of the winners",
        "scheduler/jobs.py",
        "    winners = tuple(task.winner for task in job.last_stage.tasks if task.winner)\n",
        """\
    winners = tuple(
        task.winner._replace(number=job.first_attempt)
        for task in job.last_stage.tasks
        if task.winner
    )
""",
    ),
    Mutant(
        "parts in the order of their commits",
        "the first task to commit becomes part 0",
        "scheduler/jobs.py",
        "    winners = tuple(task.winner for task in job.last_stage.tasks if task.winner)\n",
        """\
    tasks = sorted(job.last_stage.tasks, key=lambda task: task.output.stats["seconds"])
    winners = tuple(task.winner for task in tasks if task.winner)
""",
    ),
    Mutant(
        "counters of all attempts",
        "a task that ran twice counts twice",
        "scheduler/attempts.py",
        "    task.counters = output.counters or NOTHING\n",
        """\
    task.counters = {
        name: count + task.counters.get(name, 0) for name, count in output.counters.items()
    }
""",
    ),
    Mutant(
        "counters of the maps",
        "what reduce tasks counted is forgotten",
        "scheduler/outcome.py",
        """\
    totals: dict[str, int] = {}
    for stage in (job.map_stage, job.reduce_stage):
""",
        """\
    totals: dict[str, int] = {}
    for stage in (job.map_stage,):
""",
    ),
    Mutant(
        "skipped twice",
        "a map that runs again has its skipped records counted again",
        "scheduler/attempts.py",
        "    job.skipped += len(output.skipped) - len(task.skipped)\n",
        "    job.skipped += len(output.skipped)\n",
        kinds=("segfault", "restart"),
    ),
    Mutant(
        "a cancelled rename",
        "a job can still be cancelled while its output appears",
        "scheduler/jobs.py",
        "    if job is not None and job.state is JobState.RUNNING:\n",
        """\
    if job is not None:
        job.state = JobState.RUNNING
""",
        kinds=("cancel",),
    ),
    Mutant(
        "committed, then its worker died",
        "SPARK-39195: a reduce task runs again because the worker that committed it was lost",
        "scheduler/workers.py",
        """\
    _lose_outputs(turn, list(worker.holds), worker)
""",
        """\
    _lose_outputs(turn, list(worker.holds), worker)
    for job in turn.state.jobs.values():
        for task in job.reduce_stage.tasks if job.reduce_stage else ():
            if task.worker == name and job.state is JobState.RUNNING:
                task.state, task.won, task.worker = TaskState.PENDING, None, None
                task.stage.done -= 1
                task.stage.ready.append(task.index)
""",
    ),
    Mutant(
        "a file for each task",
        "SPARK-33402: the attempts of a task write into one file, and a loser cuts the winner's",
        "formats/committer.py",
        '    return f"{part_name(partition)}.attempt-{attempt}"\n',
        '    return f"{part_name(partition)}.attempt"\n',
    ),
    Mutant(
        "a cancelled job runs on",
        "Ctrl-C is heard, and changes nothing",
        "scheduler/jobs.py",
        "    if job is not None and job.state is JobState.RUNNING:\n",
        "    if job is not None and job.state is JobState.FAILED:\n",
    ),
    Mutant(
        "nobody stops the rest",
        "maps that run again for a reducer that managed without run on when the job is done",
        "scheduler/jobs.py",
        "    stop_attempts(turn, job)  # Maps that run again for a reducer that managed without.\n",
        "",
    ),
    Mutant(
        "a failed job runs on",
        "the job has failed, and its attempts are not cancelled",
        "scheduler/jobs.py",
        """\
    job.state = move(JOB_TABLE, job.state, Step.GAVE_UP)
    stop_attempts(turn, job)
""",
        """\
    job.state = move(JOB_TABLE, job.state, Step.GAVE_UP)
""",
    ),
    Mutant(
        "a manifest without counters",
        "the output is right, and what stands beside it is not",
        "scheduler/jobs.py",
        "        outcome.counters(job),\n",
        "        {},\n",
    ),
    Mutant(
        "skipped records are not told",
        "the output does not say what was left out of it",
        "scheduler/outcome.py",
        "    return tuple(each for task in tasks for each in task.skipped)\n",
        "    return tuple(each for task in tasks for each in task.skipped if task.losses)\n",
    ),
)
