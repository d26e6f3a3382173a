"""The built-in jobs on the serial runner, against the harness's definition of MapReduce."""

from importlib import import_module

import pytest

import minimr as mr
from minimr.jobs import BUILT_IN
from minimr.jobs.sort import Sort
from tests.jobs.harness import run, write_text

LEFT = "the\tcat\r\nthe\tdog\n\ncaf\udce9 ½ Straße\nthe\tcat\r\n" * 20
RIGHT = "the\tfish\nnaïve\t\udcff\nthe\tcat"
OPTIONS = {"grep": {"pattern": "cat"}, "wordcount": {"words": "letters"}}


@pytest.mark.parametrize("name", BUILT_IN)
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
    assert sorted(result, key=lambda pair: pair[0]) == expected  # a stable sort: values keep order


def test_sort_gives_one_sorted_part_unless_told_otherwise(tmp_path):
    path = write_text(tmp_path / "lines", LEFT)
    mr.run(Sort, [path], str(tmp_path / "out"), runner="serial")
    assert sorted(part.name for part in (tmp_path / "out").iterdir()) == ["_SUCCESS", "part-00000"]
    in_bytes = LEFT.encode("utf-8", "surrogateescape").splitlines(keepends=True)
    lines = sorted(in_bytes, key=lambda line: line.decode("utf-8", "surrogateescape"))
    assert (tmp_path / "out" / "part-00000").read_bytes() == b"".join(lines)
