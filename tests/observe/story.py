"""Builds event logs for tests: one call an event, a tenth of a second apart."""

from typing import Any

Event = dict[str, Any]


class Story:
    """The events of one made-up run, in `events`."""

    def __init__(self, job: str = "job-1") -> None:
        self.job = job
        self.events: list[Event] = []

    def tell(self, event: str, **fields: Any) -> None:
        t = round(0.1 * len(self.events), 6)
        self.events.append({"t": t, "event": event, **fields})

    def submitted(
        self, maps: int, reduces: int, name: str = "wordcount", kind: str = "job"
    ) -> None:
        plan = {"name": name, "maps": maps, "reduces": reduces, "kind": kind}
        self.tell("job_submitted", job=self.job, **plan)

    def joined(self, worker: str, slots: int = 1) -> None:
        self.tell("worker_joined", worker=worker, slots=slots, address="127.0.0.1:5000")

    def lost(self, worker: str, cause: str = "connection closed") -> None:
        self.tell("worker_lost", worker=worker, cause=cause)

    def started(self, task: str, worker: str, attempt: int = 0) -> None:
        self._attempt("attempt_started", task, worker, attempt, cause="JobSubmitted")

    def done(
        self, task: str, worker: str, attempt: int = 0, records: int = 10, **more: Any
    ) -> None:
        numbers = {"records_in": records, "records_out": 2 * records, "bytes_out": 100 * records}
        self._attempt("attempt_done", task, worker, attempt, seconds=0.25, **numbers, **more)

    def failed(self, task: str, worker: str, attempt: int = 0, **why: Any) -> None:
        why = {"reason": "user", "charged": True, "error": "ValueError: no"} | why
        self._attempt("attempt_failed", task, worker, attempt, **why)

    def output_lost(self, task: str, worker: str, attempt: int = 0) -> None:
        self._attempt("output_lost", task, worker, attempt, cause="ConnectionLost")

    def job_done(self, **counters: int) -> None:
        self.tell("job_done", job=self.job, counters=counters, seconds=1.5)

    def _attempt(self, event: str, task: str, worker: str, attempt: int, **fields: Any) -> None:
        stage, _, index = task.partition("-")
        where = {"task": task, "stage": stage, "index": int(index), "attempt": attempt}
        self.tell(event, job=self.job, **where, worker=worker, **fields)
