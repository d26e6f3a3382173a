"""The experiments of the paper as simulated runs (Dean and Ghemawat, OSDI 2004, section 5).

Both programs read 10^10 records of 100 bytes, a terabyte, in splits of about 64 MB. *Grep* looks
for a rare pattern: all input, next to no output. *Sort* moves every byte three times: input,
shuffle, output. The sort runs as it is (5.3), without backup tasks (5.4), and with 200 of its
1,746 worker processes killed a few minutes after it began (5.5).

The scheduler is the real one; `cost` says how long work takes. The times that come out are to be
held against the paper's. Where the two systems differ: reducers of the paper fetch while maps still
run, ours start when the last map is done, so the first hump of the shuffle begins later here.
"""

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

from minimr.simulator import figure
from minimr.simulator.cost import PaperCosts, Workload
from minimr.simulator.faults import Fault
from minimr.simulator.run import Outcome, WorldPlan, simulate

TERABYTE: Final = 10**10 * 100
MAPS: Final = 15_000
SPLIT_BYTES: Final = TERABYTE // MAPS
REDUCES: Final = 4_000
MATCHES: Final = 92_337
"""Section 5.2: records with the pattern, 100 bytes each."""

SORT: Final = Workload(MAPS, REDUCES, SPLIT_BYTES, SPLIT_BYTES, TERABYTE // REDUCES, MAPS)
GREP: Final = Workload(MAPS, 1, SPLIT_BYTES, MATCHES * 100 // MAPS, MATCHES * 100, MAPS)
LARGEST: Final = Workload(
    200_000, 5_000, SPLIT_BYTES, SPLIT_BYTES, 200_000 * SPLIT_BYTES // 5_000, 200_000
)
"""Section 3.5: many jobs have 200,000 map tasks and 5,000 reduce tasks on 2,000 workers."""

KILL_AT_S: Final = 400.0
"""Section 5.5: several minutes into the run. Calibration: the end of the run with kills."""

RESTART_S: Final = 2.0
"""Section 5.5: only processes died, and new ones were started on their machines immediately."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One experiment, and how long the paper's run took, where it says."""

    title: str
    work: Workload
    workers: int
    paper_s: float | None
    backups: bool = True
    killed: int = 0

    def cut(self, factor: int) -> "Scenario":
        """The same experiment with fewer machines and fewer tasks, in about the same time."""
        return replace(
            self,
            work=self.work.cut(factor),
            workers=self.workers // factor,
            killed=self.killed // factor,
        )


SCENARIOS: Final = {
    "osdi04-grep": Scenario("grep", GREP, 1764, 150),
    "osdi04-sort": Scenario("sort", SORT, 1746, 891),
    "osdi04-sort-no-backups": Scenario("sort, no backup tasks", SORT, 1746, 1283, backups=False),
    "osdi04-sort-200-killed": Scenario("sort, 200 workers killed", SORT, 1746, 933, killed=200),
    "osdi04-largest": Scenario("sort of the largest size", LARGEST, 2000, None),
}


@dataclass(frozen=True, slots=True)
class Result:
    """A run beside its scenario."""

    scenario: Scenario
    outcome: Outcome

    def curves(self) -> dict[str, list[float]]:
        """Rates over time, where lost map output counts as negative input."""
        size_bytes = self.scenario.work.split_bytes
        lost = (line for line in self.outcome.log if line["event"] == "output_lost")
        losses = [(line["t"], size_bytes) for line in lost]
        return figure.rates(self.outcome.traffic, losses, self.outcome.seconds)

    def plain(self) -> dict[str, Any]:
        """The figures, for `--json`."""
        counts = Counter(line["event"] for line in self.outcome.log)
        backups = [line for line in self.outcome.log if line.get("backup")]
        peaks = {kind: max(curve) for kind, curve in self.curves().items()}
        return {
            "ok": self.outcome.ok and not self.outcome.violations,
            "seconds": round(self.outcome.seconds, 1),
            "paper_seconds": self.scenario.paper_s,
            "maps_done_s": round(max(self._ends("map"), default=0.0), 1),
            "tail_s": round(self._tail_s(), 1),
            **{f"peak_{kind}_gb_s": round(peak / figure.GB, 1) for kind, peak in peaks.items()},
            "attempts": counts["attempt_started"],
            "backups": len(backups),
            "outputs_lost": counts["output_lost"],
            "workers_lost": counts["worker_lost"],
            "events": self.outcome.events,
        }

    def _ends(self, stage: str) -> list[float]:
        """When the tasks of a stage were done, in order."""
        done = (line for line in self.outcome.log if line["event"] == "attempt_done")
        return [line["t"] for line in done if line["stage"] == stage]

    def _tail_s(self) -> float:
        """How long the last five reduce tasks took once all others were done."""
        ends = self._ends("reduce")
        return ends[-1] - ends[-6] if len(ends) > 5 else 0.0

    def lines(self) -> list[str]:
        """The figures, for people."""
        facts, scenario = self.plain(), self.scenario
        if not facts["ok"]:
            return [f"{scenario.title}: failed", self.outcome.error, *self.outcome.violations]
        peaks = [f"{kind} {facts[f'peak_{kind}_gb_s']}" for kind in figure.KINDS]
        return [
            f"{scenario.title}: {facts['seconds']:.0f} s{self._beside_the_paper()}",
            f"  {scenario.workers:,} workers, M = {scenario.work.maps:,},"
            f" R = {scenario.work.reduces:,}",
            f"  last map done at {facts['maps_done_s']:.0f} s,"
            f" last five reduce tasks {facts['tail_s']:.0f} s after all others",
            f"  highest rates in GB/s: {', '.join(peaks)}",
            f"  {facts['attempts']:,} attempts, {facts['backups']} of them backups,"
            f" {facts['outputs_lost']:,} map outputs lost, {facts['events']:,} events",
        ]

    def _beside_the_paper(self) -> str:
        paper_s = self.scenario.paper_s
        if paper_s is None:
            return ""
        return f" (paper: {paper_s:.0f} s, {self.outcome.seconds / paper_s - 1:+.1%})"


def run(name: str, seed: int = 0) -> Result:
    """Run the scenario called `name` (a key of SCENARIOS)."""
    return play(SCENARIOS[name], seed)


def play(scenario: Scenario, seed: int = 0) -> Result:
    """Run a scenario: who is slow, who registers when and who is killed come from `seed`."""
    work = scenario.work
    plan = WorldPlan(
        workers=scenario.workers,
        slots=1,
        maps=work.maps,
        reduces=work.reduces,
        backups=scenario.backups,
    )
    costs = PaperCosts(work, scenario.workers, seed)
    outcome = simulate(seed, plan=plan, faults=kills(scenario, seed), costs=costs)
    return Result(scenario, outcome)


def kills(scenario: Scenario, seed: int) -> list[Fault]:
    """The kills: each takes one worker process, whose machine starts another.

    With about every second seed a slow machine is among them. The reduce task that it then starts
    anew gets its backup late, and the run takes up to a sixth longer than the paper's.
    """
    chosen = random.Random(seed + 2).sample(range(scenario.workers), scenario.killed)
    end = KILL_AT_S + RESTART_S
    return [Fault("crash", KILL_AT_S, (worker,), until=end) for worker in sorted(chosen)]


def draw(seed: int = 0) -> str:
    """The paper's figure 3 from three runs, as SVG."""
    names = ("osdi04-sort", "osdi04-sort-no-backups", "osdi04-sort-200-killed")
    return figure.draw([_column(run(name, seed)) for name in names])


def _column(result: Result) -> figure.Column:
    scenario, seconds = result.scenario, result.outcome.seconds
    return figure.Column(scenario.title, result.curves(), seconds, scenario.paper_s or seconds)
