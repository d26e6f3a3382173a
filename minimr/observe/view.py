"""The view model: what a run looks like at one moment, folded from its event log.

    view = View()
    for event in events:
        fold(view, event)

`fold` is the only way in which a view changes, and it looks at nothing but the event. So a view of
a run that goes on, one of a log read afterwards and one of a simulated run are the same thing, and
the view at any earlier moment is the fold over the events up to then. An event of a task costs the
same however large the run is. Drawing is not done here: `cli.live` draws views on a terminal.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]
AttemptKey = tuple[str, str, int]
"""An attempt: its job, its task and its number."""

RECENT_EVENTS = 12
FAILURES_KEPT = 100
ROUNDS_KEPT = 20


@dataclass(slots=True)
class TaskView:
    name: str
    stage: str
    done: bool = False
    attempts: int = 0
    running: set[int] = field(default_factory=set)
    failures: int = 0
    records_in: int = 0
    records_out: int = 0
    bytes_out: int = 0
    hot: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class StageView:
    """One half of a job. Records and bytes are those of its finished tasks."""

    name: str
    total: int
    done: int = 0
    running: int = 0
    records_in: int = 0
    records_out: int = 0
    bytes_out: int = 0
    began_s: float | None = None
    latest_s: float = 0.0

    @property
    def finished(self) -> bool:
        return self.done >= self.total

    def seconds(self, now_s: float) -> float:
        """How long the stage has run, or ran."""
        if self.began_s is None:
            return 0.0
        return (self.latest_s if self.finished else now_s) - self.began_s


@dataclass(slots=True)
class JobView:
    """A job. `state` is running, done, failed or cancelled; `kind` is job, round, load or gang.

    `failures` counts attempts that ended badly, for whatever reason but that they were cancelled.
    """

    job: str
    name: str
    kind: str
    stages: dict[str, StageView]
    began_s: float
    ended_s: float | None = None
    state: str = "running"
    failures: int = 0
    error: str = ""
    tasks: dict[str, TaskView] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def seconds(self, now_s: float) -> float:
        """How long the job has run, or ran."""
        return (now_s if self.ended_s is None else self.ended_s) - self.began_s

    def hot_keys(self) -> list[tuple[str, float]]:
        """The keys that hold a large share of the shuffled pairs, and the share, largest first."""
        pairs: dict[str, int] = {}
        for task in self.tasks.values():
            for each in task.hot if task.done else ():
                pairs[each["key"]] = pairs.get(each["key"], 0) + each["pairs"]
        total = self.stages["map"].records_out if pairs else 0
        shares = [(key, count / total) for key, count in pairs.items()]
        return sorted(shares, key=lambda item: -item[1])


@dataclass(slots=True)
class WorkerView:
    """A worker. `held` are the attempts sent to it, oldest first, and since when they run.

    Tasks are sent ahead, so it may hold more than it has slots: None stands for one that waits.
    """

    name: str
    slots: int
    lost: bool = False
    cause: str = ""
    done: int = 0
    held: dict[AttemptKey, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FailureView:
    t: float
    task: str
    attempt: int
    worker: str
    reason: str
    charged: bool
    error: str


@dataclass(slots=True)
class View:
    now_s: float = 0.0
    jobs: dict[str, JobView] = field(default_factory=dict)
    workers: dict[str, WorkerView] = field(default_factory=dict)
    running: dict[AttemptKey, str] = field(default_factory=dict)
    failures: deque[FailureView] = field(default_factory=lambda: deque(maxlen=FAILURES_KEPT))
    recent: deque[Event] = field(default_factory=lambda: deque(maxlen=RECENT_EVENTS))
    rounds_done: int = 0


def fold(view: View, event: Event) -> bool:
    """Bring the view up to date with one more event; returns whether it said anything new.

    Events of unknown kinds change nothing, and neither does the news of a worker that is known
    already: whoever watches several jobs hears of each worker several times.
    """
    change = _CHANGES.get(event["event"])
    if change is None or _is_old_news(view, event):
        return False
    view.now_s = event["t"]
    change(view, event)
    view.recent.append(event)
    return True


def _is_old_news(view: View, event: Event) -> bool:
    if event["event"] == "worker_joined":
        return event["worker"] in view.workers
    if event["event"] == "worker_lost":
        return event["worker"] not in view.workers or view.workers[event["worker"]].lost
    return False


def _job_submitted(view: View, event: Event) -> None:
    first = event["kind"] if event["kind"] in ("load", "gang") else "map"
    stages = {first: StageView(first, event["maps"])}
    if event["reduces"]:
        stages["reduce"] = StageView("reduce", event["reduces"])
    job = event["job"]
    view.jobs[job] = JobView(job, event["name"], event["kind"], stages, began_s=event["t"])


def _job_restored(view: View, event: Event) -> None:
    """A coordinator was restarted: a view that saw the job before keeps what it knows."""
    if event["job"] not in view.jobs:
        _job_submitted(view, event)


def _attempt_cancelled(view: View, event: Event) -> None:
    _stop(view, _attempt(event))


def _worker_joined(view: View, event: Event) -> None:
    view.workers[event["worker"]] = WorkerView(event["worker"], event["slots"])


def _worker_lost(view: View, event: Event) -> None:
    worker = view.workers[event["worker"]]
    worker.lost, worker.cause = True, event["cause"]
    for attempt in list(worker.held):
        _stop(view, attempt)


def _attempt_started(view: View, event: Event) -> None:
    job = view.jobs.get(event["job"])
    if job is None:
        return
    task = _task(job, event)
    task.attempts += 1
    stage = job.stages[task.stage]
    if stage.began_s is None:
        stage.began_s = event["t"]
    _start(view, _attempt(event), event["worker"])


def _attempt_done(view: View, event: Event) -> None:
    job = view.jobs.get(event["job"])
    if job is None:
        return
    task = _task(job, event)
    # The first attempt to finish is the one that counts; the scheduler cancels its rivals.
    for number in list(task.running):
        _stop(view, (job.job, task.name, number))
    if event["worker"] in view.workers:
        view.workers[event["worker"]].done += 1
    task.done = True
    task.records_in = event.get("records_in", 0)
    task.records_out = event.get("records_out", 0)
    task.bytes_out = event.get("bytes_out", 0)
    task.hot = event.get("hot", [])
    stage = job.stages[task.stage]
    stage.latest_s = event["t"]
    _count_task(stage, task, 1)


def _attempt_failed(view: View, event: Event) -> None:
    _stop(view, _attempt(event))
    if event["reason"] == "cancelled":
        return
    job = view.jobs.get(event["job"])
    if job is not None:
        job.failures += 1
        _task(job, event).failures += 1
    view.failures.append(
        FailureView(
            t=event["t"],
            task=event["task"],
            attempt=event["attempt"],
            worker=event["worker"],
            reason=event["reason"],
            charged=event["charged"],
            error=event["error"],
        )
    )


def _output_lost(view: View, event: Event) -> None:
    job = view.jobs.get(event["job"])
    task = job.tasks.get(event["task"]) if job else None
    if job is None or task is None or not task.done:
        return
    task.done = False
    _count_task(job.stages[task.stage], task, -1)


def _job_done(view: View, event: Event) -> None:
    job = _end_job(view, event, "done")
    if job is not None:
        job.counters = event["counters"]


def _round_done(view: View, _event: Event) -> None:
    """A round that went well is told when it is over, in one event."""
    view.rounds_done += 1


def _job_failed(view: View, event: Event) -> None:
    job = _end_job(view, event, "failed")
    if job is not None:
        job.error = event["error"]


def _job_cancelled(view: View, event: Event) -> None:
    _end_job(view, event, "cancelled")


def _worth_telling(_view: View, _event: Event) -> None:
    """Nothing but the list of recent events changes."""


_CHANGES: dict[str, Callable[[View, Event], None]] = {
    "job_submitted": _job_submitted,
    "job_restored": _job_restored,
    "attempt_cancelled": _attempt_cancelled,
    "worker_joined": _worker_joined,
    "worker_lost": _worker_lost,
    "attempt_started": _attempt_started,
    "attempt_done": _attempt_done,
    "attempt_failed": _attempt_failed,
    "output_lost": _output_lost,
    "commit_granted": _worth_telling,
    "commit_denied": _worth_telling,
    "task_printed": _worth_telling,
    "gang_started": _worth_telling,
    "member_ready": _worth_telling,
    "gang_formed": _worth_telling,
    "gang_restarted": _worth_telling,
    "gang_waits": _worth_telling,
    "member_note": _worth_telling,
    "note": _worth_telling,
    "job_done": _job_done,
    "round_done": _round_done,
    "job_failed": _job_failed,
    "job_cancelled": _job_cancelled,
}


def _attempt(event: Event) -> AttemptKey:
    return event["job"], event["task"], event["attempt"]


def _task(job: JobView, event: Event) -> TaskView:
    name = event["task"]
    if name not in job.tasks:
        job.tasks[name] = TaskView(name, event["stage"])
    return job.tasks[name]


def _start(view: View, attempt: AttemptKey, name: str) -> None:
    view.running[attempt] = name
    if worker := view.workers.get(name):
        worker.held[attempt] = view.now_s if len(worker.held) < worker.slots else None
    task, stage = _task_and_stage(view, attempt)
    task.running.add(attempt[2])
    stage.running += 1


def _stop(view: View, attempt: AttemptKey) -> None:
    """The attempt runs no longer. Saying so twice is fine: a lost worker's attempts fail, too."""
    name = view.running.pop(attempt, None)
    if name is None:
        return
    if worker := view.workers.get(name):
        worker.held.pop(attempt, None)
        _use_free_slots(worker, view.now_s)
    task, stage = _task_and_stage(view, attempt)
    task.running.discard(attempt[2])
    stage.running -= 1


