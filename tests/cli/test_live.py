import io
import re

import pytest
from rich.console import Console

from cli.live import LiveProgress, draw
from minimr.observe.view import View, fold
from tests.observe.story import Story

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def drawn(story: Story, now_s: float, step: str = "", width: int = 80) -> list[str]:
    view = View()
    for event in story.events:
        fold(view, event)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(draw(view, now_s, step))
    return [line.rstrip() for line in capture.get().splitlines()]


def words(line: str) -> list[str]:
    return line.split()


def under_way() -> Story:
    story = Story()
    story.joined("worker-1")
    story.joined("worker-2")
    story.submitted(maps=4, reduces=2)
    for task, worker in (("map-0", "worker-1"), ("map-1", "worker-2"), ("map-2", "worker-1")):
        story.started(task, worker)
    story.done("map-0", "worker-1", records=120)
    return story


def test_a_run_under_way() -> None:
    assert drawn(under_way(), now_s=0.9) == [
        "wordcount  job-1                                                  running  0.7 s",
        "  map     ━━━━━━━                        1/4        200 records/s  20.0 kB/s out",
        "  reduce                                 0/2",
        "",
        "worker-1  map-2 0.3 s                                                1 task done",
        "worker-2  map-1 0.5 s                                               0 tasks done",
        "",
        "    0.30  map-0 goes to worker-1",
        "    0.40  map-1 goes to worker-2",
        "    0.50  map-2 goes to worker-1",
        "    0.60  map-0 is done on worker-1 in 0.25 s: 120 records in, 240 out",
    ]


def test_a_stage_without_a_finished_task_says_how_many_run() -> None:
    story = Story()
    story.joined("worker-1", slots=2)
    story.submitted(maps=4, reduces=1)
    story.started("map-0", "worker-1")
    story.started("map-1", "worker-1")
    lines = drawn(story, now_s=1.0)
    assert lines[1].endswith("0/4                   2 tasks under way")
    assert lines[2].endswith("0/1")


def test_bars_are_to_scale() -> None:
    story = under_way()
    lengths = [drawn(story, 1.0)[1].count("━")]
    for task, worker in (("map-1", "worker-2"), ("map-2", "worker-1")):
        story.done(task, worker)
        lengths.append(drawn(story, 1.0)[1].count("━"))
    assert lengths[0] > 4
    assert [round(length / lengths[0]) for length in lengths] == [1, 2, 3]


def test_every_line_fits_whatever_the_width_and_whatever_is_said() -> None:
    story = under_way()
    story.failed("map-1", "worker-2", error="ValueError: " + "long " * 50)
    story.lost("worker-2", cause="reset " * 50)
    for width in (40, 60, 80, 200):
        lines = drawn(story, now_s=1.0, width=width)
        assert max(map(len, lines)) <= width
        assert len(lines) == len(drawn(story, now_s=1.0))


def test_of_the_jobs_that_ended_the_last_one_is_shown_with_full_bars() -> None:
    story = Story()
    for number in range(2):
        story.job = f"job-{number}"
        story.submitted(maps=1, reduces=0)
        story.started("map-0", "worker-1")
        story.done("map-0", "worker-1")
        story.job_done()
    lines = drawn(story, now_s=1.0)
    assert [line for line in lines if "job-" in line] == lines[:1]
    assert lines[0].startswith("wordcount  job-1 ")
    assert lines[1].count("━") > 25


def test_a_worker_shows_what_runs_what_waits_and_that_it_is_idle() -> None:
    story = under_way()
    for task in ("map-3", "reduce-0"):
        story.started(task, "worker-1")
    story.done("map-1", "worker-2")
    text = "\n".join(drawn(story, now_s=1.0))
    assert "map-2 0.4 s  + 2 waiting" in text
    assert "worker-2  idle  " in text


def test_a_lost_worker_says_why() -> None:
    story = under_way()
    story.lost("worker-2", cause="no heartbeat for 5 s")
    lines = drawn(story, now_s=1.0)
    assert "worker-2  lost: no heartbeat for 5 s" in "\n".join(lines)


def test_lost_workers_stand_after_the_others() -> None:
    story = under_way()
    story.lost("worker-1")
    assert [words(line)[0] for line in drawn(story, now_s=1.0)[4:6]] == ["worker-2", "worker-1"]


def test_failed_attempts_are_counted() -> None:
    story = under_way()
    assert "failed" not in drawn(story, now_s=1.0)[0]
    story.failed("map-1", "worker-2")
    assert "1 attempt failed  running" in drawn(story, now_s=1.0)[0]


def test_a_long_run_is_told_in_minutes() -> None:
    assert drawn(under_way(), now_s=99.0)[0].endswith("98.8 s")
    assert drawn(under_way(), now_s=100.2)[0].endswith("1 min 40 s")
    assert drawn(under_way(), now_s=200.4)[0].endswith("3 min 20 s")


