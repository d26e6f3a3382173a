"""The inputs: the same seed gives the same bytes, and what is cached is whole."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.bench import inputs
from tests.bench.setting import Setting

LINES = ["one", "two words", "", "and three more"]


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Texts are of a few lines: without the books, the real ones take seconds to read."""
    monkeypatch.setattr(inputs, "natural_lines", lambda: LINES)
    return Setting(scale=0.001, cache=tmp_path / "cache")


def test_a_text_is_whole_lines_of_the_source_up_to_a_size(tmp_path: Path) -> None:
    for name in "ab":
        inputs.write_text(tmp_path / name, LINES, 5000, random.Random(1))
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert 5000 - max(map(len, LINES)) <= len(text) <= 5000
    assert text.endswith("\n")
    assert set(text.splitlines()) == set(LINES)


def test_the_scale_shrinks_the_text(setting: Setting) -> None:
    paths = inputs.text(setting, 200)
    assert len(paths) == inputs.FILES
    assert sum(path.stat().st_size for path in paths) == pytest.approx(200_000, rel=0.05)


def test_the_documentation_is_natural_text_in_one_order() -> None:
    first = inputs.documentation()
    second = inputs.documentation()
    for _ in range(100):
        assert next(first) == next(second)


def test_what_is_cached_is_made_once(setting: Setting) -> None:
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("content")

    for _ in range(2):
        assert (setting.cached("name", make) / "file").read_text() == "content"
    assert len(calls) == 1


def test_what_could_not_be_made_is_not_there(setting: Setting) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("a half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        setting.cached("name", fail)
    assert list(setting.cache.iterdir()) == []


def test_more_of_the_same_text_takes_no_more_disk(setting: Setting) -> None:
    paths = inputs.text(setting, 20)
    many = inputs.times(setting, paths, 3)
    assert len(many) == 3 * len(paths)
    assert all(path.is_symlink() for path in many)
    assert sorted(path.read_bytes() for path in many[: len(paths)]) == sorted(
        path.read_bytes() for path in paths
    )


def test_records_of_all_files_are_different(setting: Setting) -> None:
    paths = inputs.records(setting)
    rows = np.concatenate([np.fromfile(path, np.uint8) for path in paths]).reshape(-1, 100)
    assert len(rows) == 5_000_000 * setting.scale
    numbers = {row[10:30].tobytes() for row in rows}
    assert len(numbers) == len(rows)
    assert (rows[:, -1] == ord("\n")).all()


def test_numbers_have_zipfs_frequencies_and_exact_sums(setting: Setting) -> None:
    paths = inputs.numbers(setting)
    keys = np.concatenate([np.load(path) for path in paths])
    counts = [count for _, count in Counter(keys.tolist()).most_common()]
    # The k-th most frequent occurs about 1 / (k ln n) of the time.
    expected = len(keys) / np.log(inputs.ZIPF_KEYS)
    assert counts[0] == pytest.approx(expected * np.log(2), rel=0.2)
    assert sum(counts[:10]) == pytest.approx(expected * np.log(11), rel=0.2)
    values = np.concatenate([np.load(str(path).replace("keys", "values")) for path in paths])
    assert (values * 1024 == np.floor(values * 1024)).all()
    assert values.sum() == values[::-1].cumsum()[-1]


def test_labelled_rows_are_those_of_a_regression(setting: Setting) -> None:
    lines = "".join(path.read_text() for path in inputs.labelled_text(setting)).splitlines()
    text = [line.split() for line in lines]
    indices = [[field.partition(":")[0] for field in fields[1:]] for fields in text]
    assert indices == [[str(each) for each in range(1, inputs.TEXT_COLUMNS + 1)]] * 992
    values = [[field.rpartition(":")[2] for field in fields] for fields in text]
    rows = np.array(values, float)
    arrays = np.concatenate([np.load(path) for path in inputs.matrices(setting, 30)])
    assert arrays.shape == (1000, 31)
    for X, y in ((rows[:, 1:], rows[:, 0]), (arrays[:, :-1], arrays[:, -1])):
        weights = np.linalg.lstsq(X, y)[0]
        assert np.std(X @ weights - y) == pytest.approx(1.0, abs=0.1)  # The noise.


def test_sources_are_pythons_own(setting: Setting) -> None:
    (path, *_) = inputs.sources(setting)
    assert path.name.startswith("lib.")
    assert path.suffix == ".py"


def test_a_need_is_a_module_or_a_program(setting: Setting) -> None:
    assert [setting.has(need) for need in ("", "json", "program sh")] == [True] * 3
    assert not setting.has("no_such_module")
    assert not setting.has("program no-such-program")
