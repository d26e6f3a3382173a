"""Many seeds, one after the other or in several processes, and what they had in common.

"Sometimes" assertions: a fault that never struck tests nothing. So a sweep counts which failure
classes really occurred, by what the event logs say, and a long sweep in which one never did has
failed, however green its runs are.
"""

import os
import shlex
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, parent_process
from tempfile import TemporaryDirectory
from typing import Any

from minimr.errors import MinimrError
from minimr.simulator.computation import Computation
from minimr.simulator.faults import KINDS
from minimr.simulator.gang_worlds import Dataset, gang_faults, gang_plan
from minimr.simulator.jobs import JobChoice, code_of
from minimr.simulator.run import Outcome, WorldPlan, simulate
from minimr.simulator.schedule import plan_for, schedule

CHUNK = 50
TWICE_ONE_IN = 100


@dataclass(frozen=True, slots=True)
class Sweep:
    """Which runs to make. `workers`, `kinds` and `job` overrule what a seed draws; `gang` asks for
    the worlds in which a gang works instead of a job. Of the seeds, one in `twice_one_in` is run
    twice: the same seed must give the same log."""

    first: int
    last: int
    mode: str = "safety"
    workers: int | None = None
    kinds: tuple[str, ...] | None = None
    job: JobChoice | None = None
    gang: bool = False
    twice_one_in: int = TWICE_ONE_IN


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed whose run broke a promise, and how."""

    seed: int
    violations: tuple[str, ...]


@dataclass
class Tally:
    """What a sweep saw. `seconds` are real ones."""

    seeds: int = 0
    events: int = 0
    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.events += other.events
        self.ended += other.ended
        self.classes += other.classes
        self.failures += other.failures

    def never(self) -> list[str]:
        """The failure classes that did not occur in any run."""
        return [name for name in CLASSES if not self.classes[name]]


CLASSES: dict[str, str] = {
    **{f"fault {kind}": f"{described.text}" for kind, described in KINDS.items() if kind != "heal"},
    "attempt failed: user": "user code raised",
    "attempt failed: died": "a slot died",
    "attempt failed: stuck": "an attempt made no progress",
    "attempt failed: disk_full": "a disk was full",
    "attempt failed: fetch": "a reducer missed a map output",
    "attempt failed: worker_lost": "an attempt was lost with its worker",
    "worker lost: connection": "a connection ended",
    "worker lost: lease": "a lease ran out",
    "worker_returned": "a worker came back to a restarted coordinator",
    "worker_excluded": "a worker was excluded",
    "worker_released": "a worker that was asked to leave went in peace",
    "attempt_adopted": "an attempt ran through a restart",
    "output_lost": "a map output was lost and made again",
    "backup started": "a backup attempt was started",
    "backup won": "a backup attempt was first",
    "commit_denied": "a second attempt asked to commit and was refused",
    "stale_message": "a message of a worker that was given up was ignored",
    "coordinator_started": "a coordinator went on from its journal",
    "record skipped": "a bad record was skipped",
    "job failed": "a job failed with a reason",
    "job cancelled": "a job was cancelled",
}
"""The classes that a sweep must have seen, with what they mean."""


def sweep(wanted: Sweep, processes: int = 1) -> Tally:
    """Run every seed of `wanted`. Raises MinimrError if one of the processes dies."""
    started = time.perf_counter()
    total = Tally()
    for tally in _tallies(list(_chunks(wanted)), processes):
        total.add(tally)
    total.seconds = time.perf_counter() - started
    return total


def _tallies(chunks: list[Sweep], processes: int) -> Iterator[Tally]:
    if processes == 1 or len(chunks) == 1:
        yield from map(run_all, chunks)
        return
    # A fresh interpreter owes nothing to what this one has imported or started. Should one die,
    # the directory that holds what it left is ours.
    with (
        TemporaryDirectory(prefix="minimr-sim-") as home,
        ProcessPoolExecutor(processes, get_context("spawn"), _begin, (home,)) as pool,
    ):
        try:
            with _interrupts_held():  # The processes that begin here hold them for ever.
                tallies = pool.map(run_all, chunks)
            yield from tallies
        except BrokenProcessPool:
            raise MinimrError(
                "A process that ran seeds died, killed or unable to start; run them with "
                "--processes 1 to see why"
            ) from None


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal. This one ends the others; those that ended by
    themselves would break the pool, which then tells of it in tracebacks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(home: str) -> None:
    tempfile.tempdir = home
    threading.Thread(target=_end_with_parent, args=(home,), daemon=True).start()


def _end_with_parent(home: str) -> None:
    """The pool ends its processes; a parent that is killed cannot, and they would wait for ever.
    Nor can it remove their directory."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    shutil.rmtree(home, ignore_errors=True)
    os._exit(1)


