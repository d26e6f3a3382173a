"""Mistakes in the journal and in going on from it."""

from tests.simulator.museum.mutant import Mutant

FORGOTTEN = (
    Mutant(
        "jobs are not written down",
        "a coordinator that starts again does not know the job that it had accepted",
        "scheduler/jobs.py",
        "    turn.write(job, JobAccepted(plan, job.order))\n",
        "",
    ),
    Mutant(
        "maps are not written down",
        "finished maps are forgotten by a restart",
        "scheduler/attempts.py",
        "            turn.write(job, record)\n",
        "            del record\n",
    ),
    Mutant(
        "losses are not written down",
        "a restart believes in output that was lost before it",
        "scheduler/attempts.py",
        "    turn.write(job, OutputLost(task.winner, turn.cause))\n",
        "",
    ),
    Mutant(
        "lost workers are not written down",
        "a worker that was given up returns under its name after a restart",
        "scheduler/workers.py",
        """\
    turn.journal.append(WorkerLost(name))
    turn.cause = f"worker_lost {name}"
    turn.record("worker_lost", None, worker=name, cause=text)
""",
        """\
    turn.cause = f"worker_lost {name}"
    turn.record("worker_lost", None, worker=name, cause=text)
""",
        kinds=("coordinator_crash", "loss"),
    ),
    Mutant(
        "commits are not written down",
        "SPARK-48292: a task commits, the coordinator dies, and the task commits again",
        "scheduler/attempts.py",
        "        turn.write(job, Committed(event.attempt, worker.name, output))\n",
        "",
    ),
    Mutant(
        "ends are not written down",
        "a job that has ended goes on after a restart",
        "scheduler/jobs.py",
        "        turn.write(job, JobClosed(job.plan.job, str(job.state), error))\n",
        "",
    ),
)
JOURNAL = (
    Mutant(
        "first done, then written",
        "actions go out before the record that must survive them is on the disk",
        "scheduler/scheduler.py",
        "            turn.actions.insert(0, actions.Journal(tuple(turn.journal)))\n",
        "            turn.actions.append(actions.Journal(tuple(turn.journal)))\n",
    ),
    Mutant(
        "a torn tail is an error",
        "a journal whose last record was cut by the crash is refused",
        "formats/journal.py",
        """\
    if torn:
        _check_torn(data, position, len(records))
""",
        """\
    if torn:
        raise _damaged("there is something behind the last record", position)
""",
    ),
    Mutant(
        "a torn tail is believed",
        "the checksum of a record is not looked at",
        "formats/journal.py",
        "        if data[start + head.length : position] != CRC.pack(crc) + END:\n",
        "        if crc < 0:\n",
    ),
    Mutant(
        "one record too few",
        "the last record before a torn tail is cut off with it",
        "formats/journal.py",
        "    return Scan(found, records, position, torn)\n",
        "    return Scan(found, records[:-1] if torn else records, position, torn)\n",
    ),
    Mutant(
        "one record a turn",
        "of what one event decides, only the last reaches the journal",
        "scheduler/scheduler.py",
        "            turn.actions.insert(0, actions.Journal(tuple(turn.journal)))\n",
        "            turn.actions.insert(0, actions.Journal((turn.journal[-1],)))\n",
    ),
)
RECOVERY = (
    Mutant(
        "restored attempts begin at 0",
        "SPARK-33402: attempts after a restart have the names, and so the files, of those before",
        "scheduler/recovery.py",
        "            state.jobs[plan.job] = Job(plan, order, turn.now, state.first_attempt)\n",
        "            state.jobs[plan.job] = Job(plan, order, turn.now, 0)\n",
    ),
    Mutant(
        "all committed, and nobody publishes",
        "HADOOP-17258: a crash came between the last commit and the word of it; nothing follows",
        "scheduler/recovery.py",
        "    if job.last_stage.complete:  "
        "# The crash came between the last commit and the next record.\n",
        "    if False:\n",
        kinds=("coordinator_crash",),
        seeds=2_000,
    ),
    Mutant(
        "half published",
        "a job whose rename was cut off by a crash is not published again",
        "scheduler/recovery.py",
        "        turn.emit(jobs.publish(job, turn.cause))\n        return\n",
        "        return\n",
    ),
    Mutant(
        "pending tasks are not queued",
        "after a restart only what ran through it goes on",
        "scheduler/recovery.py",
        """\
            if task.state is TaskState.PENDING:
                enqueue(task)
""",
        """\
            if task.state is TaskState.RUNNING:
                enqueue(task)
""",
    ),
    Mutant(
        "the past is not announced",
        "reducers of a restarted coordinator are not told of the maps that were done before",
        "scheduler/recovery.py",
        "                locate(job, task, address)\n",
        "",
    ),
    Mutant(
        "ended jobs are not announced",
        "a client whose job ended just before the crash waits for ever",
        "scheduler/recovery.py",
        "            turn.emit(outcome.ended(job, error, turn.cause))\n",
        "",
        kinds=("coordinator_crash",),
    ),
    Mutant(
        "who does not return is waited for",
        "the outputs of workers that never came back count as there",
        "scheduler/workers.py",
        "        _lose_outputs(turn, list(holds), None)\n",
        "",
        kinds=("coordinator_crash", "partition"),
    ),
    Mutant(
        "adopted though superseded",
        "an attempt that ran through a restart goes on beside the one that took its place",
        "scheduler/workers.py",
        "    wanted = task is not None and task.state is TaskState.PENDING\n",
        """\
    wanted = task is not None and task.state in (TaskState.PENDING, TaskState.RUNNING)
""",
    ),
    Mutant(
        "adopted and queued",
        "an attempt that ran through a restart goes on, and its task is started again, too",
        "scheduler/workers.py",
        """\
    if task.index in queue:
        queue.remove(task.index)
""",
        "",
    ),
    Mutant(
        "not adopted, not cancelled",
        "an attempt that nobody wants any more after a restart is left alone",
        "scheduler/workers.py",
        """\
        turn.emit(CancelAttempt(worker.name, attempt, turn.cause))
        return
    queue""",
        """\
        return
    queue""",
        kinds=("coordinator_crash", "delay"),
    ),
    Mutant(
        "finished work is queued again",
        "a restarted coordinator hands out what was done",
        "scheduler/recovery.py",
        """\
            if task.state is TaskState.PENDING:
                enqueue(task)
""",
        """\
            if task.state is TaskState.DONE:
                lose(job, task)
            enqueue(task)
""",
    ),
    Mutant(
        "what was lost is there again",
        "the replay passes over the losses in the journal",
        "scheduler/recovery.py",
        "            lose(job, task)\n",
        "            pass\n",
    ),
    Mutant(
        "fences fall at a restart",
        "the journal says who was given up, and the replay does not listen",
        "scheduler/recovery.py",
        """\
        case WorkerLost(worker):
            state.fenced.add(worker)
""",
        """\
        case WorkerLost():
            pass
""",
        kinds=("coordinator_crash", "loss"),
    ),
    Mutant(
        "what came inline is looked for on a disk",
        "after a restart reducers ask workers for outputs that the journal holds",
        "scheduler/recovery.py",
        "            if output.inline is None:\n",
        "            if True:\n",
    ),
    Mutant(
        "a returned worker's outputs are nobody's",
        "what a worker held through a restart is not lost with it afterwards",
        "scheduler/workers.py",
        "    worker.holds.update(awaited)\n",
        "",
    ),
    Mutant(
        "returned, and not told to forget",
        "a worker keeps what it held through a restart when the job has ended",
        "scheduler/workers.py",
        """\
            job.workers.add(worker.name)  # It has something to forget when the job ends.
""",
        """\
            pass
""",
    ),
    Mutant(
        "a loss that the worker does not hear of",
        "what was lost before a crash is missed when its worker returns, and its heir is given up",
        "scheduler/recovery.py",
        '            state.awaited.get(task.worker or "", {})'
        ".pop((job.plan.job, task.index), None)\n",
        "",
        kinds=("coordinator_crash", "crash"),
    ),
)
RESTARTS = FORGOTTEN + JOURNAL + RECOVERY
