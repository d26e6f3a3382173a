"""Which lines of a run stay on the screen, whether it was drawn or said."""

from typing import Any

from minimr.observe.sentences import sentence

Event = dict[str, Any]


class Keeper:
    """Chooses what stays on the screen after the run: prints, lost workers, failures of user code.

    A task that fails again and again is told once, since the error that ends the job says the
    rest. What a lost worker drags along (its attempts, its outputs) is left to the event log.
    """

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def line(self, event: Event) -> str | None:
        """The line about this event, if it is to be kept."""
        match event["event"]:
            case "task_printed":
                lines = event["text"].splitlines()
                return "\n".join(f"[{event['task']}] {line}" for line in lines)
            case "worker_lost":
                return f"{sentence(event)}; its tasks run again elsewhere"
            case "attempt_failed" if event["charged"]:
                return self._first_failure(event)
            case "note":
                return sentence(event)
        return None

    def _first_failure(self, event: Event) -> str | None:
        task = (event["job"], event["task"])
        if task in self._told:
            return None
        self._told.add(task)
        return sentence(event)
