"""What a gang goes on with when it starts again, and what its members tell together."""

from itertools import pairwise

import pytest

import minimr as mr
from minimr.gang.in_process import InProcessGang, InProcessMember
from ml.strategies.gang import Checkpoints, steps_between


def test_all_go_on_from_the_newest_step_that_all_of_them_saved():
    """Member 1 dies before its second checkpoint, when member 0 has made it."""

    def program(members):
        checkpoints = Checkpoints(members)
        if members.epoch > 1:
            return checkpoints.resumed
        checkpoints.offer(10, lambda: f"10 of {members.rank}")
        checkpoints.offer(15, lambda: pytest.fail("not now"))
        if members.rank == 0:
            checkpoints.offer(20, lambda: "20 of 0")
            members.send(1, "go on", None)
        members.receive(1 - members.rank, "go on")
        members.send(0, "never sent", None)
        return None

    gang = InProcessGang(2, "all", lambda *at: at == (1, 1, 2))  # Its message after agreeing.
    assert gang.run(program) == ["10 of 0", "10 of 1"]


def test_a_checkpoint_that_not_all_have_is_none():
    def program(members):
        checkpoints = Checkpoints(members)
        if members.epoch > 1:
            return checkpoints.resumed
        if members.rank == 0:
            checkpoints.offer(10, lambda: "10 of 0")
            members.send(1, "go on", None)
        members.receive(1 - members.rank, "go on")
        members.send(0, "never sent", None)
        return None

    gang = InProcessGang(2, "all", lambda *at: at == (1, 1, 2))
    assert gang.run(program) == [None, None]


def test_the_checkpoints_of_a_long_training_get_rarer():
    """Each holds all losses: a step of 20,000 took three times as long as one of the first."""
    due = [step for step in range(1, 100_001) if step % steps_between(step) == 0]
    assert due[:4] == [10, 20, 30, 40]
    assert due[98:102] == [990, 1000, 1020, 1040]
    assert sum(due) < 80 * 100_000, (
        "all that is written grows with the steps, not with their square"
    )
    assert max(after / before for before, after in pairwise(due[99:])) <= 1.02


def test_what_is_too_much_to_be_saved_is_no_checkpoint(monkeypatch):
    """Of large models two checkpoints are more than `save` takes, of some members' shares at least.
    They train on, and go on from what all of them have."""
    save = InProcessMember.save

    def narrow_save(member, kept):
        if sum(len(each["value"]) for each in kept) > 12:
            raise mr.UsageError("a member may save up to 12")
        save(member, kept)

    monkeypatch.setattr(InProcessMember, "save", narrow_save)

    def program(members):
        checkpoints = Checkpoints(members)
        if members.epoch > 1:
            return checkpoints.resumed
        for step in (10, 20, 30):
            value = f"{step} of {members.rank}" if members.rank else "large"
            checkpoints.offer(step, lambda value=value: value)
        members.send(1 - members.rank, "ready", None)
        members.receive(1 - members.rank, "ready")
        members.send(1 - members.rank, "never sent", None)
        return None

    gang = InProcessGang(2, "all", lambda *at: at == (1, 1, 3))
    assert gang.run(program) == [None, None]
    told = [note["what"] for note in gang.notes if "what" in note]
    assert told == ["no checkpoint from step 20 on: a member may save up to 12"], "once"
