"""The workers as they are, for `status` and for a log that starts late."""

from collections.abc import Mapping
from typing import Any

from minimr.scheduler.state import State, Worker


def workers_now(state: State, pids: Mapping[str, int]) -> list[dict[str, Any]]:
    """One line per worker for `status`; `pids` by name."""
    return [
        {
            "name": worker.name,
            "pid": pids[worker.name],
            "slots": worker.slots,
            "address": _address(worker),
            "running": [str(attempt) for attempt in worker.attempts],
            "state": _condition(state, worker),
        }
        for worker in state.workers.values()
    ]


def workers_joined(state: State, t: float) -> list[dict[str, Any]]:
    """A log that starts late still says which workers there are. One that was released and has not
    hung up yet is none of them: a client's log may tell of its release already."""
    return [
        {
            "t": t,
            "event": "worker_joined",
            "job": None,
            "worker": worker.name,
            "slots": worker.slots,
            "address": _address(worker),
        }
        for worker in state.workers.values()
        if not _was_released(worker)
    ]


def _was_released(worker: Worker) -> bool:
    return worker.draining and not worker.attempts and not worker.holds


def _address(worker: Worker) -> str:
    return "{}:{}".format(*worker.address)


def _condition(state: State, worker: Worker) -> str:
    if worker.draining:
        return "draining"
    return "excluded" if worker.name in state.excluded else "alive"
