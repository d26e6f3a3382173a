"""Invariant 15: the bound of a parameter server, judged from notes alone."""

import pytest

from minimr.observe.checks import check
from tests.observe.checks.runs import Run, staleness_found

STARTED, READ, PUSHED = (f"parameter_server_{each}" for each in ("started", "read", "pushed"))


class Log:
    """Notes of a gang of two."""

    def __init__(self, staleness=1):
        self.events, self.staleness = [], staleness

    def note(self, rank, what, epoch=1, **fields):
        self.events.append(
            {"event": "member_note", "rank": rank, "epoch": epoch, "what": what} | fields
        )

    def start(self, rank, epoch=1, clock=0, staleness=...):
        bound = self.staleness if staleness is ... else staleness
        fields = {"staleness": bound, "clock": clock, "members": 2}
        self.note(rank, STARTED, epoch, **fields)

    def start_all(self):
        self.events.append({"event": "gang_started", "members": 2, "cause": "gang restarted"})

    def form(self, epochs):
        fields = {"attempts": [0, 0], "addresses": ["", ""], "new": [], "cause": ""}
        self.events.append({"event": "gang_formed", "epochs": epochs} | fields)

    def clock(self, rank, clock, versions, epoch=1):
        self.note(rank, READ, epoch, clock=clock, versions=versions)
        self.note(rank, PUSHED, epoch, clock=clock)

    def found(self):
        return staleness_found(self.events, 2)


@pytest.fixture
def log():
    """Two members, two clocks each."""
    log = Log()
    for rank in (0, 1):
        log.start(rank)
        log.clock(rank, 0, [0, 0])
        log.clock(rank, 1, [1, 0])
    return log


def test_all_is_well(log):
    assert log.found() == []


def test_other_lines_do_not_matter(log):
    log.note(0, "something else", clock=99)
    log.note(0, "read", versions="those of a program's own")
    assert log.found() == []


@pytest.mark.parametrize(("staleness", "wrong"), [(0, True), (1, False), (None, False)])
def test_the_bound(staleness, wrong):
    log = Log(staleness)
    for rank in (0, 1):
        log.start(rank)
        log.clock(rank, 0, [0, 0])
        log.clock(rank, 1, [1, 0])
    assert bool(log.found()) == wrong


def test_one_runs_ahead(log):
    log.clock(0, 2, [2, 0])
    (found,) = log.found()
    assert (
        "member 0 of job-1 in epoch 1 reads at clock 2, 2 ahead of the slowest; at most 1" in found
    )


def test_somebody_saw_what_never_was(log):
    log.clock(0, 2, [3, 3])
    (found,) = log.found()
    assert "saw 3 clocks finished by all, but member 1 finished 2" in found


@pytest.mark.parametrize("clock", [1, 3])
def test_clocks_that_do_not_follow(log, clock):
    log.note(0, READ, clock=clock, versions=[2, 2])
    assert any("where 2 was due" in each for each in log.found())


def test_a_clock_is_finished_without_a_read(log):
    log.note(0, PUSHED, clock=2)
    assert any("after a read" in each for each in log.found())


def test_two_reads_of_one_clock(log):
    log.note(0, READ, clock=2, versions=[1, 1])
    log.note(0, READ, clock=2, versions=[1, 1])
    assert any("reads at clock 2, where 2 was due" in each for each in log.found())


def test_time_goes_back(log):
    log.clock(0, 2, [2, 1])
    log.clock(0, 3, [2, 2])
    log.clock(1, 2, [2, 2])
    assert log.found() == []
    log.clock(1, 3, [3, 2])
    log.clock(1, 4, [2, 3])
    assert any("time went back" in each for each in log.found())


def test_a_member_started_again_goes_on(log):
    log.note(1, READ, clock=2, versions=[1, 1])
    log.start(1, epoch=2, clock=2)
    log.clock(1, 2, [2, 2], epoch=2)
    log.clock(0, 2, [2, 2])
    assert log.found() == []


def test_a_member_started_again_forgets_what_it_had_finished(log):
    log.start(1, epoch=2, clock=1)
    (found,) = log.found()
    assert "starts at clock 1, but 2 are finished" in found


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_gang_started_again_as_a_whole(log, epoch):
    """Epochs count from 1 again where members were started one by one before."""
    log.start_all()
    for rank in (0, 1):
        log.start(rank, epoch=epoch)
    for rank in (0, 1):
        log.clock(rank, 0, [0, 0], epoch=epoch)
    assert log.found() == []


@pytest.mark.parametrize("formed", [[[2, 2]], [[2, 1], [2, 2]]])
def test_a_gang_whose_members_were_all_lost_before_it_formed_again(log, formed):
    """At once, or one by one, the last before the first had its ranges again."""
    for epochs in formed:
        log.form(epochs)
    for rank in (0, 1):
        log.start(rank, epoch=2)
    for rank in (0, 1):
        log.clock(rank, 0, [0, 0], epoch=2)
    assert log.found() == []


def test_whoever_was_not_lost_knows_how_far_all_were(log):
    log.form([2, 1])
    log.start(0, epoch=2, clock=2)
    log.form([2, 2])
    log.start(1, epoch=2)
    (found,) = log.found()
    assert "starts at clock 0, but 2 are finished" in found


def test_a_member_that_was_not_heard_since_the_gang_started_as_a_whole(log):
    log.start_all()
    log.start(0)
    (found,) = log.found()
    assert found.endswith("1 of the 2 members of job-1 ever spoke")


def test_two_members_of_one_rank_and_epoch(log):
    log.start(1, clock=2)
    assert any("was there before" in each for each in log.found())


def test_an_epoch_that_is_over_still_speaks(log):
    log.start(1, epoch=2, clock=2)
    log.clock(1, 2, [2, 2])
    assert len(log.found()) == 2


def test_members_with_different_terms(log):
    log.start(1, epoch=2, clock=2, staleness=5)
    assert any("other terms" in each for each in log.found())


def test_nobody_speaks_before_its_start():
    log = Log()
    log.clock(0, 0, [0, 0])
    assert len(log.found()) == 2


def test_a_member_that_was_never_heard():
    log = Log()
    log.start(0)
    (found,) = log.found()
    assert found.endswith("1 of the 2 members of job-1 ever spoke")


def test_nothing_is_asked_of_a_gang_that_was_cut_off():
    """Its members' last notes may have died with them."""
    run = Run()
    run.submitted(2, 0, kind="gang", source="data-1", publishes=False, restart="one")
    log = Log()
    log.start(0)
    run.tell(**(log.events[0] | {"job": run.job}))
    assert [each for each in check(run.events) if each.invariant == 15] == []
