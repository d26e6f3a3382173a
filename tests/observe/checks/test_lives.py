"""Healthy logs of random lives pass; the same with one line damaged do not pass unnoticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.observe.checks import check, judged
from tests.observe.checks.lives import Life
from tests.observe.checks.runs import Event

DAMAGES = 60


@given(st.integers(0, 1 << 32))
def test_whatever_happens_a_healthy_log_passes(seed: int) -> None:
    verdict = judged(Life(seed).live().events)
    assert verdict.violations == ()
    assert set(verdict.unjudged) == {1, 8, 13}


def test_everything_happens() -> None:
    """Else the test above says less than it seems to."""
    events = [event for seed in range(50) for event in Life(seed).live().events]
    seen = {(event["event"], event.get("reason")) for event in events}
    for event in ("attempt_adopted", "attempt_cancelled", "output_lost", "coordinator_started"):
        assert (event, None) in seen
    for reason in ("user", "fetch", "worker_lost"):
        assert ("attempt_failed", reason) in seen


@pytest.mark.parametrize("name", ["attempt_done", "commit_granted", "job_published", "job_done"])
def test_a_line_that_is_missing_is_missed(name: str) -> None:
    for seed in range(DAMAGES):
        events = Life(seed).live().events
        del events[_last(events, name)]
        assert check(events), f"seed {seed} without its last {name}"


@pytest.mark.parametrize("name", ["attempt_started", "attempt_done", "commit_granted", "job_done"])
def test_a_line_that_is_there_twice_is_noticed(name: str) -> None:
    for seed in range(DAMAGES):
        events = Life(seed).live().events
        at = _last(events, name)
        events.insert(at, events[at])
        assert check(events), f"seed {seed} with its last {name} twice"


def _last(events: list[Event], name: str) -> int:
    return max(at for at, event in enumerate(events) if event["event"] == name)
