import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from minimr.observe.view import RECENT_EVENTS, ROUNDS_KEPT, View, fold
from tests.observe.story import Story


def view_of(story: Story) -> View:
    view = View()
    for event in story.events:
        fold(view, event)
    return view


def running(view: View) -> dict[str, list[str]]:
    """The tasks that each worker holds, by the worker's name."""
    return {
        worker.name: [task for _job, task, _attempt in worker.held]
        for worker in view.workers.values()
    }


def begun() -> Story:
    """Two workers; map-0 done, map-1 under way."""
    story = Story()
    story.joined("worker-1")
    story.joined("worker-2", slots=2)
    story.submitted(maps=3, reduces=2)
    story.started("map-0", "worker-1")
    story.started("map-1", "worker-2")
    story.done("map-0", "worker-1", records=10)
    return story


def test_a_run_under_way() -> None:
    view = view_of(begun())
    job = view.jobs["job-1"]
    maps, reduces = job.stages["map"], job.stages["reduce"]
    assert (job.name, job.state) == ("wordcount", "running")
    assert (maps.total, maps.done, maps.running) == (3, 1, 1)
    assert (maps.records_in, maps.records_out, maps.bytes_out) == (10, 20, 1000)
    assert (reduces.total, reduces.done, reduces.running) == (2, 0, 0)
    assert running(view) == {"worker-1": [], "worker-2": ["map-1"]}
    assert (view.workers["worker-1"].done, view.workers["worker-2"].slots) == (1, 2)


def test_time_is_the_latest_event_s_and_a_stage_counts_from_its_first_task() -> None:
    view = view_of(begun())
    job = view.jobs["job-1"]
    assert view.now_s == 0.5
    assert round(job.seconds(now_s=0.9), 6) == 0.7
    assert round(job.stages["map"].seconds(now_s=0.9), 6) == 0.6
    assert job.stages["reduce"].seconds(now_s=0.9) == 0.0


def test_a_finished_stage_and_a_finished_job_no_longer_age() -> None:
    story = Story()
    story.joined("worker-1")
    story.submitted(maps=1, reduces=0)
    story.started("map-0", "worker-1")
    story.done("map-0", "worker-1")
    story.job_done(lines=7)
    view = view_of(story)
    job = view.jobs["job-1"]
    assert round(job.stages["map"].seconds(now_s=99.0), 6) == 0.1
    assert round(job.seconds(now_s=99.0), 6) == 0.3
    assert (job.state, job.counters) == ("done", {"lines": 7})


def test_a_failure_is_kept_and_the_task_may_run_again() -> None:
    story = begun()
    story.failed("map-1", "worker-2", error="ValueError: no")
    story.started("map-1", "worker-1", attempt=1)
    view = view_of(story)
    [failure] = view.failures
    assert (failure.task, failure.worker, failure.error) == ("map-1", "worker-2", "ValueError: no")
    assert running(view) == {"worker-1": ["map-1"], "worker-2": []}
    task = view.jobs["job-1"].tasks["map-1"]
    assert (task.attempts, task.failures, task.done) == (2, 1, False)
    assert view.jobs["job-1"].failures == 1


def test_a_cancelled_attempt_is_no_failure() -> None:
    story = begun()
    story.failed("map-1", "worker-2", reason="cancelled", charged=False)
    view = view_of(story)
    assert not view.failures
    assert view.jobs["job-1"].failures == 0
    assert running(view)["worker-2"] == []


def test_the_first_of_two_attempts_to_finish_ends_the_other() -> None:
    story = begun()
    story.started("map-1", "worker-1", attempt=1)
    story.done("map-1", "worker-1", attempt=1)
    view = view_of(story)
    assert running(view) == {"worker-1": [], "worker-2": []}
    maps = view.jobs["job-1"].stages["map"]
    assert (maps.done, maps.running) == (2, 0)


def test_a_lost_worker_runs_nothing_and_its_outputs_are_made_again() -> None:
    story = begun()
    story.lost("worker-2", cause="no heartbeat for 5 s")
    story.failed("map-1", "worker-2", reason="worker_lost", charged=False)
    story.output_lost("map-0", "worker-1")
    view = view_of(story)
    worker = view.workers["worker-2"]
    assert (worker.lost, worker.cause, worker.held) == (True, "no heartbeat for 5 s", {})
    maps = view.jobs["job-1"].stages["map"]
    assert (maps.done, maps.running, maps.records_in, maps.bytes_out) == (0, 0, 0, 0)


