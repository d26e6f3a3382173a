"""What the coordinator's two desks work with: the one for workers and the one for clients."""

from collections.abc import Callable
from dataclasses import dataclass

from minimr.cluster.jobs import JobBook
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.performer import Performer
from minimr.scheduler.events import Event
from minimr.scheduler.state import State


@dataclass(frozen=True, slots=True)
class Office:
    """`workers` are those with a name. `feed` is the way to the scheduler; its `state` is only
    read here."""

    workers: dict[str, Peer]
    state: State
    book: JobBook
    performer: Performer
    outboxes: Outboxes
    feed: Callable[[Event], None]
