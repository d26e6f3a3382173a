"""Which keys are found to be hot, against exact counts."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from minimr.shuffle.hot_keys import HOT_PAIRS_MIN, HOT_SHARE, KEPT_MAX, HotKeys


def found_in(batches):
    hot = HotKeys()
    for batch in batches:
        hot.add(batch.items(), sum(batch.values()))
    return {each["key"]: each["pairs"] for each in hot.found()}


counts = st.dictionaries(st.integers(0, 200), st.integers(1, 5_000), max_size=120)


@given(st.lists(counts, max_size=8))
def test_no_hot_key_is_missed_and_no_count_is_far_off(batches):
    exact = sum(map(Counter, batches), Counter())
    pairs = sum(exact.values())
    found = found_in(batches)
    for key, count in exact.items():
        if count >= max(HOT_PAIRS_MIN + pairs / KEPT_MAX, HOT_SHARE * pairs):
            assert repr(key) in found
    for key, count in found.items():
        assert exact[int(key)] - pairs / KEPT_MAX <= count <= exact[int(key)]


def test_the_hottest_comes_first():
    found = found_in([{"the": 40_000, "of": 20_000} | {f"word-{n}": 10 for n in range(4_000)}])
    assert list(found.items()) == [("'the'", 40_000), ("'of'", 20_000)]


def test_what_counts_is_the_sum_over_the_batches():
    assert list(found_in([{"a": 3_000, "b": 2_000}, {"b": 9_000}])) == ["'b'", "'a'"]


def test_even_keys_are_not_hot():
    assert found_in([dict.fromkeys(range(1_000), 5_000)]) == {}


def test_a_small_job_has_no_hot_keys():
    assert found_in([{"the": HOT_PAIRS_MIN - 1}]) == {}


def test_what_combining_left_over_is_not_hot():
    assert found_in([dict.fromkeys(range(50_000), 1)]) == {}


def test_a_long_key_is_told_apart_and_shown_in_short():
    found = HotKeys()
    found.add([("x" * 100_000 + "a", 40_000), ("x" * 100_000 + "b", 20_000)], 60_000)
    found.add([("x" * 100_000 + "b", 30_000)], 30_000)
    assert max(len(repr(key)) for key in found._counts) < 1_000, "it is not kept whole"
    assert [(len(each["key"]), each["pairs"]) for each in found.found()] == [
        (80, 50_000),
        (80, 40_000),
    ]
