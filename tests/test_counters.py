"""What a job may count."""

import pytest

import minimr as mr
from minimr.counters import SUM_MAX, check_counters, too_much


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        ({"n": 0.5}, "'n' is of type float"),
        ({"n": "one"}, "'n' is of type str"),
        ({"n": {"a": 1}}, "'n' is of type dict"),
        ({"n": True}, "'n' is of type bool"),
        ({"n": None}, "'n' is of type NoneType"),
        ({"n": 2**53 + 1}, "'n' is larger"),
        ({"n": -(2**70)}, "'n' is larger"),
        ({"x" * 201: 1}, "up to 200 characters, not one of 201"),
        ({7: 1}, "up to 200 characters, not int"),
        ({f"word {number}": 1 for number in range(1001)}, "up to 1,000 counters, not 1,001"),
        ([("n", 1)], "are a dict"),
    ],
    ids=str,
)
def test_what_no_message_can_carry_is_refused(counters, said):
    with pytest.raises(mr.UsageError, match=said):
        check_counters(counters)


def test_as_much_as_may_be():
    counters = {f"{number:0200}": 2**53 for number in range(1_000)}
    assert check_counters(counters) is counters


@pytest.mark.parametrize("sign", [1, -1])
def test_what_all_tasks_counted_together_has_a_bound_too(sign):
    assert too_much({"a": 1, "n": sign * SUM_MAX}) == ""
    assert "in all tasks together, and 'n' is larger" in too_much({"a": 1, "n": sign * 2**63})
