import gc
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from minimr import __version__
from minimr.errors import BadRecord
from minimr.observe.log import EventLog, Timeline, age_s, mend, read_log

EVENTS = [
    {"t": 0.0, "event": "worker_joined", "worker": "worker-1", "slots": 1},
    {"t": 0.5, "event": "task_printed", "task": "map-0", "text": "a\udcff\nb \u00e9"},
    {"t": 1.25, "event": "job_done", "counters": {"lines": 3}},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def write(path: Path) -> None:
    with EventLog(path) as log:
        log.append(EVENTS[:1])
        log.append(EVENTS[1:])


def test_what_is_written_is_read(path: Path) -> None:
    write(path)
    assert list(read_log(path)) == EVENTS


def test_the_first_line_says_what_the_file_is(path: Path) -> None:
    EventLog(path, wall="2026-11-24T05:29:00+00:00").close()
    assert json.loads(path.read_text()) == {
        "event": "log",
        "version": 1,
        "minimr": __version__,
        "wall": "2026-11-24T05:29:00+00:00",
    }


def test_the_wall_clock_is_now_unless_it_is_given(path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    EventLog(path).close()
    wall = datetime.fromisoformat(json.loads(path.read_text())["wall"])
    assert before <= wall <= datetime.now(UTC)


def test_a_log_with_half_an_event_has_a_note_alone(path: Path) -> None:
    EventLog(path).close()
    path.write_bytes(path.read_bytes() + b'{"t": 1')
    [note] = read_log(path)
    assert (note["event"], note["t"]) == ("note", 0.0)
    assert note["text"].startswith("the log ends in half a line")


def test_one_event_is_one_line_of_ascii(path: Path) -> None:
    write(path)
    assert len(path.read_bytes().decode("ascii").splitlines()) == 1 + len(EVENTS)


def test_a_batch_can_be_read_before_the_log_is_closed(path: Path) -> None:
    with EventLog(path) as log:
        log.append(EVENTS[:2])
        assert list(read_log(path)) == EVENTS[:2]


def test_a_log_can_be_gone_on_with(path: Path) -> None:
    with EventLog(path) as log:
        log.append(EVENTS[:1])
    with EventLog(path, append=True) as log:
        log.append(EVENTS[1:])
    assert list(read_log(path)) == EVENTS


def test_a_log_has_one_writer(path: Path) -> None:
    with EventLog(path) as log:
        log.append(EVENTS[:1])
        with pytest.raises(BlockingIOError, match="another run is writing it"):
            EventLog(path)
        with pytest.raises(BlockingIOError, match="another run is writing it"):
            EventLog(path, append=True)
        log.append(EVENTS[1:])
    assert list(read_log(path)) == EVENTS
    EventLog(path).close()
    assert list(read_log(path)) == []


def test_a_device_has_many_writers() -> None:
    with EventLog("/dev/null"), EventLog("/dev/null") as log:
        log.append(EVENTS)


def test_mending_cuts_half_a_line_and_nothing_else(path: Path) -> None:
    write(path)
    whole = path.read_bytes()
    assert mend(path) == 1.25
    assert path.read_bytes() == whole
    path.write_bytes(whole + b'{"t": 9')
    assert mend(path) == 1.25
    assert path.read_bytes() == whole


def test_what_is_no_log_is_not_mended(path: Path) -> None:
    path.write_bytes(b"mine")
    with pytest.raises(BadRecord, match="not an event log"):
        mend(path)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("content", [b"the input of the job\n", b'{"event":"x"}\n', b"\xff"])
def test_a_file_that_is_no_log_is_not_replaced(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(FileExistsError, match="holds something else, which would be lost"):
        EventLog(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b'{"event":"lo', b'{"event":"log","version":0}\n'])
def test_a_log_is_replaced_whoever_left_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    write(path)
    assert list(read_log(path)) == EVENTS


def test_a_log_that_cannot_even_begin_leaves_no_file_open() -> None:
    with pytest.raises(OSError, match="No space left"):
        EventLog("/dev/full")
    gc.collect()  # A file left open would be a warning, and so an error.


def placed(*events: tuple[float, str], last_t: float = 0.0) -> list[float]:
    timeline = Timeline(last_t)
    return [timeline.place({"t": t, "event": name})["t"] for t, name in events]


def test_time_counts_from_the_first_event_and_never_runs_backwards() -> None:
    assert placed((7.5, "a"), (8.0, "b"), (7.75, "late"), (9.0, "c")) == [0.0, 0.5, 0.5, 1.5]


def test_another_coordinator_s_clock_goes_on_after_the_last_event() -> None:
    restarted = [(100.0, "a"), (130.0, "b"), (0.25, "coordinator_started"), (1.25, "c")]
    assert placed(*restarted) == [0.0, 30.0, 30.0, 31.0]
    assert placed((0.5, "coordinator_started"), (1.5, "b"), last_t=30.0) == [30.0, 31.0]


def test_the_outage_before_a_restart_counts_if_somebody_knows_how_long_it_was() -> None:
    started = {"t": 0.25, "event": "coordinator_started"}
    for elapsed_s, expected in ((47.5, [47.5, 48.5]), (3.0, [30.0, 31.0])):
        timeline = Timeline(elapsed_s=lambda elapsed_s=elapsed_s: elapsed_s)  # type: ignore[misc]
        for t in (100.0, 130.0):
            timeline.place({"t": t, "event": "a"})
        then = [timeline.place(each)["t"] for each in (started, {"t": 1.25, "event": "b"})]
        assert then == expected


def test_a_log_that_begins_with_a_restart_begins_at_zero() -> None:
    timeline = Timeline(elapsed_s=lambda: 9.0)
    assert timeline.place({"t": 5.0, "event": "coordinator_started"})["t"] == 0.0


def test_the_age_of_a_log(path: Path) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    EventLog(path, wall=began.isoformat(timespec="seconds")).close()
    assert 60 <= age_s(path) < 120
    assert age_s(path) == int(age_s(path))
    for wall in ("", "[]", '{"wall": 5}', '{"wall": "late"}', '{"wall": "2026-01-01"}'):
        path.write_text(wall)
        assert age_s(path) == 0.0
    assert age_s(path.with_name("missing")) == 0.0


def test_a_coordinator_whose_clock_went_on_is_no_other_one() -> None:
    assert placed((100.0, "a"), (102.0, "coordinator_started"), (103.0, "b")) == [0.0, 2.0, 3.0]


class Dribble:
    """A disk that takes one byte at a time."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, data: memoryview) -> int:
        self.taken += data[:1]
        return 1

    def close(self) -> None:
        pass


def test_a_write_that_the_disk_takes_in_pieces_is_finished(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Dribble()
    monkeypatch.setattr(Path, "open", lambda *_, **__: disk)
    write(path)
    monkeypatch.undo()
    path.write_bytes(disk.taken)
    assert list(read_log(path)) == EVENTS


def test_half_a_line_at_the_end_is_left_out_and_said(path: Path) -> None:
    write(path)
    whole = path.read_bytes()
    last_line = len(whole.splitlines(keepends=True)[-1])
    for cut in range(2, last_line):
        path.write_bytes(whole[:-cut])
        *events, note = read_log(path)
        assert events == EVENTS[:2]
        assert note["event"] == "note"
        assert note["t"] == 0.5
        assert f"{path}, line 4" in note["text"]


def test_a_last_line_that_only_lacks_its_end_counts(path: Path) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert list(read_log(path)) == EVENTS


@pytest.mark.parametrize(
    "damage", [b"{\n", b"[1]\n", b'{"event": "note"}\n', b'{"t": 1}\n', b'{"t":"1","event":"x"}\n']
)
def test_damage_in_the_middle_is_refused_with_file_and_line(path: Path, damage: bytes) -> None:
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damage, *lines[2:]]))
    with pytest.raises(BadRecord, match=rf"{path}, line 3: not an event"):
        list(read_log(path))


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"event": "note", "t": 0}\n', b"\xff\xfe"])
def test_another_kind_of_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BadRecord, match="not an event log"):
        list(read_log(path))


def test_a_log_of_another_version_is_refused_with_both_versions(path: Path) -> None:
    path.write_text('{"event": "log", "version": 2, "minimr": "9.9"}\n')
    with pytest.raises(BadRecord, match=r"version 2, written by minimr 9.9.*reads version 1"):
        list(read_log(path))
