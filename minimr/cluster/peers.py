"""Those who are connected to the coordinator, and what waits to be sent to them."""

from dataclasses import dataclass, field
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.channel import Channel
from minimr.scheduler.state import AttemptId

LINES_MAX = 100
SHORT_CHARACTERS = 4096
LONG = ("text", "error", "counters")
"""Fields of a line that may be long."""


@dataclass(eq=False, slots=True)
class Peer:
    """A worker or a client. `outbox` leaves as one frame when the loop has handled its batch."""

    connection: Channel
    role: str
    name: str = ""
    pid: int = 0
    # What a worker says that it holds, until it registers.
    holds: list[AttemptId] = field(default_factory=list)
    outbox: list[m.Message] = field(default_factory=list)
    # Orders without hurry; they leave with the next frame or the next heartbeat.
    later: list[m.Message] = field(default_factory=list)
    cargo: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)


class Outboxes:
    """Messages are gathered while the loop handles a batch, and leave as one frame per peer."""

    def __init__(self) -> None:
        self._dirty: dict[Peer, None] = {}

    def tell(self, peer: Peer, *messages: m.Message) -> None:
        peer.outbox += messages
        self._dirty[peer] = None

    def tell_later(self, peer: Peer, message: m.Message) -> None:
        """Without hurry, and behind what it is told before: a job whose attempts were cancelled in
        this batch is forgotten after they were ordered."""
        (peer.outbox or peer.later).append(message)

    def tell_event(self, peer: Peer, job: str, line: dict[str, Any]) -> None:
        """Lines that follow each other share a message; long ones travel alone."""
        last = peer.outbox[-1] if peer.outbox else None
        # A member of a gang may note an error that is a number.
        short = sum(len(str(line.get(name, ""))) for name in LONG) < SHORT_CHARACTERS
        if isinstance(last, m.Events) and last.job == job and short and len(last.lines) < LINES_MAX:
            last.lines.append(line)
        else:
            self.tell(peer, m.Events(job, [line]))

    def flush(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for peer in dirty:
            peer.connection.send(peer.later + peer.outbox)
            peer.outbox, peer.later = [], []
