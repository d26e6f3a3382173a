"""What a run shows on stderr while it goes on.

On a terminal that can redraw lines, a live view; elsewhere a few plain lines, so that a file or a
continuous-integration log stays readable.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from cli.keeper import Keeper
from cli.output import say, stderr_draws
from minimr.observe.sentences import count, duration, sentence
from minimr.observe.view import JobView, StageView, View, fold

Event = dict[str, Any]

QUIET_S = 10.0
"""A stage that has said nothing for so long reports how far it is."""


class Progress(Protocol):
    """Shows a run. Both methods may be called from any thread."""

    def on_event(self, event: Event) -> None:
        """Something happened in the cluster."""

    def on_step(self, number: int, text: str, curve: Sequence[float]) -> None:
        """A loop on this side, such as a training, has done its step `number`, from 1.

        `curve` has a number for every step so far, such as the loss.
        """


@contextmanager
def progress() -> Iterator[Progress]:
    """Show a run while the block lasts."""
    if stderr_draws():
        from cli.live import LiveProgress

        with LiveProgress() as live:
            yield live
    else:
        yield PlainProgress(say)


class PlainProgress:
    """Says when a job begins, when a stage ends and what went wrong; rounds pass in silence."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._view = View()
        self._keeper = Keeper(self._view)
        self._said_s = 0.0
        self._finished: set[tuple[str, str]] = set()

    def on_event(self, event: Event) -> None:
        if not fold(self._view, event):
            return
        for line in (self._milestone(event), self._keeper.line(event)):
            if line is not None:
                self._said_s = event["t"]
                self._say(line)

    def on_step(self, number: int, text: str, curve: Sequence[float]) -> None:  # noqa: ARG002
        if str(number).rstrip("0") in ("1", "2", "5"):
            self._say(text)

    def _milestone(self, event: Event) -> str | None:
        job = self._view.jobs.get(event.get("job") or "")
        if job is None or job.kind != "job":
            return None
        if event["event"] == "job_submitted":
            return sentence(event)
        if event["event"] == "attempt_done":
            return self._stage_line(job, job.stages[event["stage"]])
        return None

    def _stage_line(self, job: JobView, stage: StageView) -> str | None:
        key = (job.job, stage.name)
        if stage.finished and key not in self._finished:
            self._finished.add(key)
            took = duration(stage.seconds(self._view.now_s))
            return f"{stage.name} done: {count(stage.total, 'task')} in {took}"
        if self._view.now_s - self._said_s >= QUIET_S:
            return f"{stage.name}: {stage.done} of {count(stage.total, 'task')} done"
        return None