def _chunks(wanted: Sweep) -> Iterator[Sweep]:
    for first in range(wanted.first, wanted.last + 1, CHUNK):
        last = min(first + CHUNK - 1, wanted.last)
        yield replace(wanted, first=first, last=last)


def run_all(wanted: Sweep) -> Tally:
    """Run the seeds of one chunk in this process."""
    tally = Tally()
    for seed in range(wanted.first, wanted.last + 1):
        outcome = run_seed(wanted, seed)
        violations = list(outcome.violations)
        twice = seed % wanted.twice_one_in == 0
        if twice and run_seed(wanted, seed).log_hash != outcome.log_hash:
            violations.append("the same seed gave two different event logs")
        tally.seeds += 1
        tally.events += outcome.events
        tally.ended["ok" if outcome.ok else outcome.error.partition(":")[0]] += 1
        tally.classes.update(set(classes_of(outcome.log)))
        if violations:
            tally.failures.append(Failure(seed, tuple(violations)))
    return tally


def run_seed(wanted: Sweep, seed: int) -> Outcome:
    """One run, as the sweep wants it."""
    plan, code = world_of(wanted, seed)
    draw = gang_faults if wanted.gang else schedule
    faults = draw(seed, plan, wanted.kinds, wanted.mode)
    return simulate(seed, plan=plan, faults=faults, computation=code, mode=wanted.mode)


def world_of(wanted: Sweep, seed: int) -> tuple[WorldPlan, Computation | None]:
    """The size of a seed's world, and the code of its job if somebody named one."""
    if wanted.gang:
        plan = gang_plan(seed, wanted.workers)
        return plan, Dataset(plan.maps)
    plan = plan_for(seed, wanted.workers)
    if wanted.job is None:
        return plan, None
    code = code_of(wanted.job, plan.maps, plan.reduces, plan.skip_max)
    return replace(plan, maps=code.maps), code


def classes_of(log: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The failure classes that this log shows."""
    backups = set()
    for line in log:
        event = line["event"]
        if event == "attempt_started" and line.get("backup"):
            backups.add((line["task"], line["attempt"]))
            yield "backup started"
        elif event == "attempt_done" and (line["task"], line["attempt"]) in backups:
            yield "backup won"
        elif event == "job_done" and line.get("skipped"):
            yield "record skipped"
        elif event in NAMED:
            yield NAMED[event].format(**line)
        elif event == "worker_lost":
            yield "worker lost: " + ("lease" if "heartbeat" in line["cause"] else "connection")
        else:
            yield event


NAMED = {
    "fault": "fault {kind}",
    "attempt_failed": "attempt failed: {reason}",
    "job_failed": "job failed",
    "job_cancelled": "job cancelled",
}


def replay_line(wanted: Sweep, seed: int) -> str:
    """The command that repeats one run."""
    words = ["minimr sim gang" if wanted.gang else "minimr sim"]
    if wanted.job is not None:
        words += [shlex.quote(each) for each in (wanted.job.reference, *wanted.job.inputs)]
    words.append(f"--seed {seed}")
    if wanted.mode != "safety":
        words.append(f"--mode {wanted.mode}")
    if wanted.workers is not None:
        words.append(f"--workers {wanted.workers}")
    if wanted.kinds is not None:
        words.append(f"--faults {','.join(wanted.kinds) or 'none'}")
    if wanted.job is not None and wanted.job.options:
        words.append("-- " + " ".join(_option(*option) for option in wanted.job.options))
    return " ".join(words)


def _option(name: str, value: Any) -> str:
    return f"--{name.replace('_', '-')}={shlex.quote(str(value))}"
