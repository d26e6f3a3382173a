"""What is sampled, and how even the parts become that it cuts."""

import gzip
import random
from collections import Counter

import pytest

import minimr as mr
from minimr.formats.splits import plan_splits
from minimr.jobs.sort import Sort
from minimr.jobs.terasort import TeraSort
from minimr.runners import sample
from minimr.runners.sample import sampled_boundaries
from minimr.shuffle.range_partition import range_partitions
from minimr.tasks.spec import JobSpec


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def boundaries(job, paths, partitions=4, seed=0, split_bytes=100_000):
    spec = JobSpec(partitions, options=job.options(), format=job.input_format)
    return sampled_boundaries(job, spec, plan_splits(paths, split_bytes), seed)


def largest_share(lines, cuts, partitions):
    """The largest part, in shares of an even cut."""
    sizes = Counter(range_partitions(lines, cuts))
    return max(sizes.values()) * partitions / len(lines)


def numbered(count):
    return [f"{number:08}" for number in range(count)]


def test_a_small_input_is_looked_at_as_a_whole(tmp_path):
    lines = numbered(1_000)
    paths = [write_lines(tmp_path / "a", lines[:300]), write_lines(tmp_path / "b", lines[300:])]
    assert boundaries(Sort(), paths) == ["00000250", "00000500", "00000750"]


@pytest.mark.parametrize("order", ["shuffled", "sorted", "reversed"])
@pytest.mark.parametrize("partitions", [2, 8, 40])
def test_parts_are_even_whatever_order_the_input_has(tmp_path, order, partitions):
    lines = numbered(300_000)
    if order == "shuffled":
        random.Random(1).shuffle(lines)
    if order == "reversed":
        lines.reverse()
    cuts = boundaries(Sort(), [write_lines(tmp_path / "a", lines)], partitions)
    assert len(cuts) == partitions - 1
    assert largest_share(lines, cuts, partitions) < 1.2


def test_a_line_has_the_same_chance_whatever_its_length(tmp_path):
    """Long lines are a tenth of all and nine tenths of the bytes."""
    chance = random.Random(2)
    lines = [f"{chance.random():.12f}" for _ in range(40_000)]
    lines = [("b" + line * 60 if chance.random() < 0.1 else "a" + line) for line in lines]
    cuts = boundaries(Sort(), [write_lines(tmp_path / "a", lines)], 4)
    assert largest_share(lines, cuts, 4) < 1.25


def test_places_grow_where_few_records_start(tmp_path, monkeypatch):
    chance = random.Random(3)
    lines = [f"{chance.random():.6f}" * 500 for _ in range(1_000)]  # 4 kB each
    path = write_lines(tmp_path / "a", lines)
    assert largest_share(lines, boundaries(Sort(), [path], 4), 4) < 1.2


def test_the_sample_depends_on_the_inputs_and_the_seed_alone(tmp_path):
    lines = numbered(300_000)
    random.Random(4).shuffle(lines)
    path = write_lines(tmp_path / "a", lines)
    assert boundaries(Sort(), [path]) == boundaries(Sort(), [path])
    assert boundaries(Sort(), [path]) == boundaries(Sort(), [path], split_bytes=1 << 30)
    assert boundaries(Sort(), [path]) != boundaries(Sort(), [path], seed=1)


def test_compressed_files_are_entered_at_their_beginning(tmp_path):
    lines = numbered(20_000)
    random.Random(5).shuffle(lines)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    assert largest_share(lines, boundaries(Sort(), [str(path)]), 4) < 1.2


def test_what_the_job_makes_of_a_record_is_sampled(tmp_path):
    path = write_lines(tmp_path / "a", numbered(1_000))
    assert boundaries(Sort(numeric=True, reverse=True), [path]) == [-749.0, -499.0, -249.0]


def test_binary_records_are_sampled(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(1_000)))
    cuts = boundaries(TeraSort(record_bytes=4, key_bytes=3), [str(path)], 2)
    assert range_partitions([b"\0\0\0", b"\0\3\0"], cuts) == [0, 1]
    assert len(cuts) == 1


def test_one_partition_needs_no_sample(tmp_path):
    assert boundaries(Sort(), [write_lines(tmp_path / "a", ["x"])], 1) == []


def test_an_empty_input_has_no_boundaries(tmp_path):
    assert boundaries(Sort(), [write_lines(tmp_path / "a", [])]) == []


class Picky(mr.Job):
    total_order = True

    def map(self, offset, line):
        print("seen", line)
        if line == "bad":
            raise ValueError(line)
        yield int(line), None


def test_records_that_the_job_cannot_map_and_its_prints_are_left_to_the_tasks(tmp_path, capfd):
    good = [str(number) for number in range(100)]
    path = write_lines(tmp_path / "a", [*good, "bad"])
    assert boundaries(Picky(), [path], 2, split_bytes=60)
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_is_not_left_to_anybody(tmp_path):
    class Interrupted(mr.Job):
        def map(self, offset, line):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        boundaries(Interrupted(), [write_lines(tmp_path / "a", ["x"])])


def test_a_sample_of_huge_keys_ends_early_and_still_stands_for_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "KEYS_BYTES_MAX", 50_000)
    lines = numbered(300_000)
    cuts = boundaries(Sort(), [write_lines(tmp_path / "a", lines)], 2)
    assert largest_share(lines, cuts, 2) < 1.3
