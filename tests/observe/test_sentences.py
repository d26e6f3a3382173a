from typing import Any

import pytest

from minimr.observe.sentences import count, duration, gist, sentence, size
from tests.observe.story import Story


def told() -> list[str]:
    story = Story()
    story.submitted(maps=2, reduces=1)
    story.joined("worker-1", slots=2)
    story.started("map-0", "worker-1")
    story.done("map-0", "worker-1", records=1234)
    story.started("map-1", "worker-1", attempt=1)
    story.failed(
        "map-1", "worker-1", error="Traceback (most recent call last):\n  x\nKeyError: 3\n"
    )
    story.failed("map-1", "worker-1", reason="cancelled")
    story.lost("worker-1")
    story.output_lost("map-0", "worker-1")
    story.job_done()
    return [sentence(event) for event in story.events]


def test_every_event_of_a_run_is_a_sentence() -> None:
    assert told() == [
        "wordcount begins: 2 maps and 1 reduce",
        "worker-1 joins with 2 slots",
        "map-0 goes to worker-1",
        "map-0 is done on worker-1 in 0.25 s: 1,234 records in, 2,468 out",
        "map-1 goes to worker-1, attempt 2",
        "map-1 failed on worker-1: its code raised an error (KeyError: 3)",
        "map-1 is cancelled on worker-1",
        "worker-1 is lost (connection closed)",
        "the output of map-0 is lost and must be made again (ConnectionLost)",
        "the job is done in 1.50 s",
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"event": "task_printed", "task": "map-3", "text": "hello\n"}, "map-3 prints: hello"),
        (
            {"event": "commit_denied", "task": "reduce-2", "worker": "w"},
            "reduce-2 may not commit on w: another attempt did",
        ),
        (
            {
                "event": "commit_granted",
                "task": "reduce-2",
                "worker": "w",
                "records": 1,
                "bytes": 12,
            },
            "reduce-2 commits on w: 1 record, 12 bytes",
        ),
        ({"event": "job_failed", "error": "Traceback\nKeyError: 3"}, "the job failed: KeyError: 3"),
        ({"event": "job_cancelled"}, "the job was cancelled"),
        (
            {"event": "round_done", "name": "Total", "maps": 8, "reduces": 1, "seconds": 0.0023},
            "Total is done, a round of 8 maps and 1 reduce, in 2.3 ms",
        ),
        (
            {"event": "round_done", "name": "Total", "maps": 8, "reduces": 0, "seconds": 0.0023},
            "Total is done, a round of 8 maps, in 2.3 ms",
        ),
        ({"event": "note", "text": "waiting for workers"}, "waiting for workers"),
        ({"event": "attempt_done", "task": "map-0", "worker": "w"}, "map-0 is done on w"),
    ],
)
def test_single_events(event: dict[str, Any], expected: str) -> None:
    assert sentence({"t": 0.0, **event}) == expected


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("user", "its code raised an error"),
        ("exit", "its code called exit"),
        ("died", "its process died"),
        ("fetch", "map output could not be fetched"),
        ("disk_full", "its disk is full"),
        ("stuck", "it made no progress"),
        ("system", "minimr or its machine could not do it"),
        ("gremlins", "gremlins"),
    ],
)
def test_a_failure_says_why_in_words(reason: str, words: str) -> None:
    story = Story()
    story.failed("map-1", "worker-1", reason=reason, error="no")
    assert sentence(story.events[0]) == f"map-1 failed on worker-1: {words} (no)"


def test_a_dead_process_is_known_by_how_it_died_not_by_what_it_printed() -> None:
    story = Story()
    error = "the slot left with exit status 1; its last words:\nreading the sky and the sea"
    story.failed("map-1", "worker-1", reason="died", error=error)
    words = "map-1 failed on worker-1: its process died (the slot left with exit status 1)"
    assert sentence(story.events[0]) == words


def test_the_attempts_of_a_lost_worker_do_not_repeat_why_it_was_lost() -> None:
    story = Story()
    story.failed("map-1", "worker-1", reason="worker_lost", error="connection closed")
    assert sentence(story.events[0]) == "map-1 failed on worker-1: its worker was lost"


def test_an_event_of_an_unknown_kind_is_shown_as_it_is() -> None:
    assert sentence({"t": 1.0, "event": "rebalance", "job": "job-1", "moved": 3}) == (
        "rebalance job=job-1 moved=3"
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 ms"),
        (0.0008, "0.8 ms"),
        (0.0994, "99.4 ms"),
        (0.0996, "0.10 s"),
        (9.94, "9.94 s"),
        (9.96, "10.0 s"),
        (99.4, "99.4 s"),
        (99.6, "1 min 40 s"),
        (3599.7, "60 min 0 s"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (3.2e15, "3200.0 TB"),
    ],
)
def test_sizes(size_bytes: float, expected: str) -> None:
    assert size(size_bytes) == expected


def test_counts_agree_with_their_noun() -> None:
    counted = [count(0, "map"), count(1, "map"), count(74_117, "record")]
    assert counted == ["0 maps", "1 map", "74,117 records"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("", ""),
        ("map-0 failed", "map-0 failed"),
        ("Job failed in map-0:\nTraceback\n  File x\n  KeyError: 3 \n\n", "KeyError: 3"),
    ],
)
def test_the_gist_of_an_error_is_its_last_line(error: str, expected: str) -> None:
    assert gist(error) == expected


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"event": "gang_started", "members": 3}, "all 3 members of the gang start at once"),
        (
            {"event": "gang_formed", "attempts": [0, 0], "new": [0, 1]},
            "the gang has formed: 2 members know each other",
        ),
        (
            {"event": "gang_formed", "attempts": [0, 1], "new": [1]},
            "the gang is complete again: gang-1 met the others",
        ),
        (
            {"event": "gang_restarted", "cause": "gang-1 was lost"},
            "all members of the gang begin again (gang-1 was lost)",
        ),
        (
            {"event": "member_note", "task": "gang-0", "rank": 0, "epoch": 1, "loss": 0.5},
            "gang-0 notes: loss 0.5",
        ),
        (
            {"event": "member_note", "task": "gang-1", "what": "parameter_server_read", "clock": 2},
            "gang-1 notes parameter server read: clock 2",
        ),
        (
            {"event": "member_note", "task": "gang-1", "what": "done"},
            "gang-1 notes done",
        ),
    ],
)
def test_what_becomes_of_a_gang(event, told):
    assert sentence({"t": 0.0, "job": "gang-1", **event}) == told