def test_a_lost_worker_s_attempts_have_stopped_before_anything_is_said_of_them() -> None:
    story = begun()
    story.lost("worker-2")
    view = view_of(story)
    assert view.running == {}
    assert view.jobs["job-1"].stages["map"].running == 0


def test_a_finished_attempt_need_not_say_what_it_did() -> None:
    story = begun()
    done = {"task": "map-1", "stage": "map", "index": 1, "attempt": 0, "worker": "worker-2"}
    story.tell("attempt_done", job="job-1", **done)
    maps = view_of(story).jobs["job-1"].stages["map"]
    assert (maps.done, maps.records_in, maps.records_out, maps.bytes_out) == (2, 10, 20, 1000)


def test_recent_events_are_the_last_few_in_order() -> None:
    story = begun()
    for name in ("commit_granted", "commit_denied", "task_printed", "note"):
        story.tell(name, job="job-1")
    view = view_of(story)
    assert list(view.recent) == story.events
    for _ in range(RECENT_EVENTS):
        fold(view, story.events[-1])
    assert list(view.recent) == [story.events[-1]] * RECENT_EVENTS


def test_a_task_that_was_sent_ahead_waits_until_a_slot_is_free() -> None:
    story = Story()
    story.joined("worker-1", slots=2)
    story.submitted(maps=4, reduces=1)
    for number in range(4):
        story.started(f"map-{number}", "worker-1")
    view = view_of(story)

    def since() -> list[float | None]:
        return list(view.workers["worker-1"].held.values())

    assert since() == [0.2, 0.3, None, None]
    story.done("map-1", "worker-1")
    fold(view, story.events[-1])
    assert since() == [0.2, 0.6, None]
    story.failed("map-0", "worker-1")
    fold(view, story.events[-1])
    assert since() == [0.6, 0.7]


def test_the_loss_of_an_output_that_nobody_made_changes_nothing() -> None:
    story = begun()
    story.output_lost("map-2", "worker-1")
    maps = view_of(story).jobs["job-1"].stages["map"]
    assert (maps.done, maps.records_in) == (1, 10)


def test_a_job_that_fails_or_is_cancelled_runs_nothing_more() -> None:
    for ending, state in (
        (("job_failed", "too many"), "failed"),
        (("job_cancelled", ""), "cancelled"),
    ):
        story = begun()
        story.tell(ending[0], job="job-1", error=ending[1])
        view = view_of(story)
        job = view.jobs["job-1"]
        assert (job.state, job.error) == (state, ending[1])
        assert running(view) == {"worker-1": [], "worker-2": []}
        assert job.stages["map"].running == 0


def test_a_load_has_one_stage() -> None:
    story = Story()
    story.submitted(maps=8, reduces=0, kind="load")
    assert list(view_of(story).jobs["job-1"].stages) == ["load"]


def test_jobs_do_not_mix() -> None:
    story = begun()
    story.job = "job-2"
    story.submitted(maps=1, reduces=1)
    story.started("map-0", "worker-2")
    story.job_done()
    view = view_of(story)
    assert view.jobs["job-2"].stages["map"].running == 0
    assert view.jobs["job-1"].stages["map"].running == 1
    assert running(view)["worker-2"] == ["map-1"]


def test_rounds_are_counted_and_all_but_the_last_few_forgotten() -> None:
    story = Story()
    story.submitted(maps=2, reduces=0, kind="load")
    story.job_done()
    for number in range(ROUNDS_KEPT + 5):
        story.job = f"round-{number}"
        story.submitted(maps=2, reduces=1, kind="round")
        story.job_done()
    view = view_of(story)
    assert view.rounds_done == ROUNDS_KEPT + 5
    assert list(view.jobs) == ["job-1", *(f"round-{n}" for n in range(5, ROUNDS_KEPT + 5))]


def test_a_round_told_in_one_event_counts_like_any_other() -> None:
    view = view_of(begun())
    done = {"event": "round_done", "job": "round-1", "name": "Total", "maps": 2, "reduces": 1}
    assert fold(view, {"t": 1.0, "seconds": 0.002, **done})
    assert (view.rounds_done, list(view.jobs)) == (1, ["job-1"])


def test_unknown_events_change_nothing() -> None:
    view, other = view_of(begun()), view_of(begun())
    fold(view, {"t": 99.0, "event": "rebalance", "job": "job-1"})
    assert view == other


def test_a_worker_s_news_comes_once_for_each_job_that_is_watched() -> None:
    story = begun()
    for _ in range(2):
        story.joined("worker-2", slots=2)
    view = view_of(story)
    assert running(view)["worker-2"] == ["map-1"]
    assert [event["event"] for event in view.recent].count("worker_joined") == 2
    lost = {"t": 1.0, "event": "worker_lost", "worker": "worker-2", "cause": "gone"}
    assert [fold(view, lost), fold(view, lost)] == [True, False]
    assert [event["event"] for event in view.recent].count("worker_lost") == 1


