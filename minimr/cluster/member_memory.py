"""Memory that two members on one machine share, through which large arrays pass between them.

To the kernel even a connection within one machine is a network: it copies each byte in and out
again, in packets. In memory that both see, the sender leaves one copy, and the receiver adds it to
its own from where it lies. MPI and NCCL do the same between processes of one machine.

This is the bounded buffer (Dijkstra, "Cooperating sequential processes", 1965), one for each
direction: PLACES places for a piece each. The sender waits for a free place, fills it, and says so;
the receiver works on the piece where it lies, and says when the place is free again. What Dijkstra
counts with two semaphores are bytes on two sockets here: whoever waits wakes up, too, if the other
dies. The byte for a full place travels on the members' connection, in its turn among the messages.
The one for a free place has a socket of its own, for it must not wait behind a message.

How two members learn that they can share memory: who dials opens a Unix socket under a name that is
known on this machine only, and says it when it introduces itself. Who is dialled connects there, if
it can; both pass the gate once more, and the memory is handed over as an open file without a name,
so nothing is left behind whoever dies. Between machines arrays travel on the connection.
"""

import fcntl
import mmap
import os
import re
import secrets
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from minimr.cluster.handshake import admit, greet
from minimr.errors import ProtocolError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Piece = npt.NDArray[np.uint8]

PIECE_BYTES = 1 << 19
"""What is worked on at once, so that it stays in the processor's caches; a multiple of 16, the
largest element, and so of the words of a checksum."""
PLACES = 4
"""On the one machine where it was measured, an all-reduce took as long with half and with twice as
many, and longer with smaller pieces, for each of them wakes two processes."""
SHARED_BYTES_MIN = 1 << 18
"""What the arrays of a message must take in all; for less it is no faster than the connection."""
ROLE = "member"
NAME_START = "minimr-member-"
NAME = re.compile(NAME_START + "[0-9a-f]{32}")
CONNECT_S = 20.0
PENDING_MAX = 8
ONE = b"1"


class SharedMemory:
    """One end of it: one thread puts pieces into it, another one takes them."""

    def __init__(self, descriptor: int, free: socket.socket, silence_s: float, is_first: bool):
        """Map the memory that this descriptor means, and take over the socket.

        The first of the two members is the one that fills the first of the two buffers.
        """
        import numpy as np

        memory = np.frombuffer(mmap.mmap(descriptor, _memory_bytes()), np.uint8)
        buffers = memory.reshape(2, PLACES, PIECE_BYTES)
        self._outgoing, self._incoming = buffers if is_first else buffers[::-1]
        free.settimeout(silence_s)
        self._free = free
        self._free_count, self._put_count, self._taken_count = PLACES, 0, 0

    def has_free_place(self) -> bool:
        """Wait for one, at most as long as silence may last. Raises OSError if none can come."""
        if not self._free_count:
            try:
                ones = self._free.recv(PLACES)
            except TimeoutError:
                return False
            if not ones:
                raise ConnectionError("it has left or died")
            self._free_count = len(ones)
        return True

    def put(self, piece: memoryview) -> None:
        """Copy it to a place that is free. Whoever calls this tells the other that it is there."""
        import numpy as np

        place = self._outgoing[self._put_count % PLACES]
        np.copyto(place[: piece.nbytes], np.frombuffer(piece, np.uint8))
        self._put_count += 1
        self._free_count -= 1

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator["Piece"]:
        """The oldest piece, where it lies, after the other has told that it is there."""
        yield self._incoming[self._taken_count % PLACES][:size_bytes]
        self._taken_count += 1
        # One that is gone waits for no place, and what it put here before still counts.
        with suppress(OSError):
            self._free.send(ONE)

    def shut(self) -> None:
        """Whoever waits for a free place wakes up."""
        with suppress(OSError):  # Already gone.
            self._free.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give everything back; nobody uses this end any more. The memory must not wait until
        Python looks for objects that refer to each other: a gang has some for each pair."""
        import numpy as np

        self._free.close()
        self._outgoing = self._incoming = np.empty(0, np.uint8)


def pieces(buffer: memoryview) -> Iterator[memoryview]:
    for start in range(0, buffer.nbytes, PIECE_BYTES):
        yield buffer[start : start + PIECE_BYTES]


# How two members come to share it


class Offer:
    """What a member offers to the one whom it dials, under this name."""

    def __init__(self, name: str, server: socket.socket) -> None:
        self.name = name
        self._server = server

    def give(self, token: bytes, silence_s: float, talk: socket.socket) -> SharedMemory:
        """To the member that said on `talk` that it has connected. Raises OSError."""
        with ExitStack() as unused:
            sock = unused.enter_context(self._admitted(token, talk))
            descriptor = os.memfd_create("minimr-member", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            try:
                os.ftruncate(descriptor, _memory_bytes())
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
                socket.send_fds(sock, [ONE], [descriptor])
                memory = SharedMemory(descriptor, sock, silence_s, is_first=True)
            finally:
                os.close(descriptor)
            unused.pop_all()
            return memory

    def _admitted(self, token: bytes, talk: socket.socket) -> socket.socket:
        """Whoever connects first may be a stranger, who is sent away like everywhere. The one who
        is waited for has nothing to say on `talk` until then, so what comes there is its end."""
        while True:
            self._await_one(talk)
            sock, _ = self._server.accept()
            try:
                admit(sock, token, (ROLE,))
            except (ProtocolError, OSError):
                sock.close()
            else:
                return sock

    def _await_one(self, talk: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (self._server, talk):
                selector.register(each, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select(CONNECT_S)]
        if not ready:
            raise TimeoutError("timed out")
        if self._server not in ready:
            raise ConnectionError("it has left or died")


@contextmanager
def offer() -> Iterator[Offer]:
    name = NAME_START + secrets.token_hex(16)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen(PENDING_MAX)
        yield Offer(name, server)


def reach(name: str) -> socket.socket | None:
    """A connection to the one who offers memory under this name, if that is on this machine."""
    if not NAME.fullmatch(name):
        return None
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(CONNECT_S)
    try:
        sock.connect("\0" + name)
    except OSError:
        sock.close()
        return None
    return sock


def take(sock: socket.socket, token: bytes, silence_s: float) -> SharedMemory:
    """What is given on this connection. Raises NoCoordinator, ProtocolError, OSError."""
    greet(sock, token, ROLE)
    sock.settimeout(CONNECT_S)
    _, descriptors, *_ = socket.recv_fds(sock, 1, 1)
    try:
        if not all(map(_is_sound, descriptors)) or not descriptors:
            raise ProtocolError("another member gave no memory, or too little")
        return SharedMemory(descriptors[0], sock, silence_s, is_first=False)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _is_sound(descriptor: int) -> bool:
    """Memory that could become smaller would end this process when it is used."""
    seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    return bool(seals & fcntl.F_SEAL_SHRINK) and os.fstat(descriptor).st_size >= _memory_bytes()


def _memory_bytes() -> int:
    return 2 * PLACES * PIECE_BYTES
