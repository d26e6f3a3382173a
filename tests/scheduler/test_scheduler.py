"""The scheduler, event by event, and then under random faults."""

import pytest

from minimr.scheduler import actions, events, policy
from minimr.scheduler.state import AttemptId, Failure, Output
from tests.scheduler.world import World, chaos, plan


def started(**kinds):
    world = World()
    slots = kinds.pop("slots", 1)
    for _ in range(kinds.pop("workers", 1)):
        world.join(slots)
    world.feed(events.JobSubmitted(plan(**kinds)))
    return world


def stages(world):
    return {attempt.stage for _, attempt in world.attempts()}


def test_a_job_runs_its_maps_then_its_reduces_then_is_published():
    world = started(maps=3, reduces=2)
    assert stages(world) == {"map"}
    world.run_to_end()
    assert world.published == ["job-1"]
    assert world.ended["job-1"].ok
    assert [part["name"] for part in world.ended["job-1"].parts] == ["part-0", "part-1"]


def test_no_reduce_starts_before_the_last_map_is_done():
    world = started(workers=3, maps=2, reduces=2)
    (first, second) = world.attempts()
    world.finish(*first)
    assert stages(world) == {"map"}
    world.finish(*second)
    assert stages(world) == {"reduce"}


def test_a_job_without_workers_waits_for_one():
    world = World()
    world.feed(events.JobSubmitted(plan()))
    assert not world.attempts()
    world.join()
    world.run_to_end()
    assert world.ended["job-1"].ok


@pytest.mark.parametrize(
    ("seconds", "held"),
    [
        (policy.LONG_TASK_S * 2, 2),
        (policy.LONG_TASK_S / 2, 4),
        (policy.SHORT_TASK_S / 2, 32),
    ],
    ids=["long", "medium", "short"],
)
def test_the_shorter_the_tasks_the_further_ahead_they_are_sent(seconds, held):
    world = started(maps=100, slots=2)
    assert len(world.attempts()) == 2, "before the first has ended nothing is sent ahead"
    name, attempt = world.attempts()[0]
    output = world.output(attempt)
    output.stats["seconds"] = seconds
    world.running[name].remove(attempt)
    world.feed(events.AttemptDone(name, attempt, output))
    assert len(world.attempts()) == held


def test_a_worker_that_joins_late_finds_work():
    world = started(workers=1, maps=2)
    late = world.join()
    assert len(world.running[late]) == 1


def test_tasks_spread_over_the_workers():
    world = started(workers=4, maps=4)
    assert sorted(len(attempts) for attempts in world.running.values()) == [1, 1, 1, 1]


def test_a_failed_attempt_is_tried_again_elsewhere():
    world = started(workers=2, maps=1)
    ((name, attempt),) = world.attempts()
    world.fail(name, attempt)
    ((other, again),) = world.attempts()
    assert other != name
    assert (again.index, again.number) == (0, 1)


def test_with_one_worker_it_is_tried_there_again():
    world = started(maps=1)
    world.fail(*world.attempts()[0])
    assert len(world.attempts()) == 1


def test_four_failures_fail_the_job_and_name_the_task():
    world = started(maps=2, slots=2)
    for _ in range(4):
        name, attempt = next(each for each in world.attempts() if each[1].index == 1)
        world.fail(name, attempt, position=f"f:{attempt.number}")
    assert not world.ended["job-1"].ok
    assert world.ended["job-1"].error == "map-1 failed 4 times: it broke"
    assert not world.attempts()


def test_three_failures_do_not():
    world = started(maps=1)
    for _ in range(3):
        world.fail(*world.attempts()[0])
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_the_same_record_twice_fails_the_job_at_once():
    world = started(maps=1)
    world.fail(*world.attempts()[0], position="books:17")
    world.fail(*world.attempts()[0], position="books:17")
    assert world.ended["job-1"].error.startswith("map-0 failed twice at the same record")


