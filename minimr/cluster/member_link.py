"""A member's end of a gang between processes: one TCP connection to each other member.

Every member listens, behind the same gate as every port. When all addresses are known, a member
dials those of lower rank and is dialled by those of higher rank, so that each pair has exactly one
connection. A thread per connection reads whatever comes and puts it where `receive` finds it, so a
member that is busy never keeps another one from sending, and two that send each other large arrays
do not wait for each other. (Up to a bound: who does not take what is sent to it makes the sender
wait, as TCP does.)

A member that is started again comes with a higher epoch. Its connection waits in the second row
until `await_member` takes it over; till then everything to and from that rank raises MemberLost.
"""

import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minimr.cluster.handshake import HELLO_LIMITS, greet
from minimr.cluster.listener import Listener
from minimr.cluster.member_conversation import TAG_CHARACTERS_MAX, Conversation, Message
from minimr.cluster.wire import encode_frame, read_frame
from minimr.errors import CorruptData, MinimrError, ProtocolError
from minimr.gang.members import MemberLost, Traffic
from minimr.shuffle import codec

if TYPE_CHECKING:
    import numpy.typing as npt

Address = tuple[str, int]
Notes = list[dict[str, Any]]

ROLE = "member"
HELLO_KIND = 5
CONNECT_S = 20.0
CLOSE_S = 5.0
SILENCE_S = 20.0
PINGS_PER_SILENCE = 4
NOTES_EVERY_S = 0.05
UNREAD_BYTES_MAX = 1 << 28
"""So much may wait for `receive` from one member before its connection is read no further."""


class Seat:
    """One other member, in one epoch: its conversation, and what it sent that nobody took yet."""

    def __init__(self, rank: int, epoch: int, conversation: Conversation | None = None) -> None:
        self.rank, self.epoch = rank, epoch
        self.changed = threading.Condition()
        self.conversation = conversation
        self.lost = "" if conversation else "it was never here"
        self._inbox: defaultdict[str, deque[tuple[Any, int]]] = defaultdict(deque)
        self._unread_bytes = 0
        self._is_deaf = False
        self._thread = threading.Thread(target=self._read, name=f"member {rank}", daemon=True)
        if conversation:
            self._thread.start()

    def take(self, tag: str) -> Any:
        """Wait for the next value under this tag. Raises MemberLost."""
        with self.changed:
            inbox = self._inbox[tag]
            while not inbox:
                if self.lost:
                    raise MemberLost(self.rank, self.lost)
                self.changed.wait()
            value, size_bytes = inbox.popleft()
            self._unread_bytes -= size_bytes
            self.changed.notify_all()
        return value

    def send(self, tag: str, head: bytes, buffers: Sequence[memoryview]) -> None:
        """Raises MemberLost."""
        if self.conversation is None or self.lost:
            raise MemberLost(self.rank, self.lost)
        try:
            self.conversation.send(tag, head, buffers)
        except OSError as error:
            self.lose(str(error))
            raise MemberLost(self.rank, self.lost) from None

    def reuse(self, buffer: memoryview) -> None:
        if self.conversation is not None:
            self.conversation.reuse(buffer)

    def ping(self) -> None:
        if self.conversation is not None and not self.lost:
            try:
                self.conversation.ping()
            except OSError as error:
                self.lose(str(error))

    def lose(self, why: str) -> None:
        """Nothing can be sent any more, and nothing comes. The first reason stands."""
        with self.changed:
            self.lost = self.lost or why
            self.changed.notify_all()
        if self.conversation is not None:
            self.conversation.shut()

    def leave(self) -> None:
        """Send nothing more; what the other still sends is read and dropped until it ends."""
        with self.changed:
            self._is_deaf = True
            self.changed.notify_all()
        if self.conversation is not None:
            self.conversation.finish()

    def close(self, deadline: float) -> None:
        """After `leave`: give the connection back when the other has heard all of it."""
        if self.conversation is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
            self.lose("the gang is over")
            self._thread.join()
            self.conversation.close()

    def _read(self) -> None:
        """The thread of this conversation, to its end."""
        assert self.conversation is not None
        try:
            while True:
                self._put(self.conversation.receive())
        except EOFError as error:
            why = str(error)
            self.conversation.finish()  # It left, and knows by this that all of it was read.
        except (OSError, ProtocolError, CorruptData, MemoryError) as error:
            why = str(error) or type(error).__name__
        self.lose(why)

    def _put(self, message: Message) -> None:
        tag, head, buffers = message
        value = codec.unpack(head, buffers)
        size_bytes = len(head) + sum(map(len, buffers))
        with self.changed:
            while self._unread_bytes > UNREAD_BYTES_MAX and not (self.lost or self._is_deaf):
                self.changed.wait()
            if not self._is_deaf:
                self._inbox[tag].append((value, size_bytes))
                self._unread_bytes += size_bytes
                self.changed.notify_all()


