"""Which workers a log that starts late is told of."""

from minimr.cluster.workers_now import workers_joined
from minimr.scheduler import events
from tests.scheduler.world import World, plan


def names(world):
    return [each["worker"] for each in workers_joined(world.scheduler.state, 0.0)]


def test_a_worker_that_was_released_is_no_news_until_it_hangs_up():
    """The log may have heard of its release already, and its name does not come back."""
    world = World()
    for _ in range(2):
        world.join(slots=1)
    first, second = names(world)
    world.feed(events.WorkerDraining(first))
    assert world.released == [first]
    assert names(world) == [second]


def test_a_worker_that_leaves_and_is_still_needed_is_named():
    world = World()
    for _ in range(2):
        world.join(slots=1)
    world.feed(events.JobSubmitted(plan(maps=2)))
    first, second = names(world)
    world.feed(events.WorkerDraining(first))
    assert world.released == []
    assert names(world) == [first, second]
