import hashlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from minimr.shuffle.digest import inputs_digest, segments_digest

SEGMENTS = st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1)))


@given(SEGMENTS)
def test_a_digest_is_over_lengths_and_checksums(segments):
    packed = b"".join(
        length.to_bytes(8, "little") + struct.pack("<I", crc) for length, crc in segments
    )
    assert segments_digest(iter(segments)) == hashlib.sha256(packed).hexdigest()[:32]


def test_digests_never_change():
    assert segments_digest([(3, 5), (0, 0)]) == "b66a7c45e6def6c6822f9c320ca998d2"
    assert inputs_digest({0: "a", 1: "b"}) == "45e51abf5e17e7c6918664aea32a4ae4"


def test_inputs_go_in_order_of_their_index_whatever_order_they_came_in():
    digests = {10: "ten", 2: "two", 0: "zero"}
    expected = hashlib.sha256(b"0:zero\n2:two\n10:ten\n").hexdigest()[:32]
    assert inputs_digest(digests) == expected
    assert inputs_digest(dict(reversed(digests.items()))) == expected


def test_another_map_or_another_place_is_another_digest():
    found = {
        inputs_digest(each)
        for each in ({0: "a"}, {1: "a"}, {0: "b"}, {0: "a", 1: "a"}, {0: "a", 1: "b"}, {})
    }
    assert len(found) == 6
