"""sessionize against a walk over each user's sorted times."""

from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.jobs.sessionize import Sessionize
from tests.jobs.harness import run, write_text

FORMS = ["records", "blocks"]
TIMES = st.integers(0, 60) | st.sampled_from([7.0, 7.5, -3, 1e3])
EVENTS = st.lists(st.tuples(st.sampled_from(["ann", "bob", ""]), TIMES), max_size=25)


def written(path, lines):
    return write_text(path, "".join(f"{line}\n" for line in lines))


def sessions_of(times, gap):
    """The sessions, each a list of times: a time joins the last one if it is near enough."""
    sessions = []
    for time in sorted(times):
        if sessions and time - sessions[-1][-1] <= gap:
            sessions[-1].append(time)
        else:
            sessions.append([time])
    return [(each[0], each[-1], len(each)) for each in sessions]


@settings(max_examples=80)
@given(EVENTS, st.sampled_from([0, 0.5, 3, 10]))
@pytest.mark.parametrize("form", FORMS)
def test_every_form_finds_the_sessions_of_each_user(tmp_path_factory, form, events, gap):
    path = written(
        tmp_path_factory.mktemp("jobs") / "a", [f"{user}\t{time}\tx" for user, time in events]
    )
    times = {user: [time for other, time in events if other == user] for user, _ in events}
    expected = [
        (user, session) for user in sorted(times) for session in sessions_of(times[user], gap)
    ]
    assert run(Sessionize(gap=gap), [path], form) == expected


def test_sessions_of_other_map_tasks_are_joined_in_the_order_in_which_they_start():
    job = Sessionize(gap=2)
    sessions = [(1, (3, 2)), (4, (20, 9)), (6, (7, 2)), (23, (23, 1))]
    expected = [("ann", (1, 20, 13)), ("ann", (23, 23, 1))]
    assert (
        list(job.reduce("ann", iter([(float(a), (float(b), n)) for a, (b, n) in sessions])))
        == expected
    )


def test_a_user_of_any_number_of_events_takes_no_memory():
    job = Sessionize(gap=1)
    events = ((float(time), (float(time), 1)) for time in count(0, 2))
    assert list(islice(job.reduce("ann", events), 2)) == [("ann", (0, 0, 1)), ("ann", (2, 2, 1))]


def test_a_gap_of_half_an_hour_unless_told_otherwise(tmp_path):
    path = written(tmp_path / "a", ["ann\t0", "ann\t1800", "ann\t3601"])
    assert run(Sessionize(), [path]) == [("ann", (0, 1800, 2)), ("ann", (3601, 3601, 1))]


def test_whole_times_are_ints_however_they_are_written(tmp_path):
    path = written(tmp_path / "a", ["ann\t7.0", "ann\t7", "ann\t7e0\r"])
    assert repr(run(Sessionize(), [path])) == "[('ann', (7, 7, 3))]"


@pytest.mark.parametrize("form", ["records", "blocks"])
def test_lines_without_a_time_are_counted(tmp_path, form):
    path = written(tmp_path / "a", ["ann", "", "ann\tnoon", "ann\tnan", "ann\tinf", "bob\t5"])
    job = Sessionize()
    assert run(job, [path], form) == [("bob", (5, 5, 1))]
    assert job.counters == {"lines without a time": 5}


@pytest.mark.parametrize("gap", [-1, float("nan")])
def test_an_impossible_gap_is_refused(gap):
    with pytest.raises(mr.UsageError, match="--gap is a number of seconds, at least 0"):
        Sessionize(gap=gap)
