"""The worker's own state machine: slots, code, blame."""

from minimr.scheduler.state import AttemptId
from minimr.scheduler.worker_machine import (
    PIPELINE_SHORT,
    Assigned,
    CancelOrdered,
    KillSlot,
    ReportFailure,
    SlotDied,
    SlotReady,
    SlotReported,
    SpawnSlot,
    StartAttempt,
    WorkerMachine,
)


def attempt(index, job="job-1"):
    return AttemptId(job, "map", index, 0)


def machine(slots=1):
    each = WorkerMachine(slots)
    assert each.start() == [SpawnSlot(number) for number in range(slots)]
    for number in range(slots):
        assert each.handle(SlotReady(number)) == []
    return each


def assign(worker, *indices, code="a", job="job-1"):
    return [a for i in indices for a in worker.handle(Assigned(attempt(i, job), code))]


def test_an_attempt_waits_until_a_slot_is_ready():
    worker = WorkerMachine(1)
    worker.start()
    assert assign(worker, 0) == []
    assert worker.handle(SlotReady(0)) == [StartAttempt(0, attempt(0))]


def test_one_attempt_waits_inside_a_busy_slot_the_rest_outside():
    worker = machine()
    started = assign(worker, 0, 1, 2)
    assert started == [StartAttempt(0, attempt(0)), StartAttempt(0, attempt(1))]
    assert worker.handle(SlotReported(0, attempt(0))) == [StartAttempt(0, attempt(2))]


def test_short_attempts_are_sent_further_ahead():
    worker = machine()
    assign(worker, *range(PIPELINE_SHORT + 5))
    started = worker.handle(SlotReported(0, attempt(0), 0.0001))
    assert len(started) == PIPELINE_SHORT - 1


def test_idle_slots_come_before_queues_in_busy_ones():
    worker = machine(slots=2)
    started = assign(worker, 0, 1, 2, 3)
    assert [each.slot for each in started] == [0, 1, 0, 1]


def test_a_slot_serves_one_code_and_is_replaced_for_another():
    worker = machine()
    assign(worker, 0, code="a")
    worker.handle(SlotReported(0, attempt(0)))
    assert assign(worker, 1, code="b") == [KillSlot(0)]
    assert worker.handle(SlotDied(0, "killed", 1)) == [SpawnSlot(0)]
    assert worker.handle(SlotReady(0)) == [StartAttempt(0, attempt(1))]


def test_a_fresh_slot_is_preferred_to_replacing_one():
    worker = machine(slots=2)
    assign(worker, 0, code="a")
    worker.handle(SlotReported(0, attempt(0)))
    assert assign(worker, 1, code="b") == [StartAttempt(1, attempt(1))]


def test_a_death_is_blamed_on_the_attempt_that_ran():
    worker = machine()
    assign(worker, 0, 1)
    failed, spawn = worker.handle(SlotDied(0, "killed by signal 11", 1))
    assert isinstance(failed, ReportFailure)
    assert failed.attempt == attempt(0)
    assert failed.failure.reason == "died"
    assert spawn == SpawnSlot(0)
    assert worker.handle(SlotReady(0)) == [StartAttempt(0, attempt(1))]


def test_attempts_whose_answers_died_with_the_slot_run_again_without_blame():
    worker = machine()
    assign(worker, 0, 1)
    failed, _ = worker.handle(SlotDied(0, "killed", started=2))
    assert failed.attempt == attempt(1)
    assert worker.handle(SlotReady(0)) == [StartAttempt(0, attempt(0))]


def test_earlier_reports_are_taken_into_account():
    worker = machine()
    assign(worker, 0, 1, 2)
    worker.handle(SlotReported(0, attempt(0)))
    failed, _ = worker.handle(SlotDied(0, "killed", started=2))
    assert failed.attempt == attempt(1)


def test_what_waited_behind_a_death_goes_before_what_came_later():
    worker = machine()
    assign(worker, 0, 1, 2)
    worker.handle(SlotDied(0, "killed", 1))
    assert worker.handle(SlotReady(0)) == [StartAttempt(0, attempt(1)), StartAttempt(0, attempt(2))]


def test_a_slot_that_dies_idle_blames_nobody():
    worker = machine()
    assert worker.handle(SlotDied(0, "killed", 0)) == [SpawnSlot(0)]


def test_cancelling_a_running_attempt_kills_its_slot_and_keeps_the_waiting_one():
    worker = machine()
    assign(worker, 0, 1)
    assert worker.handle(CancelOrdered(attempt(0))) == [KillSlot(0)]
    assert worker.handle(SlotDied(0, "killed", 1)) == [SpawnSlot(0)]
    assert worker.handle(SlotReady(0)) == [StartAttempt(0, attempt(1))]


def test_cancelling_a_queued_attempt_kills_nothing():
    worker = machine()
    assign(worker, 0, 1, 2)
    assert worker.handle(CancelOrdered(attempt(2))) == []
    assert worker.handle(SlotReported(0, attempt(0))) == []


def test_a_slot_is_killed_once():
    worker = machine()
    assign(worker, 0, 1)
    worker.handle(CancelOrdered(attempt(0)))
    assert worker.handle(CancelOrdered(attempt(1))) == []


def member(index):
    return AttemptId("gang-1", "gang", index, 0)


def test_a_member_of_a_gang_waits_for_a_slot_of_its_own():
    """The one that it would wait for may wait for it."""
    worker = WorkerMachine(2)
    worker.start()
    worker.handle(SlotReady(0))
    assert worker.handle(Assigned(member(0), "a")) == [StartAttempt(0, member(0))]
    assert worker.handle(Assigned(member(1), "a")) == []
    assert worker.handle(SlotReady(1)) == [StartAttempt(1, member(1))]


def test_nothing_waits_behind_a_member_of_a_gang():
    worker = machine()
    assert worker.handle(Assigned(member(0), "a")) == [StartAttempt(0, member(0))]
    assert assign(worker, 0) == []
    assert worker.handle(SlotReported(0, member(0))) == [StartAttempt(0, attempt(0))]
