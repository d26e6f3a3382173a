"""Small map outputs inside the order to a reduce task."""

from hypothesis import given
from hypothesis import strategies as st

from minimr.cluster.inlined import Inlined, pack_inlined, unpack_inlined
from minimr.cluster.wire import Blob

digests = st.none() | st.text("0123456789abcdef", min_size=32, max_size=32)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=9), digests), max_size=9))
def test_every_output_comes_back(outputs):
    packed = pack_inlined([(index, Blob(data), digest) for index, data, digest in outputs])
    assert list(unpack_inlined(packed)) == [
        Inlined(index, data, digest or "") for index, data, digest in outputs
    ]


def test_none_take_no_room():
    assert pack_inlined([]) is None
