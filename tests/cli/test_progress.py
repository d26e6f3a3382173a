import pytest

from cli.keeper import Keeper
from cli.output import stderr_draws
from cli.progress import PlainProgress
from minimr.observe.view import View
from tests.observe.story import Story


def said_of(story: Story) -> list[str]:
    said: list[str] = []
    progress = PlainProgress(said.append)
    for event in story.events:
        progress.on_event(event)
    return said


def test_a_healthy_run_is_three_lines() -> None:
    story = Story()
    story.joined("worker-1")
    story.submitted(maps=2, reduces=1)
    for task in ("map-0", "map-1", "reduce-0"):
        story.started(task, "worker-1")
        story.done(task, "worker-1")
    story.job_done()
    assert said_of(story) == [
        "wordcount begins: 2 maps and 1 reduce",
        "map done: 2 tasks in 0.30 s",
        "reduce done: 1 task in 0.10 s",
    ]


def test_a_task_that_fails_is_told_once() -> None:
    story = Story()
    story.submitted(maps=2, reduces=1)
    for attempt in range(3):
        story.started("map-0", "worker-1", attempt)
        story.failed("map-0", "worker-1", attempt, error="Traceback\nValueError: no")
    story.started("map-1", "worker-1")
    story.failed("map-1", "worker-1", reason="cancelled", charged=False)
    assert said_of(story)[1:] == [
        "map-0 failed on worker-1: its code raised an error (ValueError: no)"
    ]


def test_data_that_do_not_parse_are_left_to_the_error_that_ends_the_load() -> None:
    story = Story()
    story.submitted(maps=2, reduces=0, kind="load")
    story.failed("load-0", "worker-1", error="rows.csv, line 2: the cell 'x' is no number")
    assert said_of(story) == []
    story.failed("load-1", "worker-1", reason="died", error="killed by signal 9 (SIGKILL)")
    assert len(said_of(story)) == 1


def test_a_lost_worker_is_told_once_and_a_stage_that_is_done_twice_too() -> None:
    story = Story()
    story.joined("worker-1")
    story.submitted(maps=1, reduces=1)
    story.started("map-0", "worker-1")
    story.done("map-0", "worker-1")
    story.started("reduce-0", "worker-1")
    for _ in range(2):
        story.lost("worker-1")
    story.failed("reduce-0", "worker-1", reason="worker_lost", charged=False)
    story.output_lost("map-0", "worker-1")
    story.joined("worker-2")
    story.started("map-0", "worker-2", attempt=1)
    story.done("map-0", "worker-2", attempt=1)
    assert said_of(story)[1:] == [
        "map done: 1 task in 0.10 s",
        "worker-1 is lost (connection closed); its tasks run again elsewhere",
    ]


def test_a_note_is_passed_on() -> None:
    story = Story()
    story.tell("note", text="waiting for workers")
    assert said_of(story) == ["waiting for workers"]


def test_prints_of_a_task_are_marked_with_it_line_by_line() -> None:
    printed = {"t": 0.0, "event": "task_printed", "task": "map-3", "text": "one\ntwo\n"}
    assert Keeper(View()).line(printed) == "[map-3] one\n[map-3] two"


def test_hot_keys_are_told_when_the_map_stage_is_done() -> None:
    story = Story()
    story.submitted(maps=2, reduces=1)
    for number, pairs in enumerate((500, 300)):
        hot = [{"key": "'the'", "pairs": pairs}, {"key": "'of'", "pairs": 40}]
        story.done(f"map-{number}", "worker-1", records=500, hot=hot)
    said = said_of(story)
    assert said[-2].startswith("map done: 2 tasks")
    assert said[-1] == "hot key: 'the' has 40% of the pairs; one reducer takes them all"


def test_a_map_that_is_made_again_does_not_count_its_hot_keys_twice() -> None:
    story = Story()
    story.submitted(maps=1, reduces=1)
    hot = [{"key": "'the'", "pairs": 600}]
    story.done("map-0", "worker-1", records=500, hot=hot)
    story.output_lost("map-0", "worker-1")
    story.done("map-0", "worker-2", attempt=1, records=500, hot=hot)
    hot_lines = [line for line in said_of(story) if "hot key" in line]
    assert hot_lines == ["hot key: 'the' has 60% of the pairs; one reducer takes them all"]


def test_a_long_stage_says_every_ten_seconds_how_far_it_is() -> None:
    story = Story()
    story.submitted(maps=150, reduces=1)
    for number in range(145):
        story.done(f"map-{number}", "worker-1")
    assert said_of(story)[1:] == ["map: 100 of 150 tasks done"]


def test_rounds_and_loads_pass_in_silence() -> None:
    for kind in ("round", "load"):
        story = Story()
        story.submitted(maps=1, reduces=0, kind=kind)
        task = "load-0" if kind == "load" else "map-0"
        story.started(task, "worker-1")
        story.done(task, "worker-1")
        story.job_done()
        assert said_of(story) == []


def test_steps_are_said_at_1_2_5_10_and_so_on() -> None:
    said: list[str] = []
    progress = PlainProgress(said.append)
    for number in range(1, 1200):
        progress.on_step(number, str(number), [])
    assert said == ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1000"]


@pytest.mark.parametrize(
    ("terminal", "term", "draws"),
    [(True, "xterm", True), (True, "dumb", False), (True, "", False), (False, "xterm", False)],
)
def test_only_a_terminal_that_can_redraw_gets_the_live_view(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, term: str, draws: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", term)
    assert stderr_draws() is draws
