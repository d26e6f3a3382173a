"""An input big enough that map outputs go to disk, what a job must make of it, and gangs."""

import random

import pytest

import minimr as mr
from minimr.cluster import member_conversation, member_memory
from tests.cluster.gated import GatedCount
from tests.cluster.linked import Gang
from tests.cluster.running import digests

WORDS = [f"word{number}" for number in range(2000)]


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    chance = random.Random(7)
    for number in range(4):
        lines = (" ".join(chance.choices(WORDS, k=10)) for _ in range(3000))
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def expected(books, tmp_path_factory):
    output = tmp_path_factory.mktemp("serial") / "out"
    mr.run(GatedCount, [str(books)], output, reducers=3, runner="serial")
    return digests(output)


@pytest.fixture
def gang_of():
    gangs = []

    def make(size, **options):
        gangs.append(Gang(size, **options))
        return gangs[-1]

    yield make
    for gang in gangs:
        gang.close()


@pytest.fixture(params=["sent", "shared"])
def way(request, monkeypatch):
    """How arrays pass between members: all on the connection, or all through shared memory."""
    if request.param == "sent":
        monkeypatch.setattr(member_memory, "reach", lambda name: None)  # As between machines.
    monkeypatch.setattr(member_conversation, "SHARED_BYTES_MIN", 1)
    return request.param


@pytest.fixture
def small_pieces(monkeypatch):
    """Arrays have many pieces, and shared memory has few places for them."""
    for module in (member_conversation, member_memory):
        monkeypatch.setattr(module, "PIECE_BYTES", 64)
    monkeypatch.setattr(member_memory, "PLACES", 2)
