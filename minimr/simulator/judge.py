"""The judges of a finished run: its event log, its published bytes, and what it left behind.

The log is judged by `minimr.observe.checks`, which knows nothing of the scheduler. Here stands what
only the world can know: the bytes of the sequential run, the disks, and whether one worker was well
for long enough that the job had to end.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from minimr.observe.checks import Expected
from minimr.observe.checks import check as check_log
from minimr.scheduler.policy import UNREACHED_MAX_S
from minimr.simulator.attempt import GONE, NO_ANSWER
from minimr.simulator.computation import Reference, sequential
from minimr.simulator.faults import Fault, ends_well
from minimr.simulator.gang_member import expected
from minimr.simulator.loop import ProcessState
from minimr.simulator.worker import SimWorker
from minimr.simulator.world import JOB, SETTLE_S, World

WITNESSES = 2
POISON = ("user_exception", "segfault")
TOO_LARGE = "the gang has "
"""So begins what is said of one that finds too few slots."""


def judge(world: World, faults: Sequence[Fault], limit_s: float, check: bool) -> list[str]:
    """Every violation, in words; none is what a correct scheduler leaves."""
    left = list(_leftovers(world))
    world.tell("world_closed", None, {"leftovers": left})
    reference = _reference(world, faults)
    found = [
        *world.violations,
        *_end(world, faults, reference, limit_s),
        *_blame(world, faults),
        *_kept(world),
        *_silence(world, faults),
        *_bytes(world, reference),
    ]
    if check:
        found += _log(world, reference)
    return found


def _reference(world: World, faults: Sequence[Fault]) -> Reference | None:
    """What the output must be; None if the job fails, makes no bytes, or is not deterministic."""
    fickle = any(fault.kind == "nondeterministic" for fault in faults)
    if fickle or not world.computation.has_bytes or world.plan.gang:
        return None
    return sequential(world.computation, world.killers, world.plan.skip_max)


def _log(world: World, reference: Reference | None) -> Iterator[str]:
    """The checkers that know nothing of the scheduler."""
    oracle = {}
    if reference is not None:
        parts = [{"records": p.records_out, "bytes": len(p.data)} for p in reference.parts]
        oracle[JOB] = Expected(parts, reference.counters)
    for found in check_log(world.log, oracle):
        if found.event is None and world.client.ended is None:
            continue  # The log has no end because the job has none, which `_end` judges.
        yield f"invariant {found.invariant} ({found.name}): {found.text}"


def _end(
    world: World, faults: Sequence[Fault], reference: Reference | None, limit_s: float
) -> Iterator[str]:
    """Invariant 12: a job ends, and well unless a fault can excuse it."""
    ended = world.client.ended
    if ended is None:
        if _could_work(world) or any(fault.kind == "heal" for fault in faults):
            yield f"the job did not end within {limit_s:.1f} s, though a worker was well"
        return
    if not ended.ok and not ended.error:
        yield "the job failed without a reason"
    if not ended.ok and ends_well(_without_skippable(faults, reference)) and not _too_large(world):
        yield f"the job failed, and no fault explains it: {ended.error}"


def _too_large(world: World) -> bool:
    """A gang may say so if it had too few slots for as long as it must wait for more."""
    text = world.client.ended.error if world.client.ended else ""
    ended_at = world.client.ended_at + world.coordinator_ahead_s
    waits = [
        line
        for line in world.log
        if line["event"] == "gang_waits" and line["text"].startswith(TOO_LARGE)
    ]
    late = any(line["t"] + line["seconds_max"] <= ended_at for line in waits)
    return late and text.startswith(TOO_LARGE)


def _without_skippable(faults: Sequence[Fault], reference: Reference | None) -> Iterator[Fault]:
    """A bad record excuses nothing if the sequential run ends well, for that may skip it."""
    for fault in faults:
        if reference is None or fault.kind not in POISON:
            yield fault


def _blame(world: World, faults: Sequence[Fault]) -> Iterator[str]:
    """User code raises at most twice at one record, and kills only the slot that runs it."""
    struck = any(fault.kind == "slot_death" for fault in faults)
    raised: Counter[str] = Counter()
    for line in world.log:
        if line["event"] == "coordinator_started":
            raised.clear()
        if line["event"] != "attempt_failed":
            continue
        task, reason = line["task"], line["reason"]
        raised[task] += reason == "user"
        if raised[task] > 2:
            yield f"{task} failed {raised[task]} times at the same record"
        kills = line["stage"] == "map" and line["index"] in world.killers
        if reason == "died" and not kills and not struck:
            yield f"{task} is blamed for the death of a slot that another killed"


def _kept(world: World) -> Iterator[str]:
    """Workers lose nothing while they live: whoever returns has all that it is known to hold."""
    for line in world.log:
        if line["event"] == "output_lost" and line["cause"].startswith("worker_returned"):
            yield f"{line['task']} is given up, though its holder came back with it"


def _silence(world: World, faults: Sequence[Fault]) -> Iterator[str]:
    """That a holder did not answer is believed of two workers, or of one that says so for long."""
    if any(fault.kind == "clock_jump" for fault in faults):
        return  # How long it was for the coordinator is not in the log.
    since: dict[str, float] = {}
    lost: list[str] = []
    for line in world.log:
        if line["event"] == "output_lost" and line["cause"].startswith("fetch failed"):
            lost.append(line["task"])
        elif line["event"] == "attempt_failed" and line["reason"] == "fetch":
            if line["error"].endswith(NO_ANSWER):
                first_t = since.setdefault(line["worker"], line["t"])
                waited_s = line["t"] - first_t
                alone = len(since) < WITNESSES and waited_s < UNREACHED_MAX_S
                if lost and alone and GONE not in line["error"]:
                    yield f"{lost[0]} is given up by the word of {line['worker']} alone"
            lost.clear()
        else:
            lost.clear()


def _could_work(world: World) -> bool:
    running = ProcessState.RUNNING
    if world.coordinator.process.state is not running:
        return False
    return any(
        worker.process.state is running and worker.name in world.coordinator.lines
        for worker in world.workers.values()
    )


def _bytes(world: World, reference: Reference | None) -> Iterator[str]:
    """Invariants 1 and 7: the sequential run's bytes, all of them, if and only if the job is ok."""
    ended, final = world.client.ended, world.storage.final
    if not world.computation.has_bytes:
        return
    if world.plan.gang is not None:
        yield from _results(world, world.plan.gang.members)
        return
    if ended is not None and ended.ok != (final is not None):
        told = "well" if ended.ok else "badly"
        yield f"the client was told that the job ended {told}, but output is {final is not None}"
    if final is None or world.fickle:
        return
    if reference is None:
        yield "the job succeeded, but its sequential run fails"
        return
    right = [part.data for part in reference.parts]
    wrong = [r for r, data in enumerate(right) if final[r : r + 1] != [data]]
    if wrong or len(final) != len(right):
        yield f"the parts {wrong} of {len(right)} differ from the sequential run's"
    yield from _manifest(world, reference)


