"""Which lines of a run stay on the screen, whether it was drawn or said."""

from typing import Any

from minimr.observe.sentences import sentence
from minimr.observe.view import View

Event = dict[str, Any]

HOT_KEYS_SHOWN = 3
HOT_KEY_SHARE = 0.05


class Keeper:
    """Chooses what stays on the screen after the run: prints, lost workers, failures of user code,
    and keys that hold so many pairs that one reducer will be busy for long.

    A task that fails again and again is told once, since the error that ends the job says the
    rest; of data that do not parse it says all. What a lost worker drags along (its attempts, its
    outputs) is left to the event log.
    """

    def __init__(self, view: View) -> None:
        """`view` is the one that the run is folded into."""
        self._view = view
        self._told: set[tuple[str, str]] = set()

    def line(self, event: Event) -> str | None:
        """The line about an event that the view has seen, if it is to be kept."""
        match event["event"]:
            case "task_printed":
                lines = event["text"].splitlines()
                return "\n".join(f"[{event['task']}] {line}" for line in lines)
            case "worker_lost":
                return f"{sentence(event)}; its tasks run again elsewhere"
            case "attempt_failed" if event["charged"]:
                return self._first_failure(event)
            case "attempt_done" if event["stage"] == "map":
                return self._hot_keys(event["job"])
            case "note":
                return sentence(event)
        return None

    def _hot_keys(self, job_id: str) -> str | None:
        """Once the map stage is done, and once only: a lost output is made again."""
        job = self._view.jobs.get(job_id)
        if job is None or not job.stages["map"].finished or (job_id, "map") in self._told:
            return None
        self._told.add((job_id, "map"))
        lines = [
            f"hot key: {key} has {share:.0%} of the pairs; one reducer takes them all"
            for key, share in job.hot_keys()[:HOT_KEYS_SHOWN]
            if share >= HOT_KEY_SHARE
        ]
        return "\n".join(lines) or None

    def _first_failure(self, event: Event) -> str | None:
        task = (event["job"], event["task"])
        job = self._view.jobs.get(event["job"])
        unparsed = job is not None and job.kind == "load" and event["reason"] == "user"
        if unparsed or task in self._told:
            return None
        self._told.add(task)
        return sentence(event)
