"""A simulated slot: the process in which attempts run, one after another, until it dies."""

from collections import deque
from typing import TYPE_CHECKING

from minimr.scheduler import worker_machine as machine
from minimr.scheduler.actions import Assign
from minimr.scheduler.state import AttemptId
from minimr.simulator.attempt import Killed, Life, life

if TYPE_CHECKING:
    from minimr.simulator.worker import SimWorker

KILL_S = 0.005
"""From SIGKILL to the news that the process is gone."""
STUCK_S = 1e9


class SimSlot:
    """Takes orders like the real one: they wait in its pipe, behind the one that runs."""

    def __init__(self, worker: "SimWorker", number: int) -> None:
        self._worker = worker
        self._number = number
        self._orders: deque[Assign] = deque()
        self._life: Life | None = None
        self._started = 0
        self._dead = False
        self._steps = 0
        self._hangs = False
        seconds = worker.world.costs.slot_start_s(worker.number)
        worker.process.soon(seconds, self._ready, None)

    @property
    def running(self) -> AttemptId | None:
        return self._orders[0].attempt if self._life is not None else None

    def progress(self) -> int:
        """A count that grows as long as an attempt goes on, as that of a slot's records does."""
        if self._life is not None and not self._hangs:
            self._steps += 1
        return self._steps

    def order(self, order: Assign) -> None:
        self._orders.append(order)
        if self._life is None and not self._dead:
            self._begin()

    def kill(self, text: str) -> None:
        """SIGKILL, or its own fault: what ran is gone, and the worker hears of it soon."""
        if self._dead:
            return
        self._stop()
        self._worker.process.soon(KILL_S, self._died, text)

    def vanish(self) -> None:
        """The worker died, and its slots with it."""
        if not self._dead:
            self._stop()

    def hang(self) -> None:
        """What runs makes no progress any more."""
        if self._life is not None:
            self._life.close()
            self._life, self._hangs = _stuck(), True

    def _stop(self) -> None:
        self._dead = True
        if self._life is not None:
            self._life.close()
            self._life = None

    def _ready(self, _: None) -> None:
        if not self._dead:
            self._worker.hear(machine.SlotReady(self._number))

    def _died(self, text: str) -> None:
        self._worker.hear(machine.SlotDied(self._number, text, self._started))

    def _begin(self) -> None:
        self._started += 1
        self._life = life(self._worker, self._orders[0])
        self._go_on(self._life)

    def _go_on(self, of: Life) -> None:
        """One more piece of an attempt, unless that attempt is over."""
        if self._dead or of is not self._life:
            return
        try:
            seconds = next(of)
        except StopIteration as end:
            self._life = None
            order = self._orders.popleft()
            self._worker.report(self._number, order, end.value)
            # Another order may have come in answer, and have begun what was next.
            if self._orders and self._life is None and not self._dead:
                self._begin()
        except Killed as death:
            self._life = None
            if self._orders[0].careful:
                self._worker.last_words[self._orders[0].attempt] = death.position
            self.kill("killed by signal 11 (SIGSEGV)")
        else:
            self._worker.process.soon(seconds, self._go_on, of)


def _stuck() -> Life:
    """Nobody asks it to go on."""
    while True:
        yield STUCK_S