def test_lost_attempts_are_not_charged_to_the_task():
    world = started(maps=1)
    for _ in range(policy.ATTEMPTS_MAX + 2):
        world.lose(world.attempts()[0][0])
        world.join()
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_but_they_are_capped():
    world = started(maps=1)
    while "job-1" not in world.ended:
        world.lose(world.attempts()[0][0])
        world.join()
    assert "not stable enough" in world.ended["job-1"].error
    assert len(world.named("attempt_failed")) == policy.LOSSES_MAX


def test_map_output_that_died_with_its_worker_is_made_again():
    world = started(workers=2, maps=2, reduces=2, slots=2)
    first, second = world.attempts()
    world.finish(*first)
    world.finish(*second)
    world.lose(first[0])
    assert "map" in stages(world)
    world.run_to_end()
    assert world.ended["job-1"].ok
    (lost,) = world.named("output_lost")
    assert lost["task"] == first[1].task


def test_inline_output_outlives_its_worker():
    world = World(inline=True)
    world.join()
    world.join()
    world.feed(events.JobSubmitted(plan(maps=2)))
    first, second = world.attempts()
    world.finish(*first)
    world.finish(*second)
    world.lose(first[0])
    assert stages(world) == {"reduce"}


def test_nothing_is_made_again_once_every_reduce_has_committed():
    world = started(workers=1, maps=1, reduces=1)
    world.finish(*world.attempts()[0])
    world.finish(*world.attempts()[0])
    world.lose("worker-1")
    world.join()
    assert not world.attempts()
    assert world.named("output_lost") == []
    world.publish_all()
    assert world.ended["job-1"].ok


def test_a_worker_is_told_of_every_map_once_however_many_reducers_it_runs():
    world = started(workers=2, maps=2, reduces=10)
    world.run_to_end()
    told = [len(assign.announce) for a, assign in world.assigned.items() if a.stage == "reduce"]
    assert len(told) == 10
    assert sum(told) == 2 * 2, "two workers, two locations each"


def test_and_of_an_heir_later():
    world = started(workers=1, maps=1, reduces=1)
    world.finish(*world.attempts()[0])
    name, reducer = world.attempts()[0]
    (first,) = world.announced(reducer)
    world.running[name].remove(reducer)
    world.feed(events.FetchFailed(name, reducer, (first.attempt,), "no answer"))
    world.finish(*world.attempts()[0])
    (heir,) = world.announced(world.attempts()[0][1])
    assert (heir.attempt.index, heir.attempt.number) == (0, 1)


def test_inline_segments_reach_the_reducer_of_their_partition():
    world = World(inline=True)
    world.join()
    world.feed(events.JobSubmitted(plan(maps=2, reduces=2)))
    world.run_to_end()
    assign = world.assigned[AttemptId("job-1", "reduce", 1, 0)]
    assert assign.inline == ((0, "job-1/map-0/0/1", None), (1, "job-1/map-1/0/1", None))


def test_a_failed_fetch_makes_the_map_again_and_blames_no_reducer():
    world = started(workers=1, maps=2, reduces=1)
    world.finish(*world.attempts()[0])
    world.finish(*world.attempts()[0])
    name, reducer = world.attempts()[0]
    world.running[name].remove(reducer)
    missing = (AttemptId("job-1", "map", 1, 0),)
    world.feed(events.FetchFailed(name, reducer, missing, "no answer"))
    assert [str(a) for _, a in world.attempts()] == ["job-1/map-1/1"]
    (failure,) = world.named("attempt_failed")
    assert not failure["charged"]
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_an_output_that_was_missed_is_lost_once():
    """Missed at one worker and made again at another, it does not die with the first any more."""
    world = started(workers=2, maps=1, reduces=1)
    ((holder, made),) = world.attempts()
    world.finish(holder, made)
    ((name, reducer),) = world.attempts()
    world.running[name].remove(reducer)
    (other,) = set(world.running) - {holder}
    world.scheduler.state.workers[holder].slots = 0  # So that it is made again at the other one.
    world.feed(events.FetchFailed(name, reducer, (made, made), "no answer"))
    ((again, attempt),) = world.attempts()
    assert again == other
    world.finish(again, attempt)
    world.lose(holder)
    assert len(world.named("output_lost")) == 1
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_a_late_complaint_about_an_older_output_changes_nothing():
    world = started(workers=1, maps=1, reduces=1)
    world.finish(*world.attempts()[0])
    name, reducer = world.attempts()[0]
    world.running[name].remove(reducer)
    stale = (AttemptId("job-1", "map", 0, 7),)
    world.feed(events.FetchFailed(name, reducer, stale, "no answer"))
    assert stages(world) == {"reduce"}


