import sys
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from click.testing import CliRunner, Result

from cli.demo import NEXT_STEPS, TEXT_FILES, write_documentation
from cli.main import COMMANDS, main
from tests.cli.conftest import Minimr
from tests.cli.fake_session import FakeSession


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        session = FakeSession(tmp_path_factory.mktemp("home"))
        patch.setitem(sys.modules, "minimr.session", session)
        result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0
    return result


@pytest.fixture(scope="module")
def lines(shown: Result) -> list[str]:
    return shown.stdout.splitlines()


def test_the_documentation_is_written_whole(tmp_path: Path) -> None:
    paths = write_documentation(tmp_path)
    assert len(paths) == TEXT_FILES
    written = "\n".join(Path(path).read_text() for path in paths)
    assert sorted(written.split()) == sorted(" ".join(topics.values()).split())


def words_of_the_documentation() -> list[str]:
    text = " ".join(topics.values()).casefold()
    return "".join(letter if letter.isalpha() else " " for letter in text).split()


def test_the_ten_commonest_words_are_those_of_the_documentation(lines: list[str]) -> None:
    words = [line.split() for line in lines[2:12]]
    counted = Counter(words_of_the_documentation())
    assert [(word, f"{number:,}") for word, number in counted.most_common(10)] == [
        (word, number) for word, number, _bar in words
    ]
    bars = [len(bar) for _word, _number, bar in words]
    assert bars == sorted(bars, reverse=True)


def test_all_words_are_summed_up(lines: list[str]) -> None:
    words = words_of_the_documentation()
    assert lines[13].startswith(
        f"   {len(words):,} words, {len(set(words)):,} different, counted in "
    )


def test_progress_is_shown_for_both_parts_and_not_between_them(shown: Result) -> None:
    said = shown.stderr.splitlines()
    assert said[0] == "WordCount begins: 16 maps and 1 reduce"
    assert said[1].startswith("map done: 16 tasks")
    assert {line.split()[0] for line in said[2:]} == {"iteration"}


def test_texts_given_are_counted_too(minimr: Minimr, session: FakeSession, text: str) -> None:
    minimr("demo", text)
    counting = next(request for request in session.requests if "inputs" in request)
    assert counting["inputs"][-1] == text
    assert len(counting["inputs"]) == TEXT_FILES + 1


def test_what_is_counted_is_said(minimr: Minimr, text: str) -> None:
    own = "1  Counting the words of Python's own documentation ("
    assert minimr("demo").stdout.splitlines()[0].startswith(own)
    assert minimr("demo", text).stdout.splitlines()[0].endswith(" kB) and 1 text")


def test_a_text_that_is_missing_is_an_error(minimr: Minimr) -> None:
    result = minimr("demo", "nosuch.txt")
    assert result.exit_code == 2
    assert "nosuch.txt" in result.stderr


def test_the_loss_falls_and_both_parts_are_measured(lines: list[str]) -> None:
    losses = next(line.split() for line in lines if line.startswith("   loss  ") and "," in line)
    numbers = [int(loss.replace(",", "")) for loss in losses[1:]]
    above = lines[lines.index(next(line for line in lines if line.split() == losses)) - 1]
    assert above.split() == ["iteration", "1", "2", "5", "10", "20", "50", "100", "200"]
    assert any(line.startswith("   loss       █") for line in lines)
    assert any(line.startswith("   201 rounds in ") for line in lines)
    assert any(line.startswith("2  Linear regression by gradient descent: ") for line in lines)
    assert next(line for line in lines if line.endswith(" test")).split() == ["training", "test"]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] > 5 * numbers[-1]
    r2 = [float(value) for value in next(line for line in lines if " r2 " in line).split()[1:]]
    assert len(r2) == 2
    assert min(r2) > 0.4


def test_it_fits_on_a_terminal_of_80_columns(lines: list[str]) -> None:
    assert max(map(len, lines)) <= 80


def test_bars_and_curve_fit_on_a_narrow_terminal(
    minimr: Minimr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were broken in two: the bar of the commonest word stood below its number."""
    monkeypatch.setenv("COLUMNS", "60")
    shown = minimr("demo").stdout.splitlines()
    assert not [line for line in shown if line.startswith("█")]
    [iterations] = [line for line in shown if line.startswith("   iteration")]
    losses = shown[shown.index(iterations) + 1]
    assert len(losses) == len(iterations) == 14 + 6 * 7


def test_what_to_try_next_exists(lines: list[str]) -> None:
    after = lines[lines.index("What to try next") + 1 : -2]
    assert [line.strip() for line in after[::2]] == list(NEXT_STEPS)
    assert {command.split()[1] for command in NEXT_STEPS} <= set(COMMANDS)


def test_nothing_is_left_behind(
    minimr: Minimr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert minimr("demo").exit_code == 0
    assert list(place.iterdir()) == []
