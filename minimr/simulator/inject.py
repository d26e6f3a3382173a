"""How each kind of fault is done to a world: a table from kinds to functions."""

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Any

from minimr.simulator.computation import UserCode
from minimr.simulator.faults import Fault, to_plain
from minimr.simulator.loop import ProcessState
from minimr.simulator.network import COORDINATOR, Stream
from minimr.simulator.worker import SimWorker
from minimr.simulator.world import World

RESTART_S = 0.05
LOSS_NOTICED_S = 3.0


def inject(world: World, faults: Iterable[Fault]) -> None:
    """Plan all faults of a schedule."""
    for fault in faults:
        world.loop.at(fault.at, None, partial(_strike, world), fault)


def _strike(world: World, fault: Fault) -> None:
    fields = to_plain(fault)
    del fields["at"]
    world.tell("fault", None, fields)
    HOW[fault.kind](world, fault)


def _later(world: World, at: float | None, call: Callable[[Any], None], argument: Any) -> None:
    """Plan the end of a fault, if it has one."""
    if at is not None:
        world.loop.at(at, None, call, argument)


def _living(world: World, fault: Fault) -> SimWorker | None:
    worker = world.workers.get(fault.target[0])
    if worker is None or worker.process.state is ProcessState.DEAD:
        return None
    return worker


def _end(fault: Fault) -> float:
    return inf if fault.until is None else fault.until


# Processes


def _crash(world: World, fault: Fault) -> None:
    (number,) = fault.target
    world.crash_worker(number, silently=fault.amount >= 1)
    _later(world, fault.until, world.start_worker, number)


def _restart(world: World, fault: Fault) -> None:
    (number,) = fault.target
    world.crash_worker(number)
    _later(world, fault.at + RESTART_S, world.start_worker, number)