def test_messages_of_a_worker_that_was_given_up_change_nothing():
    world = started(workers=2, maps=2)
    name, attempt = world.attempts()[0]
    output = world.output(attempt)
    world.lose(name)
    before = world.attempts()
    world.feed(events.AttemptDone(name, attempt, output))
    world.feed(events.AttemptFailed(name, attempt, Failure("user", "late")))
    world.feed(events.Heartbeat(name))
    assert world.attempts() == before


def test_a_second_completion_of_the_same_attempt_changes_nothing():
    world = started(maps=1, reduces=2)
    name, attempt = world.attempts()[0]
    output = world.output(attempt)
    world.finish(name, attempt)
    before = world.attempts()
    world.feed(events.AttemptDone(name, attempt, output))
    assert world.attempts() == before
    world.run_to_end()
    assert world.ended["job-1"].counters == {"seen": 3}


def test_another_worker_cannot_finish_somebodys_attempt():
    world = started(workers=2, maps=2)
    (_, attempt), (other, _) = world.attempts()
    world.feed(events.AttemptDone(other, attempt, world.output(attempt)))
    assert world.scheduler.state.jobs["job-1"].map_stage.done == 0


def test_a_sum_of_counters_that_no_message_carries_fails_the_job():
    """The client was told that the coordinator is gone."""
    world = started(maps=2, slots=2)
    for name, attempt in world.attempts():
        output = world.output(attempt)
        output.counters["seen"] = 2**62
        world.running[name].remove(attempt)
        world.feed(events.AttemptDone(name, attempt, output))
    world.run_to_end()
    assert not world.ended["job-1"].ok
    assert "in all tasks together, and 'seen' is larger" in world.ended["job-1"].error


def test_counters_count_winning_attempts_only():
    world = started(maps=2, reduces=1)
    world.fail(*world.attempts()[0])
    world.run_to_end()
    assert world.ended["job-1"].counters == {"seen": 3}


def test_a_silent_worker_is_given_up_when_its_lease_ends():
    world = started(maps=1)
    world.now = policy.LEASE_S / 2
    world.feed(events.Heartbeat("worker-1"))
    world.now = policy.LEASE_S
    lease = events.LeaseTimer("worker-1")
    world.feed(lease)
    assert world.dropped == []
    assert world.timers[-1] == actions.SetTimer(policy.LEASE_S * 1.5, lease)
    world.now = policy.LEASE_S * 1.5
    world.feed(world.timers[-1].timer)
    assert world.dropped == ["worker-1"]
    assert "no heartbeat" in world.named("worker_lost")[0]["cause"]


def test_leases_that_ended_together_are_given_up_together():
    """A long pause: were they given up one by one, the work would move from one to the next."""
    world = started(workers=4, maps=1)
    world.now = policy.LEASE_S
    world.feed(events.LeaseTimer("worker-2"))
    assert world.dropped == ["worker-1", "worker-2", "worker-3", "worker-4"]
    assert len(world.named("attempt_started")) == 1
    assert world.attempts() == []


def test_cancel_stops_every_attempt_and_ends_the_job():
    world = started(workers=2, maps=4)
    world.feed(events.CancelRequested("job-1"))
    assert not world.attempts()
    assert world.ended["job-1"].cancelled


def test_a_cancel_after_the_last_commit_is_too_late():
    world = started(maps=1, reduces=1)
    world.finish(*world.attempts()[0])
    world.finish(*world.attempts()[0])
    world.feed(events.CancelRequested("job-1"))
    world.publish_all()
    assert world.ended["job-1"].ok


