"""Each attempt has a job of its own, whatever the options and the state are made of."""

import numpy as np

from minimr.tasks.spec import own


def test_all_that_can_be_changed_is_copied():
    vector = np.frombuffer(bytes(16))
    value = {"a": [1, {"b": ([2.5], "text")}], (1, "k"): vector}
    copy = own(value)
    assert {**copy, (1, "k"): 0} == {**value, (1, "k"): 0}
    assert copy[1, "k"] is vector
    copy["a"][1]["b"][0].append(3)
    copy["a"].append(4)
    copy["c"] = 5
    assert {**value, (1, "k"): 0} == {"a": [1, {"b": ([2.5], "text")}], (1, "k"): 0}


def test_a_value_may_lie_as_deep_as_messages_carry():
    value = innermost = []
    for _ in range(1000):
        value = [value]
    copy = own(value)
    for _ in range(1000):
        (copy,) = copy
    copy.append(1)
    assert innermost == []
