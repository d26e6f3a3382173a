"""How each event changes the ledger: one function an event, in one table."""

from collections.abc import Callable
from typing import Any

from minimr.observe.checks.ledger import (
    ALIVE,
    AWAITED,
    CANCELLED,
    DONE,
    FAILED,
    LOSSES,
    LOST,
    ORPHANED,
    PUSHED,
    READ,
    RELEASED,
    RUNNING,
    STARTED,
    UNCHARGED,
    Attempt,
    Event,
    Job,
    Ledger,
    Server,
    Task,
    Trainer,
)

CUT = ("the log ends in half a line", "the log breaks off")
"""So begin the notes that stand for a last line that was not written to its end, and for what the
client of a coordinator that was gone did not hear."""


# Workers and the coordinator


def _joined(event: Event, ledger: Ledger, _: Ledger) -> None:
    ledger.workers[event["worker"]] = ALIVE


def _lost(event: Event, ledger: Ledger, _: Ledger) -> None:
    """Whoever was released hangs up next, which is no news."""
    if ledger.workers.get(event["worker"]) != RELEASED:
        ledger.workers[event["worker"]] = LOST


def _released(event: Event, ledger: Ledger, _: Ledger) -> None:
    ledger.workers[event["worker"]] = RELEASED


def _coordinator_started(event: Event, ledger: Ledger, _: Ledger) -> None:
    """A restart: workers must come back, attempts wait to be adopted, charges are forgotten.

    Only jobs with a journal go on. A round or a dataset ends with the coordinator, unsaid.
    """
    ledger.epoch = event["epoch"]
    if ledger.epoch == 0:
        return
    for worker, standing in ledger.workers.items():
        if standing == ALIVE:
            ledger.workers[worker] = AWAITED
    for job in ledger.jobs.values():
        if job.kind != "job":
            job.ended = job.ended or "coordinator_started"
        elif job.ended is None:
            _outlive(job, ledger)


def _outlive(job: Job, ledger: Ledger) -> None:
    job.patchy = True
    for task in job.tasks.values():
        task.failures = task.losses = task.poisoned = 0
        for attempt in task.running():
            attempt.move(ORPHANED, ledger.line)


def _note(event: Event, ledger: Ledger, _: Ledger) -> None:
    ledger.cut = ledger.cut or event["text"].startswith(CUT)


def _heard(event: Event, ledger: Ledger, _: Ledger) -> None:
    ledger.heard.add(event["event"])


# Jobs


def _submitted(event: Event, ledger: Ledger, _: Ledger) -> None:
    ledger.jobs[event["job"]] = Job(
        name=event["job"],
        kind=event["kind"],
        maps=event["maps"],
        reduces=event["reduces"],
        submitted_t=event["t"],
        line=ledger.line,
        told="publishes" in event,
        publishes=event.get("publishes", event["kind"] == "job"),
        skip_max=event.get("skip_max", 0),
        attempts_max=event.get("attempts_max"),
        losses_max=event.get("losses_max"),
        restart=event.get("restart", ""),
    )


def _restored(event: Event, ledger: Ledger, _: Ledger) -> None:
    """The journal remembers the job: the lines that follow fill the gap that the crash left."""
    if event["job"] not in ledger.jobs:
        _submitted(event, ledger, ledger)
    job = ledger.jobs[event["job"]]
    job.patchy = False
    if event.get("state") == "succeeded":
        job.publishing = job.published = ledger.epoch


def _gang_started(_event: Event, job: Job, ledger: Ledger) -> None:
    """All begin: epochs may count from 1 again."""
    job.gang_line = ledger.line
    _begin_anew(job)


def _gang_formed(event: Event, job: Job, _ledger: Ledger) -> None:
    for index, number in enumerate(event["attempts"]):
        task = job.tasks.get(f"gang-{index}")
        if attempt := task.find(number) if task else None:
            attempt.met = True
    if job.server is not None:
        started = {rank: trainer.epoch for rank, trainer in job.server.trainers.items()}
        if not any(started.get(rank) == epoch for rank, epoch in enumerate(event["epochs"])):
            _begin_anew(job)  # Nobody is left who held anything.


def _begin_anew(job: Job) -> None:
    """What was finished before does not count."""
    if job.server is not None:
        job.server.trainers, job.server.seen = {}, 0


def _member_note(event: Event, job: Job, _ledger: Ledger) -> None:
    """What a parameter server says; all other notes are the program's own."""
    what = event.get("what")
    if what == STARTED:
        _server_started(event, job)
    elif what in (READ, PUSHED) and job.server and (of := job.server.trainers.get(event["rank"])):
        if what == READ:
            _server_read(event, job.server, of)
        else:
            of.clock, of.has_read = event["clock"] + 1, False
            of.finished = max(of.finished, event["clock"] + 1)


def _server_started(event: Event, job: Job) -> None:
    server = job.server = job.server or Server(event["members"], event["staleness"])
    trainer = server.trainers.setdefault(event["rank"], Trainer())
    trainer.epoch, trainer.clock, trainer.has_read = event["epoch"], event["clock"], False
    trainer.finished = max(trainer.finished, event["clock"])


def _server_read(event: Event, server: Server, trainer: Trainer) -> None:
    versions = event["versions"]
    trainer.has_read, trainer.versions = True, versions
    if server.staleness is not None and max(versions) > server.seen:
        server.seen, server.seen_by = max(versions), f"member {event['rank']}"