def test_a_failed_publication_fails_the_job():
    world = started(maps=1, reduces=1)
    world.finish(*world.attempts()[0])
    world.finish(*world.attempts()[0])
    world.feed(events.Published("job-1", "the disk is full"))
    assert world.ended["job-1"].error == "the disk is full"


def test_how_a_job_ended_is_in_the_log_and_in_the_answer():
    done, failed, cancelled = started(maps=1, reduces=1), started(maps=1), started(maps=1)
    done.now = 7.5
    done.run_to_end()
    assert done.named("job_done") == [{"counters": {"seen": 2}, "seconds": 7.5, "skipped": 0}]
    for number in range(4):
        failed.fail(*failed.attempts()[0], position=f"f:{number}")
    assert failed.named("job_failed") == [{"error": failed.ended["job-1"].error}]
    assert failed.ended["job-1"].counters == {}
    assert failed.ended["job-1"].parts == ()
    cancelled.feed(events.CancelRequested("job-1"))
    assert cancelled.named("job_cancelled") == [{}]
    for world in (done, failed, cancelled):
        endings = [each.event for each in world.records if each.event in ENDINGS]
        assert len(endings) == 1


ENDINGS = {"job_done", "job_failed", "job_cancelled"}


def test_a_publication_that_nobody_waits_for_changes_nothing():
    world = started(maps=1)
    world.feed(events.Published("job-1"))
    assert "job-1" not in world.ended
    world.feed(events.DatasetDropped("job-1"))
    world.run_to_end()
    assert world.ended["job-1"].ok, "a job is no dataset, and is not dropped like one"


def test_maps_that_run_again_stop_when_every_reducer_managed_without():
    world = started(workers=2, maps=2, reduces=1, slots=2)
    for each in world.attempts():
        world.finish(*each)
    ((name, reducer),) = world.attempts()
    (other,) = set(world.running) - {name}
    world.lose(other)
    assert "map" in stages(world)
    world.finish(name, reducer)
    assert world.attempts() == []
    world.publish_all()
    assert world.ended["job-1"].counters == {"seen": 3}


def test_cancelled_work_makes_room_for_the_next_job_at_once():
    world = started(maps=4)
    world.feed(events.JobSubmitted(plan("job-2", maps=1)))
    world.feed(events.CancelRequested("job-1"))
    assert [attempt.job for _, attempt in world.attempts()] == ["job-2"]


def test_jobs_share_the_workers_fairly():
    world = World()
    world.join(4)
    world.feed(events.JobSubmitted(plan("job-1", maps=100)))
    world.feed(events.JobSubmitted(plan("job-2", maps=100)))
    for _ in range(8):
        world.finish(*next(each for each in world.attempts() if each[1].job == "job-1"))
    running = [attempt.job for _, attempt in world.attempts()]
    assert running.count("job-2") == 2


def test_the_log_tells_the_whole_story():
    world = started(maps=1, reduces=1)
    world.run_to_end()
    story = [(each.event, each.job, each.fields.get("task")) for each in world.records]
    assert story == [
        ("worker_joined", None, None),
        ("job_submitted", "job-1", None),
        ("attempt_started", "job-1", "map-0"),
        ("attempt_done", "job-1", "map-0"),
        ("attempt_started", "job-1", "reduce-0"),
        ("attempt_done", "job-1", "reduce-0"),
        ("commit_granted", "job-1", "reduce-0"),
        ("job_publishing", "job-1", None),
        ("job_published", "job-1", None),
        ("job_done", "job-1", None),
    ]
    assert world.named("worker_joined") == [
        {"worker": "worker-1", "slots": 1, "address": "worker-1:1"}
    ]
    first, second = world.named("attempt_started")
    assert (first["cause"], second["cause"]) == ("JobSubmitted", "AttemptDone")
    assert world.named("attempt_done")[0]["records_in"] == 1
    assert world.named("commit_granted")[0]["records"] == 1


def test_every_action_says_what_caused_it():
    world = started(workers=2, maps=2)
    world.lose("worker-1")
    world.lose("worker-2")
    world.join()
    causes = [each["cause"] for each in world.named("attempt_started")]
    assert causes == ["JobSubmitted", "JobSubmitted", "WorkerJoined"]
    assert world.named("worker_lost")[0]["cause"] == "killed"


