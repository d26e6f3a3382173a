"""Columns written at once against the same pairs written singly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.formats import output_columns
from minimr.formats.output import open_writer
from minimr.formats.output_columns import encode_columns
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.columns import items, typed

ITEMS = st.one_of(
    st.lists(st.integers()),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.booleans()),
    st.lists(st.text(st.sampled_from("a\t\nñ\udc80\ud7ff\U0001f600"), max_size=4)),
    st.lists(st.binary(max_size=4)),
    st.lists(st.none()),
    st.lists(st.lists(st.integers(), max_size=2)),
    st.lists(st.tuples(st.integers(), st.text(max_size=2))),
)


def written(path, output_format, write):
    with open_writer(output_format, path) as writer:
        write(writer)
        part = writer.close()
    return path.read_bytes(), part


def both_ways(folder, output_format, keys, values):
    def singly(writer):
        for key, value in zip(items(keys), items(values), strict=True):
            writer.write(key, value)

    at_once = written(
        folder / "part-00000", output_format, lambda writer: writer.write_columns(keys, values)
    )
    return at_once, written(folder / "part-00000", output_format, singly)


@given(ITEMS, ITEMS, st.sampled_from(["text", "jsonl", "msgpack"]))
def test_a_part_is_the_same_if_written_by_columns(tmp_path_factory, keys, values, output_format):
    count = min(len(keys), len(values))
    folder = tmp_path_factory.mktemp("columns")
    columns = typed(keys[:count]), typed(values[:count])
    try:
        expected = both_ways(folder, output_format, *columns)
    except BadRecord:
        return  # jsonl has no form for bytes, in whatever way
    assert expected[0] == expected[1]


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 50), st.integers(1, 40))
def test_binary_rows_stand_side_by_side(tmp_path_factory, key_bytes, value_bytes, count, piece):
    rows = np.random.default_rng(count).integers(0, 256, (count, key_bytes + value_bytes), np.uint8)
    keys = ByteStrings.fixed(rows[:, :key_bytes])
    values = ByteStrings.fixed(rows[:, key_bytes:]) if value_bytes else [None] * count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output_columns, "PIECE_BYTES", piece)
        at_once, singly = both_ways(tmp_path_factory.mktemp("rows"), "binary", keys, values)
    assert at_once == singly
    assert at_once[0] == rows.tobytes()


def test_pieces_of_text_join(tmp_path, monkeypatch):
    monkeypatch.setattr(output_columns, "PIECE_RECORDS", 3)
    keys, values = ByteStrings.of(list("abcdefgh")), np.arange(8)
    at_once, singly = both_ways(tmp_path, "text", keys, values)
    assert at_once == singly


def test_columns_and_single_pairs_take_turns(tmp_path):
    def write(writer):
        writer.write("a", 1)
        writer.write_columns(ByteStrings.of(["b", "c"]), np.array([2, 3]))
        writer.write("d", 4)

    data, part = written(tmp_path / "part-00000", "text", write)
    assert data == b"a\t1\nb\t2\nc\t3\nd\t4\n"
    assert (part.records, part.bytes, part.kinds) == (4, len(data), ("str", "int"))


def test_what_has_no_short_way_is_said_to_have_none():
    texts = ByteStrings.of(["\udc80"])
    assert encode_columns("text", texts, [None]) is None
    assert encode_columns("text", ByteStrings.of(["a"]), np.zeros((1, 2))) is None
    assert encode_columns("jsonl", ByteStrings.of(["a"]), [None]) is None
    assert encode_columns("binary", texts, [None]) is None


def test_binary_records_are_of_one_size(tmp_path):
    def write(writer):
        writer.write_columns(ByteStrings.fixed(np.zeros((2, 3), np.uint8)), [None, None])
        writer.write(b"ab", None)

    with pytest.raises(BadRecord, match="binary needs all keys of one size"):
        written(tmp_path / "part-00000", "binary", write)
