"""The five promises of job.py, against an oracle that knows no blocks, spills or partitions."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.shuffle.partition import partition_of

from .running import run_job

WORDS = st.sampled_from(["a", "b", "bb", "c", "é", "\udcff", "long-" * 20])
TEXTS = st.lists(
    st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=8).map("\n".join), max_size=4
)
MEMORY = st.sampled_from([1, 500, 5000, 1 << 30])


class Positions(mr.Job):
    """Yields every word with where it stands, so that a value out of order would show."""

    def map(self, offset, line):
        for place, word in enumerate(line.split()):
            yield word, (self.partition_index, offset, place)


def oracle(texts, partitions):
    """(word, place) pairs of each partition, by the definition."""
    groups = defaultdict(list)
    for index, text in enumerate(texts):
        offset = 0
        for line in text.split("\n"):
            for place, word in enumerate(line.split()):
                groups[word].append((index, offset, place))
            offset += len(line.encode("utf-8", "surrogateescape")) + 1
    return [
        [(word, place) for word in sorted(groups) for place in groups[word] if here(word)]
        for here in (
            lambda word, partition=partition: partition_of(word, partitions) == partition
            for partition in range(partitions)
        )
    ]


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.integers(1, 3), MEMORY, st.sampled_from([0, 1 << 20]), st.booleans())
def test_all_values_of_a_key_meet_in_order_whatever_the_memory(
    tmp_path_factory, texts, partitions, memory_bytes, inline_bytes, in_memory
):
    found = run_job(
        Positions,
        texts,
        tmp_path_factory.mktemp("run") / "here",
        partitions=partitions,
        memory_bytes=memory_bytes,
        inline_bytes=inline_bytes,
        in_memory=in_memory,
    )
    assert found == oracle(texts, partitions)


class Lengths(mr.Job):
    def map(self, offset, line):
        for word in line.split():
            yield len(word), (offset + 1) / 7

    combine = reduce = mr.Sum()


@pytest.mark.parametrize("memory_bytes", [2000, 20_000, 1 << 30])
def test_floating_point_sums_have_the_same_bits_on_every_run(tmp_path, memory_bytes):
    texts = [" ".join("x" * (n * k % 7 + 1) for n in range(200)) + "\n" for k in range(1, 4)] * 2
    texts = [text * 10 for text in texts]
    runs = {
        repr(run_job(Lengths, texts, tmp_path / f"{way}", memory_bytes=memory_bytes, **options))
        for way, options in enumerate(
            [{}, {"inline_bytes": 0}, {"in_memory": False}, {"inline_bytes": 0, "in_memory": False}]
        )
    }
    assert len(runs) == 1


def test_combining_goes_on_from_the_left_so_it_never_shows(tmp_path, monkeypatch):
    from minimr.tasks import collector

    texts = ["a bb ccc a bb\n" * 500] * 2
    rarely = run_job(Lengths, texts, tmp_path / "rarely")
    monkeypatch.setattr(collector, "COMBINE_EVERY", 7)
    assert repr(run_job(Lengths, texts, tmp_path / "often")) == repr(rarely)