def test_a_second_reduce_attempt_is_denied_its_commit():
    """A worker that was given up finished the same task later; its file stays out."""
    world = started(workers=2, maps=1, reduces=1)
    world.finish(*world.attempts()[0])
    name, first = world.attempts()[0]
    output = world.output(first)
    world.fail(name, first, "died")
    other, second = world.attempts()[0]
    world.running[other].remove(second)
    world.feed(events.AttemptDone(other, second, world.output(second)))
    world.feed(events.AttemptDone(name, first, output))
    assert [each["attempt"] for each in world.named("commit_granted")] == [1]
    assert [each["attempt"] for each in world.named("commit_denied")] == [0]
    world.feed(events.AttemptDone(other, second, output))
    assert len(world.named("commit_denied")) == 1, "the winner's repeated word is no denial"


def test_a_worker_lives_for_one_lease_without_a_word():
    world = World(now=5.0)
    world.join()
    assert world.timers[-1].at == 5.0 + policy.LEASE_S


def test_words_and_timers_of_workers_that_nobody_knows():
    world = started(maps=1)
    world.feed(events.LeaseTimer("worker-9"))
    world.feed(events.ConnectionLost("worker-9", "who?"))
    name, attempt = world.attempts()[0]
    world.feed(events.FetchFailed("worker-9", attempt, (), "who?"))
    world.feed(events.AttemptFailed("worker-9", attempt, Failure("user", "who?")))
    ghost = AttemptId("job-9", "reduce", 0, 0)
    world.feed(events.AttemptDone(name, ghost, world.output(attempt)))
    world.feed(events.AttemptFailed(name, ghost, Failure("user", "what?")))
    world.feed(events.FetchFailed(name, ghost, (), "what?"))
    world.feed(events.CancelRequested("job-9"))
    world.feed(events.Published("job-9"))
    assert world.named("worker_lost") == []
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_a_failure_without_a_position_is_not_the_same_record_twice():
    world = started(maps=1)
    for _ in range(3):
        world.fail(*world.attempts()[0], position=None)
    assert "job-1" not in world.ended


def test_work_that_comes_back_reaches_idle_workers_at_once():
    """A third worker stands idle; what the lost one ran goes there without another event."""
    world = started(workers=3, maps=2)
    name, _ = world.attempts()[0]
    (idle,) = [each for each, attempts in world.running.items() if not attempts]
    world.lose(name)
    assert len(world.running[idle]) == 1


def test_a_missed_fetch_wakes_idle_workers():
    world = started(workers=2, maps=2, reduces=1)
    for each in world.attempts():
        world.finish(*each)
    ((name, reducer),) = world.attempts()
    world.running[name].remove(reducer)
    missing = tuple(a for a in world.assigned if a.stage == "map")
    world.feed(events.FetchFailed(name, reducer, missing, "no answer"))
    assert sorted(len(each) for each in world.running.values()) == [1, 1]


def test_workers_forget_a_job_when_it_is_over():
    world = started(workers=2, maps=2)
    world.run_to_end()
    assert world.forgotten == [("worker-1", "job-1"), ("worker-2", "job-1")]
    assert world.scheduler.state.jobs == {}


