"""Builds event logs as a healthy run writes them, for tests to damage in one place.

The digests, the sums and the order of lines are made here from the rules as the docs state them,
not by the code under test.
"""

import hashlib
from typing import Any

from minimr.observe.checks import Violation, check

Event = dict[str, Any]


class Run:
    """One run's log, in `events`. Calls stand for lines; most fields fill themselves in."""

    def __init__(self, workers: int = 2, *, job: str = "job-1", old: bool = False) -> None:
        self.job, self.old = job, old
        self.events: list[Event] = []
        self.maps = self.reduces = 0
        self.plan: dict[str, Any] = {}
        self.totals: dict[str, dict[str, int]] = {}
        self.skipped: dict[str, int] = {}
        for number in range(1, workers + 1):
            self.joined(f"worker-{number}")

    def tell(self, event: str, **fields: Any) -> Event:
        t = round(0.1 * len(self.events), 6)
        self.events.append({"t": t, "event": event, "job": None, **fields})
        return self.events[-1]

    def joined(self, worker: str) -> Event:
        return self.tell("worker_joined", worker=worker, slots=1, address="127.0.0.1:5000")

    def lost(self, worker: str) -> Event:
        return self.tell("worker_lost", worker=worker, cause="connection closed")

    def submitted(self, maps: int = 2, reduces: int = 2, **more: Any) -> Event:
        self.maps, self.reduces = maps, reduces
        plan: dict[str, Any] = {"name": "wordcount", "kind": "job"}
        plan |= {"maps": maps, "reduces": reduces}
        if not self.old:
            plan |= {"source": None, "publishes": True, "skip_max": 0}
            plan |= {"attempts_max": 4, "losses_max": 20}
        self.plan = plan | more
        return self.tell("job_submitted", job=self.job, **self.plan)

    def attempt(self, event: str, task: str, worker: str, number: int = 0, **more: Any) -> Event:
        stage, _, index = task.partition("-")
        where = {"task": task, "stage": stage, "index": int(index), "attempt": number}
        return self.tell(event, job=self.job, **where, worker=worker, **more)

    def started(self, task: str, worker: str = "worker-1", number: int = 0, **more: Any) -> Event:
        return self.attempt(
            "attempt_started", task, worker, number, **{"cause": "JobSubmitted"} | more
        )

    def done(self, task: str, worker: str = "worker-1", number: int = 0, **more: Any) -> Event:
        stats = {"seconds": 0.1, "records_in": 10, "records_out": 10, "bytes_out": 100}
        proof: dict[str, Any] = {} if self.old else {"counters": {"lines": 3}}
        if not self.old:
            proof |= {"inputs": self.inputs()} if "reduce" in task else {"digest": f"of {task}"}
        fields = stats | proof | more
        self.totals[task] = fields.get("counters", {"lines": 3})
        self.skipped[task] = fields.get("skipped", 0)
        return self.attempt("attempt_done", task, worker, number, **fields)

    def inputs(self) -> str:
        lines = "".join(f"{index}:of map-{index}\n" for index in range(self.maps))
        return hashlib.sha256(lines.encode()).hexdigest()[:32]

    def failed(self, task: str, worker: str = "worker-1", number: int = 0, **more: Any) -> Event:
        why = {"reason": "user", "charged": True, "error": "ValueError: no"}
        return self.attempt("attempt_failed", task, worker, number, **why | more)

    def lost_with_worker(self, task: str, worker: str, number: int = 0) -> Event:
        why = {"reason": "worker_lost", "charged": False, "error": f"worker {worker} was lost"}
        return self.failed(task, worker, number, **why)

    def cancelled(self, task: str, worker: str, number: int = 0) -> Event:
        return self.attempt("attempt_cancelled", task, worker, number, cause="AttemptDone")

    def output_lost(self, task: str, worker: str, number: int = 0, **more: Any) -> Event:
        cause = {"cause": f"worker_lost {worker}"} | more
        return self.attempt("output_lost", task, worker, number, **cause)

    def granted(self, task: str, worker: str = "worker-1", number: int = 0, **more: Any) -> Event:
        sizes = {"records": 10, "bytes": 100} | more
        return self.attempt("commit_granted", task, worker, number, **sizes)

    def map(self, index: int, worker: str = "worker-1", number: int = 0) -> None:
        self.started(f"map-{index}", worker, number)
        self.done(f"map-{index}", worker, number)

    def load(self, index: int, worker: str = "worker-1", number: int = 0) -> None:
        self.started(f"load-{index}", worker, number)
        self.done(f"load-{index}", worker, number)

    def reduce(self, index: int, worker: str = "worker-1", number: int = 0) -> None:
        self.started(f"reduce-{index}", worker, number)
        self.done(f"reduce-{index}", worker, number)
        self.granted(f"reduce-{index}", worker, number)

    def publishing(self) -> Event:
        return self.tell("job_publishing", job=self.job)

    def published(self) -> Event:
        return self.tell("job_published", job=self.job)

    def job_done(self, **more: Any) -> Event:
        sums: dict[str, int] = {}
        for counters in self.totals.values():
            for name, value in counters.items():
                sums[name] = sums.get(name, 0) + value
        fields = {"counters": sums, "seconds": 1.0}
        if not self.old:
            fields["skipped"] = sum(self.skipped.values())
        return self.tell("job_done", job=self.job, **fields | more)

    def job_failed(self, error: str = "map-0 failed 4 times: ValueError: no") -> Event:
        return self.tell("job_failed", job=self.job, error=error)

    def finish(self) -> None:
        """Publish, and be done."""
        if not self.old:
            self.publishing()
            self.published()
        self.job_done()

    def restarted(
        self, epoch: int = 1, workers: int = 2, restored: bool = True, state: str = "running"
    ) -> None:
        """The coordinator crashed and is back, and so are its workers."""
        self.tell("coordinator_started", epoch=epoch)
        if restored:
            self.tell("job_restored", job=self.job, state=state, **self.plan)
        for number in range(1, workers + 1):
            self.joined(f"worker-{number}")
            self.tell("worker_returned", worker=f"worker-{number}", holds=0, running=0)


def mapped(**more: Any) -> Run:
    """A job of two maps and two reduces whose maps are done, one by each of two workers."""
    run = Run()
    run.submitted(**more)
    run.map(0, "worker-1")
    run.map(1, "worker-2")
    return run


def reduced() -> Run:
    """The same job when its reduces are committed, too."""
    run = mapped()
    run.reduce(0, "worker-1")
    run.reduce(1, "worker-2")
    return run


def healthy() -> Run:
    """The same job from start to end."""
    run = reduced()
    run.finish()
    return run


def broken(run: Run, **known: Any) -> list[tuple[int, int]]:
    """The violations in a run's log, as (invariant, line)."""
    return [(each.invariant, each.line) for each in violations(run, **known)]


def violations(run: Run, **known: Any) -> list[Violation]:
    return check(run.events, **known)


def line_of(run: Run, event: Event) -> int:
    """Where an event stands in the log's file, after its first line."""
    return next(at for at, each in enumerate(run.events, start=2) if each is event)


def staleness_found(notes: list[Event], members: int) -> list[str]:
    """What invariant 15 says of a gang that ended well and noted this."""
    run = Run(members)
    run.submitted(members, 0, kind="gang", source="data-1", publishes=False, restart="one")
    for note in notes:
        run.tell(**({"job": run.job} | note))
    run.job_done()
    return [each.text for each in check(run.events) if each.invariant == 15]
