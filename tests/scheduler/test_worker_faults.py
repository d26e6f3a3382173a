"""The worker's decisions without progress, without a coordinator, or when asked to leave."""

from minimr.scheduler import worker_machine as machine
from minimr.scheduler.state import AttemptId


def attempt(index):
    return AttemptId("job-1", "map", index, 0)


def busy_worker():
    worker = machine.WorkerMachine(1, progress_timeout_s=5)
    worker.start()
    worker.handle(machine.Connected(True, 60.0))
    worker.handle(machine.SlotReady(0))
    worker.handle(machine.Assigned(attempt(0), "code"))
    worker.handle(machine.Assigned(attempt(1), "code"))
    return worker


def test_an_attempt_without_progress_is_given_up_and_its_slot_killed():
    worker = busy_worker()
    assert worker.handle(machine.Looked(1.0, {0: 7})) == []
    assert worker.handle(machine.Looked(5.9, {0: 7})) == []
    report, kill = worker.handle(machine.Looked(6.0, {0: 7}))
    assert (report.attempt, report.failure.reason) == (attempt(0), "stuck")
    assert kill == machine.KillSlot(0)
    assert worker.handle(machine.SlotDied(0, "killed", 1)) == [machine.SpawnSlot(0)]
    assert worker.handle(machine.SlotReady(0)) == [machine.StartAttempt(0, attempt(1))]


def test_progress_and_idleness_both_reset_the_clock():
    worker = busy_worker()
    worker.handle(machine.Looked(0.0, {0: 1}))
    assert worker.handle(machine.Looked(9.0, {0: 2})) == []
    assert worker.handle(machine.Looked(13.9, {0: 2})) == []
    for each in (attempt(0), attempt(1)):
        worker.handle(machine.SlotReported(0, each))
    assert worker.handle(machine.Looked(99.0, {0: 2})) == []


def test_a_worker_that_lost_the_coordinator_tries_again_ever_more_slowly():
    worker = busy_worker()
    pauses = [worker.handle(machine.Disconnected(t, "reset"))[0].after_s for t in (0, 1, 2, 3)]
    assert pauses == [0.1, 0.2, 0.4, 0.8]
    (leave,) = worker.handle(machine.Disconnected(61.0, "refused"))
    assert "coordinator is gone (refused)" in leave.text


def test_after_a_return_the_pauses_begin_anew():
    worker = busy_worker()
    for t in (0, 1, 2):
        worker.handle(machine.Disconnected(t, "reset"))
    assert worker.handle(machine.Connected(True, 60.0)) == []
    assert worker.handle(machine.Disconnected(100.0, "reset")) == [machine.Reconnect(0.1)]


def test_a_worker_that_was_given_up_comes_back_empty():
    worker = busy_worker()
    actions = worker.handle(machine.Connected(False, 60.0))
    assert actions == [machine.KillSlot(0), machine.DropEverything()]
    worker.handle(machine.SlotDied(0, "killed", 1))
    assert worker.handle(machine.SlotReady(0)) == []


def test_asked_to_leave_it_says_so_and_asked_again_it_goes():
    worker = busy_worker()
    assert worker.handle(machine.DrainOrdered()) == [machine.SayDraining()]
    assert worker.handle(machine.DrainOrdered()) == [machine.Leave(None)]


def test_an_order_that_comes_twice_is_one_order():
    worker = busy_worker()
    assert worker.handle(machine.Assigned(attempt(0), "code")) == []
    worker.handle(machine.SlotReported(0, attempt(0)))
    worker.handle(machine.SlotReported(0, attempt(1)))
    assert not worker.queue
    assert not worker.slots[0].attempts


def test_a_worker_that_leaves_says_so_again_under_its_new_name():
    worker = busy_worker()
    worker.handle(machine.DrainOrdered())
    assert worker.handle(machine.Connected(False, 60.0))[-1] == machine.SayDraining()
