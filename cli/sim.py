"""`minimr sim`: the scheduler in virtual time, under faults, from a seed."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.job_arguments import JobCommand
from cli.output import print_json, print_lines, say, write_text
from cli.sim_request import wanted_seed, wanted_sweep
from minimr.errors import UsageError

if TYPE_CHECKING:
    from minimr.simulator.run import Outcome, WorldPlan
    from minimr.simulator.seeds import Sweep, Tally

SOMETIMES_SEEDS = 2_000
"""A sweep of so many seeds under all faults must have seen every failure class."""
FAILURES_SHOWN = 10
FAILED = 1
DAY = "1970-01-01T00:00:00+00:00"
"""The wall clock of every simulated log: two runs of a seed write the same bytes."""


@click.command(cls=JobCommand)
@click.argument("job", required=False, metavar="[JOB]")
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--seed", metavar="N", help="The run of this seed.  [default: 0]")
@click.option("--seeds", metavar="A..B", help="The runs of all seeds from A to B.")
@click.option(
    "--workers", type=click.IntRange(1, 1000), metavar="N", help="Not as many as the seed draws."
)
@click.option(
    "--faults",
    default="all",
    show_default=True,
    metavar="LIST",
    help="Kinds of faults to draw from, with commas between; or none, or all.",
)
@click.option(
    "--mode",
    type=click.Choice(["safety", "liveness"]),
    default="safety",
    show_default=True,
    help="Faults to the end; or faults, then one healthy worker that must end the job in time.",
)
@click.option(
    "--scenario",
    metavar="FILE",
    help="A world and its faults as JSON, or an experiment: osdi04-...",
)
@click.option("--figure", metavar="FILE", help="Draw the paper's figure 3 to FILE, as SVG.")
@click.option("--shrink", is_flag=True, help="Look for the smallest list of faults that fails.")
@click.option("--story", metavar="TASK", help="Tell what happened to one task, such as map-3.")
@click.option("--log", metavar="FILE", help="Write the event log of the run.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="In how many processes to run many seeds.",
)
def sim(**given: Any) -> int:
    """Run jobs in virtual time, under faults.

    The scheduler is the one that runs real jobs; workers, network and disks are simulated, with
    faults drawn from the seed. The output is compared with that of a sequential run, and the event
    log is judged. JOB is as in `minimr run`; without one, a job runs that shows any mistake, and
    for `gang` a gang, whose members need one another.

    \b
    Examples:
      minimr sim --seeds 0..999 --processes 2
      minimr sim --seed 7 --story map-0
      minimr sim wordcount --seed 7 --faults crash,coordinator_crash
      minimr sim gang --seeds 0..999
      minimr sim --scenario osdi04-sort
    """
    if given["scenario"] is not None and given["scenario"].startswith("osdi04"):
        return _experiment(given)
    if given["figure"] is not None:
        raise UsageError("--figure goes with an experiment: --scenario osdi04-sort")
    if given["scenario"] is not None:
        return _scenario(given)
    wanted = wanted_sweep(given)
    if given["seeds"] is not None:
        return _many(wanted, given)
    return _one(wanted, given)


# One run


def _one(wanted: "Sweep", given: dict[str, Any]) -> int:
    from minimr.simulator.seeds import replay_line, run_seed

    return _report(run_seed(wanted, wanted.first), wanted, replay_line(wanted, wanted.first), given)


def _scenario(given: dict[str, Any]) -> int:
    from minimr.simulator.run import simulate
    from minimr.simulator.scenario import read_scenario
    from minimr.simulator.seeds import Sweep

    if given["job"] or given["seed"] or given["seeds"]:
        raise UsageError("a scenario says itself which seed it runs, and runs no other job")
    found = read_scenario(Path(given["scenario"]))
    outcome = simulate(found.seed, plan=found.plan, faults=found.faults, mode=found.mode)
    wanted = Sweep(found.seed, found.seed, found.mode)
    return _report(outcome, wanted, f"minimr sim --scenario {given['scenario']}", given)


def _report(outcome: "Outcome", wanted: "Sweep", replay: str, given: dict[str, Any]) -> int:
    """Say what became of a run, and write what else was asked for. Returns the exit code."""
    if given["log"] is not None:
        _write_log(outcome, Path(given["log"]))
    if given["as_json"]:
        print_json(_plain(outcome, replay))
    elif given["story"] is not None:
        print_lines(_story(outcome, given["story"]))
    else:
        print_lines(_told(outcome))
    if not outcome.violations:
        if given["shrink"]:
            raise UsageError("this run breaks no promise, so there is nothing to shrink")
        return 0
    say(f"replay: {replay}")
    if given["shrink"]:
        print_lines(_shrunk(outcome, wanted))
    return FAILED


def _write_log(outcome: "Outcome", path: Path) -> None:
    from minimr.observe.log import EventLog

    with EventLog(path, wall=DAY) as log:
        log.append(outcome.log)


def _plain(outcome: "Outcome", replay: str) -> dict[str, Any]:
    from minimr.simulator.faults import to_plain
    from minimr.simulator.scenario import plain_world

    gang = {} if outcome.plan.gang is None else {"gang": asdict(outcome.plan.gang)}
    return {
        "seed": outcome.seed,
        "mode": outcome.mode,
        "world": plain_world(outcome.plan) | gang,
        "faults": [to_plain(fault) for fault in outcome.faults],
        "ok": outcome.ok,
        "error": outcome.error,
        "seconds": round(outcome.seconds, 6),
        "events": outcome.events,
        "log_hash": outcome.log_hash,
        "violations": outcome.violations,
        "replay": replay,
    }


def _told(outcome: "Outcome") -> list[str]:
    from minimr.observe.sentences import count

    plan = outcome.plan
    size = f"{count(plan.workers, 'worker')} of {count(plan.slots, 'slot')}"
    end = "the job ended well" if outcome.ok else f"the job ended: {_first_line(outcome.error)}"
    return [
        f"seed {outcome.seed}, {outcome.mode}: {size}, {_work(plan)}",
        *(f"  {_fault(fault)}" for fault in outcome.faults),
        f"{end}, after {outcome.seconds:.3f} s and {outcome.events:,} events",
        f"event log {outcome.log_hash[:16]}",
        *(f"BROKEN  {violation}" for violation in outcome.violations),
    ]


def _work(plan: "WorldPlan") -> str:
    from minimr.observe.sentences import count

    if plan.gang is None:
        return f"{count(plan.maps, 'map')}, {count(plan.reduces, 'reduce')}"
    restart = f"restart={plan.gang.restart}"
    return f"a gang of {plan.gang.members} over {count(plan.maps, 'partition')}, {restart}"


def _fault(fault: Any) -> str:
    from minimr.simulator.faults import to_plain

    plain = to_plain(fault)
    at, kind = plain.pop("at"), plain.pop("kind")
    return f"{at:9.3f}  {kind}" + "".join(f"  {name} {value}" for name, value in plain.items())


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "without a word"


def _story(outcome: "Outcome", task: str) -> list[str]:
    """What happened to one task, with the faults that struck meanwhile."""
    from minimr.observe.sentences import sentence

    about = [line for line in outcome.log if line.get("task") == task]
    if not about:
        some = "load-0, gang-0" if outcome.plan.gang else "map-0"
        raise UsageError(
            f"nothing happened to a task called {task!r}; tasks are called {some}, ..."
        )
    end = about[-1]["t"]
    lines = [
        line
        for line in outcome.log
        if line.get("task") == task or (line["event"] == "fault" and line["t"] <= end)
    ]
    return [f"{line['t']:9.3f}  {sentence(line)}" for line in lines]


def _shrunk(outcome: "Outcome", wanted: "Sweep") -> list[str]:
    """The smallest schedule that still fails, as a test."""
    from minimr.simulator.seeds import world_of
    from minimr.simulator.shrink import regression_test, shrink, still_fails

    _, code = world_of(wanted, outcome.seed)
    fails = still_fails(outcome.seed, outcome.plan, outcome.mode, code)
    faults = shrink(outcome.faults, fails)
    say(f"{len(faults)} of {len(outcome.faults)} faults are enough")
    return regression_test(outcome.seed, outcome.plan, faults, outcome.violations[0]).splitlines()


# Many runs


def _many(wanted: "Sweep", given: dict[str, Any]) -> int:
    from minimr.simulator.seeds import sweep

    tally = sweep(wanted, given["processes"])
    never = _never(wanted, tally)
    if given["as_json"]:
        print_json(_plain_tally(wanted, tally, never))
    else:
        print_lines(_told_tally(wanted, tally, never))
    if given["shrink"] and tally.failures:
        from minimr.simulator.seeds import run_seed

        print_lines(_shrunk(run_seed(wanted, tally.failures[0].seed), wanted))
    return FAILED if tally.failures or never else 0


def _never(wanted: "Sweep", tally: "Tally") -> list[str]:
    """Failure classes that should have occurred; in a short or choosy sweep they need not."""
    any_job = wanted.job is None and not wanted.gang
    whole = wanted.kinds is None and wanted.mode == "safety" and any_job
    return tally.never() if whole and tally.seeds >= SOMETIMES_SEEDS else []


def _rates(tally: "Tally") -> tuple[float, float]:
    return tally.seeds / tally.seconds, tally.events / tally.seconds


def _plain_tally(wanted: "Sweep", tally: "Tally", never: list[str]) -> dict[str, Any]:
    from minimr.simulator.seeds import replay_line

    seeds_rate, events_rate = _rates(tally)
    failures = [
        {"seed": each.seed, "violations": each.violations, "replay": replay_line(wanted, each.seed)}
        for each in tally.failures
    ]
    return {
        "seeds": tally.seeds,
        "events": tally.events,
        "seconds": round(tally.seconds, 3),
        "seeds_per_second": round(seeds_rate, 1),
        "events_per_second": round(events_rate),
        "ended": dict(tally.ended.most_common()),
        "occurred": dict(sorted(tally.classes.items())),
        "never_occurred": never,
        "failures": failures,
    }


def _told_tally(wanted: "Sweep", tally: "Tally", never: list[str]) -> list[str]:
    from minimr.simulator.seeds import replay_line

    seeds_rate, events_rate = _rates(tally)
    lines = [
        f"{tally.seeds:,} seeds, {tally.events:,} events in {tally.seconds:.1f} s: "
        f"{seeds_rate:,.0f} seeds/s, {events_rate:,.0f} events/s",
        f"jobs ended well in {tally.ended['ok']:,} runs, and with a reason in "
        f"{tally.seeds - tally.ended['ok']:,}",
    ]
    lines += [f"NEVER   {name}: a sweep that does not see it tests nothing" for name in never]
    for failure in tally.failures[:FAILURES_SHOWN]:
        lines += [f"BROKEN  seed {failure.seed}: {each}" for each in failure.violations]
        lines.append(f"        replay: {replay_line(wanted, failure.seed)}")
    if len(tally.failures) > FAILURES_SHOWN:
        lines.append(f"        and {len(tally.failures) - FAILURES_SHOWN:,} seeds more")
    return lines


# The paper's experiments


def _experiment(given: dict[str, Any]) -> int:
    from minimr.simulator import osdi04

    name = given["scenario"]
    if name not in osdi04.SCENARIOS:
        raise UsageError(
            f"no experiment is called {name!r}; there are: {', '.join(osdi04.SCENARIOS)}"
        )
    seed = wanted_seed(given["seed"] or "0")
    result = osdi04.run(name, seed)
    if given["log"] is not None:
        _write_log(result.outcome, Path(given["log"]))
    if given["as_json"]:
        print_json(result.plain())
    else:
        print_lines(result.lines())
    if given["figure"] is not None:
        write_text(Path(given["figure"]), osdi04.draw(seed))
    return 0 if result.outcome.ok and not result.outcome.violations else FAILED
