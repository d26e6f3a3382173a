"""What the coordinator writes into its journal, and the way back after a restart.

The scheduler's records say what was decided. A job that was accepted needs its cargo, too: the
code, the inputs and where the output goes, which the scheduler never sees. It is written beside the
job's first record, once.
"""

from typing import Any

from minimr.cluster.jobs import JobBook, JobEntry
from minimr.cluster.joined import Joined
from minimr.cluster.wire import Blob
from minimr.errors import BadRecord, ProtocolError
from minimr.scheduler.journal import JobAccepted, Record, from_plain, to_plain
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
