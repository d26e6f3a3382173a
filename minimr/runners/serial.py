"""The serial runner: every task in this process, one after the other.

It is the reference that the other runners are held against, so it takes no short cuts: the tasks
are the same code over the same splits and partitions, and whatever a map emits goes through the
codec and, if it is large, through files. What cannot be encoded fails here as it would there
(early Spark's local scheduler serialised for the same reason).

A failed attempt is not tried again: with nothing between it and its input, it would fail again.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from minimr.counters import too_much
from minimr.errors import JobFailed, MinimrError, UsageError
from minimr.formats import committer
from minimr.job import Job
from minimr.runners.request import Request, Result
from minimr.shuffle import codec
from minimr.shuffle.digest import inputs_digest
from minimr.shuffle.pairs import Pairs
from minimr.shuffle.segments import MapOutputFile, read_segment_bytes
from minimr.tasks.failure import TaskFailed
from minimr.tasks.map_task import run_map
from minimr.tasks.profile import profiling
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, MapResult, ReduceResult

Record = Callable[[dict[str, Any]], None]
Segment = Iterator[Pairs]
Outcome = TypeVar("Outcome", MapResult, ReduceResult)

JOB = "job-1"
WORKER = "serial"
ATTEMPT = 0
IN_MEMORY_SHARE = 4
"""Encoded pairs take up to about this many times their size once decoded."""


def run_request(request: Request, record: Record) -> Result:
    """Run a prepared job and publish its output; `record` gets the events of the run.

    Raises JobFailed, with the user's traceback if there is one.
    """
    run = _SerialRun(request, record)
    try:
        return run.result()
    except TaskFailed as error:
        run.tell("job_failed", error=error.failure.text)
        raise JobFailed(error.failure.text) from error
    except MinimrError as error:
        run.tell("job_failed", error=str(error))
        raise JobFailed(str(error)) from error
    except KeyboardInterrupt:
        run.tell("job_cancelled")
        raise


@dataclass(frozen=True)
class _MapOutput:
    """A finished map task's output, in memory or in a file."""

    result: MapResult
    file: MapOutputFile | None

    def segment(self, partition: int) -> Segment:
        if self.file is not None:
            return self.file.read_segment(partition)
        assert self.result.segments is not None
        return read_segment_bytes(self.result.segments[partition])