@pytest.mark.parametrize(
    ("jobs", "workers", "jobs_left", "workers_left"),
    [
        (4, 8, "", ""),
        (5, 9, "and 1 more job", "and 1 more worker"),
        (7, 20, "and 3 more jobs", "and 12 more workers"),
    ],
)
def test_many_jobs_and_workers_are_counted_after_the_first_few(
    jobs: int, workers: int, jobs_left: str, workers_left: str
) -> None:
    story = Story()
    for number in range(workers):
        story.joined(f"worker-{number}")
    for number in range(jobs):
        story.job = f"job-{number}"
        story.submitted(maps=1, reduces=1)
    lines = drawn(story, now_s=3.0)
    assert [line for line in lines if line.startswith("and ")] == [
        line for line in (jobs_left, workers_left) if line
    ]
    assert sum(line.startswith("wordcount") for line in lines) == 4
    assert sum(line.startswith("worker-") for line in lines) == 8


def test_colours_tell_what_went_wrong() -> None:
    story = under_way()
    story.lost("worker-2")
    story.tell("job_failed", job="job-1", error="no")
    view = View()
    for event in story.events:
        fold(view, event)
    console = Console(file=io.StringIO(), width=80, color_system="standard", force_terminal=True)
    with console.capture() as capture:
        console.print(draw(view, now_s=1.0))
    text = capture.get()
    assert "\x1b[1;31mwordcount\x1b[0m" in text
    assert "\x1b[31mworker-2\x1b[0m" in text
    assert "\x1b[36mworker-1\x1b[0m" in text


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the live view writes to a terminal of 80 columns."""
    written = io.StringIO()
    terminal = Console(file=written, width=80, height=25, force_terminal=True, color_system=None)
    monkeypatch.setattr("cli.live.console", lambda stderr: terminal)
    return written


def test_the_live_view_draws_what_it_was_told_and_keeps_what_matters(screen: io.StringIO) -> None:
    story = under_way()
    story.failed("map-1", "worker-2", error="ValueError: no")
    printed = {"task": "map-2", "text": "hello\n", "worker": "worker-1", "attempt": 0}
    story.tell("task_printed", job="job-1", **printed)
    with LiveProgress() as live:
        for event in story.events:
            live.on_event(event)
        live.on_event(story.events[0])  # no news
    lines = [CONTROL.sub("", line).strip() for line in screen.getvalue().splitlines()]
    kept = ["map-1 failed on worker-2: its code raised an error (ValueError: no)", "[map-2] hello"]
    assert [line for line in lines if line in kept] == kept
    assert any(line.startswith("wordcount  job-1") for line in lines)
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # the view wipes itself out
    assert "\x1b[?25h" in screen.getvalue()  # and the cursor is back


def test_the_live_view_draws_the_steps_of_a_loop(screen: io.StringIO) -> None:
    with LiveProgress() as live:
        live.on_step(2, "iteration 2: loss 3", [5.0, 3.0])
    assert "iteration 2: loss 3  █▁" in screen.getvalue()


def test_a_terminal_of_another_encoding_gets_no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """It got six characters for each, and what was longer than a line was not wiped out."""
    written = io.BytesIO()
    stderr = io.TextIOWrapper(written, "ascii", "backslashreplace", write_through=True)
    terminal = Console(file=stderr, width=80, height=25, force_terminal=True, color_system=None)
    monkeypatch.setattr("cli.live.console", lambda stderr: terminal)
    with LiveProgress() as live:
        live.on_step(2, "iteration 2: loss 3", [5.0, 3.0])
    assert b"iteration 2: loss 3" in written.getvalue()
    assert b"\\u" not in written.getvalue()


def test_a_job_that_ended_stays_until_another_runs() -> None:
    story = under_way()
    story.tell("job_failed", job="job-1", error="no")
    assert words(drawn(story, now_s=9.0)[0]) == ["wordcount", "job-1", "failed", "0.5", "s"]
    story.job = "job-2"
    story.submitted(maps=1, reduces=1, name="grep")
    assert words(drawn(story, now_s=9.0)[0])[:2] == ["grep", "job-2"]


def test_the_step_of_a_loop_stands_alone_unless_a_job_runs() -> None:
    story = under_way()
    assert len(drawn(story, now_s=1.0, step="iteration 3: loss 0.5")) > 1
    story.job_done()
    assert drawn(story, now_s=1.0, step="iteration 3: loss 0.5") == ["iteration 3: loss 0.5"]
    [line] = drawn(story, now_s=1.0, step="long " * 40)
    assert len(line) == 80


def test_before_anything_happened() -> None:
    assert drawn(Story(), now_s=0.0) == ["starting"]
    story = Story()
    story.submitted(maps=1, reduces=1)
    assert drawn(story, now_s=0.0)[0].startswith("wordcount")
