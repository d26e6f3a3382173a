"""The worker's own decisions, as a second small state machine: which slot runs which attempt.

A slot is a child process that runs user code, one attempt at a time. It is bound to the code of
one job: modules of two jobs never meet in one interpreter, so a slot that must change its job is
replaced by a fresh one. Attempts wait inside a busy slot's pipe, one behind a long one and several
behind short ones, so that a slot never idles while its worker and the coordinator talk.

A worker that loses the coordinator works on and tries to come back. A coordinator that was
restarted takes it back with all that it holds; the same one has given it up meanwhile, so that the
worker must forget everything and begin as a new one.

Like the scheduler it takes events and returns actions, and touches nothing else.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import StrEnum

from minimr.scheduler.policy import PROGRESS_TIMEOUT_S, SHORT_TASK_S
from minimr.scheduler.state import AttemptId, Failure

GANG = "gang"
PIPELINE = 2
PIPELINE_SHORT = 16
RECONNECT_FIRST_S = 0.1
RECONNECT_PAUSE_MAX_S = 2.0


class SlotState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(slots=True)
class Slot:
    """`attempts` are inside the slot, in order; `reported` counts those that came out of it."""

    number: int
    state: SlotState = SlotState.STARTING
    code: str | None = None
    attempts: deque[AttemptId] = field(default_factory=deque)
    reported: int = 0
    depth: int = PIPELINE
    # The last sign of progress: a count that the slot keeps, and when it last changed.
    count: int = -1
    moved_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Assigned:
    """The coordinator wants this attempt run; `code` is the digest of its job's code."""

    attempt: AttemptId
    code: str


@dataclass(frozen=True, slots=True)
class CancelOrdered:
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class SlotReady:
    slot: int


