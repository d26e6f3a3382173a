"""Every event of the log as one plain sentence: for the live view, for `minimr logs`, for labs."""

from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]

REASONS = {
    "user": "its code raised an error",
    "exit": "its code called exit",
    "died": "its process died",
    "worker_lost": "its worker was lost",
    "fetch": "map output could not be fetched",
    "member_lost": "another member was lost",
    "disk_full": "its disk is full",
    "stuck": "it made no progress",
    "system": "minimr or its machine could not do it",
}
"""Why an attempt failed, by the `reason` of its event."""


def sentence(event: Event) -> str:
    """What happened, in one line. An event of an unknown kind is shown as it is."""
    tell = _SENTENCES.get(event["event"])
    return tell(event) if tell else _as_it_is(event)


def count(number: int, noun: str) -> str:
    """`1 map`, `2 maps`, `74,117 records`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.8 ms`, `0.41 s`, `12.3 s`, `3 min 20 s`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 9.95:
        return f"{seconds:.2f} s"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def size(size_bytes: float) -> str:
    """Bytes in decimal units: `512 bytes`, `5.4 kB`, `1.2 MB`."""
    if size_bytes < 1000:
        return count(round(size_bytes), "byte")
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 999.95:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / 1000:.1f} TB"


def gist(error: str) -> str:
    """The line of an error's text that says most: as in a traceback, the last one."""
    lines = error.strip().splitlines()
    return lines[-1].strip() if lines else ""


FIRST_TASKS = {"load": "task", "gang": "member"}
"""What the first tasks of a job are called, by its kind, if not maps."""


def _job_submitted(event: Event) -> str:
    tasks = count(event["maps"], FIRST_TASKS.get(event.get("kind", ""), "map"))
    if event.get("reduces"):
        tasks += " and " + count(event["reduces"], "reduce")
    return f"{event['name']} begins: {tasks}"


def _worker_joined(event: Event) -> str:
    return f"{event['worker']} joins with {count(event['slots'], 'slot')}"


def _worker_lost(event: Event) -> str:
    return f"{event['worker']} is lost" + _because(event)


def _attempt_started(event: Event) -> str:
    number = event["attempt"] % 1000  # Each life of the coordinator counts from a new thousand.
    again = f", attempt {number + 1}" if number else ""
    if event.get("backup"):
        again = ", as a backup"
    return f"{event['task']} goes to {event['worker']}{again}"


def _attempt_done(event: Event) -> str:
    done = f"{event['task']} is done on {event['worker']}"
    if "records_in" not in event:  # the numbers are for people, and a slot may leave them out
        return done
    return (
        f"{done} in {duration(event['seconds'])}: "
        f"{count(event['records_in'], 'record')} in, {event['records_out']:,} out"
    )


def _attempt_failed(event: Event) -> str:
    if event["reason"] == "cancelled":
        return f"{event['task']} is cancelled on {event['worker']}"
    reason = REASONS.get(event["reason"], event["reason"])
    failed = f"{event['task']} failed on {event['worker']}: {reason}"
    if event["reason"] == "worker_lost":
        return failed  # Why it was lost is told once, by an event of its own.
    if event["reason"] == "died":
        # What follows the first words are the process's own last ones.
        return f"{failed} ({event['error'].splitlines()[0].partition(';')[0]})"
    return f"{failed} ({gist(event['error'])})"


def _output_lost(event: Event) -> str:
    return f"the output of {event['task']} is lost and must be made again" + _because(event)


def _commit_granted(event: Event) -> str:
    return (
        f"{event['task']} commits on {event['worker']}: "
        f"{count(event['records'], 'record')}, {size(event['bytes'])}"
    )


def _commit_denied(event: Event) -> str:
    return f"{event['task']} may not commit on {event['worker']}: another attempt did"


def _attempt_cancelled(event: Event) -> str:
    return f"{event['task']} is stopped on {event['worker']}" + _because(event)


def _attempt_adopted(event: Event) -> str:
    return f"{event['task']} goes on on {event['worker']}, through the restart"


