"""The tables of transitions, walked through."""

import pytest

from minimr.scheduler.tables import (
    ENDED,
    JOB_TABLE,
    TASK_TABLE,
    InvalidTransition,
    JobState,
    Step,
    TaskState,
    move,
)


def test_a_lost_map_output_sends_a_done_task_back():
    assert move(TASK_TABLE, TaskState.DONE, Step.OUTPUT_LOST) is TaskState.PENDING


def test_what_is_not_in_the_table_is_a_bug():
    with pytest.raises(InvalidTransition, match="no step 'assigned' from state 'done'"):
        move(TASK_TABLE, TaskState.DONE, Step.ASSIGNED)


@pytest.mark.parametrize(
    ("table", "start", "states"),
    [(TASK_TABLE, TaskState.PENDING, TaskState), (JOB_TABLE, JobState.RUNNING, JobState)],
)
def test_every_state_can_be_reached(table, start, states):
    reached = {start}
    for _ in states:
        reached |= {after for (before, _), after in table.items() if before in reached}
    assert reached == set(states)


def test_no_step_leaves_a_failed_or_cancelled_job():
    left = {before for before, _ in JOB_TABLE}
    assert not left & (ENDED - {JobState.SUCCEEDED})
