"""Invariants 4 and 5."""

from minimr.observe.checks import judged
from minimr.shuffle.digest import inputs_digest
from tests.observe.checks.runs import Run, broken, healthy, line_of, mapped, violations

OTHER = "0" * 32


def test_a_digest_worked_out_by_hand() -> None:
    """sha256sum of the two lines "0:aa" and "1:bb"."""
    run = Run()
    run.submitted(2, 1)
    for index, digest in enumerate(("aa", "bb")):
        run.started(f"map-{index}")
        run.done(f"map-{index}", digest=digest)
    run.started("reduce-0")
    run.done("reduce-0", inputs="cb40410bccdc991e10836bd962b87b2d", records_in=20)
    run.granted("reduce-0")
    run.finish()
    assert broken(run) == []


def test_the_rule_is_the_one_by_which_slots_compute_it() -> None:
    run = Run()
    run.submitted(12, 1)
    for index in range(12):
        run.map(index)
    run.started("reduce-0")
    inputs = inputs_digest({index: f"of map-{index}" for index in reversed(range(12))})
    run.done("reduce-0", inputs=inputs, records_in=120)
    run.granted("reduce-0")
    run.finish()
    assert broken(run) == []


def test_a_reduce_that_read_something_else() -> None:
    run = mapped()
    run.started("reduce-0")
    wrong = run.done("reduce-0", inputs=OTHER)
    run.granted("reduce-0")
    run.reduce(1)
    run.finish()
    assert broken(run) == [(4, line_of(run, wrong))]


def remade(digest: str, *, read_before: bool) -> Run:
    """Map 1 is made again, with this digest, before or after reduce 0 has read it."""
    run = mapped()
    if read_before:
        run.reduce(0)
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    run.started("map-1", "worker-1", 1)
    run.done("map-1", "worker-1", 1, digest=digest)
    return run


def test_a_map_made_again_alike() -> None:
    run = remade("of map-1", read_before=True)
    run.reduce(1)
    run.finish()
    assert broken(run) == []


def test_a_reduce_that_read_the_version_that_was_lost() -> None:
    run = remade("another", read_before=False)
    run.started("reduce-0")
    wrong = run.done("reduce-0")
    assert (4, line_of(run, wrong)) in broken(run)


def test_two_versions_mixed_in_one_output() -> None:
    run = remade("another", read_before=True)
    run.started("reduce-1")
    found = judged(run.events)
    assert [each.invariant for each in found.violations] == [12]
    run.done("reduce-1", inputs=inputs_digest({0: "of map-0", 1: "another"}))
    run.granted("reduce-1")
    run.publishing()
    run.published()
    wrong = run.job_done()
    assert broken(run) == [(4, line_of(run, wrong))]


def test_a_job_that_fails_because_of_a_map_must_name_it() -> None:
    run = remade("another", read_before=True)
    run.job_failed("map-1 gave other output when it ran again")
    assert broken(run) == []
    run.events[-1]["error"] = "something went wrong"
    assert broken(run) == [(4, line_of(run, run.events[-1]))]


def test_without_digests_nothing_is_judged() -> None:
    run = Run(old=True)
    run.submitted(1, 1)
    run.map(0)
    run.reduce(0)
    run.finish()
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert {4, 5} <= set(verdict.unjudged)


def test_a_map_without_a_digest_is_not_judged_either() -> None:
    run = healthy()
    first = next(each for each in run.events if each["event"] == "attempt_done")
    del first["digest"]
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert 4 in verdict.unjudged


def test_a_round_has_no_digests() -> None:
    run = Run(old=True)
    run.submitted(1, 1, kind="round", publishes=False)
    run.map(0)
    run.started("reduce-0")
    run.done("reduce-0")
    run.job_done()
    assert {4, 5} <= set(judged(run.events).held)


def test_a_reduce_that_starts_before_all_maps_are_done() -> None:
    run = Run()
    run.submitted(2, 1)
    run.map(0)
    wrong = run.started("reduce-0", "worker-2")
    run.map(1)
    run.done("reduce-0", "worker-2", records_in=20)
    run.granted("reduce-0", "worker-2")
    run.finish()
    assert broken(run) == [(5, line_of(run, wrong))]


def test_a_reduce_that_starts_while_a_map_is_made_again() -> None:
    run = mapped()
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    wrong = run.started("reduce-0")
    assert (5, line_of(run, wrong)) in broken(run)


def test_a_reduce_that_is_done_without_a_map() -> None:
    run = Run()
    run.submitted(2, 1)
    run.map(0)
    run.restarted()
    run.attempt("attempt_adopted", "reduce-0", "worker-1")
    wrong = run.done("reduce-0")
    assert (5, line_of(run, wrong)) in broken(run)


def test_pairs_that_are_counted_twice_or_not_at_all() -> None:
    for records_in in (9, 11):
        run = mapped()
        run.started("reduce-0")
        run.done("reduce-0", records_in=records_in)
        run.granted("reduce-0")
        run.reduce(1)
        run.finish()
        [violation] = violations(run)
        assert violation.invariant == 5
        assert f"gave 20 pairs, and its reduce tasks took {records_in + 10}" in violation.text
