"""The reducer's side of the shuffle: bring segment r of every map output here, in map order.

Outputs on the same worker are read from its files; the others come over TCP, all that one worker
holds in one request. A fetch that fails is tried again on a new connection; what still fails is
reported by name, and the scheduler decides which map tasks run again (OSDI 2004, section 3.3).
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.connection import Connection
from minimr.cluster.handshake import greet
from minimr.cluster.places import output_path
from minimr.cluster.wire import Buffer
from minimr.errors import CorruptData, MinimrError, ProtocolError
from minimr.scheduler.state import AttemptId
from minimr.shuffle.segments import MapOutputFile, read_segment_bytes
from minimr.tasks.failure import InputLost

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
TRIES = 2
BATCH = 500

Segment = Iterator[tuple[list[Any], list[Any]]]


class FetchError(InputLost):
    """Some map outputs could not be had; `missing` names them."""

    def __init__(self, missing: list[AttemptId], text: str) -> None:
        super().__init__(text)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Source:
    """Where one map output is."""

    attempt: AttemptId
    worker: str
    address: tuple[str, int]


class Fetcher:
    """Fetches for the attempts of one slot; connections are kept from one to the next."""

    def __init__(self, token: bytes, directory: Path) -> None:
        self._token = token
        self._directory = directory
        self._connections: dict[tuple[str, int], Connection] = {}

    def fetch(self, sources: dict[int, Source], partition: int, here: str) -> dict[int, Segment]:
        """Segments by map index. Raises FetchError; a damaged segment raises when it is read."""
        segments: dict[int, Segment] = {}
        away: dict[tuple[str, int], list[int]] = {}
        for index, source in sources.items():
            if source.worker == here:
                segments[index] = self._read_local(source.attempt, partition)
            else:
                away.setdefault(source.address, []).append(index)
        for address, indices in away.items():
            for start in range(0, len(indices), BATCH):
                batch = indices[start : start + BATCH]
                attempts = [sources[index].attempt for index in batch]
                for index, data in zip(
                    batch, self._bring(address, partition, attempts), strict=True
                ):
                    attempt = sources[index].attempt
                    segments[index] = _guard(read_segment_bytes(data), attempt)
        return segments

    def _read_local(self, attempt: AttemptId, partition: int) -> Segment:
        path = output_path(self._directory, attempt)
        try:
            return _guard(MapOutputFile(path).read_segment(partition), attempt)
        except (OSError, CorruptData) as error:
            raise FetchError([attempt], f"{attempt} cannot be read here: {error}") from None

    def _bring(
        self, address: tuple[str, int], partition: int, attempts: list[AttemptId]
    ) -> list[Buffer]:
        for tries_left in reversed(range(TRIES)):
            try:
                return self._request(address, partition, attempts)
            except (OSError, EOFError, ProtocolError) as error:
                self._drop(address)
                if not tries_left:
                    where = "{}:{}".format(*address)
                    text = f"{len(attempts)} map outputs at {where}: {error or 'no answer'}"
                    raise FetchError(attempts, text) from None
        raise AssertionError("the loop returns or raises")

    def _request(
        self, address: tuple[str, int], partition: int, attempts: list[AttemptId]
    ) -> list[Buffer]:
        connection = self._connect(address)
        connection.send([m.Fetch(partition, attempts)])
        match connection.receive():
            case [m.Segments(sizes)] if len(sizes) == len(attempts):
                pass
            case _:
                raise ProtocolError("the shuffle server answered with something else")
        found = [connection.read(size) if size >= 0 else None for size in sizes]
        data = [each for each in found if each is not None]
        if len(data) < len(found):
            missing = [a for a, each in zip(attempts, found, strict=True) if each is None]
            raise FetchError(missing, f"{missing[0]} is not at {address[0]}:{address[1]} any more")
        return data

    def _connect(self, address: tuple[str, int]) -> Connection:
        if address not in self._connections:
            sock = socket.create_connection(address, CONNECT_TIMEOUT_S)
            try:
                greet(sock, self._token, "fetch")
            except MinimrError as error:
                sock.close()
                raise ProtocolError(str(error)) from None
            sock.settimeout(READ_TIMEOUT_S)
            self._connections[address] = Connection(sock)
        return self._connections[address]

    def _drop(self, address: tuple[str, int]) -> None:
        if connection := self._connections.pop(address, None):
            connection.close()


def _guard(segment: Segment, attempt: AttemptId) -> Segment:
    """Damage shows while the segment is read; name the map output that must be made again."""
    try:
        yield from segment
    except (CorruptData, OSError) as error:
        raise FetchError([attempt], f"{attempt} is damaged: {error}") from None