def _publishing(_event: Event, job: Job, ledger: Ledger) -> None:
    job.publishing = ledger.epoch


def _published(_event: Event, job: Job, ledger: Ledger) -> None:
    job.published = ledger.epoch


def _ended(event: Event, job: Job, ledger: Ledger) -> None:
    job.ended, job.ended_epoch = event["event"], ledger.epoch


# Attempts


def _started(event: Event, task: Task, ledger: Ledger) -> None:
    _give_up(task)  # else it would not start
    backup = bool(event.get("backup"))
    attempt = Attempt(event["attempt"], event["worker"], ledger.line, RUNNING, backup)
    task.attempts.append(attempt)
    if task.is_reduce:
        task.job.news[attempt.worker] = ledger.line


def _member_ready(event: Event, task: Task, ledger: Ledger) -> None:
    _attempt(event, task, ledger).address = event["address"]


def _adopted(event: Event, task: Task, ledger: Ledger) -> None:
    _attempt(event, task, ledger).move(RUNNING, ledger.line)


def _done(event: Event, task: Task, ledger: Ledger) -> None:
    attempt = _attempt(event, task, ledger)
    attempt.move(DONE, ledger.line)
    _win(event, task, attempt)


def _win(event: Event, task: Task, attempt: Attempt) -> None:
    job = task.job
    if task.is_reduce:
        job.reduces_done += task.winner is None
    else:
        job.maps_done += task.winner is None
        job.maps_made += not task.made
        _note_digest(event, task)
    task.winner, task.made = attempt, True
    task.counters = event.get("counters") or ({} if job.told else None)
    task.skipped = event.get("skipped", 0)
    task.records_in, task.records_out = event.get("records_in"), event.get("records_out")


def _note_digest(event: Event, task: Task) -> None:
    digest, job = event.get("digest"), task.job
    if digest != task.digest:
        if task.digest is not None and digest is not None and job.reduces_done:
            job.mixed = task.name
        task.digest, job.inputs = digest, None


def _failed(event: Event, task: Task, ledger: Ledger) -> None:
    """An attempt that began before a bad record was known can die at it, too."""
    attempt = _attempt(event, task, ledger)
    began = attempt.line
    attempt.move(FAILED, ledger.line)
    if event["charged"]:
        task.failures += 1
    elif event["reason"] in LOSSES:
        task.losses += 1
    elif event["reason"] not in UNCHARGED and began >= task.poisoned_line:
        task.poisoned += 1
        task.poisoned_line = ledger.line


def _cancelled(event: Event, task: Task, ledger: Ledger) -> None:
    _attempt(event, task, ledger).move(CANCELLED, ledger.line)


def _output_lost(event: Event, task: Task, _ledger: Ledger) -> None:
    """A restart says again what was lost before, even if the task was done again meanwhile."""
    if task.winner is not None and task.winner.number == event["attempt"]:
        _give_up(task)


def _give_up(task: Task) -> None:
    if task.winner is not None and not task.is_reduce:
        task.job.maps_done -= 1
        task.winner = None


def _committed(event: Event, task: Task, ledger: Ledger) -> None:
    task.job.commits += task.committed is None
    task.committed = task.committed or _attempt(event, task, ledger)


def _task_restored(event: Event, task: Task, ledger: Ledger) -> None:
    """What the journal remembers may be news: the crash can come before the log's line."""
    if task.winner is None or task.winner.number != event["attempt"]:
        _give_up(task)
        _done(event, task, ledger)
    if task.is_reduce and task.job.publishes:
        _committed(event, task, ledger)


def _attempt(event: Event, task: Task, ledger: Ledger) -> Attempt:
    """The attempt that an event names, as the log says, even if it never said so before."""
    attempt = task.find(event["attempt"])
    if attempt is None:
        attempt = Attempt(event["attempt"], event["worker"], ledger.line)
        task.attempts.append(attempt)
    return attempt


def _nothing(_event: Event, _about: Any, _ledger: Ledger) -> None:
    """A rule looks at this event; the ledger keeps nothing of it."""


Fold = Callable[[Event, Any, Ledger], None]

TASK_FOLDS: dict[str, Fold] = {
    "attempt_started": _started,
    "attempt_adopted": _adopted,
    "member_ready": _member_ready,
    "attempt_done": _done,
    "attempt_failed": _failed,
    "attempt_cancelled": _cancelled,
    "output_lost": _output_lost,
    "commit_granted": _committed,
    "commit_denied": _nothing,
    "task_restored": _task_restored,
}
"""Events about a task: they get the task."""

JOB_FOLDS: dict[str, Fold] = {
    "gang_started": _gang_started,
    "gang_formed": _gang_formed,
    "member_note": _member_note,
    "job_publishing": _publishing,
    "job_published": _published,
    "job_done": _ended,
    "job_failed": _ended,
    "job_cancelled": _ended,
}
"""Events about a job that was submitted: they get the job."""

OTHER_FOLDS: dict[str, Fold] = {
    "coordinator_started": _coordinator_started,
    "worker_joined": _joined,
    "worker_returned": _joined,
    "worker_lost": _lost,
    "worker_released": _released,
    "job_submitted": _submitted,
    "job_restored": _restored,
    "journal_checked": _heard,
    "journal_mismatch": _heard,
    "world_closed": _heard,
    "note": _note,
}
"""All others that matter: they get the ledger. Events in no table change nothing."""