def _coordinator_started(event: Event) -> str:
    return f"the coordinator was restarted, epoch {event['epoch']}, and resumes"


def _worker_returned(event: Event) -> str:
    return (
        f"{event['worker']} is back with {count(event['holds'], 'map output')} "
        f"and {count(event['running'], 'attempt')}"
    )


def _worker_draining(event: Event) -> str:
    return f"{event['worker']} was asked to leave, and gets no more work"


def _worker_released(event: Event) -> str:
    return f"{event['worker']} may leave"


def _worker_excluded(event: Event) -> str:
    return f"{event['worker']} gets no work for {duration(event['seconds'])}" + _because(event)


def _job_restored(event: Event) -> str:
    return f"{event['name']} is resumed"


def _task_restored(event: Event) -> str:
    return f"{event['task']} was done on {event['worker']} before the restart"


def _task_printed(event: Event) -> str:
    return f"{event['task']} prints: {event['text'].rstrip()}"


def _gang_started(event: Event) -> str:
    return f"all {count(event['members'], 'member')} of the gang start at once"


def _member_ready(event: Event) -> str:
    return f"{event['task']} is ready on {event['worker']} and listens at {event['address']}"


def _gang_formed(event: Event) -> str:
    new, total = len(event["new"]), len(event["attempts"])
    if new == total:
        return f"the gang has formed: {count(total, 'member')} know each other"
    again = ", ".join(f"gang-{rank}" for rank in event["new"])
    return f"the gang is complete again: {again} met the others"


def _member_note(event: Event) -> str:
    own = ("t", "event", "job", "task", "worker", "rank", "epoch", "what")
    told = ", ".join(f"{name} {value}" for name, value in event.items() if name not in own)
    noted = f"{event['task']} notes"
    if "what" in event:
        noted += " " + str(event["what"]).replace("_", " ")
    return f"{noted}: {told}" if told else noted


def _job_done(event: Event) -> str:
    return f"the job is done in {duration(event['seconds'])}"


def _round_done(event: Event) -> str:
    tasks = count(event["maps"], "map")
    if event["reduces"]:
        tasks += " and " + count(event["reduces"], "reduce")
    return f"{event['name']} is done, a round of {tasks}, in {duration(event['seconds'])}"


def _job_failed(event: Event) -> str:
    return f"the job failed: {gist(event['error'])}"


def _because(event: Event) -> str:
    return f" ({event['cause']})" if event.get("cause") else ""


def _as_it_is(event: Event) -> str:
    fields = (f"{name}={value}" for name, value in event.items() if name not in ("t", "event"))
    return " ".join([event["event"], *fields])


_SENTENCES: dict[str, Callable[[Event], str]] = {
    "job_submitted": _job_submitted,
    "worker_joined": _worker_joined,
    "worker_lost": _worker_lost,
    "attempt_started": _attempt_started,
    "attempt_done": _attempt_done,
    "attempt_failed": _attempt_failed,
    "output_lost": _output_lost,
    "commit_granted": _commit_granted,
    "commit_denied": _commit_denied,
    "attempt_cancelled": _attempt_cancelled,
    "attempt_adopted": _attempt_adopted,
    "coordinator_started": _coordinator_started,
    "worker_returned": _worker_returned,
    "worker_draining": _worker_draining,
    "worker_released": _worker_released,
    "worker_excluded": _worker_excluded,
    "job_restored": _job_restored,
    "task_restored": _task_restored,
    "job_publishing": lambda _: "all is committed; the output is put in its place",
    "job_published": lambda _: "the output is in its place",
    "task_printed": _task_printed,
    "gang_started": _gang_started,
    "member_ready": _member_ready,
    "gang_formed": _gang_formed,
    "gang_restarted": lambda event: f"all members of the gang begin again ({event['cause']})",
    "gang_waits": lambda event: f"the gang waits: {event['text']}",
    "member_note": _member_note,
    "job_done": _job_done,
    "round_done": _round_done,
    "job_failed": _job_failed,
    "job_cancelled": lambda _event: "the job was cancelled",
    "note": lambda event: str(event["text"]),
}
