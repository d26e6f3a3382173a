"""Whom the scheduler believes when reducers cannot fetch: holders at once, reducers by and by."""

from itertools import pairwise

from minimr.scheduler import events, policy
from tests.scheduler.world import World, plan


def mapped(workers=3, **fields):
    """A job whose maps are all done, one on each worker in turn."""
    world = World()
    for _ in range(workers):
        world.join()
    world.feed(events.JobSubmitted(plan(**{"maps": 1, "reduces": 1, **fields})))
    while maps(world):
        world.finish(*maps(world)[0])
    return world


def maps(world):
    return [(name, a) for name, a in world.attempts() if a.stage == "map"]


def reducers(world):
    return [(name, a) for name, a in world.attempts() if a.stage == "reduce"]


def outputs(world, but=""):
    """The map outputs that a worker finds elsewhere, by the scheduler's book."""
    tasks = world.scheduler.state.jobs["job-1"].map_stage.tasks
    return [task.winner for task in tasks if task.worker != but]


def miss(world, name, reducer, unreached, gone=()):
    world.running[name].remove(reducer)
    world.feed(events.FetchFailed(name, reducer, tuple(gone), "no answer", tuple(unreached)))


def pause(world):
    """The pause of the only reduce task is over."""
    timers = [each for each in world.timers if isinstance(each.timer, events.RetryTimer)]
    world.now = max(world.now, timers[-1].at)
    world.feed(timers[-1].timer)


def holder_of(world, output):
    return world.scheduler.state.jobs["job-1"].task(output).worker


def reducer_elsewhere(world, holder):
    """Let the reduce task move to a worker that does not hold the output."""
    name, reducer = reducers(world)[0]
    if name == holder:
        world.fail(name, reducer, "died")
        name, reducer = reducers(world)[0]
    return name, reducer


def test_one_witness_does_not_make_a_map_run_again():
    world = mapped()
    (made,) = outputs(world)
    name, reducer = reducer_elsewhere(world, holder_of(world, made))
    miss(world, name, reducer, [made])
    assert world.named("output_lost") == []
    assert world.attempts() == []
    pause(world)
    assert reducers(world)[0][0] != name
    world.run_to_end()
    assert world.ended["job-1"].ok
    assert world.named("output_lost") == []


def test_two_witnesses_do_and_off_that_host():
    world = mapped()
    (made,) = outputs(world)
    holder = holder_of(world, made)
    name, reducer = reducer_elsewhere(world, holder)
    miss(world, name, reducer, [made])
    world.scheduler.state.workers[holder].slots = 0  # So that the third worker gets the retry.
    pause(world)
    second, again = reducers(world)[0]
    assert second not in (name, holder)
    world.scheduler.state.workers[holder].slots = 1
    miss(world, second, again, [made])
    assert [each["task"] for each in world.named("output_lost")] == ["map-0"]
    assert maps(world)[0][0] != holder
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_two_reducers_of_one_worker_are_one_witness():
    world = World()
    for slots in (1, 2):
        world.join(slots)
    world.feed(events.JobSubmitted(plan(maps=3, reduces=3)))
    while maps(world):
        world.finish(*maps(world)[0])
    there = outputs(world, but="worker-2")
    for reducer in list(world.running["worker-2"]):
        miss(world, "worker-2", reducer, there)
    assert world.named("output_lost") == []


def test_one_witness_does_after_a_time():
    world = mapped(workers=2)
    (made,) = outputs(world)
    holder = holder_of(world, made)
    world.scheduler.state.workers[holder].draining = True  # It holds, and runs nothing more.
    name, reducer = reducer_elsewhere(world, holder)
    began = world.now
    while not world.named("output_lost"):
        miss(world, name, reducer, [made])
        if not world.named("output_lost"):
            pause(world)
            name, reducer = reducers(world)[0]
            assert name != holder
    assert policy.UNREACHED_MAX_S <= world.now - began <= 2 * policy.UNREACHED_MAX_S
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_what_its_holder_says_is_gone_is_made_again_at_once():
    world = mapped()
    (made,) = outputs(world)
    name, reducer = reducers(world)[0]
    miss(world, name, reducer, [], gone=[made])
    assert len(world.named("output_lost")) == 1
    assert len(maps(world)) == 1


def test_pauses_grow_to_a_limit():
    pauses = [policy.fetch_pause_s(missed) for missed in range(1, 30)]
    assert pauses[0] == policy.FETCH_PAUSE_FIRST_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == policy.FETCH_PAUSE_MAX_S


