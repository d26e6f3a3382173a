"""What a client passes on that comes back to a job whose log is told from its beginning again."""

import pytest

from minimr.cluster.come_back import NewsOnly


def line(name, t, **fields):
    return {"t": t, "event": name, "job": "job-1", **fields}


JOINED = line("worker_joined", 0.0, worker="worker-1")
LATER = line("worker_joined", 4.0, worker="worker-2")
SUBMITTED = line("job_submitted", 1.0)
LIFE = [SUBMITTED, *(line("attempt_started", 2.0 + n, task=f"map-{n}") for n in range(3))]
NEXT_LIFE = [line("coordinator_started", 0.0, epoch=1), line("job_restored", 0.5), *LIFE[1:]]


@pytest.fixture
def heard():
    return []


@pytest.fixture
def news(heard):
    return NewsOnly(lambda *lines: heard.extend(lines))


def tell(news, lines):
    for each in lines:
        news(each)


def tell_together(news, lines):
    news(*lines)


@pytest.mark.parametrize("before", range(1, len(LIFE) + 1))
@pytest.mark.parametrize("retell", [tell, tell_together])
def test_the_same_log_goes_on(news, heard, before, retell):
    tell(news, [SUBMITTED, JOINED, *LIFE[1:before]])
    for _ in range(2):  # The second time nothing is new.
        news.begin_again()
        retell(news, [JOINED, *LIFE])
    assert heard == [SUBMITTED, JOINED, *LIFE[1:]]


def test_a_line_that_is_unlike_itself_is_known_again(news, heard):
    """It has a loss that is no number."""
    tell(news, [SUBMITTED, line("member_note", 2.0, loss=float("nan"))])
    news.begin_again()
    tell(news, [SUBMITTED, line("member_note", 2.0, loss=float("nan")), *LIFE[1:]])
    assert heard[0] == SUBMITTED
    assert heard[2:] == LIFE[1:]


def test_a_coordinator_that_was_started_again_tells_another(news, heard):
    tell(news, LIFE[:3])
    news.begin_again()
    tell(news, [JOINED, *NEXT_LIFE[:3]])
    news.begin_again()
    tell(news, [JOINED, *NEXT_LIFE])
    assert heard == [*LIFE[:3], *NEXT_LIFE]


def test_who_heard_nothing_before_hears_all(news, heard):
    news.begin_again()
    tell(news, [JOINED, *LIFE])
    assert heard == [JOINED, *LIFE]


def test_a_worker_that_joins_later_is_news(news, heard):
    tell(news, LIFE[:2])
    news.begin_again()
    for _ in range(2):  # The second time it is the last that was heard.
        tell(news, [JOINED, *LIFE[:2], LATER])
        news.begin_again()
    assert heard == [*LIFE[:2], LATER]
