"""A small world for the scheduler: workers that obey at once or when told, without any process.

It is the scheduler's only partner in these tests, and it checks at every step what must always
hold. A seeded random source decides what happens next, so a failure can be repeated.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

from minimr.scheduler import actions, events, journal, policy
from minimr.scheduler.recovery import durable, restore
from minimr.scheduler.scheduler import Scheduler
from minimr.scheduler.state import AttemptId, Failure, JobPlan, Output


def plan(job="job-1", maps=4, reduces=2, kind="job", source=None, publishes=True):
    if kind != "job":
        publishes = False
    return JobPlan(job, "test", kind, maps, 0 if kind == "load" else reduces, source, publishes)


@dataclass
class World:
    """Feeds events, keeps what the workers were told, and the end of each job."""

    inline: bool = False
    scheduler: Scheduler = field(default_factory=Scheduler)
    now: float = 0.0
    running: dict[str, list[AttemptId]] = field(default_factory=dict)
    assigned: dict[AttemptId, actions.Assign] = field(default_factory=dict)
    known: dict[str, dict[tuple[str, int], AttemptId]] = field(default_factory=dict)
    ended: dict[str, actions.JobEnded] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    records: list[actions.Record] = field(default_factory=list)
    forgotten: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    timers: list[actions.SetTimer] = field(default_factory=list)
    publishing: list[actions.Publish] = field(default_factory=list)
    joined: int = 0
    journaled: list[journal.Record] = field(default_factory=list)
    replayed: int = 0
    released: list[str] = field(default_factory=list)
    met: dict[AttemptId, list[tuple[str, int]]] = field(default_factory=dict)
    told_of_ends: list[tuple[int, int]] = field(default_factory=list)

    def feed(self, event):
        self.perform(self.scheduler.handle(event, self.now))
        self.check()

    def perform(self, todo):
        for action in todo:
            PERFORM[type(action)](self, action)

    def assign(self, action):
        assert action.worker in self.running, "work for a worker that is gone"
        assert action.attempt not in self.assigned, "an attempt was assigned twice"
        self.assigned[action.attempt] = action
        self.running[action.worker].append(action.attempt)
        for location in self.scheduler.locations(action.attempt.job, action.announce):
            key = (location.attempt.job, location.attempt.index)
            self.known[action.worker][key] = location.attempt

    def meet(self, action):
        assert action.attempt in self.running[action.worker], "addresses for nobody"
        assert action.attempt not in self.met, "it was introduced before"
        self.met[action.attempt] = list(action.addresses)

    def meet_again(self, action):
        assert action.attempt in self.running[action.worker], "an address for nobody"
        self.met[action.attempt][action.rank] = action.address

    def member_ended(self, action):
        assert action.attempt in self.running[action.worker], "news for nobody"
        self.told_of_ends.append((action.attempt.index, action.rank))

    def cancel_attempt(self, action):
        assert action.attempt in self.running[action.worker], "nothing to cancel: it kills a slot"
        self.running[action.worker].remove(action.attempt)

    def forget_job(self, action):
        self.forgotten.append((action.worker, action.job))

    def journal(self, action):
        self.journaled += action.records

    def release_worker(self, action):
        self.released.append(action.worker)

    def drop_worker(self, action):
        self.dropped.append(action.worker)
        self.running.pop(action.worker, None)

    def set_timer(self, action):
        self.timers.append(action)

    def publish(self, action):
        self.publishing.append(action)

    def job_ended(self, action):
        assert action.job not in self.ended, "a job ended twice"
        self.ended[action.job] = action

    def record(self, action):
        self.records.append(action)

    def join(self, slots=1):
        self.joined += 1
        name = f"worker-{self.joined}"
        self.running[name] = []
        self.known[name] = {}
        self.feed(events.WorkerJoined(name, slots, (name, 1)))
        return name

    def lose(self, name):
        self.running.pop(name)
        self.feed(events.ConnectionLost(name, "killed"))

    def finish(self, name, attempt):
        self.running[name].remove(attempt)
        self.feed(events.AttemptDone(name, attempt, self.output(attempt)))

    def fail(self, name, attempt, reason="user", position=None):
        self.running[name].remove(attempt)
        self.feed(events.AttemptFailed(name, attempt, Failure(reason, "it broke", position)))

    def output(self, attempt):
        stats = {"seconds": 1.0, "records_in": 1, "records_out": 1, "bytes_out": 10}
        counters = {"seen": 1}
        if attempt.stage == "reduce":
            part = {"name": f"part-{attempt.index}", "records": 1, "bytes": 10}
            return Output(None, stats, counters, part)
        partitions = self.scheduler.state.jobs[attempt.job].plan.reduces
        inline = tuple(f"{attempt}/{r}" for r in range(partitions)) if self.inline else None
        return Output(inline if attempt.stage == "map" else None, stats, counters)

    def publish_all(self):
        while self.publishing:
            action = self.publishing.pop()
            self.published.append(action.job)
            self.feed(events.Published(action.job))

    def attempts(self):
        return [(name, a) for name, attempts in self.running.items() for a in attempts]

    def run_to_end(self, steps_max=10_000):
        """Every attempt that runs finishes, oldest first, until nothing runs."""
        for _ in range(steps_max):
            self.publish_all()
            waiting = self.attempts()
            if not waiting:
                return
            self.finish(*waiting[0])
        raise AssertionError("the job does not end")

    def run_loads(self):
        """Partitions of datasets are made, until none is missing that could be made now."""
        while loads := [each for each in self.attempts() if each[1].stage == "load"]:
            self.finish(*loads[0])

    def announced(self, attempt):
        return self.scheduler.locations(attempt.job, self.assigned[attempt].announce)

    def named(self, event):
        return [record.fields for record in self.records if record.event == event]

    def check(self):
        """What must hold after every event."""
        state = self.scheduler.state
        if len(self.journaled) != self.replayed:
            self.replayed = len(self.journaled)
            heir, _ = restore(self.journaled, 0, self.now)
            assert durable(heir.state) == durable(state), "the journal lost a decision"
        for worker in state.workers.values():
            assert set(worker.attempts) == set(self.running[worker.name])
            counted = {(s.job.plan.job, s.kind): count for s, count in worker.stages.items()}
            others = [(a.job, a.stage) for a in worker.attempts if a.stage != "gang"]
            assert counted == Counter(others), "what a worker has is miscounted"
            assert worker.members == len(worker.attempts) - len(others)
        for job in state.jobs.values():
            tasks = [*job.map_stage.tasks, *(job.reduce_stage.tasks if job.reduce_stage else [])]
            assert job.running == sum(len(task.running) for task in tasks)
            assert job.map_stage.done == sum(
                task.winner is not None for task in job.map_stage.tasks
            )
            for task in tasks:
                assert {each.worker for each in task.running.values()} <= set(state.workers)
                assert task.losses <= policy.LOSSES_MAX
                assert task.failures <= policy.ATTEMPTS_MAX


PERFORM = {
    actions.Assign: World.assign,
    actions.Meet: World.meet,
    actions.MeetAgain: World.meet_again,
    actions.MemberEnded: World.member_ended,
    actions.CancelAttempt: World.cancel_attempt,
    actions.ForgetJob: World.forget_job,
    actions.DropWorker: World.drop_worker,
    actions.Journal: World.journal,
    actions.ReleaseWorker: World.release_worker,
    actions.SetTimer: World.set_timer,
    actions.Publish: World.publish,
    actions.JobEnded: World.job_ended,
    actions.Record: World.record,
}


def chaos(seed, steps=120):
    """Random faults for a while, then health: every job must end, and well unless it failed."""
    chance = random.Random(seed)
    world = World(inline=chance.random() < 0.3)
    plans = [plan("job-1", chance.randint(1, 6), chance.randint(1, 4))]
    if chance.random() < 0.5:
        partitions = chance.randint(1, 5)
        plans.append(plan("data-1", partitions, kind="load"))
        plans.append(plan("data-2", partitions, kind="load", source="data-1"))
        plans.append(plan("round-1", partitions, 1, kind="round", source="data-2"))
    for each in plans:
        world.feed(events.JobSubmitted(each))
    for _ in range(steps):
        if all(each.job in world.ended for each in plans):
            break
        world.now += chance.random()
        _step(world, chance)
    while not world.running:
        world.join(2)
    world.run_to_end()
    return world, plans


def _step(world, chance):
    attempts = world.attempts()
    dice = chance.random()
    if dice < 0.08 and len(world.running) < 5:
        world.join(chance.randint(1, 2))
    elif dice < 0.14 and world.running:
        world.lose(chance.choice(list(world.running)))
    elif dice < 0.2 and attempts:
        world.fail(*chance.choice(attempts), chance.choice(["user", "died"]))
    elif dice < 0.26:
        _miss(world, chance)
    elif dice < 0.3:
        world.publish_all()
    elif attempts:
        world.finish(*chance.choice(attempts))


def _miss(world, chance):
    """A running reducer reports that some of the outputs it was told of cannot be fetched."""
    reducers = [(n, a) for n, a in world.attempts() if a.stage == "reduce"]
    if not reducers:
        return
    name, attempt = chance.choice(reducers)
    told = [a for (job, _), a in world.known[name].items() if job == attempt.job]
    missing = tuple(each for each in told if chance.random() < 0.5)
    world.running[name].remove(attempt)
    world.feed(events.FetchFailed(name, attempt, missing, "no answer"))
