"""What the coordinator writes into its journal, and the way back after a restart.

The scheduler's records say what was decided. A job that was accepted needs its cargo, too: the
code, the inputs and where the output goes, which the scheduler never sees. It is written beside the
job's first record, once.

A cluster that stands for months takes many jobs, and nobody should wait for all of them when it
starts again. So what is needed no more is left out then.
"""

from typing import Any

from minimr.cluster.jobs import KEPT_MAX, JobBook, JobEntry
from minimr.cluster.joined import Joined
from minimr.cluster.wire import Blob
from minimr.errors import BadRecord, ProtocolError
from minimr.scheduler.journal import (
    Committed,
    JobAccepted,
    JobClosed,
    MapAccepted,
    OutputLost,
    Publishing,
    Record,
    WorkerLost,
    from_plain,
    to_plain,
)
from minimr.scheduler.state import JobPlan


def written(record: Record, book: JobBook) -> list[Any]:
    """[record, cargo or None] as plain values: what the journal's file holds."""
    plain = [_without_blobs(each) for each in to_plain(record)]
    cargo = _cargo(book.entries[record.plan.job]) if isinstance(record, JobAccepted) else None
    return [plain, cargo]


def recall(values: list[Any], book: JobBook) -> list[Record]:
    """The records again; `book` gets the jobs back. Raises BadRecord for anything else."""
    records = []
    for value in values:
        try:
            plain, cargo = value
            record = from_plain([_with_blobs(each) for each in plain])
            if isinstance(record, JobAccepted):
                book.entries[record.plan.job] = _entry(record.plan, cargo)
        except (TypeError, ValueError, KeyError, ProtocolError) as error:
            raise BadRecord(f"the journal holds a record of another kind: {error}") from None
        records.append(record)
    return records


def still_needed(values: list[Any], records: list[Record]) -> list[Any]:
    """Those of the values that the next start has to read; `records` are the same, recalled.

    A job that ended long ago is known to nobody any more. The last ones are announced again, and
    which workers were lost counts for as long as one of them may come back.
    """
    ended = [record.job for record in records if isinstance(record, JobClosed)]
    forgotten = set(ended[:-KEPT_MAX])
    together = zip(values, records, strict=True)
    return [value for value, record in together if _job_of(record) not in forgotten]


def _job_of(record: Record) -> str | None:
    match record:
        case JobAccepted(plan):
            return plan.job
        case MapAccepted(attempt) | Committed(attempt) | OutputLost(attempt):
            return attempt.job
        case Publishing(job) | JobClosed(job):
            return job
        case WorkerLost():
            return None


def _cargo(entry: JobEntry) -> dict[str, Any]:
    return {
        "code": entry.code,
        "spec": bytes(entry.spec.data),
        "inputs": None if entry.inputs is None else bytes(entry.inputs.data),
        "output": entry.output,
    }


def _entry(plan: JobPlan, cargo: dict[str, Any]) -> JobEntry:
    inputs = None if cargo["inputs"] is None else Joined(cargo["inputs"])
    return JobEntry(plan, cargo["code"], Blob(cargo["spec"]), inputs, cargo["output"])


def _without_blobs(field: Any) -> Any:
    """An output's inline segments as bytes."""
    if isinstance(field, dict) and field.get("inline") is not None:
        return {**field, "inline": [bytes(each.data) for each in field["inline"]]}
    return field


def _with_blobs(field: Any) -> Any:
    if isinstance(field, dict) and field.get("inline") is not None:
        return {**field, "inline": [Blob(each) for each in field["inline"]]}
    return field
