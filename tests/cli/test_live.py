import io

from rich.console import Console

from cli.live import draw
from minimr.observe.view import View, fold
from tests.observe.story import Story


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
    lines = drawn(under_way(), now_s=0.9)
    assert words(lines[0]) == ["wordcount", "job-1", "running", "0.7", "s"]
    maps, reduces = words(lines[1]), words(lines[2])
    assert maps[0] == "map"
    assert maps[-6:] == ["1/4", "200", "records/s", "20.0", "kB/s", "out"]
    assert reduces == ["reduce", "0/2"]
    assert words(lines[4]) == ["worker-1", "map-2", "0.3", "s", "1", "task", "done"]
    assert words(lines[5]) == ["worker-2", "map-1", "0.5", "s", "0", "tasks", "done"]
    assert lines[-1] == "    0.60  map-0 is done on worker-1 in 0.25 s: 120 records in, 240 out"
    assert len(lines) == 11


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


def test_a_worker_shows_what_runs_what_waits_and_that_it_is_idle() -> None:
    story = under_way()
    for task in ("map-3", "reduce-0"):
        story.started(task, "worker-1")
    story.done("map-1", "worker-2")
    text = "\n".join(drawn(story, now_s=1.0))
    assert "map-2 0.4 s  + 2 waiting" in text
    assert "idle" in text


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
    assert drawn(under_way(), now_s=200.4)[0].endswith("3 min 20 s")


def test_many_jobs_and_workers_are_counted_after_the_first_few() -> None:
    story = Story()
    for number in range(20):
        story.joined(f"worker-{number}")
    for number in range(7):
        story.job = f"job-{number}"
        story.submitted(maps=1, reduces=1)
    text = "\n".join(drawn(story, now_s=3.0))
    assert "and 3 more jobs" in text
    assert "and 12 more workers" in text
    assert "worker-7" in text
    assert "worker-8 " not in text


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
