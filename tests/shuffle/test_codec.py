import struct

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import CorruptData
from minimr.shuffle import codec

from .values import VALUES, same


@given(VALUES)
def test_values_come_back_as_they_were(value):
    head, buffers = codec.pack(value)
    assert same(codec.unpack(head, buffers), value)
    assert same(codec.loads(codec.dumps(value)), value)


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, -(2**200), 2**4000])
def test_ints_of_any_size(value):
    assert codec.loads(codec.dumps(value)) == value


def test_numpy_scalars_become_python_numbers():
    value = [np.int64(3), np.float32(0.5), np.bool_(True), np.str_("a")]
    assert same(codec.loads(codec.dumps(value)), [3, 0.5, True, "a"])


def test_arrays_travel_as_buffers_and_come_back_as_views():
    array = np.arange(1000.0)
    head, buffers = codec.pack({"x": array})
    assert len(head) < 100
    assert np.shares_memory(np.frombuffer(buffers[0]), array)
    assert np.shares_memory(codec.unpack(head, buffers)["x"], array)


def test_dumped_arrays_are_aligned_from_the_start():
    data = codec.dumps(["some text", np.ones(3, "u1"), np.arange(4.0)])
    for array in codec.loads(data)[1:]:
        address = array.__array_interface__["data"][0]
        start = np.frombuffer(data, "u1").__array_interface__["data"][0]
        assert (address - start) % codec.ALIGNMENT_BYTES == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1}, r"type set cannot be encoded.*sorted\(value\) would do"),
        (object(), "type object cannot be encoded"),
        (1j, "type complex cannot be encoded"),
        (np.array([object()]), "array of object cannot be encoded"),
        (np.array(["a"]), "array of <U1 cannot be encoded"),
        (np.ma.array([1], mask=[True]), "type MaskedArray cannot be encoded"),
        (np.longdouble(1), "type longdouble cannot be encoded"),
        ([1, {"a": (2, {3})}], "type set cannot be encoded"),
    ],
)
def test_what_cannot_travel_is_refused_by_type(value, message):
    with pytest.raises(TypeError, match=message):
        codec.pack(value)


def test_subclasses_are_refused_rather_than_changed():
    with pytest.raises(TypeError, match=r"dict\(value\) would do"):
        codec.pack(type("Mine", (dict,), {})())


def nested(levels, wrap, value=0):
    for _ in range(levels + 1):
        value = wrap([value])
    return value


@pytest.mark.parametrize(("wrap", "levels"), [(tuple, codec.NESTING_MAX), (list, 2000)])
def test_values_nested_too_deep_are_refused(wrap, levels):
    with pytest.raises(TypeError, match=r"nested deeper|recursion limit"):
        codec.pack(nested(levels, wrap))


def test_the_deepest_mixture_of_lists_and_tuples_does_not_overflow_the_stack():
    value = []
    for _ in range(codec.NESTING_MAX):
        value = (nested(1000, list, value),)
    again = codec.loads(codec.dumps(value))
    assert codec.dumps(again) == codec.dumps(value)


def test_a_list_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(TypeError):
        codec.pack(value)


def array_head(dtype, shape, index=0):
    return msgpack.packb(msgpack.ExtType(codec.ARRAY, msgpack.packb([dtype, shape, index])))


@pytest.mark.parametrize(
    ("dtype", "shape", "index"),
    [
        ("<f8", [10**12], 0),
        ("<f8", [2**40, 2**40], 0),
        ("<f8", [0, 2**62, 2**62], 0),
        ("<f8", [0], 0),
        ("<f8", [-1], 0),
        ("<f8", [-1, -2], 0),
        ("<f8", [True, 2], 0),
        ("<f8", [2.0], 0),
        ("<f8", [10**15, "x"], 0),
        ("<f8", 2, 0),
        ("<f8", [1] * 40 + [2], 0),
        ("|O", [2], 0),
        ("<U4", [1], 0),
        ("V16", [1], 0),
        (3, [2], 0),
        (["<f8"], [2], 0),
        ("<f8", [2], 1),
        ("<f8", [2], -1),
        ("<f8", [2], "0"),
    ],
)
def test_a_false_array_header_is_refused_before_anything_is_allocated(dtype, shape, index):
    with pytest.raises(CorruptData):
        codec.unpack(array_head(dtype, shape, index), [bytes(16)])


def test_a_true_array_header_is_taken():
    array = codec.unpack(array_head("<f8", [1, 2]), [bytes(16)])
    assert array.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xc1",
        b"\x01\x02",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 2000 + b"\x01",
        msgpack.packb(msgpack.ExtType(99, b"")),
        msgpack.packb(msgpack.ExtType(codec.TUPLE, msgpack.packb(3))),
        msgpack.packb(msgpack.ExtType(codec.TUPLE, b"\xc1")),
        msgpack.packb(msgpack.ExtType(codec.ARRAY, msgpack.packb([1]))),
        b"\x81\x90\x01",
        b"\xa2\xff\xff",
    ],
)
def test_heads_that_do_not_decode_are_corrupt(head):
    with pytest.raises(CorruptData):
        codec.unpack(head, [])


def test_tuples_nested_too_deep_are_corrupt_not_a_crash():
    data = msgpack.packb([])
    for _ in range(3000):
        data = msgpack.packb(msgpack.ExtType(codec.TUPLE, data))
    with pytest.raises(CorruptData, match="nested deeper"):
        codec.unpack(data, [])


@given(VALUES, st.data())
def test_a_value_cut_short_is_corrupt(value, data):
    whole = codec.dumps(value)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CorruptData):
        codec.loads(whole[:length])


@given(st.binary(max_size=64))
def test_any_bytes_decode_or_are_corrupt(data):
    for decode in (codec.loads, lambda data: codec.unpack(data, [data])):
        try:
            decode(data)
        except CorruptData:
            pass


def test_a_false_buffer_count_is_corrupt():
    with pytest.raises(CorruptData, match="cut short"):
        codec.loads(struct.pack("<I", 1) + b"\xc0" + struct.pack("<I", 2**31))


def test_values_load_from_a_memoryview_without_a_copy():
    data = bytearray(codec.dumps(np.zeros(4)))
    array = codec.loads(memoryview(data))
    assert np.shares_memory(array, np.frombuffer(data, "u1"))


@pytest.mark.parametrize("large", ["a" * 70_000, "é\udc80" * 40_000, b"b" * (1 << 16)])
def test_large_strings_are_written_as_all_are(large):
    few = [large[:1], large, large[:0], large[:-1], large]
    assert b"".join(codec.dump_strings(few)) == codec.dumps(few)
    assert b"".join(codec.dump_strings(few[:1])) == codec.dumps(few[:1])
