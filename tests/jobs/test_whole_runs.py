"""The built-in jobs on the serial runner, against the harness's definition of MapReduce."""

from importlib import import_module
from operator import itemgetter

import pytest

import minimr as mr
from minimr.jobs import BUILT_IN
from minimr.jobs.sort import Sort
from tests.jobs.harness import run, write_text

LEFT = "the\tcat\r\nthe\tdog\n\ncaf\udce9 ½ Straße\nthe\tcat\r\nann\t7\tx\nbob\t-3.5\n" * 20
RIGHT = "the\tfish\nnaïve\t\udcff\nthe\tcat"
OPTIONS = {
    "grep": {"pattern": "cat"},
    "wordcount": {"words": "letters"},
    "topk": {"column": 2, "n": 25},
    "histogram": {"column": 2, "low": -5, "high": 10},
}


@pytest.mark.parametrize("name", sorted(BUILT_IN.keys() - {"terasort"}))
@pytest.mark.parametrize("reducers", [1, 3])
def test_a_run_gives_what_mapreduce_means(tmp_path, name, reducers):
    module, _, class_name = BUILT_IN[name].partition(":")
    job_class = getattr(import_module(module), class_name)
    options = OPTIONS.get(name, {})
    inputs = [write_text(tmp_path / "left", LEFT), write_text(tmp_path / "right", RIGHT)]
    result = mr.run(
        job_class,
        inputs,
        str(tmp_path / "out"),
        runner="serial",
        reducers=reducers,
        output_format="msgpack",  # keeps the types
        options=options,
    )
    expected = run(job_class(**options), inputs)
    by_key = itemgetter(0)  # a stable sort: values keep their order
    assert expected
    assert sorted(result, key=by_key) == sorted(expected, key=by_key)


@pytest.mark.parametrize("reducers", [1, 2, 7, 200])
def test_the_parts_of_a_sort_are_the_sorted_whole(tmp_path, reducers):
    path = write_text(tmp_path / "lines", LEFT)
    mr.run(Sort, [path], str(tmp_path / "out"), runner="serial", reducers=reducers)
    in_bytes = LEFT.encode("utf-8", "surrogateescape").splitlines(keepends=True)
    lines = sorted(in_bytes, key=lambda line: line.decode("utf-8", "surrogateescape"))
    parts = sorted((tmp_path / "out").glob("part-*"))
    assert len(parts) == reducers
    assert b"".join(part.read_bytes() for part in parts) == b"".join(lines)