def test_a_reducer_that_succeeds_takes_its_workers_word_back():
    """An hour later, one more failure is the first again."""
    world = mapped(workers=2)
    (made,) = outputs(world)
    holder = holder_of(world, made)
    world.scheduler.state.workers[holder].draining = True
    name, reducer = reducer_elsewhere(world, holder)
    miss(world, name, reducer, [made])
    job = world.scheduler.state.jobs["job-1"]
    assert job.unreached == {holder: {name: 0.0}}
    pause(world)
    world.finish(*reducers(world)[0])
    assert job.unreached == {holder: {}}


def test_a_complaint_while_maps_run_again_is_no_evidence():
    world = mapped(workers=2, maps=2, reduces=2)
    (one, first), (two, second) = reducers(world)
    miss(world, one, first, [], gone=outputs(world, but=one))
    before = len(world.named("output_lost"))
    miss(world, two, second, outputs(world, but=two))
    assert len(world.named("output_lost")) == before
    assert world.scheduler.state.jobs["job-1"].unreached == {}


def test_two_halves_that_do_not_reach_each_other_end_the_job():
    """Each misses what the other holds, again and again; the fetches themselves take no time."""
    world = mapped(workers=4, maps=4, reduces=4)
    halves = {"worker-1": 0, "worker-2": 0, "worker-3": 1, "worker-4": 1}
    for _ in range(1000):
        if "job-1" in world.ended:
            break
        world.publish_all()
        if maps(world):
            world.finish(*maps(world)[0])
        elif reducers(world):
            name, reducer = reducers(world)[-1]
            job = world.scheduler.state.jobs["job-1"]
            far = [
                attempt
                for attempt in world.known[name].values()
                if (task := job.task(attempt)).winner == attempt
                and halves[task.worker] != halves[name]
            ]
            if far:
                miss(world, name, reducer, far)
            else:
                world.finish(name, reducer)
        else:
            waiting = [e for e in world.timers if isinstance(e.timer, events.RetryTimer)]
            for each in waiting:
                world.timers.remove(each)
                world.now = max(world.now, each.at)
                world.feed(each.timer)
    assert world.ended["job-1"].ok
    assert len(world.named("output_lost")) <= 12


def test_whoever_never_reaches_anything_fails_the_job_with_the_last_words():
    world = mapped(workers=1)
    for _ in range(policy.LOSSES_MAX):
        (made,) = outputs(world)
        miss(world, *reducers(world)[0], [made])
        while maps(world):
            world.finish(*maps(world)[0])
        if not reducers(world) and "job-1" not in world.ended:
            pause(world)
    assert not world.ended["job-1"].ok
    assert "workers can reach each other" in world.ended["job-1"].error
    assert "no answer" in world.ended["job-1"].error
    assert world.named("attempt_failed")[-1]["charged"] is False


def test_a_backup_that_reaches_nothing_pauses_longer_every_time():
    """It has nowhere else to go: the only other worker leaves when it is done with its rival."""
    world = mapped(workers=2, maps=2, reduces=2)
    world.finish(*reducers(world)[0])
    (leaving, late), *_ = reducers(world)
    world.feed(events.WorkerDraining(leaving))
    times = []
    while len(times) < 6:
        watch = [e for e in world.timers if e.timer == events.BackupTimer("job-1", "reduce")][-1]
        world.now = max(world.now, watch.at)
        world.feed(watch.timer)
        for name, attempt in reducers(world):
            if attempt != late:
                times.append(world.now)
                miss(world, name, attempt, outputs(world, but=name))
    pauses = [later - earlier for earlier, later in pairwise(times)]
    looked_s = policy.backup_after_s(1.0)
    assert pauses == [max(looked_s, policy.fetch_pause_s(missed)) for missed in range(1, 6)]
    assert pauses[-1] > pauses[-2] > looked_s
    world.finish(leaving, late)
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_two_pauses_of_a_task_queue_it_once():
    world = mapped()
    (made,) = outputs(world)
    name, reducer = reducer_elsewhere(world, holder_of(world, made))
    miss(world, name, reducer, [made])
    for worker in world.scheduler.state.workers.values():
        worker.slots = 0
    pause(world)
    pause(world)
    world.join(slots=2)
    assert len(reducers(world)) == 1
    world.run_to_end()
    assert world.ended["job-1"].ok


def test_the_end_of_a_pause_is_nothing_to_a_job_that_is_over():
    world = mapped()
    (made,) = outputs(world)
    name, reducer = reducer_elsewhere(world, holder_of(world, made))
    miss(world, name, reducer, [made])
    world.feed(events.CancelRequested("job-1"))
    pause(world)
    assert world.attempts() == []
