"""The scheduler: one event in, a list of actions out.

This is the master of the paper (Dean and Ghemawat, OSDI 2004, sections 3.1 to 3.3 and 3.6) without
its sockets. It hands map tasks to workers, opens the reduce stage when the last map task is done,
retries what failed, runs again what was lost with a worker, starts backups for what is late, and
lets exactly one attempt of each reduce task commit.

The reactions stand in `workers`, `attempts`, `fetches`, `gangs`, `jobs` and `backups`, one function
per event. Any event may free a slot or make a task ready, so each ends by dispatching; events that
came together may share one dispatch.
"""

from collections.abc import Callable
from typing import Any

from minimr.scheduler import actions, attempts, backups, events, fetches, gangs, jobs, workers
from minimr.scheduler.dispatch import dispatch
from minimr.scheduler.state import Location, State
from minimr.scheduler.turn import Turn


class Scheduler:
    """Owns `state`. `handle` is the way in; it returns what the world must do, in order.

    It takes two steps, which whoever has several events at once may take apart: `react` to each of
    them, then `settle` once for all.
    """

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self._turn = Turn(self.state, 0.0, "")

    def handle(self, event: events.Event, now: float) -> list[actions.Action]:
        """React to one event at time `now` (seconds of a monotonic clock)."""
        self.react(event, now)
        return self.settle()

    def react(self, event: events.Event, now: float) -> None:
        """Change the state. What the world must do about it `settle` will tell."""
        turn = self._turn
        turn.now, turn.cause = now, type(event).__name__
        HANDLERS[type(event)](turn, event)

    def settle(self) -> list[actions.Action]:
        """All that follows from the events since the last call."""
        turn, self._turn = self._turn, Turn(self.state, self._turn.now, "")
        return self.finish(turn)

    def finish(self, turn: Turn) -> list[actions.Action]:
        """Give work to whoever has room now; the journal's records come first."""
        if turn.woken or turn.all_woken:
            if self.state.gangs:
                gangs.settle(turn)
            dispatch(turn)
            while self.state.gangs and gangs.start(turn):
                dispatch(turn)
            for name in turn.woken:
                workers.release_if_spared(turn, name)
        if turn.journal:
            turn.actions.insert(0, actions.Journal(tuple(turn.journal)))
        return turn.actions

    def locations(self, job: str, announce: range) -> list[Location]:
        """The map outputs that an `Assign` announces; none if the job has ended meanwhile."""
        known = self.state.jobs.get(job)
        return known.locations[announce.start : announce.stop] if known else []


Handler = Callable[[Turn, Any], None]

HANDLERS: dict[type, Handler] = {
    events.JobSubmitted: jobs.submitted,
    events.CancelRequested: jobs.cancel_requested,
    events.Published: jobs.published,
    events.DatasetDropped: jobs.dataset_dropped,
    events.WorkerJoined: workers.joined,
    events.WorkerDraining: workers.draining,
    events.Heartbeat: workers.heartbeat,
    events.LeaseTimer: workers.lease_timer,
    events.ConnectionLost: workers.connection_lost,
    events.ReturnTimer: workers.return_over,
    events.AttemptDone: attempts.done,
    events.AttemptFailed: attempts.failed,
    events.FetchFailed: fetches.failed,
    events.RetryTimer: fetches.retry,
    events.MemberReady: gangs.member_ready,
    events.GangTimer: gangs.look,
    events.ExclusionTimer: attempts.exclusion_over,
    events.BackupTimer: backups.look,
}
