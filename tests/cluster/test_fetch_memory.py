"""What is fetched beyond the memory budget goes through one file, and comes out the same."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from minimr.cluster import fetched as fetched_module
from minimr.cluster.fetch import Fetcher, FetchError, Source
from minimr.cluster.fetched import Fetched
from minimr.cluster.places import output_path
from minimr.cluster.shuffle_server import ShuffleServer
from minimr.errors import DiskFull, MinimrError
from minimr.scheduler.state import AttemptId
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import write_map_output

TOKEN = bytes(range(32))
MAPS = 20
RIGHT = {index: [(f"key{n:03}", index + n) for n in range(50 * index)] for index in range(MAPS)}
ATTEMPTS = {index: AttemptId("job-1", "map", index, 0) for index in range(MAPS)}


def blocks(index):
    """Several to a segment, none in the first."""
    for start in range(0, len(RIGHT[index]), 100):
        pairs = RIGHT[index][start : start + 100]
        yield encode_pairs(*map(list, zip(*pairs, strict=True)))


TOTAL_BYTES = sum(len(block) for index in range(MAPS) for block in blocks(index))


@pytest.fixture
def held(tmp_path):
    held = {}
    for index, attempt in ATTEMPTS.items():
        held[attempt] = path = output_path(tmp_path / "there", attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_map_output(path, 1, [(0, block) for block in blocks(index)])
    return held


@pytest.fixture
def server(held):
    each = ShuffleServer(TOKEN, held.get)
    each.start()
    yield each
    each.close()


@pytest.fixture
def scratch(tmp_path):
    path = tmp_path / "scratch"
    path.mkdir()
    return path


@pytest.fixture
def fetcher(tmp_path, scratch):
    each = Fetcher(TOKEN, tmp_path / "here", scratch)
    yield each
    each.close()


def fetch(fetcher, server, memory_bytes, partition=0):
    sources = {index: Source(each, "other", server.address) for index, each in ATTEMPTS.items()}
    return fetcher.fetch(sources, partition, "here", memory_bytes)


def read(segments):
    return {
        index: [pair for block in segment for pair in zip(*block, strict=True)]
        for index, segment in segments.items()
    }


def stored_bytes(fetcher):
    descriptor = fetcher._fetched._file.descriptor
    return 0 if descriptor is None else os.fstat(descriptor).st_size


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_the_same_pairs_from_memory_and_from_the_file(fetcher, server, share):
    memory_bytes = int(share * TOTAL_BYTES)
    found = read(fetch(fetcher, server, memory_bytes))
    assert found == RIGHT
    assert stored_bytes(fetcher) >= TOTAL_BYTES - memory_bytes
    assert stored_bytes(fetcher) == TOTAL_BYTES - sum(
        map(len, fetcher._fetched._in_memory.values())
    )


def files_open():
    """Descriptors of files in which fetched segments are."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # The server's threads open and close files meanwhile.
            found.append(str(each.readlink()))
    return [each for each in found if "fetched-" in each]


def test_one_descriptor_for_all_segments_and_no_name_on_the_disk(fetcher, server, scratch):
    segments = fetch(fetcher, server, 0)
    for segment in segments.values():
        next(segment, None)
    assert len(files_open()) == 1
    assert list(scratch.iterdir()) == []
    fetcher.release()
    assert files_open() == []


def test_what_broke_off_is_written_over(fetcher, server, held):
    """One output is gone: the others stay, and the retry asks for the missing one alone."""
    path = held.pop(ATTEMPTS[7])
    with pytest.raises(FetchError) as caught:
        fetch(fetcher, server, TOTAL_BYTES // 2)
    assert caught.value.gone == [ATTEMPTS[7]]
    for attempt in list(held):
        del held[attempt]
    held[ATTEMPTS[7]] = path
    assert read(fetch(fetcher, server, TOTAL_BYTES // 2)) == RIGHT


def test_nothing_is_kept_for_another_task(fetcher, server, held):
    fetch(fetcher, server, TOTAL_BYTES)
    held.clear()
    with pytest.raises(FetchError):
        fetch(fetcher, server, TOTAL_BYTES, partition=1)
    with pytest.raises(FetchError) as caught:
        fetch(fetcher, server, TOTAL_BYTES)
    assert len(caught.value.gone) == MAPS


def test_a_full_disk_says_where_and_how_much(fetcher, server, scratch, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull) as caught:
            fetch(fetcher, server, 0)
    size_bytes = sum(map(len, blocks(1)))
    assert f"{size_bytes} bytes of job-1/map-1/0 in {scratch}" in str(caught.value)
    assert "Make room" in str(caught.value)
    assert read(fetch(fetcher, server, 0)) == RIGHT, "the conversation began anew"


def test_a_disk_that_takes_less_at_a_time(fetcher, server, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: write(fd, data[:100], offset))
    assert read(fetch(fetcher, server, 0)) == RIGHT


def test_our_own_disk_is_not_the_holders_fault(fetcher, server):
    segments = fetch(fetcher, server, 0)
    os.pwrite(fetcher._fetched._file.descriptor, b"\xff" * 100, 50)
    with pytest.raises(MinimrError, match="cannot be read back") as caught:
        read(segments)
    assert not isinstance(caught.value, FetchError)


def test_large_pieces_go_straight_and_small_ones_by_way_of_the_buffer(fetcher, server, monkeypatch):
    for size in (7, 100, 1 << 20):
        monkeypatch.setattr(fetched_module, "PIECE_BYTES", size)
        fetcher.release()
        assert read(fetch(fetcher, server, TOTAL_BYTES // 3)) == RIGHT


def test_an_empty_store_closes_well(scratch):
    Fetched(scratch, 0).close()
