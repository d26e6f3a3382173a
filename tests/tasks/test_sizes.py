from sys import getsizeof

import numpy as np
import pytest

from minimr.tasks.sizes import size_of


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


def test_nesting_is_followed():
    assert size_of([["x" * 1000] * 10] * 10) > 100_000
