"""Planning splits: which files, in which order, cut where."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import UsageError
from minimr.formats.splits import Split, plan_splits


def write(path: Path, size_bytes: int = 1) -> str:
    path.write_bytes(b"x" * size_bytes)
    return str(path)


def paths(inputs: list[str]) -> list[str]:
    return [split.path for split in plan_splits(inputs, minimum=1)]


@given(st.integers(0, 5000), st.integers(1, 700), st.integers(1, 5))
def test_the_splits_of_a_file_are_its_bytes_once_each(tmp_path_factory, size, most, minimum):
    path = write(tmp_path_factory.mktemp("splits") / "a", size)
    splits = plan_splits([path], split_bytes=most, minimum=minimum)
    covered = [
        byte for split in splits for byte in range(split.offset, split.offset + split.length)
    ]
    assert covered == list(range(size))
    assert all(split.length <= most for split in splits)
    assert len(splits) >= min(minimum, max(1, size))


def test_a_file_is_cut_evenly(tmp_path):
    path = write(tmp_path / "a", 100)
    splits = plan_splits([path], split_bytes=30)
    assert [(split.offset, split.length) for split in splits] == [
        (0, 25), (25, 25), (50, 25), (75, 25),
    ]  # fmt: skip


def test_an_empty_file_is_one_empty_split(tmp_path):
    path = write(tmp_path / "a", 0)
    assert plan_splits([path]) == [Split(path, 0, 0, 0)]


def test_a_gz_file_is_one_split_of_unknown_length(tmp_path):
    path = write(tmp_path / "a.gz", 100)
    assert plan_splits([path], split_bytes=10) == [Split(path, 0, -1, 0)]


def test_missing_splits_come_from_where_the_pieces_are_largest(tmp_path):
    small, large = write(tmp_path / "a", 5), write(tmp_path / "b", 10)
    packed, empty = write(tmp_path / "c.gz", 99), write(tmp_path / "d", 0)
    splits = plan_splits([small, large, packed, empty], minimum=7)
    assert [(split.path, split.length) for split in splits] == [
        (small, 2), (small, 3), (large, 3), (large, 3), (large, 4), (packed, -1), (empty, 0),
    ]  # fmt: skip


def test_no_split_is_smaller_than_a_byte(tmp_path):
    inputs = [write(tmp_path / "a", 1), write(tmp_path / "b", 2), write(tmp_path / "c", 0)]
    assert [split.length for split in plan_splits(inputs, minimum=99)] == [1, 1, 1, 0]


def test_inputs_keep_their_order_and_number(tmp_path):
    second, first = write(tmp_path / "b"), write(tmp_path / "a")
    splits = plan_splits([second, first, second])
    assert [(split.path, split.input_index) for split in splits] == [
        (second, 0), (first, 1), (second, 2),
    ]  # fmt: skip


def test_a_directory_stands_for_its_plain_files_by_name(tmp_path):
    for name in ("b", "a", "_SUCCESS", ".hidden"):
        write(tmp_path / name)
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner" / "c")
    assert paths([str(tmp_path)]) == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_a_glob_stands_for_the_files_that_match_by_name(tmp_path):
    for name in ("b.txt", "a.txt", "c.md", "_SUCCESS.txt", ".hidden.txt"):
        write(tmp_path / name)
    (tmp_path / "d.txt").mkdir()
    assert paths([str(tmp_path / "*.txt")]) == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert paths([str(tmp_path / "_*.txt")]) == [str(tmp_path / "_SUCCESS.txt")]


def test_a_double_star_finds_each_file_at_any_depth_once(tmp_path):
    (tmp_path / "inner" / "deep").mkdir(parents=True)
    found = [write(tmp_path / "a"), write(tmp_path / "inner" / "deep" / "b")]
    assert paths([str(tmp_path / "**")]) == found


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    write(tmp_path / "a1")
    literal = write(tmp_path / "a[1]")
    assert paths([literal]) == [literal]


def test_the_path_stays_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a")
    assert paths(["./a"]) == ["./a"]


def test_a_split_survives_its_journey(tmp_path):
    split = Split("books/a.txt", 7, 8, 1)
    assert split.to_dict()["kind"] == "split"
    assert Split.from_dict(split.to_dict()) == split


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.txt", "'missing.txt' does not exist"),
        ("dangling", "'dangling' does not exist"),
        ("*.none", "No file matches '*.none'"),
        ("empty", "The directory empty holds no input files"),
        ("pipe", "pipe is not a plain file"),
        ("x" * 300, "File name too long"),
        ("file/below", "Cannot read the input file/below: Not a directory"),
    ],
)
def test_an_input_that_cannot_be_read_is_named(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty" / "_SUCCESS")
    write(tmp_path / "file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError) as caught:
        plan_splits([name])
    assert message in str(caught.value)


def test_a_dangling_link_in_a_directory_is_not_passed_over(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "b").symlink_to("nowhere")
    with pytest.raises(UsageError, match="does not exist"):
        plan_splits([str(tmp_path)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_an_input_without_permission_is_named(tmp_path, kind):
    target = tmp_path / "locked"
    target.touch() if kind == "file" else target.mkdir()
    target.chmod(0)
    with pytest.raises(UsageError, match="locked: Permission denied"):
        plan_splits([str(target)])


def test_no_input_at_all_is_an_error():
    with pytest.raises(UsageError, match="No input"):
        plan_splits([])
