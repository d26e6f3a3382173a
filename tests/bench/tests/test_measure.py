"""How a case is measured, on candidates that are a line of Python each."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.answers import number
from tests.bench.case import OUT, Candidate, Case
from tests.bench.figures import Figures
from tests.bench.measure import Disagreement, chosen, measure
from tests.bench.setting import Setting

pytestmark = pytest.mark.slow


def candidate(
    name: str, answer: Any, diary: Path, needs: str = "", question: str = "", extra: str = ""
) -> Candidate:
    """Writes its name into the diary and its answer into its folder."""
    code = f"""
import pathlib, sys
out = pathlib.Path(sys.argv[1])
with open({str(diary)!r}, "a") as file: file.write({name + " "!r})
(out / "answer").write_text({json.dumps(answer)!r})
{extra}
"""
    return Candidate(name, [sys.executable, "-c", code, OUT], needs, question)


def measured(
    tmp_path: Path, candidates: list[Candidate], runs: int = 2, **options: Any
) -> dict[str, Figures]:
    case = Case("A case", lambda _: candidates, number)
    return measure(case, Setting(cache=tmp_path / "cache"), runs, **options)


def test_candidates_take_turns_after_a_run_that_is_watched(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    figures = measured(tmp_path, [candidate(name, 1, diary) for name in ("a", "b")])
    assert diary.read_text().split() == ["a", "b"] * 3
    for each in figures.values():
        assert len(each.values) == len(each.cpu_s) == 2
        assert each.peak_bytes is not None
        assert not each.watched
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_candidate_may_bring_its_own_figure(tmp_path: Path) -> None:
    own = candidate("a", 1, tmp_path / "d", extra="(out / 'figure.json').write_text('12.5')")
    assert measured(tmp_path, [own])["a"].values == [12.5, 12.5]


def test_who_is_slow_runs_once(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    slow = candidate("slow", 1, diary, extra="import time; time.sleep(1.5)")
    figures = measured(tmp_path, [candidate("fast", 1, diary), slow], patience_s=1.2)
    assert diary.read_text().split() == ["fast", "slow", "fast", "fast"]
    assert figures["slow"].watched
    assert len(figures["slow"].values) == len(figures["slow"].cpu_s) == 1
    assert figures["slow"].values[0] > 1.5


def test_who_is_absent_or_fails_is_named(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    figures = measured(
        tmp_path,
        [
            candidate("well", 1, diary),
            candidate("absent", 1, diary, needs="no_such_module"),
            candidate("broken", 2, diary, extra="raise SystemError('oh')"),
            Candidate("empty", [sys.executable, "-c", "", OUT]),
        ],
        runs=1,
    )
    assert figures["absent"].why == "absent: there is no no_such_module"
    assert figures["broken"].why.startswith("failed: ended with 1: Traceback")
    assert figures["empty"].why.startswith("failed: its answer cannot be read")
    assert [name for name, each in figures.items() if each.values] == ["well"]


def test_different_answers_to_one_question_stop_everything(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    two = [candidate("a", [1, 2], diary), candidate("b", [1, 3], diary)]
    with pytest.raises(Disagreement, match=r"a: \[1, 2\]; b: \[1, 3\]"):
        measured(tmp_path, two)
    assert diary.read_text().split() == ["a", "b"]


def test_other_questions_have_other_answers(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    two = [candidate("a", 1, diary), candidate("b", 2, diary, question="other")]
    assert list(measured(tmp_path, two, runs=1)) == ["a", "b"]


def test_who_changes_its_mind_is_found_out(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    fickle = f"(out / 'answer').write_text(str(len(open({str(diary)!r}).read())))"
    with pytest.raises(Disagreement, match="a answered 2, and then 4"):
        measured(tmp_path, [candidate("a", 1, diary, extra=fickle)])


def test_some_can_be_chosen_and_the_first_always_is() -> None:
    names = ["minimr", "Pool, forked", "Ray", "Spark RDD"]
    candidates = [Candidate(name, []) for name in names]
    for words, expected in (
        ((), names),
        (("pool",), names[:2]),
        (("rdd", "RAY"), ["minimr", "Ray", "Spark RDD"]),
        (("nothing",), ["minimr"]),
    ):
        assert [each.name for each in chosen(candidates, words)] == expected
