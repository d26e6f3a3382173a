"""Fetches through the fault proxy: the right pairs or FetchError; never wrong ones, no hang."""

import pytest

from minimr.cluster import deadline, handshake
from minimr.cluster.fault import Fault
from minimr.cluster.fault_proxy import FaultProxy
from minimr.cluster.fetch import Fetcher, FetchError, Source
from minimr.cluster.places import output_path
from minimr.cluster.shuffle_server import ShuffleServer
from minimr.scheduler.state import AttemptId
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import write_map_output

TOKEN = bytes(range(32))
MAPS = 3
MEMORY = 1 << 20
RIGHT = {index: [(f"key{n}", index + n) for n in range(100)] for index in range(MAPS)}
ATTEMPTS = [AttemptId("job-1", "map", index, 0) for index in range(MAPS)]


def block(index):
    return encode_pairs(*map(list, zip(*RIGHT[index], strict=True)))


SEGMENT_BYTES = len(block(0))


@pytest.fixture
def server(tmp_path):
    """A shuffle server with three outputs of one partition each."""
    held = {}
    for attempt in ATTEMPTS:
        held[attempt] = path = output_path(tmp_path, attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_map_output(path, 1, [(0, block(attempt.index))])
    each = ShuffleServer(TOKEN, held.get)
    each.start()
    yield each
    each.close()


@pytest.fixture
def proxy(server):
    with FaultProxy(server.address) as each:
        yield each


@pytest.fixture
def fetcher(tmp_path, monkeypatch):
    monkeypatch.setattr(deadline, "REPLY_S", 0.2)
    monkeypatch.setattr(deadline, "BYTES_PER_S_MIN", 10_000)
    monkeypatch.setattr(handshake, "HELLO_TIMEOUT_S", 0.5)
    each = Fetcher(TOKEN, tmp_path / "here", tmp_path)
    yield each
    each.close()


def fetched(fetcher, proxy):
    sources = {each.index: Source(each, "other", proxy.address) for each in ATTEMPTS}
    segments = fetcher.fetch(sources, 0, "here", MEMORY)
    return {
        index: [pair for block in segment for pair in zip(*block, strict=True)]
        for index, segment in segments.items()
    }


def test_the_proxy_is_no_hindrance(fetcher, proxy):
    assert fetched(fetcher, proxy) == RIGHT


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("byte", [0, 5, 10, 20, 60, 100, 150, 200, 500, 1500, 3000, 4500])
def test_a_flipped_bit_is_never_taken_for_data(fetcher, proxy, direction, byte):
    proxy.break_with(Fault("flip", direction=direction, after_bytes=byte))
    try:
        found = fetched(fetcher, proxy)
    except FetchError:
        found = RIGHT  # Not fetched, which is as good.
    assert found == RIGHT


def test_a_flip_in_every_segment_is_found_and_its_holder_named(fetcher, proxy):
    """Behind the answer's frame every byte belongs to a segment. None is blamed on the holder."""
    assert fetched(fetcher, proxy) == RIGHT
    for byte in range(200, SEGMENT_BYTES, 379):
        fetcher.release()
        proxy.break_with(Fault("flip", direction="down", after_bytes=byte))
        with pytest.raises(FetchError, match="checksum") as caught:
            fetched(fetcher, proxy)
        assert caught.value.gone == []
        assert caught.value.unreached == ATTEMPTS
        proxy.heal()
        assert fetched(fetcher, proxy) == RIGHT


@pytest.mark.parametrize("kind", ["cut", "truncate"])
@pytest.mark.parametrize("byte", [0, 30, 200, 1000])
def test_a_stream_that_ends_early_is_reported(fetcher, proxy, kind, byte):
    proxy.break_with(Fault(kind, direction="down", after_bytes=byte))
    with pytest.raises(FetchError) as caught:
        fetched(fetcher, proxy)
    assert caught.value.gone == []
    assert caught.value.unreached == ATTEMPTS


@pytest.mark.parametrize("kind", ["cut", "truncate", "flip"])
def test_what_came_before_the_break_is_not_fetched_again(fetcher, proxy, kind):
    """A connection lasts for one segment and a half, so each of the two tries brings one."""
    proxy.break_with(Fault(kind, direction="down", after_bytes=3 * SEGMENT_BYTES // 2))
    with pytest.raises(FetchError) as caught:
        fetched(fetcher, proxy)
    assert caught.value.unreached == ATTEMPTS[2:]
    assert fetched(fetcher, proxy) == RIGHT


@pytest.mark.parametrize("kind", ["cut", "truncate", "flip"])
def test_what_breaks_once_is_tried_again(fetcher, proxy, kind):
    proxy.break_with(Fault(kind, direction="down", after_bytes=20, count=1))
    assert fetched(fetcher, proxy) == RIGHT


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_server_that_fell_silent_is_not_waited_for(fetcher, proxy, direction):
    assert fetched(fetcher, proxy) == RIGHT
    proxy.break_with(Fault("half-open", direction=direction, count=1))
    assert fetched(fetcher, proxy) == RIGHT


def test_silence_in_the_middle_of_a_segment(fetcher, proxy):
    proxy.break_with(Fault("half-open", direction="down", after_bytes=1000))
    with pytest.raises(FetchError, match="timed out") as caught:
        fetched(fetcher, proxy)
    assert caught.value.unreached == ATTEMPTS


def test_a_slow_server_is_waited_for(fetcher, proxy):
    proxy.break_with(Fault("trickle", direction="down", bytes_per_s=20_000))
    assert fetched(fetcher, proxy) == RIGHT
