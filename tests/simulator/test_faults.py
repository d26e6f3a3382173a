import json
from dataclasses import replace

import pytest

from minimr.errors import UsageError
from minimr.simulator.faults import KINDS, Fault, check_fault, ends_well, from_plain, to_plain
from minimr.simulator.inject import HOW
from minimr.simulator.schedule import plan_for, schedule


def test_every_kind_can_be_done_to_a_world() -> None:
    assert list(HOW) == list(KINDS)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_drawn_can_be_written_down_and_read(seed: int) -> None:
    faults = schedule(seed, plan_for(seed))
    read = [from_plain(json.loads(json.dumps(to_plain(fault)))) for fault in faults]
    assert read == faults


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (Fault("earthquake", 1.0), "no fault is called 'earthquake'"),
        (Fault("crash", -1.0, (0,)), "`at` must be between"),
        (Fault("crash", float("nan"), (0,)), "`at` must be between"),
        (Fault("crash", 2.0, (0,), until=2.0), "`until` must be later"),
        (Fault("crash", 2.0, (0,), until=float("inf")), "`until` must be later"),
        (Fault("delay", 2.0, (0,), amount=-3.0), "`amount` must be between"),
        (Fault("delay", 2.0, (0,), amount=float("nan")), "`amount` must be between"),
        (Fault("slow", 2.0, (0,), amount=0.5), "factor of at least 1"),
        (Fault("crash", 2.0), "target must be worker"),
        (Fault("crash", 2.0, (0, 1)), "target must be worker"),
        (Fault("crash", 2.0, (3,)), "there is no 3 among 3 workers"),
        (Fault("crash", 2.0, (-1,)), "there is no -1"),
        (Fault("partition_workers", 2.0, (1, 1)), "two workers"),
        (Fault("segfault", 2.0, (5,)), "there is no 5 among 4 map tasks"),
        (Fault("cancel", 2.0, (0,)), "target must be nothing"),
    ],
)
def test_a_fault_that_no_world_can_have_is_refused(fault: Fault, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_fault(fault, workers=3, maps=4)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "crash",
        {},
        {"kind": "crash"},
        {"kind": "crash", "at": "soon"},
        {"kind": "crash", "at": True},
        {"kind": "crash", "at": 1, "target": 0},
        {"kind": "crash", "at": 1, "target": ["0"]},
        {"kind": "crash", "at": 1, "target": [0.5]},
        {"kind": "crash", "at": 1, "until": "never"},
        {"kind": "crash", "at": 1, "when": 2},
        {"kind": 7, "at": 1},
    ],
)
def test_what_is_no_fault_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        from_plain(value)


def test_an_end_may_be_left_open() -> None:
    fault = Fault("crash", 1.0, (0,))
    assert from_plain({"kind": "crash", "at": 1, "target": [0], "until": None}) == fault
    assert to_plain(fault) == {"kind": "crash", "at": 1.0, "target": [0]}


def test_only_some_faults_excuse_a_job_that_fails() -> None:
    crash = Fault("crash", 1.0, (0,), until=2.0)
    assert ends_well([crash])
    assert not ends_well([crash, replace(crash, kind="slot_death")])
