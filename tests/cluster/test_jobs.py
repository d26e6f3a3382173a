"""What the coordinator keeps of jobs: whose log a line belongs to, and how a round is told."""

from types import SimpleNamespace

import pytest

from minimr.cluster.jobs import WORTH_A_STORY, JobBook
from minimr.cluster.messages import Ended, Submit
from minimr.cluster.wire import Blob
from minimr.runners.cluster import submission
from minimr.runners.request import new_request
from minimr.scheduler.actions import Record


def submit(kind="round", source=None, maps=8):
    reduces = 0 if kind in ("load", "gang") else 1
    blob = Blob(b"")
    return Submit(1, "Total", kind, maps, reduces, source, "", blob, None, None, True, False)


def ended(job, ok=True, **counters):
    return Ended(job, ok, False, "", counters, [], [])


def test_whether_a_job_has_backups_is_asked_by_its_request(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a line\n")
    client = SimpleNamespace(next_request=lambda: 1)
    for wanted in (True, False):
        with new_request("wordcount", [str(text)], backups=wanted) as request:
            message = submission(client, request, watch=True)
        assert JobBook().add(message).plan.backups is wanted
    assert JobBook().add(submit()).plan.backups


@pytest.fixture
def book():
    return JobBook()


@pytest.fixture
def datasets(book):
    """Two that stand: data-1, and data-2 that was derived from it."""
    first = book.add(submit("load"))
    second = book.add(submit("load", first.plan.job))
    for each in (first, second):
        book.end(each, ended(each.plan.job))
    return first, second


def record(book, event, job, t=1.0, **fields):
    line = {"t": t, "event": event, "job": job, **fields}
    for entry in book.concerned(line):
        entry.note(line)
    return line


def play(book, entry, *more):
    """A round from start to end; returns how it is told."""
    job = entry.plan.job
    record(book, "job_submitted", job, 1.0)
    for event in ("attempt_started", *more, "attempt_done"):
        record(book, event, job, 1.5)
    record(book, "job_done", job, 2.0, seconds=1.0)
    return [line["event"] for line in end(book, entry)]


def end(book, entry):
    """How a round that is over is told."""
    job = entry.plan.job
    book.end(entry, ended(job))
    return book.story(entry, ended(job))


def test_a_round_that_went_well_is_one_line(book):
    entry = book.add(submit())
    record(book, "job_submitted", "round-1")
    record(book, "job_done", "round-1", 2.5, seconds=1.25)
    told = {
        "t": 2.5,
        "event": "round_done",
        "job": "round-1",
        "name": "Total",
        "maps": 8,
        "reduces": 1,
        "seconds": 1.25,
    }
    assert entry.told(ended("round-1")) == [told]
    assert entry.told(ended("round-1", rows=3)) == [told | {"counters": {"rows": 3}}]


@pytest.mark.parametrize("event", sorted(WORTH_A_STORY))
def test_a_round_with_trouble_is_told_in_full(book, event):
    assert play(book, book.add(submit()), event) == [
        "job_submitted",
        "attempt_started",
        event,
        "attempt_done",
        "job_done",
    ]


def test_a_round_that_failed_is_told_in_full(book):
    entry = book.add(submit())
    record(book, "job_submitted", "round-1")
    record(book, "job_failed", "round-1", error="no")
    told = entry.told(ended("round-1", ok=False))
    assert [line["event"] for line in told] == ["job_submitted", "job_failed"]


def test_a_lost_worker_is_in_the_logs_of_all_that_run(book):
    first, second = book.add(submit("job")), book.add(submit())
    line = record(book, "worker_lost", None, worker="worker-1")
    assert [list(entry.log) for entry in (first, second)] == [[line], [line]]


def test_a_partition_that_is_made_again_belongs_to_the_round_that_waits_for_it(book, datasets):
    over_first = book.add(submit(source="data-1"))
    over_second = book.add(submit(source="data-2"))
    line = record(book, "output_lost", "data-2", task="load-0")
    assert list(over_second.log) == [line]
    assert list(over_first.log) == []
    record(book, "attempt_started", "data-1", task="load-0")
    assert [len(entry.log) for entry in (over_first, over_second)] == [1, 1]
    assert len(play(book, over_first)) == 6


def test_rounds_at_the_same_time_tell_one_story_in_order_and_once(book, datasets):
    first, second, third = (book.add(submit(source="data-1")) for _ in range(3))
    lines = [
        record(book, "attempt_started", first.plan.job, 1.0),
        record(book, "attempt_started", second.plan.job, 2.0),
        record(book, "worker_lost", None, 3.0, worker="worker-1"),
        record(book, "output_lost", "data-1", 4.0, task="load-0"),
        record(book, "attempt_failed", second.plan.job, 5.0),
        record(book, "attempt_failed", first.plan.job, 6.0),
    ]
    third.note_later(7.0, Record("job_submitted", third.plan.job, {}))
    lines.append({"t": 7.0, "event": "job_submitted", "job": third.plan.job})
    assert end(book, second) == lines
    rest = [record(book, "job_done", each.plan.job, 8.0, seconds=1.0) for each in (first, third)]
    assert [*end(book, first), *end(book, third)] == rest


def test_rounds_beside_what_is_told_as_it_goes_are_told_so_too(book, datasets):
    first, second = (book.add(submit(source="data-1"), "one") for _ in range(2))
    others = book.add(submit(source="data-1"), "another")
    lines = [record(book, "attempt_started", second.plan.job, 1.0)]
    first.note_later(2.0, Record("job_submitted", first.plan.job, {}))
    lines.append({"t": 2.0, "event": "job_submitted", "job": first.plan.job})
    assert not book.is_live("one")
    gang = book.add(submit("gang", "data-1"), "one")
    gang.watchers["one"] = True
    assert book.is_live("one")
    assert book.make_live("one") == lines, "in their order"
    assert book.make_live("one") == [], "and once"
    assert not first.note_later(3.0, Record("attempt_started", first.plan.job, {}))
    book.end(gang, ended(gang.plan.job))
    assert book.is_live("one"), "beside the rounds that go on"
    for each in (first, second):
        book.end(each, ended(each.plan.job))
    assert not book.is_live("one")
    assert others.note_later(3.0, Record("attempt_started", others.plan.job, {}))


def test_a_job_with_a_log_of_its_own_has_no_part_in_that(book):
    job = book.add(submit("job"), "one")
    job.watchers["one"] = True
    assert not book.is_live("one")


def test_a_round_that_went_well_is_one_line_beside_others(book, datasets):
    troubled, well = (book.add(submit(source="data-1")) for _ in range(2))
    record(book, "worker_lost", None, worker="worker-1")
    assert play(book, well) == ["round_done"]
    assert play(book, troubled)[0] == "worker_lost"


def test_rounds_of_two_clients_at_the_same_time_tell_a_story_each(book):
    rounds = []
    for owner in ("one", "another"):
        loaded = book.add(submit("load"), owner)
        book.end(loaded, ended(loaded.plan.job))
        rounds.append(book.add(submit(source=loaded.plan.job), owner))
    line = record(book, "worker_lost", None, worker="worker-1")
    assert [end(book, each) for each in rounds] == [[line], [line]]


def test_what_happens_between_two_rounds_belongs_to_the_next(book, datasets):
    assert play(book, book.add(submit(source="data-2"))) == ["round_done"]
    record(book, "worker_lost", None, worker="worker-1")
    record(book, "output_lost", "data-1", task="load-0")
    assert play(book, book.add(submit(source="data-2")))[:2] == ["worker_lost", "output_lost"]
    assert play(book, book.add(submit(source="data-2"))) == ["round_done"]


@pytest.mark.parametrize("kind", ["round", "gang", "load"])
def test_what_one_of_them_has_told_the_next_does_not_tell_again(book, datasets, kind):
    """A client writes all of it into one log, and there it must stand once."""
    running = book.add(submit(kind, source="data-1"))
    lines = [
        record(book, "worker_lost", None, worker="worker-1"),
        record(book, "output_lost", "data-1", task="load-0"),
    ]
    assert list(running.log) == lines
    book.end(running, ended(running.plan.job))
    assert play(book, book.add(submit(source="data-1"))) == ["round_done"]


def test_a_job_has_a_log_of_its_own(book, datasets):
    job = book.add(submit("job"))
    line = record(book, "worker_lost", None, worker="worker-1")
    assert list(job.log) == [line]
    assert play(book, book.add(submit(source="data-1")))[0] == "worker_lost"


def test_a_worker_that_joins_makes_no_story_and_is_told(book, datasets):
    """Else it would be a stranger to whoever reads the story of a later round."""
    record(book, "worker_joined", None, worker="worker-2")
    assert play(book, book.add(submit(source="data-1"))) == ["worker_joined", "round_done"]


def test_a_round_does_not_hear_of_datasets_that_it_does_not_stand_on(book, datasets):
    record(book, "output_lost", "data-2", task="load-0")
    assert play(book, book.add(submit(source="data-1"))) == ["round_done"]
    assert play(book, book.add(submit(source="data-2")))[0] == "output_lost", "it is kept for them"


def test_every_client_has_a_story_of_its_own(book):
    for owner in ("one", "another"):
        loaded = book.add(submit("load"), owner)
        book.end(loaded, ended(loaded.plan.job))
    record(book, "worker_lost", None, worker="worker-1")
    record(book, "output_lost", "data-2", task="load-0")
    (first, second, *_), (third, fourth, *_) = (
        play(book, book.add(submit(source=f"data-{number}"), owner))
        for number, owner in ((1, "one"), (2, "another"))
    )
    assert (first, second) == ("worker_lost", "job_submitted")
    assert (third, fourth) == ("worker_lost", "output_lost")