class TestDatasets:
    def loaded(self, workers=2, partitions=4):
        world = World()
        for _ in range(workers):
            world.join()
        world.feed(events.JobSubmitted(plan("data-1", partitions, kind="load")))
        world.run_to_end()
        assert world.ended["data-1"].ok
        return world

    def homes(self, world, job="data-1"):
        return [task.worker for task in world.scheduler.state.jobs[job].map_stage.tasks]

    def test_partitions_spread_evenly(self):
        world = self.loaded(workers=2, partitions=8)
        homes = self.homes(world)
        assert homes.count("worker-1") == homes.count("worker-2") == 4

    def test_a_round_runs_where_the_partitions_are(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-1")))
        placed = {a.index: name for name, a in world.attempts()}
        assert [placed[i] for i in range(4)] == self.homes(world)

    def test_a_round_brings_its_results_in_the_order_of_the_reducers(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("round-1", 4, 2, "round", "data-1")))
        while "round-1" not in world.ended:
            name, attempt = world.attempts()[-1]
            world.running[name].remove(attempt)
            inline = ("a", "b") if attempt.stage == "map" else (f"result {attempt.index}",)
            world.feed(events.AttemptDone(name, attempt, Output(inline)))
        assert world.ended["round-1"].results == ("result 0", "result 1")

    def test_a_round_without_reduces_brings_the_outputs_of_its_maps_in_their_order(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("round-1", 4, 0, "round", "data-1")))
        while "round-1" not in world.ended:
            name, attempt = world.attempts()[-1]
            world.running[name].remove(attempt)
            world.feed(events.AttemptDone(name, attempt, Output((f"map {attempt.index}",))))
        assert world.ended["round-1"].results == ("map 0", "map 1", "map 2", "map 3")

    def test_an_output_that_came_inline_outlives_its_worker(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("round-1", 4, 0, "round", "data-1")))
        for name, attempt in world.attempts():
            if name == "worker-1":
                world.running[name].remove(attempt)
                world.feed(events.AttemptDone(name, attempt, Output((f"map {attempt.index}",))))
        world.lose("worker-1")
        lost = {record.job for record in world.records if record.event == "output_lost"}
        assert lost == {"data-1"}, "what came inline is not lost"
        while "round-1" not in world.ended:
            name, attempt = world.attempts()[-1]
            world.running[name].remove(attempt)
            inline = (f"map {attempt.index}",) if attempt.stage == "map" else None
            world.feed(events.AttemptDone(name, attempt, Output(inline)))
        assert world.ended["round-1"].results == ("map 0", "map 1", "map 2", "map 3")

    def test_an_output_that_stayed_at_its_worker_is_missing_from_a_round_without_reduces(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("round-1", 4, 0, "round", "data-1")))
        for name, attempt in world.attempts():
            world.running[name].remove(attempt)
            inline = None if attempt.index == 2 else (f"map {attempt.index}",)
            world.feed(events.AttemptDone(name, attempt, Output(inline)))
        assert world.ended["round-1"].ok
        assert world.ended["round-1"].results == ("map 0", "map 1", "map 3")
        kept = [key for worker in world.scheduler.state.workers.values() for key in worker.holds]
        assert {job for job, _ in kept} == {"data-1"}

    def test_a_dataset_that_is_dropped_while_it_loads_stops_loading(self):
        world = World()
        world.join()
        world.feed(events.JobSubmitted(plan("data-1", 4, kind="load")))
        world.feed(events.DatasetDropped("data-1"))
        assert world.attempts() == []
        assert world.scheduler.state.jobs == {}

    def test_a_lost_partition_is_loaded_again_before_its_round(self):
        world = self.loaded()
        world.lose("worker-1")
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-1")))
        world.run_to_end()
        assert world.ended["round-1"].ok
        assert self.homes(world) == ["worker-2"] * 4

    def test_a_partition_that_its_worker_does_not_have_is_loaded_again_elsewhere(self):
        """Its file may be deleted or damaged, while the worker lives."""
        world = self.loaded()
        home = self.homes(world)[0]
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-1")))
        self.miss(world, 0)
        world.run_to_end()
        assert world.ended["round-1"].ok
        assert self.homes(world)[0] != home
        assert len(world.named("output_lost")) == 1

    def test_whoever_waited_at_that_worker_waits_elsewhere(self):
        world = self.loaded()
        home = self.homes(world)[0]
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-1")))
        world.scheduler.state.excluded[home] = world.now + 1
        world.feed(events.JobSubmitted(plan("round-2", 4, 1, "round", "data-1")))
        self.miss(world, 0)
        while world.attempts():
            world.finish(*world.attempts()[0])
        world.now += 1
        world.feed(events.ExclusionTimer(home))
        world.run_to_end()
        assert world.ended["round-2"].ok
        done = [each for each in world.records if each.event == "attempt_done"]
        maps = [each.fields["task"] for each in done if each.job == "round-2"]
        assert maps.count("map-0") == 1

    def miss(self, world, partition):
        """The map over this partition does not find it."""
        name, attempt = next((n, a) for n, a in world.attempts() if a.index == partition)
        world.running[name].remove(attempt)
        world.feed(events.FetchFailed(name, attempt, (), "no such file"))

    def test_a_derived_dataset_is_rebuilt_from_its_parent(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("data-2", 4, kind="load", source="data-1")))
        world.run_to_end()
        world.lose("worker-2")
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-2")))
        world.run_to_end()
        assert world.ended["round-1"].ok
        assert self.homes(world, "data-2") == ["worker-1"] * 4

    def test_a_closed_parent_stays_while_a_child_needs_it(self):
        world = self.loaded()
        world.feed(events.JobSubmitted(plan("data-2", 4, kind="load", source="data-1")))
        world.run_to_end()
        world.feed(events.DatasetDropped("data-1"))
        world.lose("worker-2")
        world.run_to_end()
        assert "data-1" in world.scheduler.state.jobs
        world.feed(events.DatasetDropped("data-2"))
        assert world.scheduler.state.jobs == {}

    def test_a_round_over_a_closed_dataset_fails_and_says_so(self):
        world = self.loaded()
        world.feed(events.DatasetDropped("data-1"))
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-1")))
        assert "load it again" in world.ended["round-1"].error

    def test_a_dataset_that_cannot_be_rebuilt_fails_its_rounds(self):
        world = self.loaded()
        world.lose("worker-1")
        world.feed(events.JobSubmitted(plan("round-1", 4, 1, "round", "data-1")))
        while "round-1" not in world.ended:
            name, attempt = world.attempts()[0]
            if attempt.stage == "load":
                world.fail(name, attempt)
            else:
                world.finish(name, attempt)
        assert "cannot be rebuilt" in world.ended["round-1"].error

    def test_a_partition_that_failed_here_may_go_where_it_is_full(self):
        world = World()
        world.join()
        world.join()
        world.feed(events.JobSubmitted(plan("data-1", 2, kind="load")))
        world.finish(*next(each for each in world.attempts() if each[1].index == 1))
        for _ in range(policy.ATTEMPTS_MAX):
            name, attempt = next(each for each in world.attempts() if each[1].index == 0)
            world.fail(name, attempt)
        assert world.ended["data-1"].error.startswith("load-0 failed 4 times")


