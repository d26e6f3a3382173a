"""What is sent ahead waits behind short attempts only, whatever stage or job these are of."""

import pytest

from minimr.scheduler import events, policy
from tests.scheduler.test_gangs import gang
from tests.scheduler.world import World, plan

SHORT_S = policy.SHORT_TASK_S / 2
MEDIUM_S = policy.LONG_TASK_S / 2
LONG_S = policy.LONG_TASK_S * 2


def started(*slots, **fields):
    """A worker for each number of slots, and a job."""
    world = World()
    for each in slots:
        world.join(each)
    world.feed(events.JobSubmitted(plan(**fields)))
    return world


def end(world, name, attempt, seconds=SHORT_S):
    output = world.output(attempt)
    output.stats["seconds"] = seconds
    world.running[name].remove(attempt)
    world.feed(events.AttemptDone(name, attempt, output))


def end_maps(world):
    while maps := [each for each in world.attempts() if each[1].stage == "map"]:
        end(world, *maps[0])


def held(world, name):
    """What a worker has, as the names of tasks and their jobs."""
    return [f"{attempt.job} {attempt.task}" for attempt in world.running[name]]


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "long"])
def test_a_lost_map_does_not_wait_behind_a_reduce_while_another_worker_becomes_idle(known):
    """Maps are short here, and so this one would wait until the reduce is over, which may be in an
    hour. Nothing would help it: who has not started gets no backup."""
    world = started(1, 1, 1, maps=3, reduces=4)
    end_maps(world)
    if known:
        end(world, "worker-1", world.running["worker-1"][0], LONG_S)
    busy = held(world, "worker-1")
    world.lose("worker-3")
    assert held(world, "worker-1") == busy
    end(world, "worker-2", world.running["worker-2"][0])
    assert held(world, "worker-2") == ["job-1 map-2"]


def test_nothing_waits_where_one_attempt_of_two_is_long():
    """Behind which of them it would wait is for the worker to say."""
    world = started(2, maps=1, reduces=1)
    end_maps(world)
    world.feed(events.JobSubmitted(plan("job-2", maps=100)))
    for index in range(3):
        assert held(world, "worker-1") == ["job-1 reduce-0", f"job-2 map-{index}"]
        end(world, "worker-1", world.running["worker-1"][1])


def test_short_tasks_of_one_job_do_not_wait_behind_a_long_one_of_another():
    world = started(1, 1, 1, maps=1, reduces=1)
    world.feed(events.JobSubmitted(plan("job-2", maps=100)))
    for name in ("worker-2", "worker-3"):
        end(world, name, world.running[name][0])
    assert len(world.running["worker-2"]) == 16
    world.lose("worker-3")  # Now all others are asked whether they have room.
    assert held(world, "worker-1") == ["job-1 map-0"]


def test_nor_does_what_may_be_long_wait_behind_short_ones():
    """It would hold up those that are sent after it."""
    world = started(1, maps=100)
    end(world, "worker-1", world.running["worker-1"][0])
    world.feed(events.JobSubmitted(plan("job-2", maps=1)))
    end(world, "worker-1", world.running["worker-1"][0])
    assert {each.job for each in world.running["worker-1"]} == {"job-1"}


def test_short_tasks_are_not_sent_as_far_ahead_beside_longer_ones():
    world = started(2, maps=3)
    world.feed(events.JobSubmitted(plan("job-2", maps=100)))
    end(world, "worker-1", world.running["worker-1"][0], MEDIUM_S)
    end(world, "worker-1", next(each for each in world.running["worker-1"] if each.job == "job-2"))
    assert {each.job for each in world.running["worker-1"]} == {"job-1", "job-2"}
    assert len(world.running["worker-1"]) == 2 * 2


def test_nothing_more_waits_behind_one_that_takes_much_longer_than_the_others_did():
    world = started(2, maps=100)
    late, *_ = world.running["worker-1"]
    end(world, "worker-1", world.running["worker-1"][1])
    before = len(world.running["worker-1"])
    assert before == 2 * 16
    world.now += policy.LONG_TASK_S * 1.1
    while (count := len(world.running["worker-1"])) > 2:
        end(world, "worker-1", world.running["worker-1"][1])
        assert len(world.running["worker-1"]) == max(count - 1, 2)
    end(world, "worker-1", late)
    assert len(world.running["worker-1"]) == 2 * 16


def test_nothing_is_sent_behind_the_tasks_of_a_round_that_wait_already():
    """They go where their data is, however many wait there, and nobody knows how long they are."""
    world = started(1, job="data-1", maps=3, kind="load")
    world.run_to_end()
    world.feed(events.JobSubmitted(plan(maps=100)))
    end(world, "worker-1", world.running["worker-1"][0])
    assert len(world.running["worker-1"]) == 16
    world.feed(events.JobSubmitted(plan("round-1", 3, 1, "round", "data-1")))
    assert len(world.running["worker-1"]) == 16 + 3
    for _ in range(16):
        end(world, "worker-1", world.running["worker-1"][0])
    assert held(world, "worker-1") == [f"round-1 map-{index}" for index in range(3)]


def test_a_member_of_a_gang_may_take_as_long_as_it_likes():
    """Nothing waits behind it: what is sent ahead waits in the other slots."""
    world = started(2, job="data-1", maps=2, kind="load")
    world.run_to_end()
    world.feed(events.JobSubmitted(gang(1)))
    world.now += LONG_S
    world.feed(events.JobSubmitted(plan(maps=100)))
    end(world, "worker-1", world.running["worker-1"][1])
    assert len(world.running["worker-1"]) == 1 + 16