def _drain(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        worker.draining = True  # Even if it is stopped, and hears of it later.
        worker.process.soon(0.0, worker.drain, None)
    _later(world, fault.until, partial(_replace, world), fault.target[0])


def _replace(world: World, number: int) -> None:
    """Somebody loses patience with a worker that is leaving, and starts another."""
    worker = world.workers.get(number)
    if worker is not None and worker.draining:
        world.crash_worker(number)
    world.start_worker(number)


def _pause(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        worker.process.stop()
        _later(world, fault.until, lambda _: worker.process.resume(), None)


def _slow(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        worker.slowness = fault.amount
        _later(world, fault.until, partial(_hurry, worker), None)


def _hurry(worker: SimWorker, _: None) -> None:
    worker.slowness = 1.0


def _clock_jump(world: World, fault: Fault) -> None:
    if not fault.target:
        world.coordinator_ahead_s += fault.amount
        world.coordinator.process.jump(fault.amount)
    elif worker := _living(world, fault):
        worker.process.jump(fault.amount)


def _slot_death(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        for slot in worker.slots.values():
            if slot.running is not None:
                slot.kill("killed by signal 9 (SIGKILL)")


def _stuck(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        for slot in worker.slots.values():
            slot.hang()


def _coordinator_crash(world: World, fault: Fault) -> None:
    back_in_s = None if fault.until is None else fault.until - fault.at
    if fault.amount > 0:
        world.tearing = (min(fault.amount, 1.0), back_in_s)
    else:
        world.crash_coordinator(back_in_s)


def _coordinator_pause(world: World, fault: Fault) -> None:
    process = world.coordinator.process
    process.stop()
    _later(world, fault.until, lambda _: process.resume(), None)


def _cancel(world: World, _: Fault) -> None:
    world.client.cancel()


# The network


def _both(number: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (number, COORDINATOR), (COORDINATOR, number)


def _partition(world: World, fault: Fault) -> None:
    (number,) = fault.target
    _clog(world, number, _end(fault))


def _clog(world: World, number: int, until: float) -> None:
    for other in (COORDINATOR, *range(world.plan.workers)):
        if other != number:
            world.network.block((number, other), until)
            world.network.block((other, number), until)


def _partition_one_way(world: World, fault: Fault) -> None:
    up, down = _both(fault.target[0])
    world.network.block(down if fault.amount else up, _end(fault))


def _partition_workers(world: World, fault: Fault) -> None:
    one, other = fault.target
    for path in ((one, other), (other, one)):
        world.network.block(path, _end(fault))


def _delay(world: World, fault: Fault) -> None:
    for path in _both(fault.target[0]):
        trouble = world.network.trouble(path)
        trouble.slow_until, trouble.extra_s = _end(fault), fault.amount


def _loss(world: World, fault: Fault) -> None:
    worker = _living(world, fault)
    if worker is None or worker.line is None:
        return
    line = worker.line
    line.up.lost = line.down.lost = True
    noticed_at = world.loop.now + (fault.amount or LOSS_NOTICED_S)
    for stream in (line.up, line.down):
        world.loop.at(noticed_at, None, Stream.break_off, stream)


def _duplicate(world: World, fault: Fault) -> None:
    up, _ = _both(fault.target[0])
    world.network.trouble(up).repeats.append(fault.amount)


def _reorder(world: World, fault: Fault) -> None:
    up, _ = _both(fault.target[0])
    world.network.trouble(up).disorder_until = _end(fault)


def _swizzle_clog(world: World, fault: Fault) -> None:
    """The last one clogged is the first one freed: each of them sees another cut of the world."""
    end = _end(fault)
    for place, number in enumerate(fault.target):
        until = end - place * fault.amount
        start = fault.at + place * fault.amount
        if start < until:
            _later(world, start, partial(_clog, world, number), until)


# Disks and user code


def _corrupt(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        for attempt in worker.disk.outputs:
            worker.disk.damage(attempt, truncate=fault.kind == "truncate")


def _full_disk(world: World, fault: Fault) -> None:
    if worker := _living(world, fault):
        worker.disk.full = True
        _later(world, fault.until, partial(_make_room, worker), None)


def _make_room(worker: SimWorker, _: None) -> None:
    worker.disk.full = False


def _segfault(world: World, fault: Fault) -> None:
    (index,) = fault.target
    if isinstance(world.computation, UserCode):
        world.killers[index] = world.computation.first_record(index)


def _nondeterministic(world: World, fault: Fault) -> None:
    world.fickle.add(fault.target[0])


def _nothing(_world: World, _fault: Fault) -> None:
    """The job itself was made so: see `run.computation_for`."""


def _heal(world: World, fault: Fault) -> None:
    """One worker is well, the network carries, the coordinator lives.

    The others never help again, each in its own way: dead, cut off, or stopped. Faults that heal by
    themselves would hide a scheduler that waits for ever.
    """
    (survivor,) = fault.target
    world.network.heal()
    world.tearing = None
    for number in range(world.plan.workers):
        if number != survivor:
            world.banned.add(number)
            _lose_for_good(world, number)
    world.coordinator.process.resume()
    world.restart_coordinator()
    if worker := _living(world, fault):
        worker.process.resume()
        worker.slowness, worker.disk.full = 1.0, False
    _replace(world, survivor)


def _lose_for_good(world: World, number: int) -> None:
    worker = world.workers.get(number)
    match number % 3:
        case 0:
            world.crash_worker(number)
        case 1:
            _clog(world, number, inf)
        case _ if worker is not None:
            worker.process.stop()


HOW: dict[str, Callable[[World, Fault], None]] = {
    "crash": _crash,
    "restart": _restart,
    "drain": _drain,
    "pause": _pause,
    "slow": _slow,
    "partition": _partition,
    "partition_one_way": _partition_one_way,
    "partition_workers": _partition_workers,
    "delay": _delay,
    "loss": _loss,
    "duplicate": _duplicate,
    "reorder": _reorder,
    "corrupt": _corrupt,
    "truncate": _corrupt,
    "full_disk": _full_disk,
    "coordinator_crash": _coordinator_crash,
    "coordinator_pause": _coordinator_pause,
    "clock_jump": _clock_jump,
    "swizzle_clog": _swizzle_clog,
    "user_exception": _nothing,
    "segfault": _segfault,
    "slot_death": _slot_death,
    "stuck": _stuck,
    "nondeterministic": _nondeterministic,
    "cancel": _cancel,
    "heal": _heal,
}
