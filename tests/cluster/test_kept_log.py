"""A job's event log, packed."""

from sys import getsizeof

import pytest

from minimr.cluster.kept_log import PACKED_TOGETHER, KeptLog


def lines(count):
    return [
        {"t": number / 8, "event": "attempt_done", "task": f"map-{number}", "text": "\udcff"}
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, PACKED_TOGETHER, PACKED_TOGETHER + 1, 1234])
def test_every_line_comes_back_in_order(count):
    log = KeptLog()
    log.extend(lines(count))
    assert list(log) == lines(count)
    assert len(log) == count


def test_first_and_last():
    log = KeptLog()
    assert log.first is None
    for number, line in enumerate(lines(PACKED_TOGETHER + 2)):
        log.append(line)
        assert (log.first, log.last) == (lines(1)[0], line), number


def test_a_log_that_is_too_long_loses_its_oldest_lines():
    log = KeptLog(lines_max=2 * PACKED_TOGETHER)
    log.extend(lines(10 * PACKED_TOGETHER))
    kept = list(log)
    assert kept == lines(10 * PACKED_TOGETHER)[-len(kept) :]
    assert 2 * PACKED_TOGETHER <= len(kept) <= 3 * PACKED_TOGETHER
    assert log.first == lines(1)[0]


def test_a_number_of_more_than_64_bits_is_kept_as_text():
    log = KeptLog()
    log.extend([{"n": 2**70}] * (PACKED_TOGETHER + 1))
    assert next(iter(log)) == {"n": str(2**70)}


def test_packed_lines_weigh_little():
    log = KeptLog()
    log.extend(lines(20 * PACKED_TOGETHER))
    assert sum(map(getsizeof, log._packed)) < 20 * 20 * PACKED_TOGETHER
