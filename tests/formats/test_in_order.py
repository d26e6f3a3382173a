"""Judging an output against what was done to it."""

import zlib

import pytest

import minimr as mr
from minimr.errors import CorruptData, UsageError
from minimr.formats.in_order import Contents, Misplaced, judge
from minimr.formats.output import PartInfo
from minimr.jobs.sort import Sort
from minimr.jobs.terasort import TeraSort


def text(line):
    return line.decode()


def published(folder, parts, output_format="text", kinds=("str", "null")):
    """An output of the given parts, each of them bytes, as if a job had published it."""
    from minimr.formats.committer import MANIFEST, Manifest, part_name

    folder.mkdir()
    infos = []
    for number, data in enumerate(parts):
        (folder / part_name(number)).write_bytes(data)
        infos.append(PartInfo(part_name(number), data.count(b"\n"), len(data), "", kinds))
    (folder / MANIFEST).write_text(Manifest(output_format, tuple(infos)).to_json())
    return folder


def test_sorted_parts_are_valid(tmp_path):
    output = published(tmp_path / "out", [b"a\nb\n", b"", b"b\nc\n"])
    verdict = judge(output, text)
    assert (verdict.valid, verdict.parts, verdict.duplicates, verdict.misplaced) == (True, 3, 1, 0)
    assert verdict.contents == Contents(4, sum(map(zlib.crc32, [b"a", b"b", b"b", b"c"])))


def test_the_seam_of_two_parts_is_looked_at(tmp_path):
    output = published(tmp_path / "out", [b"a\nc\n", b"", b"b\nd\n"])
    verdict = judge(output, text)
    assert not verdict.valid
    assert verdict.first_misplaced == Misplaced("part-00002", 0, 0, "b'b' comes after b'c'")


def test_the_first_of_several_is_named_and_all_are_counted(tmp_path):
    output = published(tmp_path / "out", [b"a\n", b"aa\nbbb\nab\nc\nb\n"])
    verdict = judge(output, text)
    assert verdict.misplaced == 2
    assert verdict.first_misplaced == Misplaced("part-00001", 2, 7, "b'ab' comes after b'bbb'")


def test_the_key_decides(tmp_path):
    output = published(tmp_path / "out", [b"9\n10\n"])
    assert judge(output, int).valid
    assert not judge(output, text).valid


def test_the_records_must_be_those_of_the_input(tmp_path):
    output = published(tmp_path / "out", [b"a\nb\n", b"c"])
    for lines, valid in [(b"b\nc\na\n", True), (b"b\nc\n", False), (b"b\nc\nx\n", False)]:
        (tmp_path / "in").write_bytes(lines)
        assert judge(output, text, [str(tmp_path / "in")]).valid is valid


@pytest.mark.parametrize("ascii", [False, True])
def test_a_whole_sort_of_binary_records_is_valid(tmp_path, ascii):
    from minimr.formats.terasort import write_terasort

    path = tmp_path / "records"
    write_terasort(path, 5_000, ascii=ascii)
    mr.run(TeraSort, [path], tmp_path / "out", runner="serial", reducers=3)
    verdict = judge(tmp_path / "out", text, [str(path)])
    assert (verdict.valid, verdict.contents.records, verdict.misplaced) == (True, 5_000, 0)


def test_a_binary_record_out_of_place_is_found(tmp_path):
    kinds = ("bytes:1", "bytes:1")
    output = published(tmp_path / "out", [b"a1b2", b"b1a9"], "binary", kinds)
    (output / "part-00000").write_bytes(b"a1b2")
    # `published` counts line ends; a part of no records has no size to tell.
    manifest = (output / "_SUCCESS").read_text().replace('"records": 0', '"records": 2')
    (output / "_SUCCESS").write_text(manifest)
    verdict = judge(output, text)
    assert verdict.first_misplaced == Misplaced("part-00001", 1, 2, "b'a9' comes after b'b1'")
    assert verdict.duplicates == 1


def test_other_formats_cannot_be_judged(tmp_path):
    output = published(tmp_path / "out", [b"[1, 2]\n"], "jsonl")
    with pytest.raises(UsageError, match="is jsonl; only text and binary"):
        judge(output, text)


def test_a_part_that_was_changed_is_refused(tmp_path):
    output = published(tmp_path / "out", [b"a\n", b"b\n"])
    (output / "part-00001").write_bytes(b"bb\n")
    with pytest.raises(CorruptData, match="part-00001 has 3 bytes instead of 2"):
        judge(output, text)
    (output / "part-00001").unlink()
    with pytest.raises(CorruptData, match="part-00001 is missing"):
        judge(output, text)


def test_what_is_no_output_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no complete output"):
        judge(tmp_path, text)


def test_an_empty_output_is_valid(tmp_path):
    (tmp_path / "in").write_bytes(b"")
    mr.run(Sort, [tmp_path / "in"], tmp_path / "out", runner="serial")
    assert judge(tmp_path / "out", text, [str(tmp_path / "in")]).valid
    mr.run(TeraSort, [tmp_path / "in"], tmp_path / "bin", runner="serial")
    assert judge(tmp_path / "bin", text, [str(tmp_path / "in")]).valid
