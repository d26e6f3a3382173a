"""Invariants 4 and 5: what reduce tasks read.

A map output that was lost is made again. If user code is not deterministic the second version
differs, and some reduce tasks have read the one and some the other: the output is then that of no
run at all, and nobody notices (SPARK-23243, SPARK-25341). So `attempt_done` of a map carries the
`digest` of its output, and that of a reduce task the digest `inputs` of all that it read.

The rule of `inputs`: the lines "index:digest\\n" of all maps, in increasing order of their index;
of this text, as UTF-8, the SHA-256 in hexadecimal; of that, the first 32 characters.

That `inputs` agrees says that a reduce task read one version of each map, and each once. Counting
says it again, from the other end: the pairs that all maps gave are those that all reduces took.
"""

import hashlib

from minimr.observe.checks.ledger import Event, Job, Ledger, Task, said
from minimr.observe.checks.rules import OLD, PATCHY, Finding, JobRules, Lack, TaskRules

INPUTS_CHARACTERS = 32
NO_DIGEST = Lack(f"attempt_done has no digest of what a map made: {OLD}")
NO_INPUTS = Lack(f"attempt_done has no digest of what a reduce read: {OLD}")


def inputs_of(job: Job) -> str | None:
    """The digest over all maps of the job; None if that of some map is not known."""
    if job.inputs is None:
        lines: list[str] = []
        for index in range(job.maps):
            task = job.tasks.get(f"{job.first_stage}-{index}")
            if task is None or task.digest is None:
                return None
            lines.append(f"{index}:{task.digest}\n")
        text = "".join(lines).encode()
        job.inputs = hashlib.sha256(text).hexdigest()[:INPUTS_CHARACTERS]
    return job.inputs


# 4: bytes read belong to one completed version of each map


def read_one_version(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """Rounds have no digests: what they read and what they made is gone with their messages."""
    if not task.is_reduce or task.job.kind != "job":
        return None
    found = event.get("inputs")
    if found is None:
        return NO_INPUTS
    expected = inputs_of(task.job)
    if expected is None:
        return NO_DIGEST
    if found != expected:
        return (
            f"{said(event)} read other map output than the maps made: the digest of its inputs is "
            f"{found}, and that over all maps {expected}"
        )
    return None


def not_mixed(event: Event, job: Job, _ledger: Ledger) -> Finding:
    """A map that gave something else after it was read makes the job fail, and by its name."""
    if job.mixed is None or job.ended:
        return None
    mixed = f"{job.mixed} of {job.name} gave other output when it ran again, after it was read"
    if event["event"] == "job_done":
        return f"{mixed}, and the job is done as if nothing had been"
    if job.mixed not in event["error"]:
        return f"{mixed}, but the job's error does not name it"
    return None


# 5: each reduce consumes each map exactly once


def all_maps_are_done(event: Event, task: Task, _ledger: Ledger) -> Finding:
    job = task.job
    if not task.is_reduce or job.maps_done == job.maps:
        return None
    if job.patchy:
        return PATCHY
    return f"{said(event)} starts when {job.maps_done} of {job.maps} maps are done"


def all_maps_were_made(event: Event, task: Task, _ledger: Ledger) -> Finding:
    job = task.job
    if not task.is_reduce:
        return None
    if job.maps_made < job.maps:
        if job.patchy:
            return PATCHY
        return f"{said(event)} is done, but only {job.maps_made} of {job.maps} maps ever were"
    return NO_INPUTS if job.kind == "job" and "inputs" not in event else None


def pairs_add_up(_event: Event, job: Job, _ledger: Ledger) -> Finding:
    """Judged where real code ran, which shows in the digest; models of the cost do not count."""
    if not job.reduces or job.patchy or inputs_of(job) is None:
        return None
    given = taken = 0
    for task in job.tasks.values():
        pairs = task.records_in if task.is_reduce else task.records_out
        if pairs is None:
            return None
        if task.is_reduce:
            taken += pairs
        else:
            given += pairs
    if given != taken:
        return f"the maps of {job.name} gave {given} pairs, and its reduce tasks took {taken}"
    return None


TASK_RULES: TaskRules = (
    ("attempt_done", 4, read_one_version),
    ("attempt_started", 5, all_maps_are_done),
    ("attempt_done", 5, all_maps_were_made),
)
JOB_RULES: JobRules = (
    ("job_done", 4, not_mixed),
    ("job_failed", 4, not_mixed),
    ("job_done", 5, pairs_add_up),
)
