"""Gangs: all members at once or none, lost together or one by one, and never waited for in vain."""

import random

import pytest

from minimr.cluster.wire import BLOB_BYTES_MAX
from minimr.scheduler import events, gang_policy, policy
from minimr.scheduler.outcome import RESULT_BYTES_MAX
from minimr.scheduler.state import Failure, JobPlan, Output
from tests.scheduler.world import World, plan

PARTITIONS = 5


def gang(members, restart="all", job="gang-1", source="data-1"):
    return JobPlan(job, "test", "gang", members, 0, source, restart=restart)


@pytest.fixture
def world():
    return loaded(World(), workers=3)


def loaded(world, workers, slots=1):
    """A dataset that lies at the workers."""
    for _ in range(workers):
        world.join(slots)
    world.feed(events.JobSubmitted(plan("data-1", PARTITIONS, kind="load")))
    world.run_to_end()
    assert world.ended["data-1"].ok
    return world


def submit(world, members=3, restart="all", **names):
    world.feed(events.JobSubmitted(gang(members, restart, **names)))


def members(world, job="gang-1"):
    """The members that run, by rank, as (worker, attempt)."""
    return {a.index: (name, a) for name, a in world.attempts() if a.job == job}


def ready(world, rank, job="gang-1"):
    name, attempt = members(world, job)[rank]
    world.feed(events.MemberReady(name, attempt, address(attempt)))


def address(attempt):
    return (f"{attempt.job}-{attempt.index}", attempt.number)


def form(world, job="gang-1"):
    for rank in sorted(members(world, job)):
        ready(world, rank, job)


def end(world, rank, job="gang-1", result=None):
    name, attempt = members(world, job)[rank]
    world.running[name].remove(attempt)
    world.feed(events.AttemptDone(name, attempt, Output((result or f"result {rank}",))))


def break_off(world, rank, reason, job="gang-1"):
    name, attempt = members(world, job)[rank]
    world.fail(name, attempt, reason)


def pass_time(world, seconds):
    """Let the timers of gangs ring that are due by then."""
    until = world.now + seconds
    while due := [each for each in world.timers if _rings(each, until)]:
        first = min(due, key=lambda each: each.at)
        world.timers.remove(first)
        world.now = max(world.now, first.at)
        world.feed(first.timer)
    world.now = until


def _rings(action, until):
    return isinstance(action.timer, events.GangTimer) and action.at <= until


def test_the_members_own_neighbouring_partitions_whatever_the_workers_are():
    for members_count in (1, 2, 3, 7):
        shares = [gang_policy.share(rank, members_count, 7) for rank in range(members_count)]
        assert [index for share in shares for index in share] == list(range(7))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_all_members_start_in_one_turn_and_hear_where_their_partitions_are(world):
    submit(world)
    assert sorted(members(world)) == [0, 1, 2]
    for rank, (name, attempt) in members(world).items():
        order = world.assigned[attempt]
        assert (order.worker, order.epoch) == (name, 1)
        told = [each.attempt.index for each in order.partitions]
        assert told == list(gang_policy.share(rank, 3, PARTITIONS))
        tasks = world.scheduler.state.jobs["data-1"].map_stage.tasks
        assert [each.worker for each in order.partitions] == [tasks[i].worker for i in told]


def test_a_member_goes_where_most_of_its_partitions_are():
    world = loaded(World(), workers=2)
    submit(world, members=2)
    tasks = world.scheduler.state.jobs["data-1"].map_stage.tasks
    assert [task.worker for task in tasks[2:]].count("worker-1") == 2
    assert {rank: name for rank, (name, _) in members(world).items()} == {
        0: "worker-2",
        1: "worker-1",
    }


def test_a_member_that_died_is_tried_elsewhere_if_there_is_an_elsewhere():
    world = loaded(World(), workers=4)
    submit(world, restart="one")
    form(world)
    (bad, _) = members(world)[1]
    break_off(world, 1, "died")
    assert members(world)[1][0] != bad


def test_no_member_starts_before_there_is_room_for_all(world):
    world.feed(events.JobSubmitted(plan("job-1", 1, 1)))
    submit(world)
    assert not members(world)
    world.finish(*world.attempts()[0])
    assert sorted(members(world)) == [0, 1, 2]


