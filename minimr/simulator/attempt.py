"""One simulated attempt, as a generator: it yields the seconds that pass and returns its report.

What a slot process does from an order to an answer, with time and bytes simulated and user code
real. A slot that is killed closes its generator in the middle. A reduce attempt really brings its
segments from the disks of the workers that hold them, and reduces what came.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from minimr.errors import CorruptData
from minimr.scheduler import events
from minimr.scheduler.actions import Assign
from minimr.scheduler.state import AttemptId, Failure, Location, Output
from minimr.simulator.computation import Broken, MadeMap
from minimr.simulator.disk import StoredOutput
from minimr.simulator.work import Phase

if TYPE_CHECKING:
    from minimr.simulator.worker import SimWorker

Report = events.AttemptDone | events.AttemptFailed | events.FetchFailed
Life = Generator[float, None, Report]

FETCH_TRIES = 2
CONNECT_TIMEOUT_S = 5.0
NO_ANSWER = "no answer"
GONE = "damaged or gone"
ROOM_NEEDED_BYTES = 1 << 20
RECORD_S = 0.001


class Killed(Exception):
    """User code took its process along, at this record."""

    def __init__(self, position: str) -> None:
        super().__init__(position)
        self.position = position


class Missing(Exception):
    """Map outputs that could not be brought here."""

    def __init__(
        self, gone: Sequence[AttemptId], text: str, unreached: Sequence[AttemptId] = ()
    ) -> None:
        super().__init__(text)
        self.gone, self.unreached = tuple(gone), tuple(unreached)


def life(worker: "SimWorker", order: Assign) -> Life:
    """From the order to the report. Raises Killed where user code kills the slot."""
    special = {"reduce": _reduce, "gang": worker.world.run_member}
    run = special.get(order.attempt.stage, _map)
    started = worker.world.loop.now
    try:
        output = yield from run(worker, order)
    except Broken as error:
        return events.AttemptFailed(worker.name, order.attempt, error.failure)
    except Missing as error:
        name, attempt = worker.name, order.attempt
        return events.FetchFailed(name, attempt, error.gone, str(error), error.unreached)
    output.stats["seconds"] = round(worker.world.loop.now - started, 6)
    return events.AttemptDone(worker.name, order.attempt, output)


def _map(worker: "SimWorker", order: Assign) -> Generator[float, None, Output]:
    world, index = worker.world, order.attempt.index
    killer = world.killers.get(index)
    if killer is not None and killer not in order.skip:
        yield RECORD_S
        raise Killed(killer)
    world.load.maps += 1
    try:
        yield from phases(worker, world.costs.map_phases(worker.number, index, world.load))
    finally:
        world.load.maps -= 1
    made = world.made_map(order.attempt, order.skip)
    inline = index in world.plan.inline
    if not inline:
        _store(worker, order.attempt, made)
    return Output(
        made.segments if inline else None,
        _stats(made.records_in, made.records_out, made.size_bytes or world.costs.map_bytes(index)),
        made.counters,
        digest=made.digest,
        skipped=made.skipped,
    )


def _store(worker: "SimWorker", attempt: AttemptId, made: MadeMap) -> None:
    if worker.disk.full:
        text = f"{attempt} cannot be stored: no space left, {ROOM_NEEDED_BYTES} bytes needed"
        raise Broken(Failure("disk_full", text))
    worker.disk.outputs[attempt] = StoredOutput(made.segments, made.checksums)


def _reduce(worker: "SimWorker", order: Assign) -> Generator[float, None, Output]:
    world, attempt = worker.world, order.attempt
    segments, digests = yield from _bring(worker, order)
    world.storage.begin(attempt)
    world.load.reduces += 1
    try:
        work = world.costs.reduce_phases(worker.number, attempt.index, world.load)
        yield from phases(worker, work)
    finally:
        world.load.reduces -= 1
    in_order = [segments[index] for index in sorted(segments)]
    made = world.computation.reduce(attempt.index, in_order, order.skip)
    part = world.storage.write(attempt, made.data, made.records_out)
    return Output(
        None,
        _stats(made.records_in, made.records_out, len(made.data)),
        made.counters,
        part,
        inputs=world.computation.inputs(digests),
        skipped=made.skipped,
    )


Segments = dict[int, bytes]
Digests = dict[int, str]


def _bring(worker: "SimWorker", order: Assign) -> Generator[float, None, tuple[Segments, Digests]]:
    """Every segment of this partition, by map index: those in the order, those on disks."""
    world, job, partition = worker.world, order.attempt.job, order.attempt.index
    segments: Segments = {index: segment for index, segment, _ in order.inline}
    digests: Digests = {index: digest or "" for index, _, digest in order.inline}
    world.load.fetches += 1
    try:
        if world.computation.has_bytes:
            remote = [each for each in worker.sources(job) if each.attempt.index not in segments]
            for location in remote:
                digests[location.attempt.index] = location.digest or ""
            yield from fetch(worker, remote, partition, segments)
        else:
            yield from _fetch_in_bulk(worker, order)
    finally:
        world.load.fetches -= 1
    return segments, digests


def fetch(
    worker: "SimWorker", remote: list[Location], partition: int, segments: Segments
) -> Generator[float, None, None]:
    """Holder by holder; who did not answer is asked once more when all others have been."""
    holders = _by_holder(remote)
    gone: list[AttemptId] = []
    for _ in range(FETCH_TRIES):
        for address, wanted in list(holders.items()):
            answered = yield from _ask(worker, address, partition)
            if answered is not None:
                del holders[address]
                gone += _read(answered, wanted, partition, segments)
    unreached = [each.attempt for wanted in holders.values() for each in wanted]
    texts = [f"{gone[0]} is {GONE}"] if gone else []
    if unreached:
        host, port = next(iter(holders))
        texts.append(f"{len(unreached)} map outputs at {host}:{port} or elsewhere: {NO_ANSWER}")
    if texts:
        raise Missing(gone, "; ".join(texts), unreached)


def _ask(
    worker: "SimWorker", address: tuple[str, int], partition: int
) -> Generator[float, None, "SimWorker | None"]:
    """The holder, after the time that its answer takes; None if it gives none."""
    world = worker.world
    holder = world.serving(address)
    there = worker.number if holder is None else holder.number
    trip_s = world.network.round_trip_s(worker.number, there)
    yield min(trip_s, CONNECT_TIMEOUT_S)
    if trip_s >= CONNECT_TIMEOUT_S:
        return None
    yield from phases(worker, world.costs.fetch_phases(worker.number, partition, world.load))
    return holder if holder is not None and holder.serves() else None


def _read(
    holder: "SimWorker", wanted: list[Location], partition: int, segments: Segments
) -> Iterator[AttemptId]:
    """Take what the holder has; yield what it says it has not, or not undamaged."""
    for each in wanted:
        try:
            segments[each.attempt.index] = holder.disk.outputs[each.attempt].read(partition)
        except (KeyError, CorruptData):
            yield each.attempt


def _by_holder(remote: Iterable[Location]) -> dict[tuple[str, int], list[Location]]:
    held: dict[tuple[str, int], list[Location]] = {}
    for each in remote:
        held.setdefault(each.address, []).append(each)
    return held


def _fetch_in_bulk(worker: "SimWorker", order: Assign) -> Generator[float, None, None]:
    """All at once, without bytes: what is gone when the last piece should have come is missing."""
    world = worker.world
    yield from phases(
        worker, world.costs.fetch_phases(worker.number, order.attempt.index, world.load)
    )
    missing = world.gone_for(worker, order.attempt.job)
    if missing:
        raise Missing((), f"{missing[0]} and {len(missing) - 1} others are gone", missing)


def phases(worker: "SimWorker", wanted: Iterator[Phase]) -> Generator[float, None, None]:
    """Let the phases pass, one after the other, and keep account of what they moved."""
    world = worker.world
    for phase in wanted:
        seconds, start = phase.seconds * worker.slowness, world.loop.now
        done = 0.0
        try:
            yield seconds
            done = 1.0
        finally:
            if phase.size_bytes:
                now = world.loop.now
                share = done or ((now - start) / seconds if seconds else 1.0)
                size_bytes = int(phase.size_bytes * min(1.0, share))
                world.moved(start, now, phase.kind, size_bytes, worker.number)


def _stats(records_in: int, records_out: int, bytes_out: int) -> dict[str, Any]:
    return {"records_in": records_in, "records_out": records_out, "bytes_out": bytes_out}
