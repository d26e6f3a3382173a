from sys import getsizeof

import numpy as np
import pytest

from minimr.tasks.sizes import LARGE_BYTES, exact_size_of, is_large, size_of


@pytest.mark.parametrize("value", [None, 1, 1.5, "text", b"bytes", np.zeros(1000)])
def test_plain_values_are_measured_by_python(value):
    assert size_of(value) == getsizeof(value)


@pytest.mark.parametrize(
    "value", [["x" * 1000] * 10, ("x" * 1000,) * 10, dict.fromkeys(range(10), "x" * 1000)]
)
def test_containers_count_their_items(value):
    assert 10_000 < size_of(value) < 13_000


@pytest.mark.parametrize("value", [[], (), {}, [[]], [()], {"a": {}}])
def test_empty_containers_have_a_size_too(value):
    assert 0 < size_of(value) < 1000


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_nesting_may_be_deeper_than_functions(wrap):
    """Whoever encodes it says then that it is too deep."""
    value = None
    for _ in range(100_000):
        value = wrap(value)
    assert size_of(value) > 1000


def test_a_list_that_holds_itself_has_a_size():
    value = []
    value.append(value)
    assert size_of(value) > 1000


def test_nesting_is_followed():
    assert size_of([["x" * 1000] * 10] * 10) > 100_000


@pytest.mark.parametrize(
    "value", ["x" * LARGE_BYTES, b"x" * LARGE_BYTES, np.zeros(LARGE_BYTES // 8), [1] * LARGE_BYTES]
)
def test_a_large_value_is_found_alone_and_beside_small_ones(value):
    assert is_large(value)
    assert is_large((1, value, 1))
    assert is_large(["", value])
    assert exact_size_of(("", value)) > LARGE_BYTES > size_of(("", value))


@pytest.mark.parametrize("value", [1, None, "x" * 1000, ("x" * 1000,) * 10, [], {"a": 1}])
def test_others_are_not_large(value):
    assert not is_large(value)
    assert exact_size_of(value) == size_of(value)
