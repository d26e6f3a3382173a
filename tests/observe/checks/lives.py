"""Random lives of a job, told in healthy logs: whatever happens, the rules are kept.

This is a scheduler of forty lines that plans nothing and takes any step that is allowed, so it
comes to places where a good scheduler seldom goes.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.observe.checks.runs import Run

STEPS_MAX = 400


@dataclass
class Todo:
    name: str
    running: dict[int, str] = field(default_factory=dict)
    winner: tuple[int, str] | None = None
    failures: int = 0
    losses: int = 0
    number: int = 0

    @property
    def is_map(self) -> bool:
        return self.name.startswith("map")


class Life:
    """`run` holds the log so far; each step adds a few lines."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.run = Run(workers=2)
        self.workers = ["worker-1", "worker-2"]
        self.joined, self.epoch = 2, 0
        maps, reduces = self.chance.randint(1, 4), self.chance.randint(1, 3)
        self.run.submitted(maps, reduces)
        self.maps = [Todo(f"map-{index}") for index in range(maps)]
        self.reduces = [Todo(f"reduce-{index}") for index in range(reduces)]

    @property
    def tasks(self) -> list[Todo]:
        return [*self.maps, *self.reduces]

    @property
    def mapped(self) -> bool:
        return all(task.winner for task in self.maps)

    def live(self) -> Run:
        """To the job's end."""
        for _ in range(STEPS_MAX):
            if all(task.winner for task in self.reduces):
                break
            self.chance.choice(STEPS)(self)
        while not all(task.winner for task in self.reduces):
            self.join() if not self.workers else self.start()
            self.finish()
        self.end()
        return self.run

    def join(self) -> None:
        if len(self.workers) < 4:
            self.joined += 1
            self.workers.append(f"worker-{self.joined}")
            self.run.joined(self.workers[-1])

    def lose(self) -> None:
        if not self.workers:
            return
        lost = self.workers.pop(self.chance.randrange(len(self.workers)))
        self.run.lost(lost)
        for task in self.tasks:
            for number, worker in list(task.running.items()):
                if worker == lost:
                    self.run.lost_with_worker(task.name, lost, number)
                    del task.running[number]
                    task.losses += 1
        for task in self.maps:
            if task.winner and task.winner[1] == lost:
                self.lose_output(task, f"worker_lost {lost}")

    def lose_output(self, task: Todo, cause: str) -> None:
        assert task.winner
        number, worker = task.winner
        self.run.output_lost(task.name, worker, number, cause=cause)
        task.winner = None

    def start(self) -> None:
        tasks = self.tasks if self.mapped else self.maps
        free = [task for task in tasks if not (task.winner or task.running)]
        if free and self.workers:
            self.put(self.chance.choice(free))

    def back_up(self) -> None:
        tasks = self.tasks if self.mapped else self.maps
        alone = [task for task in tasks if len(task.running) == 1]
        if alone and self.workers:
            self.put(self.chance.choice(alone), backup=True)

    def put(self, task: Todo, **more: bool) -> None:
        if task.losses >= 19:
            return
        elsewhere = [each for each in self.workers if each not in task.running.values()]
        if not elsewhere:
            return
        worker = self.chance.choice(elsewhere)
        self.run.started(task.name, worker, task.number, **more)
        task.running[task.number] = worker
        task.number += 1

    def pick(self) -> tuple[Todo, int, str] | None:
        running = [(task, *each) for task in self.tasks for each in task.running.items()]
        return self.chance.choice(running) if running else None

    def finish(self) -> None:
        if not (picked := self.pick()):
            return
        task, number, worker = picked
        del task.running[number]
        self.cancel_all([task])
        if task.is_map:
            self.run.done(task.name, worker, number)
        else:
            total = 10 * len(self.maps)
            share = total // len(self.reduces)
            first = total - share * (len(self.reduces) - 1)
            pairs = first if task is self.reduces[0] else share
            self.run.done(task.name, worker, number, records_in=pairs)
            self.run.granted(task.name, worker, number)
        task.winner = (number, worker)

    def cancel_all(self, tasks: list[Todo]) -> None:
        for task in tasks:
            for number, worker in task.running.items():
                self.run.cancelled(task.name, worker, number)
            task.running.clear()

    def fail(self) -> None:
        picked = self.pick()
        if picked and picked[0].failures < 3:
            task, number, worker = picked
            del task.running[number]
            task.failures += 1
            self.run.failed(task.name, worker, number, reason=self.chance.choice(["user", "exit"]))

    def miss(self) -> None:
        """A reduce cannot fetch what a map made."""
        picked = self.pick()
        if picked and not picked[0].is_map and picked[0].losses < 19:
            task, number, worker = picked
            del task.running[number]
            task.losses += 1
            lost = self.chance.choice(self.maps)
            if lost.winner:
                self.lose_output(lost, f"fetch failed in {task.name}")
            self.run.failed(task.name, worker, number, reason="fetch", charged=False)

    def restart(self) -> None:
        """The coordinator crashes and comes back, and so do some of its workers."""
        if self.epoch == 2:
            return
        self.epoch += 1
        orphans = [(task, dict(task.running)) for task in self.tasks]
        self.run.restarted(self.epoch, workers=0)
        gone, self.workers = self.workers, []
        for task in self.tasks:
            task.running.clear()
            task.failures = task.losses = 0
            task.number = self.epoch * 1000
        for worker in gone:
            if self.chance.random() < 0.7:
                self.come_back(worker, orphans)
        holders = {task.winner[1] for task in self.maps if task.winner} - set(self.workers)
        for worker in sorted(holders):
            self.run.lost(worker)
            for task in self.maps:
                if task.winner and task.winner[1] == worker:
                    self.lose_output(task, f"worker_lost {worker}")

    def come_back(self, worker: str, orphans: list[tuple[Todo, dict[int, str]]]) -> None:
        self.run.joined(worker)
        self.run.tell("worker_returned", worker=worker, holds=1, running=1)
        self.workers.append(worker)
        for task, running in orphans:
            for number, runner in running.items():
                if runner == worker and not task.running and not task.winner:
                    self.run.attempt("attempt_adopted", task.name, worker, number)
                    task.running[number] = worker

    def end(self) -> None:
        self.cancel_all(self.tasks)
        self.run.publishing()
        if self.chance.random() < 0.3:
            self.run.restarted(self.epoch + 1, workers=0)
            self.run.publishing()
        self.run.published()
        self.run.job_done()


STEPS: tuple[Callable[[Life], None], ...] = (
    *[Life.start] * 5,
    *[Life.finish] * 3,
    Life.back_up,
    Life.join,
    Life.lose,
    Life.fail,
    Life.miss,
    Life.restart,
)
