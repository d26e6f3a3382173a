from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minimr.errors import JobFailed, NoCoordinator, UsageError
from minimr.observe.log import read_log
from minimr.runners.story import Story

Event = dict[str, Any]


def event(t: float, name: str = "job_submitted", **fields: Any) -> Event:
    return {"t": t, "event": name, "job": "job-1", **fields}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def block(home: Path) -> None:
    (home / ".minimr").write_text("a file in the way")


def test_log_and_view_hear_the_same_on_one_clock(tmp_path: Path) -> None:
    seen: list[Event] = []
    with Story(seen.append, tmp_path / "run.log") as story:
        for t in (7.5, 7.75, 9.0):
            story.add(event(t))
    assert [each["t"] for each in seen] == [0.0, 0.25, 1.5]
    assert list(read_log(tmp_path / "run.log")) == seen
    assert story.log_path == tmp_path / "run.log"


def test_two_runs_do_not_write_into_one_log(tmp_path: Path) -> None:
    seen: list[Event] = []
    with Story(seen.append, tmp_path / "run.log") as story:
        story.add(event(0.0))
        with pytest.raises(UsageError, match="another run is writing it; choose another file"):
            Story(seen.append, tmp_path / "run.log")
        story.add(event(1.0))
    assert list(read_log(tmp_path / "run.log")) == seen


def test_a_log_says_that_its_coordinator_was_gone(tmp_path: Path) -> None:
    """The error tells the caller, so the view need not."""
    seen: list[Event] = []

    def run() -> None:
        with Story(seen.append, tmp_path / "run.log") as story:
            story.add(event(0.0), event(0.5))
            raise NoCoordinator("the coordinator is gone (EOF)")

    with pytest.raises(NoCoordinator):
        run()
    *told, last = read_log(tmp_path / "run.log")
    assert told == seen
    assert (last["event"], last["t"]) == ("note", 0.5)
    assert last["text"] == "the log breaks off: the coordinator is gone (EOF)"


def test_a_log_of_nothing_does_not_break_off(tmp_path: Path) -> None:
    with pytest.raises(NoCoordinator), Story(None, tmp_path / "run.log"):
        raise NoCoordinator("no cluster is running")
    assert list(read_log(tmp_path / "run.log")) == []


def test_the_event_of_the_caller_is_left_alone() -> None:
    mine = event(7.5)
    with Story(lambda _: None) as story:
        story.add(mine)
    assert mine == event(7.5)


def test_without_a_name_and_a_file_there_is_no_log(home: Path) -> None:
    with Story(lambda _: None) as story:
        story.add(event(1.0))
    assert story.log_path is None
    assert list(home.iterdir()) == []


def test_a_run_with_a_name_has_its_log_at_the_default_place(home: Path) -> None:
    with Story(lambda _: None, name="Count") as story:
        story.add(event(1.0))
    assert story.log_path is not None
    assert story.log_path.parent == home / ".minimr" / "logs"
    assert list(read_log(story.log_path)) == [event(0.0)]


def test_a_file_wins_over_the_default_place(home: Path, tmp_path: Path) -> None:
    with Story(lambda _: None, tmp_path / "run.log", "Count"):
        pass
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("path", ["missing/run.log", "/dev/full"])
def test_a_log_that_was_asked_for_and_cannot_be_written_is_refused(
    tmp_path: Path, path: str
) -> None:
    with pytest.raises(UsageError, match=r"the event log .* cannot be written: .*; choose another"):
        Story(None, tmp_path / path)


def test_a_default_place_that_cannot_be_written_is_said_and_the_run_goes_on(home: Path) -> None:
    block(home)
    seen: list[Event] = []
    with Story(seen.append, name="Count") as story:
        story.add(event(1.0))
    assert [each["event"] for each in seen] == ["note", "job_submitted"]
    said = "no event log: ~/.minimr/logs cannot be written (File exists)"
    assert seen[0]["text"] == said
    assert story.log_path is None


def test_nobody_watching_still_sees_notes_and_prints(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block(home)
    with Story(None, name="Count") as story:
        story.add(event(1.0))
        story.add(event(1.5, "task_printed", task="map-0", text="one\ntwo\n"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[1:] == ["[map-0] one", "[map-0] two"]
    assert said.err.startswith("no event log: ")


def test_a_disk_that_fills_up_ends_the_log_and_not_the_run(tmp_path: Path) -> None:
    """/dev/full takes nothing; it comes into the log's place once the log is open."""
    seen: list[Event] = []
    path = tmp_path / "run.log"
    with Story(seen.append, path) as story:
        story.add(event(1.0))
        with Path("/dev/full").open("wb", buffering=0) as full:
            assert story._log is not None
            story._log._file, file = full, story._log._file
            file.close()
            story.add(event(2.0))
            story.add(event(3.0))
    assert [each["event"] for each in seen] == ["job_submitted"] * 2 + ["note", "job_submitted"]
    assert seen[2]["text"] == f"the event log {path} ends too early: No space left on device"
    assert seen[2]["t"] == 1.0
    assert list(read_log(path)) == [event(0.0)]


def test_a_failed_job_says_where_its_log_is(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as caught, Story(None, tmp_path / "run.log"):
        raise JobFailed("map-0 failed")
    assert caught.value.__notes__ == [f"The event log: {tmp_path / 'run.log'}"]


def test_one_without_a_log_does_not() -> None:
    with pytest.raises(JobFailed) as caught, Story(None):
        raise JobFailed("map-0 failed")
    assert not hasattr(caught.value, "__notes__")


def test_what_other_threads_add_meanwhile_is_told_afterwards(tmp_path: Path) -> None:
    seen: list[Event] = []

    def slow(told: Event) -> None:
        if told["t"] == 0.0:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(story.add, event(3.0), event(4.0)).result()
        seen.append(told)

    with Story(slow, tmp_path / "run.log") as story:
        story.add(event(1.0), event(2.0))
    assert [each["t"] for each in seen] == [0.0, 1.0, 2.0, 3.0]
    assert list(read_log(tmp_path / "run.log")) == seen


def test_so_is_what_a_view_itself_sets_off() -> None:
    seen: list[Event] = []

    def busy(told: Event) -> None:
        if told["t"] == 0.0:
            story.add(event(3.0))
        seen.append(told)

    with Story(busy) as story:
        story.add(event(1.0), event(2.0))
    assert [each["t"] for each in seen] == [0.0, 1.0, 2.0]


def test_after_a_view_failed_the_others_hear_the_rest() -> None:
    seen: list[Event] = []

    def fails_at_first(told: Event) -> None:
        seen.append(told)
        if len(seen) == 1:
            raise ValueError("no more")

    with Story(fails_at_first) as story:
        with pytest.raises(ValueError, match="no more"):
            story.add(event(1.0), event(2.0))
        story.add(event(3.0))
    assert [each["t"] for each in seen] == [0.0, 1.0, 2.0]