def _use_free_slots(worker: WorkerView, now_s: float) -> None:
    for attempt, since_s in list(worker.held.items())[: worker.slots]:
        if since_s is None:
            worker.held[attempt] = now_s


def _task_and_stage(view: View, attempt: AttemptKey) -> tuple[TaskView, StageView]:
    job = view.jobs[attempt[0]]
    task = job.tasks[attempt[1]]
    return task, job.stages[task.stage]


def _count_task(stage: StageView, task: TaskView, sign: int) -> None:
    stage.done += sign
    stage.records_in += sign * task.records_in
    stage.records_out += sign * task.records_out
    stage.bytes_out += sign * task.bytes_out


def _end_job(view: View, event: Event, state: str) -> JobView | None:
    job = view.jobs.get(event["job"])
    if job is None:
        return None
    job.state, job.ended_s = state, event["t"]
    for attempt in [attempt for attempt in view.running if attempt[0] == job.job]:
        _stop(view, attempt)
    if job.kind == "round":
        _forget_old_rounds(view)
    return job


def _forget_old_rounds(view: View) -> None:
    """Rounds are short and come in thousands; the last few are enough to see how they go."""
    view.rounds_done += 1
    rounds = [job for job in view.jobs.values() if job.kind == "round" and job.state != "running"]
    for old in rounds[:-ROUNDS_KEPT]:
        del view.jobs[old.job]
