"""`map` and `map_block` of a built-in job give the same bytes, whatever the memory and runner."""

import random
from functools import cache
from importlib import import_module

import pytest

import minimr as mr
from minimr.formats.terasort import write_terasort
from minimr.jobs import BUILT_IN
from tests.jobs.harness import write_text

LITTLE_MEMORY_BYTES = 1_000_000
OPTIONS = {
    "wordcount": {"ignore_case": True},
    "topk": {"n": 500, "column": 2},
    "histogram": {"low": 0, "high": 9_000, "bins": 300, "column": 2},
    "sessionize": {"gap": 60},
}


def job_of(name):
    module, _, class_name = BUILT_IN[name].partition(":")
    return getattr(import_module(module), class_name)


BOTH = [name for name in BUILT_IN if job_of(name).map_block is not None]


def by_records(name):
    job_class = job_of(name)
    no_blocks = {"map_block": None, "reduce_block": None, "__module__": __name__}
    return type(job_class.__name__, (job_class,), no_blocks)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two texts, for `index`, and records for `terasort`; several times the least memory."""
    folder = tmp_path_factory.mktemp("inputs")
    chance = random.Random(4)
    paths = []
    for name, lines in (("long", 10_000), ("short", 2_000)):
        text = "".join(_line(chance) for _ in range(lines))
        paths.append(write_text(folder / name, text))
    write_terasort(folder / "records", 20_000)
    return {"text": paths, "terasort": [str(folder / "records")]}


def _line(chance):
    """user TAB time TAB words: some times are no numbers, and some lines come twice."""
    time = chance.choice([str(chance.randrange(10_000))] * 9 + ["5e2", "7.25", "noon"])
    again = "\n" if chance.random() > 0.1 else f"\nuser7\t{chance.randrange(9)}\tagain\n"
    word = f"w{chance.randrange(200_000):x}"
    return f"user{chance.randrange(5_000)}\t{time}\t{word} Tag ½ naïve \udcff{again}"


@pytest.fixture(scope="module")
def by_records_in_order(files, tmp_path_factory):
    """What a job's `map` gives, one task after the other and with all the memory that it likes."""
    folder = tmp_path_factory.mktemp("expected")

    @cache
    def expected(name):
        job = by_records(name)
        return outcome(mr.run, job, name, files, folder / name, runner="serial")

    return expected


def outcome(run, job, name, files, output, **settings):
    """The bytes of the parts, and the counters."""
    result = run(
        job, files.get(name, files["text"]), output, reducers=3, options=OPTIONS.get(name, {}),
        **settings,
    )  # fmt: skip
    parts = sorted(output.glob("part-*"))
    assert len(parts) == 3
    return [part.read_bytes() for part in parts], result.counters


def test_most_built_in_jobs_have_both_forms():
    assert set(BUILT_IN) - set(BOTH) == {"grep", "join"}


@pytest.mark.parametrize("name", BOTH)
def test_both_forms_give_the_same_bytes_whatever_the_memory(
    tmp_path, name, files, by_records_in_order
):
    def serial(job, output, **settings):
        return outcome(mr.run, job, name, files, tmp_path / output, runner="serial", **settings)

    expected = by_records_in_order(name)
    assert any(expected[0])
    assert serial(job_of(name), "blocks") == expected
    little = {"memory_bytes": LITTLE_MEMORY_BYTES}
    assert serial(by_records(name), "records-little", **little) == expected
    assert serial(job_of(name), "blocks-little", **little) == expected


@pytest.mark.slow
def test_on_a_cluster_blocks_give_the_bytes_that_records_give_on_the_serial_runner(
    tmp_path, files, by_records_in_order
):
    little = {"memory_bytes": LITTLE_MEMORY_BYTES}
    with mr.Cluster(2) as cluster:
        for name in BOTH:
            found = outcome(cluster.run, name, name, files, tmp_path / name, **little)
            assert found == by_records_in_order(name), name
