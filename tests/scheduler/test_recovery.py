"""A coordinator that was killed: its successor knows what was decided, and nothing else."""

import pytest

from minimr.errors import BadRecord
from minimr.scheduler import events, policy
from minimr.scheduler.journal import Committed, from_plain, to_plain
from minimr.scheduler.recovery import durable, restore
from minimr.scheduler.workers import may_return
from tests.scheduler.world import World, plan


def crashed(until, **fields):
    """A world whose coordinator died after `until` attempts were done."""
    world = World()
    for _ in range(2):
        world.join()
    world.feed(events.JobSubmitted(plan(**fields)))
    for _ in range(until):
        world.finish(*world.attempts()[0])
    return world


def successor(world):
    """The next coordinator, told by the journal; the workers have not come back yet."""
    heir = World(journaled=list(world.journaled), joined=world.joined, now=world.now)
    heir.scheduler, actions = restore(
        [from_plain(to_plain(each)) for each in world.journaled], 1, world.now
    )
    heir.perform(actions)
    return heir


def come_back(heir, world, name, keeping=True):
    holds = [task.winner for task in world.scheduler.state.jobs["job-1"].map_stage.tasks]
    held = tuple(a for a in holds if a and keeping)
    running = tuple(world.running[name])
    heir.running[name], heir.known[name] = [*running], {}
    heir.feed(events.WorkerJoined(name, 1, (name, 1), held, running))


def test_finished_work_is_not_done_again():
    world = crashed(5, maps=4, reduces=4)
    heir = successor(world)
    for name in ("worker-1", "worker-2"):
        come_back(heir, world, name)
    heir.run_to_end()
    assert heir.ended["job-1"].ok
    assert [a.task for a in heir.assigned] == ["reduce-3"]
    assert heir.ended["job-1"].counters == {"seen": 8}


def test_what_still_runs_is_adopted_and_not_started_again():
    world = crashed(1, maps=3, reduces=1)
    heir = successor(world)
    for name in ("worker-1", "worker-2"):
        come_back(heir, world, name)
    assert len(heir.named("attempt_adopted")) == 2
    assert [a for a in heir.assigned if a.stage == "map"] == []
    heir.run_to_end()
    assert heir.ended["job-1"].ok


def test_who_does_not_come_back_in_time_is_lost_with_its_outputs():
    world = crashed(4, maps=4, reduces=1)
    heir = successor(world)
    heir.join()
    heir.now += policy.RETURN_S
    heir.feed(events.ReturnTimer())
    assert {each["cause"] for each in heir.named("output_lost")} <= {
        "worker_lost worker-1",
        "worker_lost worker-2",
    }
    heir.run_to_end()
    assert heir.ended["job-1"].ok


def test_an_output_that_a_worker_no_longer_holds_is_made_again():
    world = crashed(4, maps=4, reduces=1)
    heir = successor(world)
    for name in ("worker-1", "worker-2"):
        come_back(heir, world, name, keeping=False)
    assert len(heir.named("output_lost")) == 4
    heir.run_to_end()
    assert heir.ended["job-1"].ok


def test_attempts_of_two_epochs_never_share_a_name():
    world = crashed(1, maps=3, reduces=1)
    heir = successor(world)
    heir.join()
    assert not set(heir.assigned) & set(world.assigned)


def test_a_crash_in_the_middle_of_publishing_publishes_again():
    world = crashed(0, maps=1, reduces=1)
    while not world.publishing:
        world.finish(*world.attempts()[0])
    heir = successor(world)
    assert len(heir.publishing) == 1
    heir.publish_all()
    assert heir.ended["job-1"].ok


def test_an_end_that_the_client_may_not_have_heard_of_is_told_again():
    world = crashed(0, maps=1, reduces=1)
    world.run_to_end()
    heir = successor(world)
    assert heir.ended["job-1"].ok
    assert heir.ended["job-1"].parts == world.ended["job-1"].parts


def test_at_every_prefix_the_job_ends_well():
    world = crashed(0, maps=3, reduces=2)
    world.run_to_end()
    for length in range(1, len(world.journaled) + 1):
        cut = World(journaled=world.journaled[:length])
        heir = successor(cut)
        heir.join(2)
        heir.now += policy.RETURN_S
        heir.feed(events.ReturnTimer())
        heir.run_to_end()
        assert heir.ended["job-1"].ok, length
        assert heir.ended["job-1"].counters == {"seen": 5}, length


def test_a_name_returns_once_and_only_in_time():
    heir = successor(crashed(1, maps=2))
    state = heir.scheduler.state
    assert may_return(state, "worker-1", heir.now)
    heir.running["worker-1"], heir.known["worker-1"] = [], {}
    heir.feed(events.WorkerJoined("worker-1", 1, ("worker-1", 1)))
    assert not may_return(state, "worker-1", heir.now)
    assert not may_return(state, "worker-2", heir.now + policy.RETURN_S)


def test_records_that_cannot_follow_each_other_are_refused():
    world = crashed(0, maps=1, reduces=1)
    world.run_to_end()
    commit = next(each for each in world.journaled if isinstance(each, Committed))
    with pytest.raises(BadRecord, match="record 3 of the journal"):
        restore([*world.journaled[:3], commit], 1, 0.0)
    with pytest.raises(BadRecord, match="record 0"):
        restore([commit], 1, 0.0)


@pytest.mark.parametrize(
    "damage", [[], None, ["Nothing"], ["JobClosed", 1], ["JobAccepted", {}, 1]]
)
def test_records_that_nobody_wrote_are_refused(damage):
    with pytest.raises(BadRecord, match="does not know"):
        from_plain(damage)


def test_the_journal_tells_the_durable_state():
    world = crashed(4, maps=3, reduces=3)
    replayed, _ = restore(world.journaled, 0, 0.0)
    assert durable(replayed.state) == durable(world.scheduler.state)
    assert durable(world.scheduler.state)["job-1"]["state"] == "running"
