"""What a gang goes on with when it starts again, and what its members tell together."""

from minimr.gang.in_process import InProcessGang
from ml.strategies.gang import Checkpoints


def test_all_go_on_from_the_newest_step_that_all_of_them_saved():
    """Member 1 dies before its second checkpoint, when member 0 has made it."""

    def program(members):
        checkpoints = Checkpoints(members)
        if members.epoch > 1:
            return checkpoints.resumed
        checkpoints.offer(10, f"10 of {members.rank}")
        checkpoints.offer(15, "not now")
        if members.rank == 0:
            checkpoints.offer(20, "20 of 0")
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
            checkpoints.offer(10, "10 of 0")
            members.send(1, "go on", None)
        members.receive(1 - members.rank, "go on")
        members.send(0, "never sent", None)
        return None

    gang = InProcessGang(2, "all", lambda *at: at == (1, 1, 2))
    assert gang.run(program) == [None, None]
