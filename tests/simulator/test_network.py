import random
from math import inf
from typing import Any

import pytest

from minimr.simulator.loop import Loop, Process
from minimr.simulator.network import Network, Stream

PATH = (0, -1)


class Wire:
    """A stream and what came out of it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.network = Network(self.loop, random.Random(1), 0.001)
        self.heard: list[Any] = []
        self.times: list[float] = []
        self.stream = Stream(self.network, PATH, Process(self.loop), self._hear, self._end)
        self.stream.tag = "line"

    def _hear(self, item: tuple[str, Any]) -> None:
        assert item[0] == "line"
        self.heard.append(item[1])
        self.times.append(self.loop.now)

    def _end(self, tag: str) -> None:
        self.heard.append(f"end of {tag}")

    def run(self) -> list[Any]:
        self.loop.run(1000.0)
        return self.heard


def test_a_stream_keeps_its_order_and_ends_behind_what_was_sent() -> None:
    wire = Wire()
    for number in range(50):
        wire.stream.send(number)
    wire.stream.close()
    wire.stream.send("too late")
    assert wire.run() == [*range(50), "end of line"]
    assert wire.times == sorted(wire.times)


def test_a_partition_holds_messages_until_it_heals() -> None:
    wire = Wire()
    wire.network.block(PATH, 7.0)
    wire.stream.send("held")
    assert wire.run() == ["held"]
    assert 7.0 <= wire.times[0] < 7.01


def test_a_stream_is_empty_when_the_last_message_has_arrived_in_whatever_order() -> None:
    wire = Wire()
    wire.stream.send("first")
    wire.network.trouble(PATH).disorder_until = 1.0
    for number in range(20):
        wire.stream.send(number)
    wire.run()
    assert wire.times[0] < wire.stream.empty_at == wire.times[-1]


def test_a_partition_for_good_loses_the_stream_and_its_end() -> None:
    wire = Wire()
    wire.network.block(PATH, inf)
    wire.stream.send("lost")
    wire.network.heal()
    wire.stream.send("lost, too: TCP leaves no gap")
    wire.stream.close()
    assert wire.run() == []


def test_a_lost_stream_can_be_broken_off_so_that_the_far_end_learns() -> None:
    wire = Wire()
    wire.stream.lost = True
    wire.stream.send("lost")
    wire.stream.break_off()
    assert wire.run() == ["end of line"]


def test_a_repeat_comes_later_and_only_once() -> None:
    wire = Wire()
    wire.network.trouble(PATH).repeats.append(2.0)
    for word in ("one", "two"):
        wire.stream.send(word)
    assert wire.run() == ["one", "two", "one"]
    assert wire.times[2] - wire.times[0] == pytest.approx(2.0)


def test_disorder_lets_messages_overtake_but_never_the_first() -> None:
    wire = Wire()
    wire.network.trouble(PATH).disorder_until = 100.0
    for number in range(50):
        wire.stream.send(number)
    heard = wire.run()
    assert heard[0] == 0
    assert sorted(heard) == list(range(50))
    assert heard != sorted(heard)


def test_one_direction_alone_can_be_in_trouble() -> None:
    wire = Wire()
    wire.network.block((-1, 0), 50.0)
    wire.stream.send("passes")
    wire.run()
    assert wire.times[0] < 1.0
    assert 49.0 < wire.network.round_trip_s(0, -1) < 50.1


def test_a_delay_ends() -> None:
    wire = Wire()
    trouble = wire.network.trouble(PATH)
    trouble.slow_until, trouble.extra_s = 5.0, 3.0
    assert 3.0 < wire.network.transit_s(PATH) < 3.01
    wire.loop.at(6.0, None, lambda _: None, None)
    wire.loop.run(10.0)
    assert wire.network.transit_s(PATH) < 0.01
