"""`map` and `map_block` of a built-in job give the same bytes, whatever the memory and runner."""

import random
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
    return type(job_class.__name__, (job_class,), {"map_block": None, "__module__": __name__})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two texts, for `index`, and records for `terasort`; several times the least memory."""
    folder = tmp_path_factory.mktemp("inputs")
    chance = random.Random(4)
    paths = []
    for name, lines in (("long", 60_000), ("short", 2_000)):
        text = "".join(_line(chance) for _ in range(lines))
        paths.append(write_text(folder / name, text))
    write_terasort(folder / "records", 30_000)
    return {"text": paths, "terasort": [str(folder / "records")]}


def _line(chance):
    """user TAB time TAB words: some times are no numbers, and some lines come twice."""
    time = chance.choice([str(chance.randrange(10_000))] * 9 + ["5e2", "7.25", "noon"])
    again = "\n" if chance.random() > 0.1 else f"\nuser7\t{chance.randrange(9)}\tagain\n"
    word = f"w{chance.randrange(200_000):x}"
    return f"user{chance.randrange(5_000)}\t{time}\t{word} Tag ½ naïve \udcff{again}"


def outcome(job, name, files, output, **settings):
    """The bytes of the parts, and the counters."""
    result = mr.run(
        job, files.get(name, files["text"]), output, reducers=3, options=OPTIONS.get(name, {}),
        **settings,
    )  # fmt: skip
    parts = sorted(output.glob("part-*"))
    assert len(parts) == 3
    return [part.read_bytes() for part in parts], result.counters


def test_most_built_in_jobs_have_both_forms():
    assert set(BUILT_IN) - set(BOTH) == {"grep", "sort", "join"}


@pytest.mark.parametrize("name", BOTH)
def test_both_forms_give_the_same_bytes_whatever_the_memory(tmp_path, name, files):
    def serial(job, output, **settings):
        return outcome(job, name, files, tmp_path / output, runner="serial", **settings)

    expected = serial(by_records(name), "records")
    assert any(expected[0])
    assert serial(job_of(name), "blocks") == expected
    little = {"memory_bytes": LITTLE_MEMORY_BYTES}
    assert serial(by_records(name), "records-little", **little) == expected
    assert serial(job_of(name), "blocks-little", **little) == expected


@pytest.mark.slow
def test_on_a_cluster_blocks_give_the_bytes_that_records_give_on_the_serial_runner(tmp_path, files):
    for name in BOTH:
        expected = outcome(by_records(name), name, files, tmp_path / f"{name}-1", runner="serial")
        little = {"memory_bytes": LITTLE_MEMORY_BYTES}
        assert outcome(name, name, files, tmp_path / f"{name}-2", **little) == expected, name