def test_a_gang_that_waits_is_not_starved_by_jobs_with_much_work(world):
    world.feed(events.JobSubmitted(plan("job-1", 50, 1)))
    submit(world)
    ended = 0
    while not members(world):
        assert ended < 3, "more tasks were started while the gang waited"
        world.finish(*world.attempts()[0])
        ended += 1
    form(world)
    for rank in range(3):
        end(world, rank)
    assert world.ended["gang-1"].ok
    world.run_to_end()
    world.publish_all()
    assert world.ended["job-1"].ok


def test_work_sent_ahead_never_waits_behind_a_member():
    world = loaded(World(), workers=1, slots=2)
    submit(world, members=1)
    world.feed(events.JobSubmitted(plan("job-1", 60, 1)))
    for _ in range(20):  # Tasks turn out to be short, so they are sent ahead.
        name, attempt = next(each for each in world.attempts() if each[1].job == "job-1")
        world.running[name].remove(attempt)
        world.feed(events.AttemptDone(name, attempt, Output(None, {"seconds": 0.001})))
    assert len(world.running["worker-1"]) == 1 + 16


def test_two_gangs_take_turns_and_neither_keeps_half_of_the_slots(world):
    submit(world, members=2)
    submit(world, members=3, job="gang-2")
    submit(world, members=2, job="gang-3")
    assert len(members(world)) == 2
    assert not members(world, "gang-2")
    for job, count in (("gang-1", 2), ("gang-2", 3), ("gang-3", 2)):
        form(world, job)
        for rank in range(count):
            end(world, rank, job)
        assert world.ended[job].ok


def test_members_meet_when_the_last_one_is_ready(world):
    submit(world)
    ready(world, 0)
    ready(world, 2)
    assert not world.met
    ready(world, 1)
    now = [members(world)[rank][1] for rank in range(3)]
    assert world.met == {attempt: [address(each) for each in now] for attempt in now}
    assert world.named("gang_formed")[0]["epochs"] == [1, 1, 1]


def test_results_come_in_the_order_of_the_ranks(world):
    submit(world)
    form(world)
    for rank in (2, 0, 1):
        end(world, rank)
    assert world.ended["gang-1"].results == ("result 0", "result 1", "result 2")
    assert ("worker-1", "gang-1") in world.forgotten


