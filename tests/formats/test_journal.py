"""The journal's bytes: what a crash leaves is cut, what anything else does is refused.

The oracle is the list of records that were framed, and where each frame ends.
"""

import struct
import zlib
from itertools import accumulate

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import MinimrError
from minimr.formats import journal
from minimr.formats.journal import SECTOR_BYTES, BadJournal, frame, frames, header, scan
from minimr.shuffle import codec

CLUSTER = "c1"
HEADER = header(CLUSTER)
RECORDS = [
    ["accepted", {"job": "job-1", "maps": 2}, 0.5],
    ["map", ("job-1", "map", 0, 1), b"\0" * 40, None],
    ["map", ("job-1", "map", 1, 1), b"R" * 20, True],
    ["closed", "job-1", 1 << 70, "\ud800"],
]
FRAMES = [frame(number, record) for number, record in enumerate(RECORDS)]
WHOLE = b"".join([HEADER, *FRAMES])
ENDS = list(accumulate([len(HEADER), *map(len, FRAMES)]))
LAST = ENDS[-2]
BATCH = frames(2, RECORDS[2:])

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def big(size, sequence=0, batch=None):
    """A record larger than a few sectors, without a zero byte in its payload."""
    return frame(sequence, [b"x" * size], batch)


def flipped(data, position, mask=1):
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)


def test_records_come_back_as_they_were():
    found = scan(WHOLE)
    assert (found.cluster, found.records) == (CLUSTER, RECORDS)
    assert (found.good_bytes, found.torn) == (len(WHOLE), False)
    assert type(found.records[1][1]) is tuple


def test_a_journal_may_hold_nothing():
    assert scan(HEADER, CLUSTER) == journal.Scan(CLUSTER, [], len(HEADER), False)


@given(batches=st.lists(st.lists(VALUES, max_size=3), max_size=4))
def test_whatever_batches_were_appended_come_back(batches):
    data, records = HEADER, []
    for batch in batches:
        data += frames(len(records), batch)
        records += batch
    found = scan(data, CLUSTER)
    assert repr(found.records) == repr(records)
    assert not found.torn


def test_a_journal_cut_anywhere_holds_the_whole_records_before():
    for length in range(len(HEADER), len(WHOLE)):
        found = scan(WHOLE[:length])
        whole = max(number for number, end in enumerate(ENDS) if end <= length)
        assert found.records == RECORDS[:whole]
        assert found.good_bytes == ENDS[whole]
        assert found.torn == (length not in ENDS)


def test_a_header_cut_anywhere_is_refused_since_it_appears_whole():
    for length in range(len(HEADER)):
        with pytest.raises(BadJournal, match=r"does not begin as a journal|header is damaged"):
            scan(HEADER[:length])


@pytest.mark.parametrize("mask", [1, 0x80, 0xFF])
def test_every_flip_of_a_byte_is_refused_in_the_last_record_too(mask):
    for position in range(len(WHOLE)):
        with pytest.raises(BadJournal):
            scan(flipped(WHOLE, position, mask))


def test_every_byte_zeroed_is_refused_but_the_last_one_which_may_be_unwritten():
    for position in range(len(WHOLE) - 1):
        data = flipped(WHOLE, position, WHOLE[position])
        if data != WHOLE:
            with pytest.raises(BadJournal):
                scan(data)
    found = scan(WHOLE[:-1] + b"\0")
    assert (found.records, found.good_bytes, found.torn) == (RECORDS[:-1], LAST, True)


@pytest.mark.parametrize("beyond", [0, 1, 5000])
def test_a_last_record_whose_end_was_never_written_is_cut(beyond):
    """The file system made the file longer, and lost its power before it wrote the content."""
    for written in range(LAST, len(WHOLE)):
        found = scan(WHOLE[:written] + bytes(len(WHOLE) - written + beyond))
        assert (found.records, found.good_bytes, found.torn) == (RECORDS[:-1], LAST, True)


