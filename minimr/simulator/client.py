"""The client: submits one job and waits for its end, whatever happens to the coordinator."""

from typing import TYPE_CHECKING

from minimr.scheduler import actions, events
from minimr.scheduler.state import JobPlan
from minimr.scheduler.tables import JobState

if TYPE_CHECKING:
    from minimr.simulator.world import World

RETRY_S = 0.5


class SimClient:
    """`ended` is what it was told, once."""

    def __init__(self, world: "World", plan: JobPlan) -> None:
        self._world = world
        self._plan = plan
        self.submitted_at: float | None = None
        self.ended_at = 0.0
        self.ended: actions.JobEnded | None = None

    def submit(self, _: None) -> None:
        """Hand the job in, unless the coordinator has it; ask again as long as nobody answers."""
        world = self._world
        coordinator = world.coordinator
        if self.ended is not None:
            return
        if coordinator is None or coordinator.process.state:
            world.loop.at(world.loop.now + RETRY_S, None, self.submit, None)
        elif not coordinator.knows(self._plan.job):
            if self.submitted_at is None:
                self.submitted_at = world.loop.now
            coordinator.feed(events.JobSubmitted(self._plan))

    def cancel(self) -> None:
        """Ctrl-C."""
        coordinator = self._world.coordinator
        if coordinator is not None and not coordinator.process.state:
            coordinator.feed(events.CancelRequested(self._plan.job))
            job = coordinator.scheduler.state.jobs.get(self._plan.job)
            if job is not None and job.state is JobState.RUNNING:
                self._world.violate("the job was cancelled, and runs on")

    def told(self, action: actions.JobEnded) -> None:
        """The end of the job. A restarted coordinator tells it again, and must say the same."""
        if self.ended is None:
            self.ended, self.ended_at = action, self._world.loop.now
            self._world.job_over()
        elif (self.ended.ok, self.ended.error) != (action.ok, action.error):
            self._world.violate("the client was told two different ends of its job")
