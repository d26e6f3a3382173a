"""A second reading of an unchanged file comes from the copy; of anything else, from the file."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from minimr.block import Block, PiecewiseBlock
from minimr.formats import input_format, parsed_copies
from minimr.formats.parsed_copies import (
    copies_directory,
    kept_copies,
    read_through,
    remove_copies,
)
from minimr.formats.splits import Split

TEXT = b"1 1:0.5 2:7\n" * 30_000


class Parser:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, split: Split) -> Block:
        self.calls += 1
        return Block({"X": np.arange(6.0).reshape(3, 2), "y": np.full(3, float(self.calls))})


@pytest.fixture
def parser():
    return Parser()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "minimr" / "parsed"


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "data.libsvm"
    path.write_bytes(TEXT)
    settle(path)
    return Split(str(path), 0, len(TEXT), 0)


def settle(path: Path, age_s: float = 100.0) -> None:
    os.utime(path, (time.time() - age_s,) * 2)


def the_copy(cache: Path) -> Path:
    [copy] = cache.iterdir()
    return copy


def test_the_second_reading_parses_nothing_and_gives_the_same_bytes(parser, split):
    first, second = (read_through(split, "libsvm", parser) for _ in range(2))
    assert parser.calls == 1
    for name in ("X", "y"):
        assert second[name].dtype == first[name].dtype
        assert second[name].tobytes() == first[name].tobytes()
    assert len(kept_copies()) == 1


def test_what_comes_in_pieces_is_copied_as_a_whole(parser, split, cache):
    whole = parser(split)
    pieces = [whole.take([0, 1]), whole.take([2])]
    cache.mkdir(parents=True)
    parsed_copies._write_copy(cache / "whole", "words", whole)
    parsed_copies._write_copy(cache / "pieces", "words", PiecewiseBlock(3, lambda: iter(pieces)))
    assert (cache / "pieces").read_bytes() == (cache / "whole").read_bytes()
    found = parsed_copies._open_copy(cache / "pieces", "words")
    assert found["X"].tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def test_libsvm_and_csv_use_it(split, cache, monkeypatch):
    assert input_format("libsvm").read_blocks(split)["X"].tolist() == [[0.5, 7.0]] * 30_000
    monkeypatch.setattr("minimr.formats.libsvm.read_libsvm", None)
    assert input_format("libsvm").read_blocks(split)["X"].shape == (30_000, 2)


@pytest.mark.parametrize("change", ["content", "time", "name", "range", "format", "version"])
def test_whatever_changes_is_parsed_again(parser, split, change, monkeypatch):
    read_through(split, "csv:0", parser)
    path, name = Path(split.path), "csv:0"
    match change:
        case "content":
            path.write_bytes(TEXT + b"1 1:1\n")
            settle(path)
        case "time":
            settle(path, age_s=50.0)
        case "name":
            path = path.rename(path.with_name("other"))
            split = Split(str(path), 0, len(TEXT), 0)
        case "range":
            split = Split(split.path, 1, len(TEXT) - 1, 0)
        case "format":
            name = "csv:1"
        case "version":
            monkeypatch.setattr(parsed_copies, "PARSER_VERSION", 3)
    assert read_through(split, name, parser)["y"][0] == 2.0


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "foreign"])
def test_a_damaged_copy_is_parsed_again_and_replaced(parser, split, cache, damage):
    read_through(split, "libsvm", parser)
    copy = the_copy(cache)
    content = bytearray(copy.read_bytes())
    match damage:
        case "bit":
            content[-20] ^= 1
        case "cut":
            content = content[:100]
        case "empty":
            content = bytearray()
        case "foreign":  # sound in itself, and about something else
            parsed_copies._write_copy(copy, "another", Block({"y": np.zeros(1)}))
            content = bytearray(copy.read_bytes())
    copy.write_bytes(content)
    assert read_through(split, "libsvm", parser)["y"][0] == 2.0
    assert read_through(split, "libsvm", parser)["y"][0] == 2.0


def test_small_splits_and_files_that_just_changed_are_not_copied(parser, split):
    read_through(Split(split.path, 0, 1000, 0), "libsvm", parser)
    settle(Path(split.path), age_s=0.0)
    read_through(split, "libsvm", parser)
    assert kept_copies() == []


def test_a_file_that_changes_while_it_is_parsed_is_not_copied(split):
    def parse(split: Split) -> Block:
        settle(Path(split.path), age_s=30.0)
        return Block({"y": np.zeros(1)})

    read_through(split, "libsvm", parse)
    assert kept_copies() == []


def test_the_directory_is_for_the_user_alone(parser, split, cache):
    read_through(split, "libsvm", parser)
    assert cache.stat().st_mode & 0o777 == 0o700
    cache.chmod(0o770)
    assert copies_directory() is None
    assert read_through(split, "libsvm", parser)["y"][0] == 2.0


def test_a_directory_of_somebody_else_is_not_trusted(parser, split, monkeypatch):
    read_through(split, "libsvm", parser)
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    assert copies_directory() is None
    assert read_through(split, "libsvm", parser)["y"][0] == 2.0


def test_a_link_in_its_place_is_not_followed(parser, split, cache, tmp_path):
    cache.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "elsewhere")
    read_through(split, "libsvm", parser)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_where_nothing_can_be_written_everything_works(parser, split, cache, monkeypatch):
    cache.parent.parent.write_text("a file where the directory should be")
    assert len(read_through(split, "libsvm", parser)) == 3
    monkeypatch.setenv("XDG_CACHE_HOME", str(split.path) + "-cache")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parsed_copies, "_write_copy", full)
    assert len(read_through(split, "libsvm", parser)) == 3


def test_the_copies_used_longest_ago_make_room(parser, split, cache, monkeypatch):
    splits = [Split(split.path, i, len(TEXT) - i, 0) for i in range(4)]
    for one in splits[:3]:
        read_through(one, "libsvm", parser)
    for age_s, copy in enumerate(sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
        settle(copy, age_s=100.0 - age_s)
    read_through(splits[0], "libsvm", parser)  # now the youngest
    total_bytes = sum(copy.size_bytes for copy in kept_copies())
    monkeypatch.setattr(parsed_copies, "TOTAL_BYTES_MAX", total_bytes)
    read_through(splits[3], "libsvm", parser)
    assert (parser.calls, len(kept_copies())) == (4, 3)
    for one in (splits[0], splits[2], splits[3]):
        read_through(one, "libsvm", parser)
    assert parser.calls == 4


def test_remove_copies(parser, split):
    read_through(split, "libsvm", parser)
    remove_copies()
    assert kept_copies() == []


def test_a_copy_says_what_it_was_parsed_from(parser, split, cache):
    read_through(split, "csv:0", parser)
    [copy] = kept_copies()
    assert copy.path == the_copy(cache)
    assert copy.size_bytes == copy.path.stat().st_size
    assert copy.parsed_from is not None
    assert copy.parsed_from["path"] == os.path.realpath(split.path)
    assert (copy.parsed_from["format"], copy.parsed_from["range"]) == ("csv:0", [0, len(TEXT)])


@pytest.mark.parametrize("content", [b"", b"left by a killed process", b"\0" * 8])
def test_looking_at_copies_bears_anything_and_is_no_use_of_them(parser, split, cache, content):
    read_through(split, "libsvm", parser)
    settle(the_copy(cache))
    (cache / "partial").write_bytes(content)
    before = [copy.last_used for copy in kept_copies()]
    assert [copy.last_used for copy in kept_copies()] == before
    assert [copy.parsed_from is None for copy in kept_copies()] == [False, True]
    remove_copies()
    assert list(cache.iterdir()) == []
