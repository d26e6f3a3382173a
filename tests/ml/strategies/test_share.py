"""How rows come to the members that have a share of the model: also more than may wait unread."""

import numpy as np
import pytest

import minimr as mr
from minimr.cluster import member_seat
from ml.strategies.share import exchanged, share_of
from tests.cluster.linked import Gang

PARTITIONS, ROWS, FEATURES = 11, 20_000, 16


@pytest.mark.parametrize("size", [2, 3])
def test_members_that_send_each_other_more_than_may_wait_do_not_wait_for_each_other(
    monkeypatch, size
):
    """Ten messages of 1 MB and more go each way. What the kernel holds of them is 2 MB, and of
    what has come, one waits to be taken."""
    monkeypatch.setattr(member_seat, "UNREAD_BYTES_MAX", 0)
    chance = np.random.default_rng(3)
    rows = chance.normal(size=(PARTITIONS, ROWS, FEATURES))
    labels = chance.normal(size=(PARTITIONS, ROWS))
    owned = [range(PARTITIONS)[share_of(PARTITIONS, size, rank)] for rank in range(size)]

    def columns_of(block, rank):
        return [block["X"][:, share_of(FEATURES, size, rank)], block["y"]]

    def program(members):
        mine = [(i, mr.Block({"X": rows[i], "y": labels[i]})) for i in owned[members.rank]]
        return exchanged(mine, members, PARTITIONS, columns_of)

    gang = Gang(size, silence_s=5.0)  # So long it would take to find that they do.
    found = gang.run(program)
    gang.close()
    for rank, blocks in enumerate(found):
        columns = share_of(FEATURES, size, rank)
        assert [block["X"].tobytes() for block in blocks] == [
            np.ascontiguousarray(each[:, columns]).tobytes() for each in rows
        ]
        assert [block["y"].tobytes() for block in blocks] == [each.tobytes() for each in labels]
