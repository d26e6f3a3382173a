"""The live view: a view of the run, drawn again ten times a second on the terminal.

`draw` is a pure function from a view and a time to something rich can print; the screenshot in the
README is the same drawing of a recorded run.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.charts import sparkline
from cli.keeper import Keeper
from cli.output import console
from minimr.observe.sentences import count, duration, sentence, size
from minimr.observe.view import JobView, StageView, View, WorkerView, fold

JOBS_SHOWN = 4
WORKERS_SHOWN = 8
EVENTS_SHOWN = 4
CURVE_WIDTH = 40
THROUGHPUT_WIDTH = 34
FRAMES_PER_SECOND = 10

STATE_STYLES = {"running": "bold", "done": "bold green", "failed": "bold red"}


class LiveProgress:
    """Folds events into a view and keeps it drawn. Events may come from any thread."""

    def __init__(self) -> None:
        self._view = View()
        self._keeper = Keeper(self._view)
        self._lock = threading.Lock()
        self._arrived_s = time.monotonic()
        self._step = ""
        self._live = Live(
            console=console(stderr=True),
            get_renderable=self._frame,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> "LiveProgress":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def on_event(self, event: dict[str, Any]) -> None:
        with self._lock:
            news = fold(self._view, event)
            self._arrived_s = time.monotonic()
        line = self._keeper.line(event)
        if news and line is not None:
            style = "" if event["event"] == "task_printed" else "yellow"
            self._live.console.print(Text(line, style=style))

    def on_step(self, number: int, text: str, curve: Sequence[float]) -> None:  # noqa: ARG002
        # Elsewhere each of its characters becomes six, and the line is too long to be drawn again.
        drawn = sparkline(curve, CURVE_WIDTH) if self._live.console.encoding == "utf-8" else ""
        self._step = f"{text}  {drawn}"

    def _frame(self) -> RenderableType:
        with self._lock:
            since_last_event_s = time.monotonic() - self._arrived_s
            return draw(self._view, self._view.now_s + since_last_event_s, self._step)


def draw(view: View, now_s: float, step: str = "") -> RenderableType:
    """The view at `now_s` on the clock of the log; `step` tells where a loop on our side is.

    Rounds are too short to draw, and send no events: between them and after the last job the step
    stands alone.
    """
    running = [job for job in view.jobs.values() if job.state == "running"]
    if step and not running:
        return Group(Text(step, style="bold", no_wrap=True, overflow="ellipsis"))
    if not view.jobs and not view.workers:
        return Text("starting", style="dim")
    parts = [_draw_jobs(running or list(view.jobs.values())[-1:], now_s)]
    if view.workers:
        parts += [Text(), _draw_workers(view, now_s)]
    if view.recent:
        parts += [Text(), _draw_recent(view)]
    return Group(*parts)


def _draw_jobs(jobs: Sequence[JobView], now_s: float) -> RenderableType:
    parts = [_draw_job(job, now_s) for job in jobs[:JOBS_SHOWN]]
    if len(jobs) > JOBS_SHOWN:
        parts.append(Text(f"and {count(len(jobs) - JOBS_SHOWN, 'more job')}", style="dim"))
    return Group(*parts)


def _draw_job(job: JobView, now_s: float) -> RenderableType:
    failures = count(job.failures, "attempt") + " failed  " if job.failures else ""
    head = _two_sides(
        Text.assemble((job.name, STATE_STYLES.get(job.state, "bold yellow")), f"  {job.job}"),
        Text.assemble((failures, "yellow"), f"{job.state}  {_clock(job.seconds(now_s))}"),
    )
    stages = Table.grid(padding=(0, 2, 0, 0), expand=True)
    stages.add_column(width=8)
    stages.add_column(ratio=1)
    stages.add_column(justify="right", no_wrap=True)
    stages.add_column(justify="right", no_wrap=True, width=THROUGHPUT_WIDTH)
    for stage in job.stages.values():
        done = f"{stage.done}/{stage.total}"
        stages.add_row(f"  {stage.name}", _bar(stage), done, _throughput(stage, now_s))
    return Group(head, stages)


def _bar(stage: StageView) -> ProgressBar:
    return ProgressBar(
        total=max(stage.total, 1),
        completed=stage.done,
        complete_style="cyan",
        finished_style="green",
    )


def _throughput(stage: StageView, now_s: float) -> Text:
    seconds = stage.seconds(now_s)
    if not stage.done or not seconds:
        return Text(count(stage.running, "task") + " under way" if stage.running else "")
    return Text(
        f"{stage.records_in / seconds:,.0f} records/s  {size(stage.bytes_out / seconds)}/s out"
    )


def _draw_workers(view: View, now_s: float) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    workers = sorted(view.workers.values(), key=lambda worker: worker.lost)
    for worker in workers[:WORKERS_SHOWN]:
        done = Text(f"{count(worker.done, 'task')} done", style="dim")
        table.add_row(_worker_name(worker), _occupation(worker, now_s), done)
    if len(workers) > WORKERS_SHOWN:
        more = count(len(workers) - WORKERS_SHOWN, "more worker")
        table.add_row(Text(f"and {more}", style="dim"))
    return table


def _worker_name(worker: WorkerView) -> Text:
    return Text(worker.name, style="red" if worker.lost else "cyan")


def _occupation(worker: WorkerView, now_s: float) -> Text:
    """What the worker's slots run now, and how many tasks wait there."""
    if worker.lost:
        return Text(f"lost: {worker.cause}", style="red")
    if not worker.held:
        return Text("idle", style="dim")
    running = [
        f"{task} {_clock(now_s - since_s)}"
        for (_job, task, _attempt), since_s in worker.held.items()
        if since_s is not None
    ]
    waiting = len(worker.held) - len(running)
    return Text.assemble("  ".join(running), (f"  + {waiting} waiting" if waiting else "", "dim"))


def _draw_recent(view: View) -> RenderableType:
    return Group(*_recent_lines(list(view.recent)[-EVENTS_SHOWN:]))


def _recent_lines(events: Iterable[dict[str, Any]]) -> Iterator[Text]:
    for event in events:
        told = f"{event['t']:8.2f}  {sentence(event)}"
        yield Text(told, style="dim", no_wrap=True, overflow="ellipsis")


def _clock(seconds: float) -> str:
    """A duration that still grows: no more digits than an eye can follow."""
    return f"{max(seconds, 0):.1f} s" if seconds < 100 else duration(seconds)


def _two_sides(left: Text, right: Text) -> Table:
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_row(left, right)
    return table
