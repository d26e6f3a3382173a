"""Writing parts: what stands in the file, and what the part's description says of it."""

import hashlib
import json
from pathlib import Path

import msgpack
import numpy as np
import pytest

from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats.output import FLUSH_BYTES, PartInfo, encoder, open_writer


def write(path: Path, output_format: str, pairs: list) -> PartInfo:
    with open_writer(output_format, path) as writer:
        for key, value in pairs:
            writer.write(key, value)
        return writer.close()


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("word", 3, b"word\t3\n"),
        ("word", "text", b"word\ttext\n"),
        ("word", None, b"word\n"),
        ("word", "", b"word\t\n"),
        ("", None, b"\n"),
        ("naïve 😀", 1, "naïve 😀\t1\n".encode()),
        ("caf\udce9", "\udcff", b"caf\xe9\t\xff\n"),
        (b"\x00\xff", b"raw", b"\x00\xff\traw\n"),
        (7, 0.1, b"7\t0.1\n"),
        (-1.5e300, float("nan"), b"-1.5e+300\tnan\n"),
        (10**30, float("-inf"), b"1000000000000000000000000000000\t-inf\n"),
        (True, False, b"true\tfalse\n"),
        (None, None, b"null\n"),
        (("a", 1, None), [1, "ä"], '["a", 1, null]\t[1, "ä"]\n'.encode()),
        ("k", {"b": 1, "a": [2.5]}, b'k\t{"b": 1, "a": [2.5]}\n'),
        ("k", ["tab\t", "line\n"], b'k\t["tab\\t", "line\\n"]\n'),
        ("k", ["a", 1, ["b"], None], b'k\t["a", 1, ["b"], null]\n'),
        ("k", ['"', "\\", "\0\x1f\x7f"], b'k\t["\\"", "\\\\", "\\u0000\\u001f\x7f"]\n'),
        ("k", [], b"k\t[]\n"),
        ("k", ["\udcff", "ä"], b'k\t["\\udcff", "\\u00e4"]\n'),
        ("k", np.array([[1.5, 2.0]]), b"k\t[[1.5, 2.0]]\n"),
        ("k", np.float64(0.1), b"k\t0.1\n"),
        ("k", np.int32(5), b"k\t5\n"),
    ],
)
def test_text(key, value, line):
    assert encoder("text")(key, value) == line


@pytest.mark.parametrize(
    ("key", "value"),
    [("word", 3), ("tab\t", "line\n"), (None, None), (1.5, [1, None]), ("ä\udcff", {"a": True})],
)
def test_jsonl_is_json_line_by_line(key, value):
    line = encoder("jsonl")(key, value)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == [key, value]


@pytest.mark.parametrize(
    ("key", "value"), [("word", 3), (b"\xff", "ä"), (None, [1.5, True]), (2**40, {"a": b"x"})]
)
def test_msgpack_is_readable_by_any_msgpack(key, value):
    assert msgpack.unpackb(encoder("msgpack")(key, value)) == [key, value]


@pytest.mark.parametrize(
    ("output_format", "key", "value", "reason"),
    [
        ("text", "k", {1, 2}, "set has no form in JSON"),
        ("text", "k", ["text", b"raw"], "bytes has no form in JSON"),
        ("text", "k", [b"raw"], "bytes has no form in JSON"),
        ("text", "\ud800", 1, "surrogates not allowed"),
        ("jsonl", b"raw", 1, "bytes has no form in JSON"),
        ("jsonl", "k", {("a", 1): 2}, "keys must be"),
        ("msgpack", "k", {1, 2}, "set cannot be encoded"),
    ],
)
def test_a_pair_without_a_form_is_shown(output_format, key, value, reason):
    with pytest.raises(BadRecord) as caught:
        encoder(output_format)(key, value)
    message = str(caught.value)
    assert reason in message
    assert f"cannot be written as {output_format}" in message
    assert ("use the output format msgpack" in message) == (output_format != "msgpack")
    assert len(message) < 500


def test_a_value_that_holds_itself_is_shown():
    loop: list = []
    loop.append(loop)
    for output_format in ("text", "jsonl", "msgpack"):
        with pytest.raises(BadRecord, match="cannot be written"):
            encoder(output_format)("k", loop)


@pytest.mark.parametrize("output_format", ["text", "jsonl", "msgpack"])
@pytest.mark.parametrize("records", [0, 1, 1000])
def test_the_description_fits_the_file(tmp_path, output_format, records):
    path = tmp_path / "part-00003.attempt-2"
    pairs = [(f"key {number}", "x" * (FLUSH_BYTES // 300)) for number in range(records)]
    info = write(path, output_format, pairs)
    data = path.read_bytes()
    assert data == b"".join(encoder(output_format)(key, value) for key, value in pairs)
    assert info.name == "part-00003"
    assert (info.records, info.bytes) == (records, len(data))
    assert info.sha256 == hashlib.sha256(data).hexdigest()


def test_a_description_survives_its_journey(tmp_path):
    info = write(tmp_path / "part-00000.attempt-0", "text", [("a", 1)])
    assert PartInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


def test_a_failed_attempt_leaves_no_file(tmp_path):
    path = tmp_path / "part-00000.attempt-0"
    with pytest.raises(BadRecord), open_writer("text", path) as writer:
        writer.write("a", {1, 2})
    assert not path.exists()


def test_a_full_disk_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "part-00000.attempt-0"
    path.symlink_to("/dev/full")
    with (
        pytest.raises(MinimrError, match=rf"Cannot write {path}: No space left .* free some space"),
        open_writer("text", path) as writer,
    ):
        writer.write("a", "x" * FLUSH_BYTES)
    assert not path.is_symlink()


def test_a_disk_that_is_full_at_the_end_is_named_too(tmp_path):
    path = tmp_path / "part-00000.attempt-0"
    path.symlink_to("/dev/full")
    with open_writer("text", path) as writer:
        writer.write("a", 1)
        with pytest.raises(MinimrError, match="No space left"):
            writer.close()
    assert not path.is_symlink()


def test_a_staging_directory_that_is_gone_is_named(tmp_path):
    path = tmp_path / "gone" / "part-00000.attempt-0"
    with pytest.raises(MinimrError, match=rf"Cannot write {path}: No such file or directory\."):
        open_writer("text", path)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(UsageError, match="'xml'; the formats are: text, jsonl, msgpack"):
        open_writer("xml", tmp_path / "part")
    assert not (tmp_path / "part").exists()
