import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.keys import PREVIEW_CHARACTERS, key_kind, plain_key, preview


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a", "str"),
        (b"a", "bytes"),
        (1, "int"),
        (1.0, "float"),
        (True, "bool"),
        (None, "None"),
        ((), "tuple[]"),
        (("a", 1), "tuple[str,int]"),
        ((None, (1.5, True)), "tuple[None,tuple[float,bool]]"),
    ],
)
def test_every_allowed_key_has_a_kind(key, kind):
    assert key_kind(key) == kind


def test_what_has_no_repr_has_a_preview():
    assert preview(10**5000) == "<int>"
    assert preview([10**5000]) == "<list>"


class Word(str):
    """A subclass of an allowed type is not an allowed type."""


@pytest.mark.parametrize(
    "key", [[1], {"a": 1}, {1}, Word("a"), 1j, bytearray(b"a"), (1, [2]), np.int64(1), object()]
)
def test_other_types_are_refused_by_name(key):
    with pytest.raises(BadRecord, match="must be str, bytes, int, float, bool, None or a tuple"):
        key_kind(key)


def test_a_list_is_refused_with_advice():
    with pytest.raises(BadRecord, match=r"tuple\(key\) would do"):
        key_kind([1, 2])


@pytest.mark.parametrize("key", [float("nan"), (1, float("nan")), ((float("nan"),),)])
def test_nan_is_refused_at_any_depth(key):
    with pytest.raises(BadRecord, match="NaN"):
        key_kind(key)


@pytest.mark.parametrize(
    ("given_key", "plain"),
    [
        (np.int32(3), 3),
        (np.float32(0.5), 0.5),
        (np.str_("a"), "a"),
        (np.bool_(True), True),
        ((np.int64(1), ("a", np.float64(2.5))), (1, ("a", 2.5))),
    ],
)
def test_numpy_scalars_become_python_values(given_key, plain):
    result = plain_key(given_key)
    assert result == plain
    assert key_kind(result) == key_kind(plain)


def test_a_numpy_array_stays_what_it_is_and_is_refused():
    array = np.array([1, 2])
    assert plain_key(array) is array


@given(st.text() | st.binary() | st.lists(st.integers()))
def test_previews_are_bounded(value):
    assert len(preview(value)) <= PREVIEW_CHARACTERS


def test_a_preview_of_a_huge_line_is_cut_and_says_so():
    assert preview("x" * 10**6).endswith("...")
