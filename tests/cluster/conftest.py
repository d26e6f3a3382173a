"""An input big enough that map outputs go to disk, what a job must make of it, and gangs."""

import random

import pytest

import minimr as mr
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
