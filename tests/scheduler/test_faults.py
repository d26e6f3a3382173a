"""Backups, exclusion, draining, skipping, digests: what the scheduler does when things go wrong."""

from dataclasses import replace

import pytest

from minimr.scheduler import events, policy
from minimr.scheduler.state import AttemptId, Failure, Output
from tests.scheduler.world import World, plan


def started(workers=1, slots=1, **fields):
    world = World()
    for _ in range(workers):
        world.join(slots)
    world.feed(events.JobSubmitted(plan(**fields)))
    return world


def finish_all_but_one(world, seconds=1.0):
    """Every attempt ends after a second, except the last task's."""
    while len(world.attempts()) > 1:
        world.now += seconds
        world.finish(*world.attempts()[0])
    return world.attempts()[0]


def backup_timer(world):
    return [t for t in world.timers if isinstance(t.timer, events.BackupTimer)][-1]


def test_a_late_attempt_gets_a_rival_on_another_worker():
    world = started(workers=2, maps=3, reduces=1)
    _, late = finish_all_but_one(world)
    world.now += policy.backup_after_s(1.0)
    world.feed(backup_timer(world).timer)
    rivals = {a: n for n, a in world.attempts() if a.index == late.index}
    assert len(rivals) == 2
    assert len(set(rivals.values())) == 2
    assert [each["task"] for each in world.named("attempt_started") if each.get("backup")] == [
        late.task
    ]


def test_the_first_of_two_rivals_wins_and_the_other_is_cancelled():
    world = started(workers=2, maps=3, reduces=1)
    slow, late = finish_all_but_one(world)
    world.now += 10
    world.feed(backup_timer(world).timer)
    (winner,) = [(n, a) for n, a in world.attempts() if a.index == late.index and a != late]
    world.finish(*winner)
    assert late not in world.running[slow]
    assert [each["attempt"] for each in world.named("attempt_cancelled")] == [late.number]
    world.run_to_end()
    assert world.ended["job-1"].ok
    assert world.ended["job-1"].counters == {"seen": 4}


def test_what_is_not_late_gets_no_backup_and_the_watch_goes_on():
    world = started(workers=2, maps=3, reduces=1)
    finish_all_but_one(world, seconds=0.5)
    timer = backup_timer(world)
    before = len(world.assigned)
    world.now += 0.25
    world.feed(timer.timer)
    assert len(world.assigned) == before
    assert backup_timer(world).at > world.now


def test_a_job_can_do_without_backups():
    world = World()
    world.join()
    world.feed(events.JobSubmitted(plan(maps=1)))
    assert any(isinstance(t.timer, events.BackupTimer) for t in world.timers)
    world = World()
    world.join()
    world.feed(events.JobSubmitted(replace(plan(maps=1), backups=False)))
    assert not any(isinstance(t.timer, events.BackupTimer) for t in world.timers)


def test_an_attempt_that_waits_behind_another_is_not_slow():
    world = started(workers=1, maps=2)
    world.scheduler.state.jobs["job-1"].map_stage.seconds = 0.05
    world.scheduler.state.jobs["job-1"].map_stage.timed = 1
    world.join()
    world.now = 1.0
    running = world.scheduler.state.workers["worker-1"].attempts
    assert [each.started_at for each in running.values()] == [0.0]


def test_a_worker_where_tasks_fail_that_succeed_elsewhere_is_excluded_for_a_while():
    world = started(workers=2, maps=9, reduces=1)
    for _ in range(policy.BLAME_MAX):
        bad = world.running["worker-1"][0]
        world.fail("worker-1", bad, "died")
        while not any(a.index == bad.index for a in world.running["worker-2"]):
            world.finish("worker-2", world.running["worker-2"][0])
        retry = next(a for a in world.running["worker-2"] if a.index == bad.index)
        world.finish("worker-2", retry)
    assert [each["worker"] for each in world.named("worker_excluded")] == ["worker-1"]
    while world.running["worker-1"]:
        world.finish("worker-1", world.running["worker-1"][0])
    assert world.running["worker-1"] == []
    world.now += policy.EXCLUDE_S
    world.feed(events.ExclusionTimer("worker-1"))
    assert "worker-1" not in world.scheduler.state.excluded


def test_a_full_disk_excludes_at_once_but_never_the_last_worker():
    world = started(workers=1, maps=2)
    world.fail("worker-1", world.running["worker-1"][0], "disk_full")
    assert [each["cause"] for each in world.named("worker_excluded")] == ["its disk is full"]
    assert world.running["worker-1"], "there is no other worker"


def test_an_excluded_worker_gets_nothing_while_there_is_another():
    world = started(workers=2, maps=8)
    world.fail("worker-1", world.running["worker-1"][0], "disk_full")
    assert world.running["worker-1"] == [], "work is left, and the other one gets it"
    world.finish("worker-2", world.running["worker-2"][0])
    assert (world.running["worker-1"] == [], world.running["worker-2"] != []) == (True, True)
    world.lose("worker-2")
    assert world.running["worker-1"], "now there is no other worker"


def test_a_draining_worker_gets_no_work_and_leaves_when_nothing_of_it_is_needed():
    world = started(workers=2, maps=4, reduces=1)
    world.feed(events.WorkerDraining("worker-1"))
    world.finish("worker-1", world.running["worker-1"][0])
    assert world.running["worker-1"] == []
    assert world.released == [], "its map output is needed still"
    world.run_to_end()
    assert world.ended["job-1"].ok
    assert world.released == ["worker-1"]


