"""A member's end of a gang between processes: one TCP connection to each other member.

Every member listens, behind the same gate as every port. When all addresses are known, a member
dials those of lower rank and is dialled by those of higher rank, so that each pair has exactly one
connection. A thread per connection reads whatever comes and puts it where `receive` finds it, so a
member that is busy never keeps another one from sending, and two that send each other large arrays
do not wait for each other. (Up to a bound: who neither takes what is sent to it nor waits for what
comes next makes the sender wait, as TCP does.) Two members on one machine pass large arrays through
memory that both see.

A member that is started again comes with a higher epoch. Its connection waits in the second row
until `await_member` takes it over; till then everything to and from that rank raises MemberLost.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any

from minimr.cluster import member_memory
from minimr.cluster.handshake import HELLO_LIMITS, greet
from minimr.cluster.listener import Listener
from minimr.cluster.member_conversation import TAG_CHARACTERS_MAX, Conversation
from minimr.cluster.member_seat import Seat
from minimr.cluster.wire import encode_frame, read_frame
from minimr.errors import MinimrError, ProtocolError
from minimr.gang.members import Arrived, MemberLost, Target, Traffic, no_other
from minimr.shuffle import codec

Address = tuple[str, int]
Notes = list[dict[str, Any]]

ROLE = "member"
HELLO_KIND = 5
CONNECT_S = 20.0
CLOSE_S = 5.0
SILENCE_S = 20.0
PINGS_PER_SILENCE = 4
NOTES_EVERY_S = 0.05
NOTES_TOGETHER = 100
"""How many notes one message carries: also of the longest ones less than a message's head takes."""


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
        self._at: dict[int, Address] = {}  # Those of lower rank, as we were told last.
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
            self._at.setdefault(rank, addresses[rank])
            self._dial(rank, addresses[rank])
        deadline = time.monotonic() + CONNECT_S
        for rank in self._seats:
            self._sit_down(rank, deadline)

    def replace(self, rank: int, address: Address) -> None:
        """Member `rank` is started again and listens at `address`. Does not wait."""
        if rank < self.rank:
            self._at[rank] = address
            arguments = (rank, address)
            threading.Thread(target=self._redial, args=arguments, daemon=True).start()

    def gone(self, rank: int) -> None:
        """Member `rank` has ended, or will not be started again: it is not waited for any more."""
        with self._changed:
            self._gone.add(rank)
            self._changed.notify_all()

    def leave(self, wait_s: float) -> bool:
        """Send nothing more, and drop what comes. True as soon as all that was sent has been read
        or its reader is lost; False if that takes longer than this, and then ask again."""
        with self._changed:
            seats = [*self._seats.values(), *self._second_row.values(), *self._former]
        for seat in seats:
            seat.leave()
        deadline = time.monotonic() + wait_s
        return all(seat.has_ended(deadline) for seat in seats)

    def close(self) -> None:
        """Leave now. What has not been read after a moment may be lost on its way."""
        with self._changed:
            self._is_closed = True
            seats = [*self._seats.values(), *self._second_row.values(), *self._former]
            self._changed.notify_all()
        self._noted_or_closed.set()
        self._listener.close()
        self.leave(CLOSE_S)
        for seat in seats:
            seat.close()
        if self._chores.ident is not None:
            self._chores.join()
        self._give_notes()

    # What a member does

    def send(self, to: int, tag: str, value: Any) -> None:
        self._send(to, tag, value)

    def pass_on(self, to: int, tag: str, arrived: Arrived) -> None:
        self._send(to, tag, arrived.array, arrived.checksum)

    def _send(self, to: int, tag: str, value: Any, checksum: int | None = None) -> None:
        if len(tag) > TAG_CHARACTERS_MAX:
            raise TypeError(f"a tag has at most {TAG_CHARACTERS_MAX} characters, not {len(tag)}")
        head, buffers = codec.pack(value)
        self._seat(to).send(tag, head, buffers, None if checksum is None else [checksum])
        with self._changed:
            self.sent.add(sum(each.nbytes for each in buffers), len(head) + len(tag))

    def receive(self, source: int, tag: str) -> Any:
        return self._seat(source).take(tag)

    def expect(
        self, source: int, tag: str, targets: Sequence[Target]
    ) -> AbstractContextManager[Iterator[Arrived]]:
        return self._seat(source).expect(tag, targets)

    def await_member(self, rank: int) -> None:
        if self._seat(rank).lost:
            self._sit_down(rank, None)

    def note(self, **fields: Any) -> None:
        line = {"event": "member_note", "rank": self.rank, "epoch": self.epoch, **fields}
        with self._changed:
            self._noted.append(line)
        self._noted_or_closed.set()

    def save(self, value: Any) -> None:
        self._keep(codec.dumps(value))

    def _seat(self, rank: int) -> Seat:
        if rank not in self._seats:
            raise no_other(rank, self)
        return self._seats[rank]

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
        with ExitStack() as unused:
            unused.enter_context(sock)
            try:
                greet(sock, self._token, ROLE)
                with member_memory.offer() as offer:
                    self._introduce(sock, offer.name)
                    answered, _, name = self._read_introduction(sock)
                    if answered != rank:
                        raise ProtocolError(f"member {answered} answers at its address")
                    memory = offer.give(self._token, self._silence_s, sock) if name else None
                conversation = Conversation(sock, self._silence_s, memory)
                unused.callback(conversation.close)
                with self._changed:
                    if self._at[rank] != address:
                        raise ProtocolError("it answers when its successor was named already")
                    self._adopt(conversation, rank)
            except (MinimrError, OSError) as error:
                raise MemberLost(rank, str(error)) from None
            unused.pop_all()

    def _meet(self, sock: socket.socket, _role: str) -> None:
        """The listener's thread: somebody who knows the token dials."""
        # Who is sent away sees the end, and says so.
        with ExitStack() as unused, suppress(MinimrError, OSError):
            unused.enter_context(sock)
            rank, epoch, name = self._read_introduction(sock)
            if rank <= self.rank:
                raise ProtocolError("a lower rank is dialled, and does not dial")
            memory = None
            if offer := member_memory.reach(name):
                unused.enter_context(offer)
            self._introduce(sock, name if offer else "")
            if offer:
                memory = member_memory.take(offer, self._token, self._silence_s)
            self._adopt(Conversation(sock, self._silence_s, memory), rank, epoch)
            unused.pop_all()

    def _introduce(self, sock: socket.socket, memory_name: str) -> None:
        """The name is under which we offer memory, or the one that we have reached; or empty."""
        sock.settimeout(CONNECT_S)
        said = [self.rank, self.size, self.epoch, memory_name]
        sock.sendall(b"".join(encode_frame(HELLO_KIND, said)))

    def _read_introduction(self, sock: socket.socket) -> tuple[int, int, str]:
        """Rank and epoch of the other, and its name of memory. Raises ProtocolError, OSError."""
        sock.settimeout(CONNECT_S)
        frame = read_frame(lambda size: _read_exactly(sock, size), HELLO_LIMITS)
        match frame.value:
            case [int(rank), int(size), int(epoch), str(name)] if frame.kind == HELLO_KIND:
                if size == self.size and rank in self._seats and epoch >= 0:
                    return rank, epoch, name
        raise ProtocolError("whoever dials is no member of this gang")

    def _adopt(self, conversation: Conversation, rank: int, epoch: int | None = None) -> None:
        """Let it wait in the second row. Raises ProtocolError for an epoch that is over.

        Whom we dialled need not tell its epoch: the coordinator named it last of all.
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
            self._second_row[rank] = Seat(rank, epoch, conversation)
            self._changed.notify_all()

    # Chores: pings and notes

    def _do_chores(self) -> None:
        pause_s = self._silence_s / PINGS_PER_SILENCE
        awake_at = time.monotonic()
        ping_at = awake_at + pause_s
        while not self._is_closed:
            if self._noted_or_closed.wait(max(0.0, ping_at - time.monotonic())):
                self._noted_or_closed.clear()
                time.sleep(NOTES_EVERY_S)  # More come soon, and travel in the same batch.
            before, awake_at = awake_at, time.monotonic()
            if awake_at - before > self._silence_s:
                # This process was stopped, and is lost for the others. They wait for us to be
                # started again; if we waited for them, too, nobody would ever come.
                for rank in self._seats:
                    self.gone(rank)
            self._give_notes()
            if time.monotonic() >= ping_at:
                ping_at = time.monotonic() + pause_s
                with self._changed:
                    seats = [*self._seats.values(), *self._second_row.values()]
                for seat in seats:
                    seat.ping()

    def _give_notes(self) -> None:
        with self._changed:
            notes, self._noted = self._noted, []
        for start in range(0, len(notes), NOTES_TOGETHER):
            self._notes(notes[start : start + NOTES_TOGETHER])


def _read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ProtocolError("the connection was closed before the members had met")
        data += piece
    return data
