"""The text reader, against `bytes.split`: any cutting gives each line once, in order."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.block import TextBlock
from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats import text
from minimr.formats.splits import Split, plan_splits
from minimr.formats.text import read_text, read_text_blocks, read_whole_lines

# Line ends of every kind, characters of one to four bytes, bytes that are no UTF-8.
LINE_ENDS = [b"\n", b"\n\n", b"\r\n", b"\r", b"\x85", b"\x0c", b"\x1c", "\u2028".encode()]
OTHERS = [b"a", b"word ", b"\t", b"\x00", "é".encode(), "😀".encode(), b"\xff", b"\xc3"]
PIECES = st.sampled_from(LINE_ENDS + OTHERS)
CONTENTS = st.lists(PIECES, max_size=40).map(b"".join)
COUNTER = Path("/proc/self/io")


def expected(data: bytes) -> list[tuple[int, str]]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    offsets = [sum(len(line) + 1 for line in lines[:index]) for index in range(len(lines))]
    return [
        (offset, line.decode("utf-8", "surrogateescape"))
        for offset, line in zip(offsets, lines, strict=True)
    ]


def cut(path: str, size: int, cuts: list[int]) -> list[Split]:
    borders = sorted({0, size, *(place % (size + 1) for place in cuts)})
    return [Split(path, start, end - start, 0) for start, end in pairwise(borders)]


@given(CONTENTS, st.lists(st.integers(0, 1000), max_size=6), st.integers(1, 9), st.integers(1, 5))
def test_any_cutting_gives_every_line_once_in_order(
    tmp_path_factory, data, cuts, block_bytes, rest_bytes
):
    path = tmp_path_factory.mktemp("text") / "a"
    path.write_bytes(data)
    splits = cut(str(path), len(data), cuts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "LINE_REST_BYTES", rest_bytes)
        read = [pair for split in splits for pair in read_text(split)]
        whole = [piece for split in splits for piece in read_whole_lines(split, block_bytes)]
    assert read == expected(data)
    assert b"".join(piece for _, piece in whole) == data
    assert all(data[offset:].startswith(piece) for offset, piece in whole)
    assert all(piece.endswith(b"\n") for _, piece in whole[:-1])


@given(CONTENTS)
def test_a_split_owns_the_lines_that_start_in_it(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("text") / "a"
    path.write_bytes(data)
    for start in range(len(data)):
        for end in range(start + 1, len(data) + 1):
            owned = [line for line in expected(data) if start <= line[0] < end]
            assert list(read_text(Split(str(path), start, end - start, 0))) == owned


@given(CONTENTS)
def test_a_gz_file_reads_like_the_plain_one(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("text") / "a.gz"
    path.write_bytes(gzip.compress(data))
    split = Split(str(path), 0, -1, 0)
    assert list(read_text(split)) == expected(data)
    assert all(piece for _, piece in read_whole_lines(split))


def test_gz_members_one_after_another_are_one_file(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\n"))
    assert list(read_text(Split(str(path), 0, -1, 0))) == [(0, "one"), (4, "two")]


def test_an_empty_gz_file_has_no_lines(tmp_path):
    path = tmp_path / "a.gz"
    path.touch()
    assert list(read_text(Split(str(path), 0, -1, 0))) == []


@pytest.mark.parametrize("block_bytes", [64 << 10, 1 << 20])
def test_blocks_are_about_as_large_as_asked_and_know_their_place(tmp_path, block_bytes):
    data = b"".join(b"line %d\n" % number for number in range(300_000))
    path = tmp_path / "a"
    path.write_bytes(data)
    split = Split(str(path), 0, len(data), 0)
    blocks = list(read_text_blocks(split, block_bytes=block_bytes))
    assert b"".join(block.data for block in blocks) == data
    assert all(block.data == data[block.offset :][: len(block.data)] for block in blocks)
    assert all(len(block.data) <= block_bytes + len(b"line 299999\n") for block in blocks)
    assert len(blocks) <= len(data) / block_bytes * 1.1 + 1
    assert {block.path for block in blocks} == {str(path)}


def test_a_line_of_50_mb_is_read_by_its_owner_alone(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"short\n" + b"x" * 50_000_000 + b"\nlast")
    splits = plan_splits([str(path)])
    lines = [list(read_text(split)) for split in splits]
    assert [len(of_split) for of_split in lines] == [2, 0, 1]
    assert lines[0][1] == (6, "x" * 50_000_000)
    assert lines[-1] == [(50_000_007, "last")]


def test_a_line_over_the_limit_is_an_error_that_says_where(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"short\n" + b"x" * 5_000_000 + b"\nlast")
    split = Split(str(path), 0, path.stat().st_size, 0)
    assert len(list(read_text(split, memory_bytes=6_000_000))) == 3
    with pytest.raises(BadRecord, match=r"a:6 takes 5,000,000 bytes, .* can take 3,000,000"):
        list(read_text(split, memory_bytes=3_000_000))


def bytes_read_by(split: Split) -> int:
    """How many bytes this process read, by the kernel's own count."""

    def count() -> int:
        return int(COUNTER.read_text().split()[1])

    before = count()
    for _ in read_whole_lines(split):
        pass
    return count() - before