@pytest.mark.parametrize("when", ["it loads", "it is alone"])
def test_a_round_does_not_wait_for_a_dataset_at_a_worker_that_leaves(when):
    """It gets no work, so its partitions are made again elsewhere: those that it still makes, too,
    and as soon as there is an elsewhere."""
    world = World()
    world.join(slots=2)
    if when == "it loads":
        world.join(slots=2)
    world.feed(events.JobSubmitted(plan("data-1", maps=4, kind="load")))
    if when == "it is alone":
        world.run_loads()
        world.feed(events.WorkerDraining("worker-1"))
        world.join(slots=2)
    else:
        world.feed(events.WorkerDraining("worker-1"))
        world.run_loads()
    world.feed(events.JobSubmitted(plan("round-1", 4, 1, kind="round", source="data-1")))
    assert world.released == ["worker-1"]
    world.lose("worker-1")
    world.run_to_end()
    assert world.ended["round-1"].ok


def test_nor_for_one_that_leaves_when_what_it_runs_is_done():
    """Its partitions are made again elsewhere, and not only its share of those that are left."""
    world = World()
    world.join()
    world.join()
    world.feed(events.JobSubmitted(plan("data-1", maps=4, kind="load")))
    world.run_loads()
    world.feed(events.JobSubmitted(plan("job-1", maps=2)))
    assert world.running["worker-1"]
    world.feed(events.WorkerDraining("worker-1"))
    world.feed(events.JobSubmitted(plan("round-1", 4, 1, kind="round", source="data-1")))
    while world.running["worker-2"]:
        world.finish("worker-2", world.running["worker-2"][0])
    assert world.running["worker-1"], "it works on"
    assert world.ended["round-1"].ok


def test_a_dataset_does_not_wait_for_an_excluded_worker():
    world = started(workers=2, maps=2, reduces=1)
    world.fail("worker-1", world.running["worker-1"][0], "disk_full")
    world.run_to_end()
    world.feed(events.JobSubmitted(plan("data-1", maps=4, kind="load")))
    world.run_loads()
    assert "worker-1" in world.scheduler.state.excluded
    assert world.ended["data-1"].ok


def test_an_idle_worker_drains_at_once():
    world = World()
    world.join()
    world.feed(events.WorkerDraining("worker-1"))
    assert world.released == ["worker-1"]


def finish_with(world, digest, name=None, attempt=None):
    name, attempt = (name, attempt) if name else world.attempts()[0]
    output = world.output(attempt)
    output.digest = digest
    world.running[name].remove(attempt)
    world.feed(events.AttemptDone(name, attempt, output))


@pytest.mark.parametrize(("second", "ok"), [("aaaa", True), ("bbbb", False)])
def test_a_map_that_gives_other_output_after_it_was_read_fails_the_job(second, ok):
    world = started(workers=2, slots=2, maps=1, reduces=2)
    ((holder, made),) = world.attempts()
    finish_with(world, "aaaa", holder, made)
    world.lose(holder)
    (remade,) = [(n, a) for n, a in world.attempts() if a.stage == "map"]
    finish_with(world, second, *remade)
    world.run_to_end()
    assert world.ended["job-1"].ok is ok
    if not ok:
        assert "map-0 gave other output" in world.ended["job-1"].error


def poisoned(world, position):
    name, attempt = world.attempts()[0]
    world.running[name].remove(attempt)
    world.feed(events.AttemptFailed(name, attempt, Failure("died", "segfault", position)))
    return world.assigned[world.attempts()[0][1]] if world.attempts() else None


def test_a_task_that_killed_its_slot_is_careful_and_then_skips_the_record():
    world = World()
    world.join()
    world.feed(events.JobSubmitted(replace(plan(maps=1), skip_max=1)))
    assert poisoned(world, None).careful
    assert poisoned(world, "a.txt:7").skip == ("a.txt:7",)
    assert poisoned(world, "a.txt:9") is None
    assert "2 records were bad" in world.ended["job-1"].error


def test_skipped_records_of_the_winners_are_counted_over_the_whole_job():
    world = World()
    world.join()
    world.feed(events.JobSubmitted(replace(plan(maps=2, reduces=1), skip_max=2)))
    for _ in range(2):
        name, attempt = world.attempts()[0]
        output = world.output(attempt)
        output.skipped = ({"position": f"{attempt.index}", "record": "x", "error": "e"},)
        world.running[name].remove(attempt)
        world.feed(events.AttemptDone(name, attempt, output))
    world.run_to_end()
    assert world.ended["job-1"].ok
    assert world.named("job_done")[0]["skipped"] == 2


def test_a_report_from_a_worker_that_was_given_up_is_only_noted():
    world = started(workers=2, maps=2)
    (attempt,) = world.running["worker-1"]
    world.lose("worker-1")
    before = len(world.assigned)
    world.feed(events.AttemptDone("worker-1", attempt, Output()))
    assert world.named("stale_message")[0]["worker"] == "worker-1"
    assert len(world.assigned) == before


def test_output_that_could_not_be_fetched_is_made_on_another_host():
    world = started(workers=2, maps=1, reduces=1)
    holder, made = world.attempts()[0]
    world.finish(holder, made)
    name, reducer = world.attempts()[0]
    world.running[name].remove(reducer)
    world.feed(events.FetchFailed(name, reducer, (made,), "no answer"))
    (remade,) = [n for n, a in world.attempts() if a.stage == "map"]
    assert remade != holder
    assert isinstance(made, AttemptId)


def test_what_nobody_could_run_is_tried_where_it_failed_before():
    world = started(workers=2, maps=1, reduces=1)
    holder, made = world.attempts()[0]
    world.finish(holder, made)
    name, reducer = world.attempts()[0]
    world.running[name].remove(reducer)
    world.feed(events.FetchFailed(name, reducer, (made,), "no answer"))
    (elsewhere,) = [(n, a) for n, a in world.attempts() if a.stage == "map"]
    world.fail(*elsewhere, "died")
    world.run_to_end()
    assert world.ended["job-1"].ok
