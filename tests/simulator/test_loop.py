from typing import Any

from minimr.simulator.loop import Loop, Process


def recorder(loop: Loop) -> tuple[list[tuple[float, Any]], Any]:
    heard: list[tuple[float, Any]] = []
    return heard, lambda argument: heard.append((loop.now, argument))


def test_calls_come_in_order_of_time_then_of_planning() -> None:
    loop = Loop()
    heard, hear = recorder(loop)
    for time, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")):
        loop.at(time, None, hear, name)
    loop.run(10.0)
    assert heard == [(1.0, "a"), (1.0, "b"), (2.0, "c"), (2.0, "d")]
    assert loop.events == 4


def test_a_loop_stops_at_its_limit_and_shows_that_time() -> None:
    loop = Loop()
    heard, hear = recorder(loop)
    loop.at(3.0, None, hear, "late")
    loop.run(2.0)
    assert (heard, loop.now) == ([], 2.0)
    loop.run(4.0)
    assert heard == [(3.0, "late")]


def test_a_stopped_process_hears_messages_before_timers_when_it_goes_on() -> None:
    loop = Loop()
    process = Process(loop)
    heard, hear = recorder(loop)
    process.timer(1.0, hear, "timer")
    process.soon(2.0, hear, "message")
    process.stop()
    loop.at(5.0, None, lambda _: process.resume(), None)
    loop.run(10.0)
    assert heard == [(5.0, "message"), (5.0, "timer")]


def test_a_dead_process_hears_nothing() -> None:
    loop = Loop()
    process = Process(loop)
    heard, hear = recorder(loop)
    process.soon(1.0, hear, "message")
    process.timer(1.0, hear, "timer")
    process.stop()
    process.die()
    process.resume()
    loop.run(10.0)
    assert heard == []


def test_a_clock_that_jumps_rings_what_is_due_once() -> None:
    loop = Loop()
    process = Process(loop)
    heard, hear = recorder(loop)
    process.timer(10.0, hear, "due")
    process.timer(100.0, hear, "not due")
    loop.at(1.0, None, lambda _: process.jump(30.0), None)
    loop.run(50.0)
    assert heard == [(1.0, "due")]
    assert process.clock() == 80.0
    loop.run(100.0)
    assert heard == [(1.0, "due"), (70.0, "not due")]
