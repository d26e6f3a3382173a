"""Invariants 1 and 6."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from minimr.errors import CorruptData, UsageError
from minimr.observe.checks import Expected, judged
from minimr.observe.checks.published import damage, expected_of
from tests.observe.checks.runs import Run, broken, healthy, line_of, mapped

PART = {"records": 10, "bytes": 100, "sha256": "ab"}
RIGHT = {"job-1": Expected([PART, PART], {"lines": 12})}


def test_an_output_as_expected() -> None:
    verdict = judged(healthy().events, RIGHT)
    assert verdict.violations == ()
    assert {1, 6} <= set(verdict.held)


@pytest.mark.parametrize("fact", ["records", "bytes", "sha256"])
def test_a_commit_of_other_bytes(fact: str) -> None:
    run = mapped()
    run.started("reduce-0")
    run.done("reduce-0")
    wrong = run.granted("reduce-0", **{**PART, fact: 99})
    run.reduce(1)
    run.finish()
    assert broken(run, oracle=RIGHT) == [(1, line_of(run, wrong))]


def test_too_few_and_too_many_parts() -> None:
    run = healthy()
    few = {"job-1": Expected([PART])}
    many = {"job-1": Expected([PART] * 3)}
    commit = next(each for each in run.events if each.get("task") == "reduce-1")
    done = line_of(run, run.events[-1])
    assert broken(run, oracle=few) == [(1, line_of(run, commit) + 2), (1, done)]
    assert broken(run, oracle=many) == [(1, done)]


def test_without_an_oracle_for_every_job_it_is_not_judged() -> None:
    assert 1 in judged(healthy().events).unjudged
    assert 1 in judged(healthy().events, {"job-2": Expected([])}).unjudged


def test_an_oracle_that_knows_nothing_of_what_the_log_tells() -> None:
    oracle = {"job-1": Expected([{"sha256": "ab"}] * 2)}
    assert "no fact in common" in judged(healthy().events, oracle).unjudged[1]


def test_counters_that_count_a_failed_attempt_too() -> None:
    run = mapped()
    run.started("reduce-0")
    run.failed("reduce-0")
    run.reduce(0, number=1)
    run.reduce(1)
    run.publishing()
    run.published()
    wrong = run.job_done(counters={"lines": 15})
    assert broken(run) == [(6, line_of(run, wrong))]


def test_counters_of_a_map_that_was_made_twice_count_once() -> None:
    run = mapped()
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    run.started("map-1", "worker-1", 1)
    run.done("map-1", "worker-1", 1, counters={"lines": 4})
    run.reduce(0)
    run.reduce(1)
    run.finish()
    assert broken(run) == []
    run.events[-1]["counters"] = {"lines": 12}
    assert broken(run) == [(6, line_of(run, run.events[-1]))]


def test_a_counter_that_is_forgotten() -> None:
    run = healthy()
    run.events[-1]["counters"] = {}
    assert broken(run) == [(6, line_of(run, run.events[-1]))]


def test_counters_that_the_output_contradicts() -> None:
    run = healthy()
    oracle = {"job-1": Expected([PART, PART], {"lines": 11})}
    assert broken(run, oracle=oracle) == [(6, line_of(run, run.events[-1]))]


def test_an_attempt_without_counters_counted_nothing_unless_the_log_is_old() -> None:
    run = Run()
    run.submitted(1, 1)
    run.started("map-0")
    del run.done("map-0", counters={})["counters"]
    run.reduce(0)
    run.finish()
    assert broken(run) == []
    old = Run(old=True)
    old.submitted(1, 1)
    old.map(0)
    old.reduce(0)
    old.finish()
    assert "counters" in judged(old.events).unjudged[6]


def skipping(told: int, allowed: int) -> Run:
    run = Run()
    run.submitted(1, 1, skip_max=allowed)
    run.started("map-0")
    run.done("map-0", skipped=2)
    run.reduce(0)
    run.publishing()
    run.published()
    run.job_done(skipped=told)
    return run


def test_skipped_records() -> None:
    assert broken(skipping(told=2, allowed=2)) == []
    for wrong in (skipping(told=0, allowed=2), skipping(told=2, allowed=1)):
        assert broken(wrong) == [(6, line_of(wrong, wrong.events[-1]))]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    parts = []
    for index in range(2):
        data = b"x" * 100
        (tmp_path / f"part-{index:05d}").write_bytes(data)
        facts = {"records": 10, "bytes": 100, "sha256": sha256(data).hexdigest()}
        parts.append({"name": f"part-{index:05d}", **facts, "kinds": ["str", "int"]})
    manifest = {"minimr": "0.1.0", "format": "text", "parts": parts, "counters": {"lines": 12}}
    (tmp_path / "_SUCCESS").write_text(json.dumps(manifest))
    return tmp_path


def test_the_manifest_of_an_output_is_an_oracle(output: Path) -> None:
    expected = expected_of(output)
    assert list(damage(output, expected)) == []
    assert judged(healthy().events, {"job-1": expected}).violations == ()


def test_parts_that_changed_after_they_were_published(output: Path) -> None:
    expected = expected_of(output)
    (output / "part-00000").write_bytes(b"y" * 100)
    (output / "part-00001").unlink()
    (output / "part-00007").touch()
    other, gone, unknown = damage(output, expected)
    assert "part-00000 has other content" in other
    assert "part-00001 has None bytes" in gone
    assert "part-00007 is not in the manifest" in unknown


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"parts": [3], "counters": {}}', "\x00"])
def test_a_damaged_manifest(output: Path, text: str) -> None:
    (output / "_SUCCESS").write_text(text)
    with pytest.raises(CorruptData, match="_SUCCESS is damaged"):
        expected_of(output)


def test_a_directory_that_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no output of minimr"):
        expected_of(tmp_path)