@pytest.mark.parametrize("sectors", [(0,), (1,), (2,), (4,), (0, 2), (1, 3, 4), range(5)])
@pytest.mark.parametrize("start", [0, 1, 200, 511])
def test_an_append_with_sectors_missing_is_cut(sectors, start):
    """Sectors reach the disk in any order; those that did not are zeros, from the old end on."""
    filler = big(2 * SECTOR_BYTES + start)
    before = HEADER + filler
    append = frames(1, [b"x" * 700, b"y" * 700, b"z" * 700])
    data = bytearray(before + append)
    first = len(before) - len(before) % SECTOR_BYTES
    for sector in sectors:
        lost = first + sector * SECTOR_BYTES
        lost, end = max(lost, len(before)), min(lost + SECTOR_BYTES, len(data))
        data[lost:end] = bytes(end - lost)
    found = scan(bytes(data))
    assert found.torn
    assert (
        found.records
        == [[b"x" * (2 * SECTOR_BYTES + start)], b"x" * 700, b"y" * 700][: len(found.records)]
    )
    assert found.good_bytes >= len(before)


def test_a_hole_is_damage_once_a_later_append_stands_behind_it():
    synced, hole = HEADER + big(2000), bytes(SECTOR_BYTES)
    data = synced[:SECTOR_BYTES] + hole + synced[2 * SECTOR_BYTES :]
    assert scan(data).torn
    with pytest.raises(
        BadJournal, match=rf"record 0 at byte {len(HEADER)} is damaged, and record 1 at byte"
    ):
        scan(data + frame(1, "later"))
    assert scan(data + frame(1, "of the same append", batch=0)).torn
    with pytest.raises(BadJournal, match="record 2 at byte"):
        scan(data + big(100, 1, batch=0)[:50] + frame(2, "later")[:-1])


def test_a_flip_is_damage_though_the_append_behind_it_is_torn():
    data = flipped(HEADER + big(300), len(HEADER) + 100)
    with pytest.raises(BadJournal, match="complete, but not as written"):
        scan(data)
    for cut in range(1, journal.HEAD_BYTES):
        with pytest.raises(BadJournal, match="complete, but not as written"):
            scan(data + frame(1, "torn")[:cut])


def test_a_flip_in_a_batch_is_damage_though_the_batch_ends_in_zeros():
    data = HEADER + BATCH.replace(b"job-1", b"job-2", 1)
    with pytest.raises(BadJournal):
        scan(data[:-10] + bytes(10))


@pytest.mark.parametrize("number", range(3))
def test_a_record_left_out_doubled_or_moved_is_refused(number):
    without = FRAMES[:number] + FRAMES[number + 1 :]
    doubled = FRAMES[: number + 1] + FRAMES[number:]
    moved = [*without[: number + 1], FRAMES[number], *without[number + 1 :]]
    for frames_ in (without, doubled, moved):
        with pytest.raises(BadJournal, match=r"record \d at byte \d+ should"):
            scan(HEADER + b"".join(frames_))


def test_the_message_says_where_and_what_to_do():
    with pytest.raises(BadJournal) as caught:
        scan(flipped(WHOLE, ENDS[1] + 30))
    text = str(caught.value)
    assert f"record 1 at byte {ENDS[1]} is damaged, and record 2 at byte {ENDS[2]}" in text
    assert text.endswith(f"truncate -s {ENDS[1]}")
    assert scan(WHOLE[: ENDS[1]]).records == RECORDS[:1]
    assert caught.value.exit_code == 2


def with_crc(data):
    return data + struct.pack("<I", zlib.crc32(data))


def test_another_version_is_named():
    other = with_crc(journal.HEADER.pack(journal.MAGIC, 7, 2) + b"c1")
    with pytest.raises(BadJournal, match=r"it has version 7, this minimr reads 1; start the coord"):
        scan(other)


