"""Worker-to-worker fetches over real sockets: what arrives, and what is reported missing."""

import socket

import pytest

from minimr.cluster.fetch import Fetcher, FetchError, Source
from minimr.cluster.places import output_path
from minimr.cluster.shuffle_server import ShuffleServer
from minimr.scheduler.state import AttemptId
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import write_map_output

TOKEN = bytes(range(32))
MEMORY = 1 << 20


def attempt(index):
    return AttemptId("job-1", "map", index, 0)


@pytest.fixture
def held(tmp_path):
    """Three outputs of two partitions each, as a worker keeps them."""
    held = {}
    for index in range(3):
        path = output_path(tmp_path / "there", attempt(index))
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = [(r, encode_pairs([f"key{r}"], [index * 10 + r])) for r in range(2)]
        write_map_output(path, 2, blocks)
        held[attempt(index)] = path
    return held


@pytest.fixture
def server(held):
    each = ShuffleServer(TOKEN, held.get)
    each.start()
    yield each
    each.close()


@pytest.fixture
def fetcher(tmp_path):
    each = Fetcher(TOKEN, tmp_path / "here", MEMORY)
    yield each
    each.close()


def sources(server, *indices, worker="other"):
    return {index: Source(attempt(index), worker, server.address) for index in indices}


def pairs(segments):
    return {
        index: [
            pair for keys, values in segment for pair in zip(keys, values, strict=True)
        ]
        for index, segment in segments.items()
    }  # fmt: skip


def test_one_partition_of_every_output(server, fetcher):
    found = pairs(fetcher.fetch(sources(server, 0, 1, 2), 1, "here", MEMORY))
    assert found == {0: [("key1", 1)], 1: [("key1", 11)], 2: [("key1", 21)]}


def test_the_connection_is_kept(server, fetcher):
    fetcher.fetch(sources(server, 0), 0, "here", MEMORY)
    fetcher.fetch(sources(server, 1), 0, "here", MEMORY)
    assert len(fetcher._holders) == 1


def test_what_is_here_needs_no_server(held, server, tmp_path):
    server.close()
    fetcher = Fetcher(TOKEN, tmp_path / "there", tmp_path)
    found = pairs(fetcher.fetch(sources(server, 2, worker="here"), 0, "here", MEMORY))
    assert found == {2: [("key0", 20)]}


def test_an_output_that_is_gone_is_named(server, fetcher, held):
    del held[attempt(1)]
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(sources(server, 0, 1, 2), 0, "here", MEMORY)
    assert caught.value.gone == [attempt(1)]


def test_a_file_that_was_deleted_is_named(server, fetcher, held):
    held[attempt(2)].unlink()
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(sources(server, 0, 1, 2), 0, "here", MEMORY)
    assert caught.value.gone == [attempt(2)]


def test_a_flipped_bit_is_found_and_named(server, fetcher, held):
    data = bytearray(held[attempt(1)].read_bytes())
    data[60] ^= 1
    held[attempt(1)].write_bytes(data)
    with pytest.raises(FetchError) as caught:
        pairs(fetcher.fetch(sources(server, 0, 1), 0, "here", MEMORY))
    assert caught.value.gone == [attempt(1)]


def test_a_server_that_does_not_answer(server, fetcher):
    server.close()
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(sources(server, 0, 1), 0, "here", MEMORY)
    assert caught.value.unreached == [attempt(0), attempt(1)]


def test_a_server_of_another_cluster(server, tmp_path):
    stranger = Fetcher(bytes(32), tmp_path, tmp_path)
    with pytest.raises(FetchError, match="wrong token"):
        stranger.fetch(sources(server, 0), 0, "here", MEMORY)


def test_a_kept_connection_that_broke_is_made_anew(server, fetcher):
    fetcher.fetch(sources(server, 0), 0, "here", MEMORY)
    next(iter(fetcher._holders.values()))._sock.shutdown(socket.SHUT_RDWR)
    assert pairs(fetcher.fetch(sources(server, 1), 0, "here", MEMORY)) == {1: [("key0", 10)]}