def test_events_that_came_together_share_a_dispatch():
    """What they led to is told once, the journal's records first."""
    world = World()
    worker = world.join(slots=2)
    world.feed(events.JobSubmitted(plan(maps=2, reduces=1)))
    for attempt in list(world.running[worker]):
        world.running[worker].remove(attempt)
        world.scheduler.react(events.AttemptDone(worker, attempt, world.output(attempt)), world.now)
    told = world.scheduler.settle()
    assert [type(record).__name__ for record in told[0].records] == ["MapAccepted"] * 2
    assert [str(each.attempt) for each in told if isinstance(each, actions.Assign)] == [
        "job-1/reduce-0/0"
    ]
    assert world.scheduler.settle() == []


@pytest.mark.parametrize("block", range(10))
def test_whatever_happens_every_job_ends(block):
    """Faults, then health. A job that did not fail by its own attempts must have succeeded."""
    for seed in range(block * 100, block * 100 + 100):
        world, plans = chaos(seed)
        for each in plans:
            end = world.ended.get(each.job)
            assert end is not None, f"seed {seed}: {each.job} never ended"
            if not end.ok:
                assert "failed" in end.error or "lost" in end.error, f"seed {seed}: {end.error}"
            elif each.kind == "job":
                assert len(end.parts) == each.reduces, f"seed {seed}"
                assert end.counters == {"seen": each.maps + each.reduces}, f"seed {seed}"
                commits = [r for r in world.records if r.event == "commit_granted"]
                names = [(r.job, r.fields["index"]) for r in commits]
                assert len(names) == len(set(names)), f"seed {seed}: two commits"