class _SerialRun:
    """One job from start to end."""

    def __init__(self, request: Request, record: Record) -> None:
        self._request = request
        self._spec = JobSpec.from_dict(codec.loads(codec.dumps(request.spec.to_dict())))
        self._inputs = request.map_inputs()
        self._record = record
        self._directory = Path.cwd()
        self._started = time.monotonic()
        self._counters: dict[str, int] = {}
        self._skipped: list[dict[str, str]] = []

    def result(self) -> Result:
        request, spec = self._request, self._spec
        self.tell("worker_joined", worker=WORKER, slots=1, address="this process")
        self.tell(
            "job_submitted",
            name=type(request.job).__name__,
            kind="job",
            maps=len(self._inputs),
            reduces=spec.partitions,
            skip_max=spec.skip_max,
        )
        with TemporaryDirectory(prefix="minimr-serial-") as directory:
            outputs = [self._map(index, Path(directory)) for index in range(len(self._inputs))]
            reduced = [self._reduce(index, outputs) for index in range(spec.partitions)]
        return self._publish(reduced)

    def tell(self, event: str, **fields: Any) -> None:
        """Record one event."""
        self._record({"t": time.monotonic(), "event": event, "job": JOB, **fields})

    def _map(self, index: int, directory: Path) -> _MapOutput:
        own = directory / f"map-{index}"
        own.mkdir()
        task = self._spec.map_task(index, self._inputs[index])
        result = self._attempt("map", index, lambda job: run_map(job, task, own))
        file = None if result.path is None else MapOutputFile(Path(result.path))
        return _MapOutput(result, file)

    def _reduce(self, index: int, outputs: list[_MapOutput]) -> ReduceResult:
        spec = self._spec
        expected_bytes = sum(output.result.segment_bytes[index] for output in outputs)
        in_memory = expected_bytes * IN_MEMORY_SHARE <= spec.memory_bytes
        task = spec.reduce_task(index, ATTEMPT)
        segments = [output.segment(index) for output in outputs]
        digests = {number: output.result.digest or "" for number, output in enumerate(outputs)}
        return self._attempt(
            "reduce",
            index,
            lambda job: run_reduce(job, task, segments, in_memory),
            inputs_digest(digests),
        )

    def _attempt(
        self, stage: str, index: int, run: Callable[[Job], Outcome], inputs: str | None = None
    ) -> Outcome:
        """Run a task with a job of its own, and record how it went."""
        names = {"task": f"{stage}-{index}", "stage": stage, "index": index, "attempt": ATTEMPT}
        self.tell("attempt_started", **names, worker=WORKER, cause="its turn")
        started = time.monotonic()
        with suppress(OSError):  # The last attempt may have removed it.
            os.chdir(self._directory)  # Paths mean the same in every attempt.
        try:
            # stdout is the result's; a debugger's prompt is as welcome on stderr.
            with redirect_stdout(sys.stderr), profiling(self._spec.profiles):
                outcome = run(self._spec.new_job(type(self._request.job)))
        except TaskFailed as error:
            reason, text = error.failure.kind, error.failure.text
            self.tell(
                "attempt_failed", **names, worker=WORKER, reason=reason, charged=True, error=text
            )
            raise
        for name, count in outcome.counters.items():
            self._counters[name] = self._counters.get(name, 0) + count
        self.tell(
            "attempt_done",
            **names,
            worker=WORKER,
            seconds=round(time.monotonic() - started, 6),
            **_told(outcome),
            **({} if inputs is None else {"inputs": inputs}),
        )
        self._skip(outcome)
        if isinstance(outcome, ReduceResult) and outcome.part is not None:
            records, size_bytes = outcome.part.records, outcome.part.bytes
            self.tell("commit_granted", **names, worker=WORKER, records=records, bytes=size_bytes)
        return outcome

    def _skip(self, outcome: Outcome) -> None:
        """Keep what a task left out. Each task kept to the limit; so must all of them together."""
        self._skipped += outcome.skipped
        allowed = self._spec.skip_max
        if outcome.skipped and len(self._skipped) > allowed:
            last = self._skipped[-1]
            raise MinimrError(
                f"{len(self._skipped)} records were bad, and --skip-bad-records "
                f"(skip_bad_records) allows {allowed}; the last is at {last['position']} "
                f"({last['error']})."
            )

    def _publish(self, reduced: list[ReduceResult]) -> Result:
        if why := too_much(self._counters):
            raise UsageError(why)
        request = self._request
        parts = [outcome.part for outcome in reduced if outcome.part is not None]
        committer.publish(
            request.staging,
            request.target,
            [(committer.attempt_name(index, ATTEMPT), part) for index, part in enumerate(parts)],
            output_format=request.output_format,
            counters=self._counters,
            overwrite=request.overwrite,
            skipped=self._skipped,
        )
        seconds = round(time.monotonic() - self._started, 6)
        skipped = len(self._skipped)
        self.tell("job_done", counters=self._counters, seconds=seconds, skipped=skipped)
        return request.result([part.to_dict() for part in parts], self._counters, seconds)


def _told(outcome: MapResult | ReduceResult) -> dict[str, Any]:
    """What the event of a finished attempt says of its outcome."""
    told = {
        "records_in": outcome.records_in,
        "records_out": outcome.records_out,
        "bytes_out": outcome.bytes_out,
        "counters": outcome.counters,
        "skipped": len(outcome.skipped),
    }
    if isinstance(outcome, MapResult):
        told["digest"] = outcome.digest
        if outcome.hot:
            told["hot"] = outcome.hot
    return told
