"""Reading parts back: what was written comes out again, or the reader says why it cannot."""

import math
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord, CorruptData, MinimrError, UsageError
from minimr.formats.output import open_writer
from minimr.formats.parts import read_part
from minimr.shuffle import codec

STRINGS = st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"]))
BYTES = st.binary(max_size=9).filter(lambda data: b"\t" not in data and b"\n" not in data)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False))
JSON_LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text())
JSON = st.recursive(
    JSON_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)
ANYTHING = st.recursive(
    JSON_LEAVES | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=5,
)
TUPLE_KEYS = st.tuples(st.text(), st.integers(), st.tuples(st.floats(allow_nan=False), st.none()))
SIMPLE_KEYS = [STRINGS, BYTES, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()]
TEXT_VALUES = [STRINGS, STRINGS | st.none(), BYTES, st.booleans(), st.none()]
TEXT_VALUES += [NUMBERS, NUMBERS | st.none(), st.lists(JSON), st.lists(JSON) | NUMBERS]


def lists_of_pairs(keys, values):
    """Lists in which all keys are of one strategy and all values of one strategy."""
    return st.one_of([st.lists(st.tuples(key, value)) for key in keys for value in values])


def round_trip(path: Path, output_format: str, pairs: list) -> list:
    with open_writer(output_format, path) as writer:
        for key, value in pairs:
            writer.write(key, value)
        kinds = writer.close().kinds
    return list(read_part(path, output_format, kinds))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("parts") / "part-00000"


@given(lists_of_pairs([*SIMPLE_KEYS, TUPLE_KEYS], TEXT_VALUES))
def test_text_gives_back_what_was_written(path, pairs):
    assert repr(round_trip(path, "text", pairs)) == repr(pairs)  # repr tells 1, 1.0 and True apart


@given(lists_of_pairs([st.text(), st.integers(), TUPLE_KEYS], [JSON]))
def test_jsonl_gives_back_what_was_written(path, pairs):
    assert repr(round_trip(path, "jsonl", pairs)) == repr(pairs)


@given(lists_of_pairs([st.text(), st.binary(), st.integers(), TUPLE_KEYS], [ANYTHING]))
def test_msgpack_gives_back_what_was_written(path, pairs):
    assert repr(round_trip(path, "msgpack", pairs)) == repr(pairs)


def test_msgpack_keeps_arrays(path):
    gradient = np.arange(6, dtype="<f4").reshape(2, 3)
    pairs = [("a", gradient), ("b", 1), ("c", (gradient[0], "text"))]
    (_, first), second, (_, (row, text)) = round_trip(path, "msgpack", pairs)
    assert first.dtype == gradient.dtype
    np.testing.assert_array_equal(first, gradient)
    np.testing.assert_array_equal(row, gradient[0])
    assert (second, text) == (("b", 1), "text")


@pytest.mark.parametrize("output_format", ["text", "jsonl", "msgpack"])
def test_nan_and_surrogate_escapes_come_back(path, output_format):
    ((key, value),) = round_trip(path, output_format, [("caf\udce9", float("nan"))])
    assert key == "caf\udce9"
    assert math.isnan(value)


def test_lines_with_tabs_come_back_when_they_stand_alone(path):
    pairs = [("a\tb", None), ("c", None)]
    assert round_trip(path, "text", pairs) == pairs


def test_values_may_hold_tabs(path):
    pairs = [("a", "left\tright")]
    assert round_trip(path, "text", pairs) == pairs


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([("a\tb", "c")], "a key holds a tab"),
        ([("a\tb", None), ("c", 1)], "a key holds a tab"),
        ([(b"a\tb", b"c")], "a key holds a tab"),
        ([("a\nb", None)], "a key or value a line end"),
        ([("a", "b\nc")], "a key or value a line end"),
        ([("a", b"b\nc")], "a key or value a line end"),
        ([("a", "1"), ("b", 1)], "it mixes int and str"),
        ([("a", "1"), ("b", [1])], "it mixes json and str"),
        ([("a", "1"), ("b", b"1")], "it mixes bytes and str"),
    ],
)
def test_text_that_cannot_be_undone_is_refused(path, pairs, reason):
    with pytest.raises(BadRecord) as caught:
        round_trip(path, "text", pairs)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "jsonl or msgpack" in str(caught.value)
    assert round_trip(path, "msgpack", pairs) == pairs


@pytest.mark.parametrize(
    ("output_format", "data"),
    [
        ("text", b"word\tthree\n"),
        ("jsonl", b'["word", 3\n'),
        ("jsonl", b'["word", 3, 4]\n'),
        ("jsonl", b"3\n"),
        ("msgpack", b"\x92\xa1a"),
        ("msgpack", b"\x93\x01\x02\x03"),
        ("msgpack", b"\x01"),
        ("msgpack", b"\xc1"),
        ("msgpack", b"\xd4\x10\x00"),
        ("msgpack", msgpack.packb(msgpack.ExtType(17, codec.dumps(["a", 1])))),
        ("msgpack", b"\x92\xa1a\x01\xd9"),
    ],
)
def test_a_damaged_part_is_named(path, output_format, data):
    path.write_bytes(data)
    with pytest.raises(CorruptData, match=str(path)):
        list(read_part(path, output_format, ("str", "int")))


def test_a_missing_part_is_named(tmp_path):
    with pytest.raises(MinimrError, match=rf"Cannot read {tmp_path}/none: No such file"):
        list(read_part(tmp_path / "none", "text", ("str", "int")))


def test_an_unknown_format_is_refused(path):
    with pytest.raises(UsageError, match="Unknown output format 'xml'"):
        list(read_part(path, "xml", ("str", "int")))
