"""Answers of different systems, in different files and formats, are equal when they should be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minimr.formats.terasort import terasort_rows
from tests.bench import answers
from tests.bench.answers import WrongAnswer


def folder(place: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def test_word_counts_are_equal_however_they_are_cut(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"part-0": "b\t2\na\t1\nc\t30\n"})
    other = folder(
        tmp_path / "other",
        {"result/part-1": "a\t1\n", "result/part-0.csv": "c\t30\nb\t2\n", "result/_SUCCESS": "x"},
    )
    assert answers.word_counts(one) == answers.word_counts(other)
    assert answers.word_counts(one)[:2] == [33, 3]


@pytest.mark.parametrize("wrong", ["b\t2\na\t1\nc\t31\n", "b\t2\na\t1\n", "b\t2\na\t1\nd\t30\n"])
def test_other_word_counts_differ(tmp_path: Path, wrong: str) -> None:
    right = answers.word_counts(folder(tmp_path / "right", {"part-0": "b\t2\na\t1\nc\t30\n"}))
    assert answers.word_counts(folder(tmp_path / "wrong", {"part-0": wrong})) != right


def test_a_word_that_was_counted_twice_is_no_answer(tmp_path: Path) -> None:
    out = folder(tmp_path, {"part-0": "a\t1\n", "part-1": "a\t1\n"})
    with pytest.raises(WrongAnswer, match="'a' occurs twice"):
        answers.word_counts(out)


def test_no_part_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(WrongAnswer, match="no part in other"):
        answers.word_counts(folder(tmp_path, {"other": "a\t1\n"}))


def test_an_index_does_not_depend_on_folders_or_orders(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"part-0": 'a\t["/x/f", "/x/g"]\nb\t["/x/f"]\n'})
    other = folder(tmp_path / "other", {"part-0": 'b\t["f"]\na\t["y/g", "y/f"]\n'})
    assert answers.index(one) == answers.index(other)
    wrong = folder(tmp_path / "wrong", {"part-0": 'b\t["g"]\na\t["y/g", "y/f"]\n'})
    assert answers.index(one) != answers.index(wrong)


def records(count: int = 300) -> list[bytes]:
    return sorted(row.tobytes() for row in terasort_rows(0, count, seed=1, ascii=True))


def test_sorted_records_are_equal_with_and_without_carriage_returns(tmp_path: Path) -> None:
    rows = records()
    parts: dict[str, str | bytes] = {
        "part-0": b"".join(rows[:100]),
        "part-1": b"",
        "part-2": b"".join(rows[100:]),
    }
    lines = b"".join(row.replace(b"\r\n", b"\n") for row in rows)
    one = answers.sorted_records(folder(tmp_path / "one", parts))
    assert one[0] == 300
    assert one == answers.sorted_records(folder(tmp_path / "other", {"part-0": lines}))


def test_records_with_one_key_may_come_in_any_order(tmp_path: Path) -> None:
    one, other = b"k" * 10 + b"1" * 88 + b"\r\n", b"k" * 10 + b"2" * 88 + b"\r\n"
    first = answers.sorted_records(folder(tmp_path / "first", {"part-0": one + other}))
    second = answers.sorted_records(folder(tmp_path / "second", {"part-0": other + one}))
    assert first == second


def swapped(rows: list[bytes]) -> list[bytes]:
    return [*rows[:7], rows[8], rows[7], *rows[9:]]


def last_byte_of_key(rows: list[bytes]) -> list[bytes]:
    """Two keys that differ only in their last byte, the larger one first."""
    key = rows[7][:9]
    return [*rows[:7], key + b"b" + rows[7][10:], key + b"a" + rows[7][10:], *rows[9:]]


@pytest.mark.parametrize("break_order", [swapped, last_byte_of_key])
def test_records_out_of_order_are_no_answer(
    tmp_path: Path, break_order: Callable[[list[bytes]], list[bytes]]
) -> None:
    out = folder(tmp_path, {"part-0": b"".join(break_order(records()))})
    with pytest.raises(WrongAnswer, match="part-0 is not in order"):
        answers.sorted_records(out)


def test_parts_out_of_order_are_no_answer(tmp_path: Path) -> None:
    rows = records()
    parts: dict[str, str | bytes] = {"part-0": b"".join(rows[5:]), "part-1": b"".join(rows[:5])}
    with pytest.raises(WrongAnswer, match="part-1 is not in order, or not after"):
        answers.sorted_records(folder(tmp_path, parts))


def test_a_changed_or_lost_record_changes_the_checksum(tmp_path: Path) -> None:
    rows = records()
    right = answers.sorted_records(folder(tmp_path / "right", {"part-0": b"".join(rows)}))
    changed = [*rows[:-1], rows[-1][:97] + b"?\r\n"]
    doubled = [*rows[:-2], rows[-2], rows[-2]]
    for number, wrong in enumerate([changed, doubled, rows[1:]]):
        out = folder(tmp_path / str(number), {"part-0": b"".join(wrong)})
        assert answers.sorted_records(out) != right


@pytest.mark.parametrize("wrong", [b"short\n", b"x" * 99 + b"\n" + b"y" * 50, b"no line end"])
def test_other_widths_are_no_records(tmp_path: Path, wrong: bytes) -> None:
    with pytest.raises(WrongAnswer, match="does not hold records"):
        answers.sorted_records(folder(tmp_path, {"part-0": wrong}))


def test_sums_are_equal_as_arrays_and_as_text(tmp_path: Path) -> None:
    for number, (keys, values) in enumerate([([7, -3], [1.5, 0.25]), ([12], [3.0])]):
        np.save(tmp_path / f"part-{number}.keys.npy", np.array(keys, np.int64))
        np.save(tmp_path / f"part-{number}.values.npy", np.array(values))
    text = folder(tmp_path / "text", {"part-0": "12\t3.0\n", "part-1": "-3\t0.25\n7\t1.5\n"})
    assert answers.sums(text)[:2] == [3, 4.75]
    (tmp_path / "arrays").mkdir()
    for path in tmp_path.glob("*.npy"):
        path.rename(tmp_path / "arrays" / path.name)
    assert answers.sums(tmp_path / "arrays") == answers.sums(text)


def test_a_sum_that_is_off_by_one_bit_differs(tmp_path: Path) -> None:
    right = folder(tmp_path / "right", {"part-0": "1\t0.5\n2\t1.0\n"})
    wrong = folder(tmp_path / "wrong", {"part-0": f"1\t0.5\n2\t{float(np.nextafter(1, 2))}\n"})
    assert answers.sums(right) != answers.sums(folder(wrong, {}))
    twice = folder(tmp_path / "twice", {"part-0": "1\t0.5\n1\t1.0\n"})
    with pytest.raises(WrongAnswer, match="twice"):
        answers.sums(twice)