class MemberLink:
    """See Members. Listens from the start at `address`; `connect` makes it one of a gang."""

    def __init__(
        self,
        rank: int,
        size: int,
        token: bytes,
        notes: Callable[[Notes], object] = lambda _: None,
        keep: Callable[[bytes], object] = lambda _: None,
        saved: bytes | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`notes` is given the lines for the event log, in batches, by a thread of the link;
        `keep` what the program saves, by the program's. `saved` is what was kept last."""
        self.rank, self.size, self.epoch = rank, size, 0
        self.saved = None if saved is None else codec.loads(bytearray(saved))
        self.sent = Traffic()
        self._token, self._notes, self._keep = token, notes, keep
        self._silence_s = silence_s
        self._changed = threading.Condition()
        self._seats = {each: Seat(each, 0) for each in range(size) if each != rank}
        self._second_row: dict[int, Seat] = {}
        self._former: list[Seat] = []
        self._gone: set[int] = set()
        self._is_closed = False
        self._noted: Notes = []
        self._noted_or_closed = threading.Event()
        self._chores = threading.Thread(target=self._do_chores, name="member chores", daemon=True)
        self._listener = Listener(token, (ROLE,), self._meet)
        self.address: Address = self._listener.address
        self._listener.start()

    # The gang comes and goes

    def connect(self, addresses: Sequence[Address], epoch: int) -> None:
        """Wait until every member of the gang is connected. Raises MemberLost.

        `addresses` are by rank; those of higher ranks are not used, for they dial us.
        """
        self.epoch = epoch
        self._chores.start()
        for rank in range(self.rank):
            self._dial(rank, addresses[rank])
        deadline = time.monotonic() + CONNECT_S
        for rank in self._seats:
            self._sit_down(rank, deadline)

    def replace(self, rank: int, address: Address) -> None:
        """Member `rank` is started again and listens at `address`. Does not wait."""
        if rank < self.rank:
            arguments = (rank, address)
            threading.Thread(target=self._redial, args=arguments, daemon=True).start()

    def gone(self, rank: int) -> None:
        """Member `rank` is lost and will not be started again."""
        with self._changed:
            self._gone.add(rank)
            self._changed.notify_all()

    def close(self) -> None:
        """Leave, when all that was sent has been read or its reader is lost."""
        with self._changed:
            self._is_closed = True
            seats = [*self._seats.values(), *self._second_row.values(), *self._former]
            self._changed.notify_all()
        self._noted_or_closed.set()
        self._listener.close()
        for seat in seats:
            seat.leave()
        deadline = time.monotonic() + CLOSE_S
        for seat in seats:
            seat.close(deadline)
        if self._chores.ident is not None:
            self._chores.join()
        self._give_notes()

    # What a member does

    def send(self, to: int, tag: str, value: Any) -> None:
        if len(tag) > TAG_CHARACTERS_MAX:
            raise TypeError(f"a tag has at most {TAG_CHARACTERS_MAX} characters, not {len(tag)}")
        head, buffers = codec.pack(value)
        self._seats[to].send(tag, head, buffers)
        with self._changed:
            self.sent.add(sum(each.nbytes for each in buffers), len(head) + len(tag))

    def receive(self, source: int, tag: str) -> Any:
        return self._seats[source].take(tag)

    def reuse(self, source: int, array: "npt.NDArray[Any]") -> None:
        self._seats[source].reuse(array.reshape(-1).view("u1").data)

    def await_member(self, rank: int) -> None:
        if self._seats[rank].lost:
            self._sit_down(rank, None)

    def note(self, **fields: Any) -> None:
        line = {"event": "member_note", "rank": self.rank, "epoch": self.epoch, **fields}
        with self._changed:
            self._noted.append(line)
        self._noted_or_closed.set()

    def save(self, value: Any) -> None:
        self._keep(codec.dumps(value))

    # How connections come about

    def _sit_down(self, rank: int, deadline: float | None) -> None:
        """Take the connection of this rank from the second row. Raises MemberLost."""
        with self._changed:
            while rank not in self._second_row:
                left_s = None if deadline is None else deadline - time.monotonic()
                if self._is_closed or rank in self._gone or (left_s is not None and left_s <= 0):
                    raise MemberLost(rank, self._seats[rank].lost)
                self._changed.wait(left_s)
            self._former.append(self._seats[rank])
            self._seats[rank] = self._second_row.pop(rank)

    def _redial(self, rank: int, address: Address) -> None:
        # If nobody answers, it died again: the coordinator will tell another address, or the end.
        with suppress(MemberLost):
            self._dial(rank, address)

    def _dial(self, rank: int, address: Address) -> None:
        try:
            sock = socket.create_connection(address, CONNECT_S)
        except OSError as error:
            raise MemberLost(
                rank, f"nobody answers at {address[0]}:{address[1]}: {error}"
            ) from None
        try:
            greet(sock, self._token, ROLE)
            self._introduce(sock)
            answered, _ = self._read_introduction(sock)
            if answered != rank:
                raise ProtocolError(f"member {answered} answers at its address")
            self._adopt(sock, rank)
        except (MinimrError, OSError) as error:
            sock.close()
            raise MemberLost(rank, str(error)) from None

    def _meet(self, sock: socket.socket, _role: str) -> None:
        """The listener's thread: somebody who knows the token dials."""
        try:
            rank, epoch = self._read_introduction(sock)
            if rank <= self.rank:
                raise ProtocolError("a lower rank is dialled, and does not dial")
            self._introduce(sock)
            self._adopt(sock, rank, epoch)
        except (ProtocolError, OSError):
            sock.close()  # The other sees that, and says so.

    def _introduce(self, sock: socket.socket) -> None:
        sock.settimeout(CONNECT_S)
        sock.sendall(b"".join(encode_frame(HELLO_KIND, [self.rank, self.size, self.epoch])))

    def _read_introduction(self, sock: socket.socket) -> tuple[int, int]:
        """Rank and epoch of the other. Raises ProtocolError, OSError."""
        sock.settimeout(CONNECT_S)
        frame = read_frame(lambda size: _read_exactly(sock, size), HELLO_LIMITS)
        match frame.value:
            case [int(rank), int(size), int(epoch)] if frame.kind == HELLO_KIND:
                if size == self.size and rank in self._seats and epoch >= 0:
                    return rank, epoch
        raise ProtocolError("whoever dials is no member of this gang")

    def _adopt(self, sock: socket.socket, rank: int, epoch: int | None = None) -> None:
        """Let it wait in the second row. Raises ProtocolError for an epoch that is over.

        Whom we dialled need not tell its epoch: the coordinator said that it is the one.
        """
        with self._changed:
            waiting = self._second_row.get(rank)
            seats = [self._seats[rank], waiting] if waiting else [self._seats[rank]]
            newest = max(seat.epoch for seat in seats)
            if self._is_closed or (epoch is not None and epoch <= newest):
                raise ProtocolError(f"epoch {epoch} of member {rank} is over")
            for seat in seats:
                seat.lose("it was started again")
            if waiting:
                self._former.append(waiting)
            epoch = newest if epoch is None else epoch
            self._second_row[rank] = Seat(rank, epoch, Conversation(sock, self._silence_s))
            self._changed.notify_all()

    # Chores: pings and notes

    def _do_chores(self) -> None:
        pause_s = self._silence_s / PINGS_PER_SILENCE
        ping_at = time.monotonic() + pause_s
        while not self._is_closed:
            if self._noted_or_closed.wait(max(0.0, ping_at - time.monotonic())):
                self._noted_or_closed.clear()
                time.sleep(NOTES_EVERY_S)  # More come soon, and travel in the same batch.
                self._give_notes()
            if time.monotonic() >= ping_at:
                ping_at = time.monotonic() + pause_s
                with self._changed:
                    seats = [*self._seats.values(), *self._second_row.values()]
                for seat in seats:
                    seat.ping()

    def _give_notes(self) -> None:
        with self._changed:
            batch, self._noted = self._noted, []
        if batch:
            self._notes(batch)


def _read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ProtocolError("the connection was closed before the members had met")
        data += piece
    return data