def test_another_clusters_journal_is_named():
    with pytest.raises(BadJournal, match="it belongs to the cluster c1, not to c2"):
        scan(WHOLE, "c2")


def test_a_cluster_id_that_is_no_text_is_refused():
    with pytest.raises(BadJournal, match="header is damaged"):
        scan(with_crc(journal.HEADER.pack(journal.MAGIC, 1, 1) + b"\xff"))


@pytest.mark.parametrize("cluster", ["", "x" * 256])
def test_an_impossible_cluster_id_is_not_written(cluster):
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        header(cluster)


def test_other_files_are_refused():
    for data in (b"", b"hello\n" * 100, bytes(4096)):
        with pytest.raises(BadJournal, match="does not begin as a journal"):
            scan(data)


def test_zeros_that_end_where_the_record_ends_are_no_sector():
    """Behind the record stands another of its append, in the same sector: both were written."""
    data = HEADER + frames(0, ["x" * 600, "y"])
    end = len(HEADER) + len(frame(0, "x" * 600))
    with pytest.raises(BadJournal, match="complete, but not as written"):
        scan(data[:SECTOR_BYTES] + bytes(end - SECTOR_BYTES) + data[end:])


def crafted(payload, length=None, mark=b"R"):
    """A record with right checksums around what no journal wrote."""
    head = with_crc(journal.HEAD.pack(mark, len(payload) if length is None else length, 0, 0))
    return HEADER + with_crc(head + payload) + b"\n"


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x93\x01", msgpack.packb(msgpack.ExtType(9, b"x"))]
)
def test_a_whole_record_that_does_not_decode_is_refused_not_cut(payload):
    with pytest.raises(BadJournal, match=rf"record 0 at byte {len(HEADER)} .* does not decode"):
        scan(crafted(payload))


def test_a_record_without_its_mark_is_refused():
    assert scan(crafted(b"\x01")).records == [1]
    with pytest.raises(BadJournal, match="complete, but not as written"):
        scan(crafted(b"\x01", mark=b"X"))


def test_a_length_beyond_the_file_allocates_nothing():
    found = scan(crafted(b"x", length=0xFFFF_FFFF))
    assert (found.records, found.torn) == ([], True)


def test_what_the_journal_cannot_hold_is_refused_when_it_is_framed(monkeypatch):
    with pytest.raises(TypeError, match="an array cannot stand in the journal"):
        frame(0, [np.zeros(2)])
    with pytest.raises(TypeError, match="cannot be encoded"):
        frame(0, object())
    deep = []
    for _ in range(codec.LEVELS_MAX):
        deep = [deep]
    assert not scan(crafted(codec.pack(deep)[0])).torn
    with pytest.raises(TypeError, match="recursion limit"):
        frame(0, [deep])
    monkeypatch.setattr(journal, "RECORD_BYTES_MAX", 10)
    with pytest.raises(MinimrError, match="too large for the journal"):
        frame(0, "more than ten bytes")


CHANGES = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "double", "drop"]), st.integers(0, 10_000)),
    min_size=1,
    max_size=4,
)


@given(changes=CHANGES, junk=st.binary(min_size=1, max_size=40))
def test_whatever_happens_to_the_file_no_wrong_record_comes_out(changes, junk):
    data = WHOLE
    for change, where in changes:
        at = where % (len(data) + 1)
        start, rest = data[:at], data[at:]
        data = {
            "flip": lambda a, b: a[:-1] + bytes([a[-1] ^ 1]) + b if a else b,
            "cut": lambda a, b: a,
            "insert": lambda a, b: a + junk + b,
            "double": lambda a, b: a + a[-60:] + b,
            "drop": lambda a, b: a + b[30:],
        }[change](start, rest)
    try:
        found = scan(data)
    except BadJournal:
        return
    assert found.records == RECORDS[: len(found.records)]
    assert data[: found.good_bytes] == WHOLE[: found.good_bytes]