def test_fold_says_whether_the_event_was_news() -> None:
    story = begun()
    view = View()
    assert all(fold(view, event) for event in story.events)
    assert not fold(view, {"t": 1.0, "event": "rebalance"})
    assert not fold(view, {"t": 1.0, "event": "worker_lost", "worker": "unheard-of"})


def test_events_about_a_job_from_before_the_log_began_are_no_error() -> None:
    story = Story("job-0")
    story.output_lost("map-0", "worker-1")
    story.joined("worker-1")
    story.started("map-0", "worker-1")
    story.done("map-0", "worker-1")
    story.failed("map-0", "worker-1")
    story.output_lost("map-0", "worker-1")
    story.lost("worker-9")
    story.job_done()
    assert view_of(story).jobs == {}


class RandomRun:
    """Plays a run at random, and knows at each moment what is true of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.story = Story()
        self.running: dict[tuple[str, int], str] = {}
        self.done: dict[str, tuple[str, int]] = {}
        self.workers: list[str] = []
        self.attempts: dict[str, int] = {}
        self.tasks = [f"map-{index}" for index in range(4)]
        self.story.submitted(maps=4, reduces=2)

    def step(self) -> None:
        self.random.choice([self.join, self.start, self.start, self.finish, self.fail, self.lose])()

    def join(self) -> None:
        worker = f"worker-{len(self.story.events)}"
        self.workers.append(worker)
        self.story.joined(worker)

    def start(self) -> None:
        open_tasks = [task for task in self.tasks if task not in self.done]
        if self.workers and open_tasks:
            task, worker = self.random.choice(open_tasks), self.random.choice(self.workers)
            number = self.attempts.get(task, 0)
            self.attempts[task] = number + 1
            self.running[task, number] = worker
            self.story.started(task, worker, number)

    def finish(self) -> None:
        if self.running:
            (task, number), worker = self.random.choice(list(self.running.items()))
            self.running = {key: where for key, where in self.running.items() if key[0] != task}
            self.done[task] = (worker, self.random.randrange(100))
            self.story.done(task, worker, number, records=self.done[task][1])

    def fail(self) -> None:
        if self.running:
            (task, number), worker = self.random.choice(list(self.running.items()))
            del self.running[task, number]
            self.story.failed(task, worker, number)

    def lose(self) -> None:
        if self.workers and self.random.random() < 0.3:
            worker = self.workers.pop(self.random.randrange(len(self.workers)))
            self.story.lost(worker)
            for task, number in [key for key, where in self.running.items() if where == worker]:
                del self.running[task, number]
                self.story.failed(task, worker, number, reason="worker_lost")
            for task in [task for task, (where, _records) in self.done.items() if where == worker]:
                del self.done[task]
                self.story.output_lost(task, worker)

    def truth(self) -> dict[str, Any]:
        return {
            "running": self.running,
            "done": sorted(self.done),
            "records": sum(records for _worker, records in self.done.values()),
            "alive": self.workers,
        }


def seen(view: View) -> dict[str, Any]:
    job = view.jobs["job-1"]
    stage = job.stages["map"]
    held = {
        (task, number): worker.name
        for worker in view.workers.values()
        for _job, task, number in worker.held
    }
    assert stage.running == len(held) == sum(len(task.running) for task in job.tasks.values())
    done = sorted(task.name for task in job.tasks.values() if task.done)
    assert stage.done == len(done)
    return {
        "running": held,
        "done": done,
        "records": stage.records_in,
        "alive": [worker.name for worker in view.workers.values() if not worker.lost],
    }


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 60))
def test_whatever_happens_the_view_is_the_truth(seed: int, steps: int) -> None:
    run, view, folded = RandomRun(seed), View(), 0
    for _ in range(steps):
        run.step()
        for event in run.story.events[folded:]:
            fold(view, event)
        folded = len(run.story.events)
        assert seen(view) == run.truth()


def test_the_hot_keys_of_a_lost_output_do_not_count() -> None:
    story = Story()
    story.submitted(maps=2, reduces=1)
    story.done("map-0", "worker-1", records=500, hot=[{"key": "'the'", "pairs": 250}])
    story.done("map-1", "worker-1", records=500, hot=[{"key": "'of'", "pairs": 250}])
    story.output_lost("map-0", "worker-1")
    assert view_of(story).jobs[story.job].hot_keys() == [("'of'", 0.25)]
