"""The client of a world with a gang: it loads a dataset, and then lets the gang work on it."""

from typing import TYPE_CHECKING

from minimr.scheduler import actions, events
from minimr.scheduler.state import JobPlan

if TYPE_CHECKING:
    from minimr.simulator.world import World

DATA = "data-1"
RIVAL = "data-2"
"""Another dataset, whose loading takes up slots when the gang comes."""
RETRY_S = 0.5


class GangClient:
    """`ended` is what it was told of the gang, or of its data if there was none to work on."""

    def __init__(self, world: "World", has_rival: bool, gang: JobPlan) -> None:
        self._world = world
        self._has_rival = has_rival
        self._gang = gang
        maps = world.plan.maps
        self._data, self._rival = (JobPlan(name, name, "load", maps, 0) for name in (DATA, RIVAL))
        self.submitted_at: float | None = None
        self.ended_at = 0.0
        self.ended: actions.JobEnded | None = None

    def submit(self, _: None) -> None:
        """Hand the data in."""
        self.submitted_at = self._world.loop.now
        self._say(events.JobSubmitted(self._data))

    def cancel(self) -> None:
        """Ctrl-C."""
        state = self._world.coordinator.scheduler.state
        self._say(events.CancelRequested(self._gang.job if self._gang.job in state.jobs else DATA))

    def told(self, action: actions.JobEnded) -> None:
        if action.job == DATA and action.ok:
            if self._has_rival:
                self._say(events.JobSubmitted(self._rival))
            self._say(events.JobSubmitted(self._gang))
        elif action.job == RIVAL:
            self._say(events.DatasetDropped(RIVAL))
        elif self.ended is None:
            self.ended, self.ended_at = action, self._world.loop.now
            self._say(events.CancelRequested(RIVAL))
            self._say(events.DatasetDropped(DATA))
            self._world.job_over()
        else:
            self._world.violate("the client was told two ends of its job")

    def _say(self, event: events.Event) -> None:
        """To the coordinator, when it listens."""
        coordinator, loop = self._world.coordinator, self._world.loop
        if coordinator.process.state:
            loop.at(loop.now + RETRY_S, None, self._say, event)
        else:
            coordinator.feed(event)