@dataclass(frozen=True, slots=True)
class SlotReported:
    """The slot finished this attempt, in success or failure, and goes on living."""

    slot: int
    attempt: AttemptId
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SlotDied:
    """`started` counts the attempts that the slot began: the last of them was running, and was at
    the record at `position` if it was a careful one."""

    slot: int
    text: str
    started: int
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """With every heartbeat: how many records each slot has seen, by its number."""

    now: float
    counts: dict[int, int]


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The coordinator is gone, or an attempt to reach it again failed."""

    now: float
    text: str


@dataclass(frozen=True, slots=True)
class Connected:
    """Registered; `kept` says that this worker still has its name and what it holds. From now on
    it waits for a coordinator that is gone for `patience_s`."""

    kept: bool
    patience_s: float


@dataclass(frozen=True, slots=True)
class DrainOrdered:
    """Somebody asked this worker to leave."""


MachineEvent = (
    Assigned
    | CancelOrdered
    | SlotReady
    | SlotReported
    | SlotDied
    | Looked
    | Disconnected
    | Connected
    | DrainOrdered
)


@dataclass(frozen=True, slots=True)
class SpawnSlot:
    slot: int


@dataclass(frozen=True, slots=True)
class KillSlot:
    slot: int


@dataclass(frozen=True, slots=True)
class StartAttempt:
    slot: int
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class ReportFailure:
    attempt: AttemptId
    failure: Failure


@dataclass(frozen=True, slots=True)
class Reconnect:
    after_s: float


@dataclass(frozen=True, slots=True)
class Leave:
    """End this worker; `text` says why, if it is not by order."""

    text: str | None


@dataclass(frozen=True, slots=True)
class SayDraining:
    pass


@dataclass(frozen=True, slots=True)
class DropEverything:
    """Delete map outputs and datasets, and forget every job."""


MachineAction = (
    SpawnSlot
    | KillSlot
    | StartAttempt
    | ReportFailure
    | Reconnect
    | Leave
    | SayDraining
    | DropEverything
)


class WorkerMachine:
    """`start()` once, then `handle(event)`; both return what the worker process must do."""

    def __init__(self, slots: int, progress_timeout_s: float = PROGRESS_TIMEOUT_S) -> None:
        self.slots = {number: Slot(number) for number in range(slots)}
        self._progress_timeout_s = progress_timeout_s
        self._gone_since: float | None = None
        self._pause_s = RECONNECT_FIRST_S
        self._patience_s = 0.0
        self._draining = False
        # Attempts that wait for a slot, in order, and those inside slots, which wait again when
        # theirs dies; each with the digest of its code.
        self.queue: OrderedDict[AttemptId, str] = OrderedDict()
        self._inside: dict[AttemptId, str] = {}

    def start(self) -> list[MachineAction]:
        return [SpawnSlot(number) for number in self.slots]

    def handle(self, event: MachineEvent) -> list[MachineAction]:
        actions: list[MachineAction] = []
        match event:
            case Assigned(attempt, code):
                if attempt not in self._inside:
                    self.queue.setdefault(attempt, code)  # An order that comes twice is one order.
            case CancelOrdered(attempt):
                actions += self._cancel(attempt)
            case SlotReady(number):
                self.slots[number].state = SlotState.READY
            case SlotReported(number, attempt, seconds):
                slot = self.slots[number]
                self._finish(slot, attempt)
                slot.reported += 1
                short = seconds is not None and seconds < SHORT_TASK_S
                slot.depth = PIPELINE_SHORT if short else PIPELINE
            case SlotDied(number):
                actions += self._died(self.slots[number], event)
            case Looked(now, counts):
                for number, count in counts.items():
                    actions += self._look(self.slots[number], count, now)
            case Disconnected(now, text):
                actions += self._disconnected(now, text)
            case Connected(kept, patience_s):
                self._patience_s = patience_s
                actions += self._connected(kept)
            case DrainOrdered():
                actions.append(Leave(None) if self._draining else SayDraining())
                self._draining = True
        return actions + self._place()

    def _finish(self, slot: Slot, attempt: AttemptId) -> None:
        if attempt in slot.attempts:
            slot.attempts.remove(attempt)
            del self._inside[attempt]

    def _cancel(self, attempt: AttemptId) -> list[MachineAction]:
        """Running code cannot be asked to stop: its slot is killed and replaced."""
        self.queue.pop(attempt, None)
        for slot in self.slots.values():
            if attempt in slot.attempts:
                self._finish(slot, attempt)
                return self._stop(slot)
        return []

    def _stop(self, slot: Slot) -> list[MachineAction]:
        if slot.state is SlotState.STOPPING:
            return []
        slot.state = SlotState.STOPPING
        self._take_back(slot)
        return [KillSlot(slot.number)]

    def _take_back(self, slot: Slot) -> None:
        for attempt in reversed(slot.attempts):
            self.queue[attempt] = self._inside.pop(attempt)
            self.queue.move_to_end(attempt, last=False)
        slot.attempts.clear()

    def _died(self, slot: Slot, death: SlotDied) -> list[MachineAction]:
        """Blame the attempt that ran, not those that waited behind it.

        Those before it had finished, but their answers died with the slot: they run again.
        """
        actions: list[MachineAction] = []
        if slot.attempts:
            unreported = max(0, death.started - slot.reported - 1)
            victim = slot.attempts[min(unreported, len(slot.attempts) - 1)]
            self._finish(slot, victim)
            actions.append(ReportFailure(victim, Failure("died", death.text, death.position)))
        self._take_back(slot)
        self.slots[slot.number] = Slot(slot.number)
        return [*actions, SpawnSlot(slot.number)]

    def _look(self, slot: Slot, count: int, now: float) -> list[MachineAction]:
        """Heartbeats say that a worker lives; only progress says that an attempt does."""
        if count != slot.count or not slot.attempts:
            slot.count, slot.moved_at = count, now
            return []
        if now - slot.moved_at < self._progress_timeout_s:
            return []
        victim = slot.attempts[0]
        self._finish(slot, victim)
        text = f"no progress for {self._progress_timeout_s:g} s; its slot was killed"
        return [ReportFailure(victim, Failure("stuck", text)), *self._stop(slot)]

    def _disconnected(self, now: float, text: str) -> list[MachineAction]:
        if self._draining:
            return [Leave(None)]
        if self._gone_since is None:
            self._gone_since, self._pause_s = now, RECONNECT_FIRST_S
        if now - self._gone_since >= self._patience_s:
            return [Leave(f"the coordinator is gone ({text}); this worker ends")]
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, RECONNECT_PAUSE_MAX_S)
        return [Reconnect(pause_s)]

    def _connected(self, kept: bool) -> list[MachineAction]:
        self._gone_since = None
        if kept:
            return []
        self.queue.clear()
        actions: list[MachineAction] = []
        for slot in self.slots.values():
            if slot.attempts:
                actions += self._stop(slot)
        self.queue.clear()
        # Nobody has heard yet that the worker of this new name wants to leave.
        again = [SayDraining()] if self._draining else []
        return [*actions, DropEverything(), *again]

    def _place(self) -> list[MachineAction]:
        actions: list[MachineAction] = []
        while self.queue:
            attempt, code = next(iter(self.queue.items()))
            slot = self._slot_for(attempt, code)
            if slot is None:
                break
            if slot.code not in (None, code):
                actions += self._stop(slot)
                continue
            del self.queue[attempt]
            slot.code = code
            slot.attempts.append(attempt)
            self._inside[attempt] = code
            actions.append(StartAttempt(slot.number, attempt))
        return actions

    def _slot_for(self, attempt: AttemptId, code: str) -> Slot | None:
        """Idle with the same code, idle and fresh, idle with another, busy with the same."""
        possible = [slot for slot in self.slots.values() if _may_take(slot, attempt, code)]
        return min(
            possible,
            key=lambda slot: (len(slot.attempts), slot.code != code, slot.code is not None),
            default=None,
        )


def _may_take(slot: Slot, attempt: AttemptId, code: str) -> bool:
    """Nothing waits behind a member of a gang, nor a member behind anything: the one may wait for
    the other."""
    if slot.state is not SlotState.READY:
        return False
    if not slot.attempts:
        return True
    if GANG in (attempt.stage, slot.attempts[0].stage):
        return False
    return slot.code == code and len(slot.attempts) < slot.depth