def _results(world: World, members: int) -> Iterator[str]:
    """What the members of a gang yield is known beforehand."""
    ended = world.client.ended
    contents = [world.computation.map(index).segments[0] for index in range(world.plan.maps)]
    right = expected(contents, members)
    if ended is not None and ended.ok and ended.results != right:
        yield f"the members' results are {ended.results}, not {right}"


def _manifest(world: World, reference: Reference) -> Iterator[str]:
    """Invariant 6, by what people read: the manifest, and what the client was told."""
    ended, manifest = world.client.ended, world.storage.manifest
    if ended is not None and ended.ok and ended.counters != reference.counters:
        yield f"the client was told the counters {ended.counters}, not {reference.counters}"
    if manifest is None:
        return
    if manifest.counters != reference.counters:
        yield f"the manifest has the counters {manifest.counters}, not {reference.counters}"
    skipped = tuple(record["position"] for record in manifest.skipped)
    if skipped != reference.skipped:
        yield f"the output says that {skipped} were skipped, not {reference.skipped}"


def _leftovers(world: World) -> Iterator[str]:
    """Invariant 13, for workers that the coordinator reached when the job was over."""
    ended = world.client.ended
    if ended is None:
        return
    if world.storage.staging is not None:
        yield "the staging directory"
    for worker in filter(None, map(world.workers.get, range(world.plan.workers))):
        if _hears(world, worker):
            yield from _left_at(worker)


def _hears(world: World, worker: SimWorker) -> bool:
    """Whether everything that the coordinator told this worker has arrived. One that is stopped
    may have more to tell."""
    line = world.coordinator.lines.get(worker.name)
    if worker.process.state or world.coordinator.process.state:
        return False
    if line is None or line.down.lost or line is not worker.line:
        return False
    return line.down.empty_at < world.loop.now


def _left_at(worker: SimWorker) -> Iterator[str]:
    held = [str(attempt) for attempt in worker.disk.outputs if attempt.job == JOB]
    if held:
        yield f"the outputs {', '.join(held)} at {worker.name}"
    running = [slot.running for slot in worker.slots.values() if slot.running]
    if _may_leave(worker):
        yield f"the worker {worker.name}, which wants to leave"
    if running:
        yield f"the attempts {', '.join(map(str, running))} at {worker.name}"


def _may_leave(worker: SimWorker) -> bool:
    """Whether the coordinator knew before the end of the job that this worker wants to leave."""
    now, line = worker.world.loop.now, worker.line
    if worker.drained_at is None or line is None or line.up.lost or line.up.empty_at > now:
        return False
    return worker.drained_at + SETTLE_S < now