@pytest.mark.parametrize(("more", "ok"), [(0, True), (1, False)])
def test_results_that_no_message_carries_together_fail_the_job(world, more, ok):
    """The client was told that the coordinator is gone."""
    assert RESULT_BYTES_MAX == BLOB_BYTES_MAX
    submit(world, members=2)
    form(world)
    for rank in range(2):
        end(world, rank, result=range(RESULT_BYTES_MAX // 2 + more * rank))
    assert world.ended["gang-1"].ok is ok
    assert ("its results have 1,073,741,825 bytes" in world.ended["gang-1"].error) is not ok


def test_one_lost_member_stops_all_and_all_begin_again_in_the_next_epoch(world):
    submit(world)
    form(world)
    break_off(world, 1, "died")
    assert {attempt.number for _, attempt in members(world).values()} == {1}
    assert {world.assigned[a].epoch for _, a in members(world).values()} == {2}
    assert world.named("gang_restarted")[0]["cause"] == "gang-1 was lost"
    form(world)
    for rank in range(3):
        end(world, rank)
    assert world.ended["gang-1"].ok


def test_what_a_member_had_as_its_result_is_made_again_with_the_others(world):
    submit(world)
    form(world)
    end(world, 0)
    break_off(world, 1, "died")
    assert sorted(members(world)) == [0, 1, 2]
    assert [each["task"] for each in world.named("output_lost")] == ["gang-0"]
    form(world)
    for rank in range(3):
        end(world, rank)
    assert world.ended["gang-1"].ok


def test_whoever_notices_a_death_first_is_not_blamed_for_it(world):
    submit(world)
    form(world)
    break_off(world, 0, "member_lost")
    assert sorted(members(world)) == [1, 2], "it waits for the news"
    break_off(world, 1, "died")
    assert {attempt.number for _, attempt in members(world).values()} == {1}
    tasks = world.scheduler.state.jobs["gang-1"].map_stage.tasks
    assert [(task.failures, task.losses) for task in tasks] == [(0, 1), (1, 0), (0, 0)]


def test_no_news_is_waited_for_only_so_long(world):
    submit(world)
    form(world)
    break_off(world, 0, "member_lost")
    pass_time(world, policy.MOURNING_S - 0.1)
    assert sorted(members(world)) == [1, 2]
    pass_time(world, 0.2)
    assert {attempt.number for _, attempt in members(world).values()} == {1}


def test_members_that_never_reach_each_other_fail_the_job_in_the_end(world):
    submit(world)
    for _ in range(policy.LOSSES_MAX):
        assert "gang-1" not in world.ended
        break_off(world, 2, "member_lost")
        pass_time(world, policy.MOURNING_S)
    assert "lost 20 times" in world.ended["gang-1"].error


def test_a_program_that_waits_for_one_that_has_ended_is_named_beside_the_cluster(world):
    """Most likely it is to blame: nothing of the cluster broke."""
    submit(world, members=2)
    for _ in range(policy.LOSSES_MAX):
        form(world)
        end(world, 0)
        break_off(world, 1, "member_lost")
        pass_time(world, policy.MOURNING_S)
    assert "waits for a message of a member that has ended: it" in world.ended["gang-1"].error


def test_a_member_that_dies_again_and_again_fails_the_job(world):
    submit(world)
    for _ in range(policy.ATTEMPTS_MAX):
        form(world)
        break_off(world, 1, "died")
    assert world.ended["gang-1"].error == "gang-1 failed 4 times: it broke"
    assert not world.attempts()


@pytest.mark.parametrize("reason", ["user", "exit"])
def test_what_a_member_raises_fails_the_job_at_once(world, reason):
    submit(world)
    form(world)
    break_off(world, 1, reason)
    assert world.ended["gang-1"].error == "gang-1 ended in an error: it broke"
    assert not world.attempts()


def test_with_restart_one_the_lost_member_alone_starts_again(world):
    submit(world, restart="one")
    form(world)
    before = members(world)
    break_off(world, 1, "died")
    now = members(world)
    assert (now[0], now[2]) == (before[0], before[2])
    assert now[1][1].number == 1
    assert world.assigned[now[1][1]].epoch == 2
    ready(world, 1)
    assert {rank: world.met[attempt][1] for rank, (_, attempt) in now.items()} == dict.fromkeys(
        range(3), address(now[1][1])
    )
    assert world.named("gang_formed")[-1]["new"] == [1]


def test_a_member_lost_before_the_gang_has_formed_meets_the_others_once(world):
    submit(world, restart="one")
    ready(world, 0)
    break_off(world, 0, "died")
    form(world)
    assert len(world.met) == 3


def test_with_restart_one_all_begin_anew_when_one_has_ended_already(world):
    """The lost one may need it, and it is gone: nothing that was saved belongs together."""
    submit(world, restart="one")
    form(world)
    break_off(world, 1, "died")
    form(world)
    end(world, 0)
    break_off(world, 2, "died")
    assert sorted(members(world)) == [0, 1, 2]
    assert {world.assigned[a].epoch for _, a in members(world).values()} == {1}
    numbers = {attempt.number for _, attempt in members(world).values()}
    assert numbers == {2}, "no attempt has a name that was given before"


@pytest.mark.parametrize("is_ready", [False, True])
def test_with_restart_one_all_begin_anew_when_one_ends_while_another_starts_again(world, is_ready):
    """Who starts again would wait for ever: the one that has ended meets nobody any more."""
    submit(world, restart="one")
    form(world)
    break_off(world, 2, "died")
    if is_ready:
        ready(world, 2)
    end(world, 0)
    assert len(world.named("gang_restarted")) == (not is_ready)
    if not is_ready:
        form(world)
    for rank in sorted(members(world)):
        end(world, rank)
    assert world.ended["gang-1"].results == ("result 0", "result 1", "result 2")


@pytest.mark.parametrize("restart", ["one", "all"])
def test_those_that_run_hear_once_who_has_ended(world, restart):
    """With restart="all" nobody waits for anybody to come back."""
    submit(world, restart=restart)
    form(world)
    end(world, 1)
    end(world, 0)
    told = [(0, 1), (2, 1), (2, 0)]
    assert world.told_of_ends == (told if restart == "one" else [])


def test_a_gang_that_begins_anew_hears_anew_who_has_ended(world):
    submit(world, restart="one")
    form(world)
    end(world, 0)
    break_off(world, 2, "died")
    form(world)
    assert world.told_of_ends == [(1, 0), (2, 0)]
    end(world, 0)
    assert world.told_of_ends == [(1, 0), (2, 0)] * 2


def test_members_that_wait_for_a_lost_one_come_before_all_others(world):
    submit(world, restart="one")
    form(world)
    world.feed(events.JobSubmitted(plan("job-1", 50, 1)))
    name, _ = members(world)[1]
    world.lose(name)
    assert len(members(world)) == 2
    assert not [a for _, a in world.attempts() if a.job == "job-1"]
    world.run_loads()
    world.join()
    world.run_loads()
    assert sorted(members(world)) == [0, 1, 2]


def test_a_gang_that_finds_no_slot_for_a_lost_member_gives_back_all_of_its_slots(world):
    submit(world, restart="one")
    form(world)
    world.lose(members(world)[1][0])
    pass_time(world, policy.GANG_INCOMPLETE_S - 1)
    assert len(members(world)) == 2
    pass_time(world, 2)
    assert not members(world)
    pass_time(world, policy.GANG_TOO_LARGE_S)
    assert "the gang has 3 members, and the cluster has 2 slots" in world.ended["gang-1"].error


def test_two_gangs_that_both_lack_a_member_do_not_wait_for_each_other_for_ever():
    world = loaded(World(), workers=3, slots=2)
    for job in ("gang-1", "gang-2"):
        submit(world, members=3, restart="one", job=job)
        form(world, job)
    shared = next(
        name for name, running in world.running.items() if len({a.job for a in running}) > 1
    )
    world.lose(shared)
    pass_time(world, policy.GANG_INCOMPLETE_S + 1)
    for _ in range(20):
        world.run_loads()
        for job in ("gang-1", "gang-2"):
            if len(members(world, job)) == 3:
                form(world, job)
                for rank in range(3):
                    end(world, rank, job)
    assert {job: ended.ok for job, ended in world.ended.items() if job != "data-1"} == {
        "gang-1": True,
        "gang-2": True,
    }


def test_a_gang_larger_than_the_cluster_waits_a_moment_for_workers_and_then_fails(world):
    submit(world, members=5)
    assert "5 members" in world.named("gang_waits")[0]["text"]
    pass_time(world, policy.GANG_TOO_LARGE_S - 1)
    assert "gang-1" not in world.ended
    pass_time(world, 2)
    assert world.ended["gang-1"].error == (
        "the gang has 5 members, and the cluster has 3 slots; "
        "start more workers, or give fewer members"
    )


def test_workers_that_join_in_time_are_enough(world):
    submit(world, members=5)
    world.join(2)
    assert len(members(world)) == 5
    pass_time(world, 2 * policy.GANG_TOO_LARGE_S)
    assert "gang-1" not in world.ended


def test_a_gang_waits_until_its_data_is_there_again(world):
    submit(world)
    form(world)
    world.lose(members(world)[0][0])
    assert not members(world)
    world.join()
    assert {a.job for _, a in world.attempts()} == {"data-1"}
    world.run_loads()
    assert len(members(world)) == 3


def test_a_partition_that_its_holder_does_not_have_is_made_again_before_the_gang_starts(world):
    submit(world)
    name, attempt = members(world)[2]
    gone = world.assigned[attempt].partitions[0].attempt
    world.running[name].remove(attempt)
    world.feed(events.FetchFailed(name, attempt, (gone,), "it is gone"))
    world.run_loads()
    pass_time(world, policy.MOURNING_S)
    world.run_loads()
    assert len(members(world)) == 3
    made = [each.attempt for each in world.assigned[members(world)[2][1]].partitions]
    assert gone not in made


def test_a_cancelled_gang_stops_at_once_and_others_go_on(world):
    submit(world)
    world.feed(events.JobSubmitted(plan("job-1", 2, 1)))
    world.feed(events.CancelRequested("gang-1"))
    assert world.ended["gang-1"].cancelled
    world.run_to_end()
    world.publish_all()
    assert world.ended["job-1"].ok


def test_what_waits_for_a_dataset_that_is_cancelled_while_it_is_made_again_fails(world):
    submit(world)
    world.feed(events.JobSubmitted(plan("round-1", PARTITIONS, 1, kind="round", source="data-1")))
    world.lose(members(world)[0][0])
    world.feed(events.CancelRequested("data-1"))
    assert world.ended["gang-1"].error == "its dataset data-1 was cancelled"
    assert world.ended["round-1"].error == "its dataset data-1 was cancelled"


def test_a_member_on_a_worker_that_leaves_may_end_and_starts_elsewhere_next_time():
    world = loaded(World(), workers=4)
    submit(world)
    form(world)
    name, _ = members(world)[0]
    world.feed(events.WorkerDraining(name))
    assert len(members(world)) == 3
    break_off(world, 1, "died")
    world.run_loads()
    assert len(members(world)) == 3
    assert name not in [each for each, _ in members(world).values()]


def test_late_and_repeated_words_of_members_change_nothing(world):
    submit(world)
    name, attempt = members(world)[0]
    form(world)
    break_off(world, 0, "died")
    world.feed(events.MemberReady(name, attempt, ("old", 1)))
    world.feed(events.MemberReady("worker-9", members(world)[0][1], ("forged", 1)))
    world.feed(events.AttemptFailed(name, attempt, Failure("member_lost", "late")))
    form(world)
    form(world) if not world.met else None
    for addresses in [world.met[attempt] for _, attempt in members(world).values()]:
        assert ("old", 1) not in addresses
        assert ("forged", 1) not in addresses


@pytest.mark.parametrize("seed", range(60))
def test_gangs_in_chaos_end_well_or_with_a_reason(seed):
    chance = random.Random(seed)
    world = loaded(World(), workers=chance.randint(1, 3), slots=2)
    restart = chance.choice(["all", "one"])
    submit(world, members=chance.randint(1, 3), restart=restart)
    submit(world, members=2, restart="one", job="gang-2")
    for _ in range(150):
        world.now += chance.random()
        pass_time(world, 0.0)
        _step(world, chance)
    while len(world.running) < 3:
        world.join(2)
    for _ in range(300):
        pass_time(world, 1.0)
        world.run_loads()
        for job in ("gang-1", "gang-2"):
            form(world, job)
            if world.scheduler.state.gangs.get(job) and _is_formed(world, job):
                end(world, min(members(world, job)), job)
    for job in ("gang-1", "gang-2"):
        assert world.ended[job].ok or world.ended[job].error


def _is_formed(world, job):
    return members(world, job) and all(a in world.met for _, a in members(world, job).values())


def _step(world, chance):
    dice, attempts = chance.random(), world.attempts()
    if dice < 0.1 and len(world.running) < 5:
        world.join(chance.randint(1, 2))
    elif dice < 0.15 and world.running:
        world.lose(chance.choice(list(world.running)))
    elif dice < 0.2 and attempts:
        world.fail(*chance.choice(attempts), chance.choice(["died", "member_lost"]))
    elif attempts:
        name, attempt = chance.choice(attempts)
        if attempt.stage != "gang":
            world.finish(name, attempt)
        elif attempt in world.met and chance.random() < 0.3:
            end(world, attempt.index, attempt.job)
        else:
            ready(world, attempt.index, attempt.job)
    _all_or_none(world)


def _all_or_none(world):
    for job in world.scheduler.state.gangs.values():
        tasks = job.map_stage.tasks
        if job.plan.restart == "all" and any(task.running for task in tasks):
            lost = [task for task in tasks if not task.running and task.winner is None]
            assert all(task.index in job.gang.mourning for task in lost)
        now = [attempt for task in tasks for attempt in task.running]
        assert len(now) == len({attempt.index for attempt in now}), "two members of one rank"


def test_lost_partitions_all_go_to_the_only_worker_that_no_gang_keeps_busy():
    """A share of them each would be even, and the gang would wait for the others for ever."""
    world = loaded(World(), workers=2)
    world.join()
    submit(world, restart="one")
    form(world)
    holds = {name: len(each.holds) for name, each in world.scheduler.state.workers.items()}
    holder = max(holds, key=holds.get)
    assert holds[holder] > PARTITIONS / 3
    world.lose(holder)
    world.join()
    world.run_loads()
    assert len(members(world)) == 3
