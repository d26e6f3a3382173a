"""Measure one case: the candidates take turns, and every answer is compared.

The first run of each candidate warms the page cache, and its memory is watched; it does not count
as a time. Then all run in turn, unwatched, as often as asked, so that a machine whose speed drifts
is fair to all. A candidate whose first run was slow is not run again: that run is its figure.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.answers import WrongAnswer
from tests.bench.case import FIGURE, OUT, Candidate, Case
from tests.bench.figures import Figures
from tests.bench.process import CandidateFailed, Cost, run_process
from tests.bench.setting import Setting

Say = Callable[[str], object]


class Disagreement(Exception):
    """Candidates gave different answers to one question; the message names them."""


def measure(
    case: Case,
    setting: Setting,
    runs: int,
    patience_s: float = 8.0,
    limit_s: float = 300.0,
    only: Sequence[str] = (),
    say: Say = lambda _: None,
) -> dict[str, Figures]:
    """The figures of each candidate, in their order. Raises Disagreement.

    `only` keeps candidates whose names contain one of these words, and always the first one.
    """
    candidates = chosen(case.candidates(setting), only)
    figures = {each.name: Figures() for each in candidates}
    again = []
    for candidate in candidates:
        mine = figures[candidate.name]
        if not setting.has(candidate.needs):
            mine.why = f"absent: there is no {candidate.needs}"
            continue
        say(f"{candidate.name}, watched")
        try:
            cost, value, mine.answer = run_once(case, candidate, setting, limit_s, watched=True)
        except (CandidateFailed, WrongAnswer) as error:
            mine.why = f"failed: {error}"
            continue
        mine.peak_bytes, mine.processes = cost.peak_bytes, cost.processes
        if cost.wall_s > patience_s:
            mine.watched, mine.values, mine.cpu_s = True, [value], [cost.cpu_s]
        else:
            again.append(candidate)
    compare_answers(candidates, figures)
    for turn in range(runs):
        for candidate in again:
            say(f"{candidate.name}, run {turn + 1} of {runs}")
            _time(case, candidate, setting, limit_s, figures[candidate.name])
    return figures


def chosen(candidates: Sequence[Candidate], only: Sequence[str]) -> list[Candidate]:
    first, *others = candidates
    words = [word.lower() for word in only]
    return [first] + [
        each for each in others if not words or any(word in each.name.lower() for word in words)
    ]


def _time(
    case: Case, candidate: Candidate, setting: Setting, limit_s: float, figures: Figures
) -> None:
    """One more timed run. A candidate that fails now has no figures at all."""
    if figures.why:
        return
    try:
        cost, value, answer = run_once(case, candidate, setting, limit_s, watched=False)
    except (CandidateFailed, WrongAnswer) as error:
        figures.why, figures.values = f"failed: {error}", []
        return
    if answer != figures.answer:
        raise Disagreement(f"{candidate.name} answered {figures.answer}, and then {answer}")
    figures.values.append(value)
    figures.cpu_s.append(cost.cpu_s)


def run_once(
    case: Case, candidate: Candidate, setting: Setting, limit_s: float, watched: bool
) -> tuple[Cost, float, Any]:
    """(cost, figure, answer) of one run in a folder of its own."""
    setting.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=setting.cache, prefix="run-"))
    try:
        out = folder / "out"
        out.mkdir()
        command = [argument.replace(OUT, str(out)) for argument in candidate.command]
        cost = run_process(command, setting.environment(), folder, limit_s, watched)
        given = out / FIGURE
        value = json.loads(given.read_text()) if given.exists() else cost.wall_s
        return cost, value, _answer(case, out)
    finally:
        shutil.rmtree(folder)


def _answer(case: Case, out: Path) -> Any:
    try:
        return case.answer(out)
    except (ValueError, OSError) as error:
        raise WrongAnswer(f"its answer cannot be read: {error}") from error


def compare_answers(candidates: Sequence[Candidate], figures: dict[str, Figures]) -> None:
    """Raise Disagreement if two answers to one question differ."""
    for question in dict.fromkeys(each.question for each in candidates):
        asked = [each.name for each in candidates if each.question == question]
        answers = {name: figures[name].answer for name in asked if not figures[name].why}
        kinds = Counter(json.dumps(answer) for answer in answers.values())
        if len(kinds) > 1:
            told = "; ".join(f"{name}: {answer}" for name, answer in answers.items())
            raise Disagreement(f"the answers differ: {told}")