@pytest.mark.skipif(not COUNTER.exists(), reason="needs Linux's count of bytes read")
@pytest.mark.parametrize("length", [5_000_000, 2_000_000])
def test_the_owner_of_a_long_line_reads_it_once(tmp_path, length):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 5_000_000)
    assert bytes_read_by(Split(str(path), 0, length, 0)) < 5_010_000


@pytest.mark.skipif(not COUNTER.exists(), reason="needs Linux's count of bytes read")
def test_a_split_inside_a_long_line_reads_no_further_than_its_end(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 5_000_000)
    assert bytes_read_by(Split(str(path), 1_000_000, 1_000_000, 0)) < 1_010_000


def test_strict_names_the_file_and_the_byte(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"fine\n" * 3 + b"ab\xffc\n")
    split = Split(str(path), 8, 11, 0)
    with pytest.raises(BadRecord, match=rf"{path}: byte 17 is not valid utf-8"):
        list(read_text(split, errors="strict"))
    (block,) = read_text_blocks(split, errors="strict")
    with pytest.raises(BadRecord, match=rf"{path}: byte 17 is not valid utf-8"):
        block.text()


@pytest.mark.parametrize("encoding", ["latin-1", "shift_jis", "utf-8-sig", "cp1252"])
def test_other_encodings_that_end_lines_in_a_newline_byte(tmp_path, encoding):
    path = tmp_path / "a"
    path.write_text("one\ntwo\n", encoding=encoding)
    split = Split(str(path), 0, path.stat().st_size, 0)
    assert [line for _, line in read_text(split, encoding=encoding)] == ["one", "two"]


@pytest.mark.parametrize(
    ("encoding", "errors", "message"),
    [
        ("utf-16", "strict", "'utf-16' cannot be cut into lines"),
        ("utf-16-le", "surrogateescape", "'utf-16-le' cannot be cut into lines"),
        ("cp037", "surrogateescape", "'cp037' cannot be cut into lines"),
        ("punycode", "surrogateescape", "'punycode' cannot be cut into lines"),
        ("undefined", "strict", "'undefined' cannot be cut into lines"),
        ("idna", "surrogateescape", "'idna' cannot be cut into lines"),
        ("klingon", "surrogateescape", "unknown encoding: klingon"),
        ("base64", "surrogateescape", "not a text encoding"),
        ("utf-8", "forgive", "unknown error handler name 'forgive'"),
    ],
)
def test_an_encoding_that_cannot_work_is_refused(tmp_path, encoding, errors, message):
    path = tmp_path / "a"
    path.touch()
    with pytest.raises(UsageError) as caught:
        list(read_text(Split(str(path), 0, 0, 0), encoding, errors))
    assert message in str(caught.value)


def damaged_gz(kind: str) -> bytes:
    whole = gzip.compress(b"some words of text\n" * 1000)
    return {
        "truncated": whole[:-20],
        "no gzip": b"plain text",
        "bad checksum": whole[:-8] + b"\0" * 8,
        "bad data": whole[:20] + b"\xff" * 20 + whole[40:],
        "trailing junk": whole + b"junk",
    }[kind]


@pytest.mark.parametrize(
    "kind", ["truncated", "no gzip", "bad checksum", "bad data", "trailing junk"]
)
def test_a_damaged_gz_file_is_named(tmp_path, kind):
    path = tmp_path / "a.gz"
    path.write_bytes(damaged_gz(kind))
    with pytest.raises(BadRecord, match=rf"{path} is not a whole gzip file"):
        list(read_text(Split(str(path), 0, -1, 0)))


@pytest.mark.parametrize("offset", [0, 40])
def test_a_file_that_shrank_is_noticed(tmp_path, offset):
    path = tmp_path / "a"
    path.write_bytes(b"word\n" * 4)
    with pytest.raises(BadRecord, match=rf"{path} became shorter"):
        list(read_text(Split(str(path), offset, 50, 0)))


def test_a_file_that_vanished_is_named(tmp_path):
    with pytest.raises(MinimrError, match=rf"Cannot read the input {tmp_path}/a: No such file"):
        list(read_text(Split(f"{tmp_path}/a", 0, 5, 0)))


def test_a_long_line_travels_alone(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one\ntwo\n" + b"x" * 300_000 + b"\nthree\nfour\n" + b"y" * 200_000)
    split = Split(str(path), 0, path.stat().st_size, 0)
    blocks = list(read_text_blocks(split, block_bytes=1 << 16))
    assert b"".join(block.data for block in blocks) == path.read_bytes()
    assert b"x" * 300_000 + b"\n" in [block.data for block in blocks]
    assert all(path.read_bytes()[block.offset :].startswith(block.data) for block in blocks)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_line_is_decoded_as_any_other(end):
    line = "é\udcff" * (1 << 19)
    block = TextBlock(line.encode("utf-8", "surrogateescape") + end, 7, "a")
    assert block.is_long_line
    assert list(block.lines()) == [(7, line)]
    strict = TextBlock(b"x" * (1 << 20) + b"\xff", 7, "a", errors="strict")
    with pytest.raises(BadRecord, match=f"byte {7 + (1 << 20)} is not valid"):
        list(strict.lines())
