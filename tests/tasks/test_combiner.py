"""A combiner written by hand is asked as long as it is of use."""

from itertools import islice

import minimr as mr
from minimr.tasks.emitted import KeyGate
from minimr.tasks.failure import position_of
from minimr.tasks.held import TRIED_MAX, Lists
from minimr.tasks.watcher import NOBODY

KEYS = 3 * TRIED_MAX


class Distinct(mr.Job):
    def combine(self, key, values):
        self.count("asked")
        for value in dict.fromkeys(values):
            yield key, value


def combined(pairs):
    """What is held of the pairs after `combine`, by key; and how often that was asked."""
    job = Distinct()
    held = Lists(job, KeyGate("map"), position_of("map task 0", False, NOBODY))
    rest = iter(pairs)
    while held.take(islice(rest, 100), 100):
        pass
    held.shrink(after_exact=True)
    return {key: held.pop(key) for key in list(held.keys())}, job.counters.get("asked", 0)


def test_one_that_makes_nothing_shorter_is_asked_for_some_keys_alone():
    values, asked = combined((key, n) for n in (1, 2) for key in range(KEYS))
    assert asked == TRIED_MAX
    assert values == {key: [1, 2] for key in range(KEYS)}


def test_one_that_was_of_use_once_is_asked_for_all_keys():
    useful = TRIED_MAX - 1
    pairs = [(key, n) for n in (1, 2) for key in range(KEYS)]
    values, asked = combined([*pairs, (useful, 1), (KEYS - 1, 2)])
    assert asked == KEYS
    assert values == {key: [1, 2] for key in range(KEYS)}


def test_a_single_value_is_no_try():
    pairs = [(key, 0) for key in range(KEYS)]
    values, asked = combined([*pairs, (KEYS - 1, 0)])
    assert asked == 1
    assert values == {key: [0] for key in range(KEYS)}
