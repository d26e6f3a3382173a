"""The worker's own decisions, as a second small state machine: which slot runs which attempt.

A slot is a child process that runs user code, one attempt at a time. It is bound to the code of
one job: modules of two jobs never meet in one interpreter, so a slot that must change its job is
replaced by a fresh one. Attempts wait inside a busy slot's pipe, one behind a long one and several
behind short ones, so that a slot never idles while its worker and the coordinator talk.

Like the scheduler it takes events and returns actions, and touches nothing else.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from minimr.scheduler.policy import SHORT_TASK_S
from minimr.scheduler.state import AttemptId, Failure

PIPELINE = 2
PIPELINE_SHORT = 16


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
    """`started` counts the attempts that the slot began: the last of them was running."""

    slot: int
    text: str
    started: int


MachineEvent = Assigned | CancelOrdered | SlotReady | SlotReported | SlotDied


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


MachineAction = SpawnSlot | KillSlot | StartAttempt | ReportFailure


class WorkerMachine:
    """`start()` once, then `handle(event)`; both return what the worker process must do."""

    def __init__(self, slots: int) -> None:
        self.slots = {number: Slot(number) for number in range(slots)}
        self.queue: deque[Assigned] = deque()
        # Attempts inside slots; the queue needs them back when a slot dies.
        self._inside: dict[AttemptId, Assigned] = {}

    def start(self) -> list[MachineAction]:
        return [SpawnSlot(number) for number in self.slots]

    def handle(self, event: MachineEvent) -> list[MachineAction]:
        actions: list[MachineAction] = []
        match event:
            case Assigned():
                self.queue.append(event)
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
            case SlotDied(number, text, started):
                actions += self._died(self.slots[number], text, started)
        return actions + self._place()

    def _finish(self, slot: Slot, attempt: AttemptId) -> None:
        if attempt in slot.attempts:
            slot.attempts.remove(attempt)
            del self._inside[attempt]

    def _cancel(self, attempt: AttemptId) -> list[MachineAction]:
        """Running code cannot be asked to stop: its slot is killed and replaced."""
        self.queue = deque(each for each in self.queue if each.attempt != attempt)
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
            self.queue.appendleft(self._inside.pop(attempt))
        slot.attempts.clear()

    def _died(self, slot: Slot, text: str, started: int) -> list[MachineAction]:
        """Blame the attempt that ran, not those that waited behind it.

        Those before it had finished, but their answers died with the slot: they run again.
        """
        actions: list[MachineAction] = []
        if slot.attempts:
            unreported = max(0, started - slot.reported - 1)
            victim = slot.attempts[min(unreported, len(slot.attempts) - 1)]
            self._finish(slot, victim)
            actions.append(ReportFailure(victim, Failure("died", text)))
        self._take_back(slot)
        self.slots[slot.number] = Slot(slot.number)
        return [*actions, SpawnSlot(slot.number)]

    def _place(self) -> list[MachineAction]:
        actions: list[MachineAction] = []
        while self.queue and (slot := self._slot_for(self.queue[0].code)):
            if slot.code not in (None, self.queue[0].code):
                actions += self._stop(slot)
                continue
            order = self.queue.popleft()
            slot.code = order.code
            slot.attempts.append(order.attempt)
            self._inside[order.attempt] = order
            actions.append(StartAttempt(slot.number, order.attempt))
        return actions

    def _slot_for(self, code: str) -> Slot | None:
        """Idle with the same code, idle and fresh, idle with another, busy with the same."""
        ready = [slot for slot in self.slots.values() if slot.state is SlotState.READY]
        idle = [slot for slot in ready if not slot.attempts]
        for wanted in (code, None):
            for slot in idle:
                if slot.code == wanted:
                    return slot
        if idle:
            return idle[0]
        busy = [s for s in ready if s.code == code and len(s.attempts) < s.depth]
        return min(busy, key=lambda slot: len(slot.attempts), default=None)
