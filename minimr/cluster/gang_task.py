"""One attempt at being a member of a gang, in its slot: from its partitions to its pairs.

It brings its partitions, listens, says so, and waits until everybody does. Then user code runs,
with the other members at hand. What it yields travels with the message, like a round's result.
"""

import hmac
import json
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.checkpoints import Checkpoints
from minimr.cluster.fetch import FetchError, Source
from minimr.cluster.gang_messages import (
    Meet,
    MeetAgain,
    MemberEnded,
    MemberNotes,
    MemberReady,
)
from minimr.cluster.member_link import MemberLink
from minimr.cluster.partitions import Partitions
from minimr.cluster.slot_mail import SlotMail
from minimr.cluster.wire import Blob
from minimr.counters import check_counters
from minimr.errors import CorruptData, UsageError
from minimr.gang.members import Arrived, MemberLost, Target, Traffic
from minimr.job import Job
from minimr.scheduler.gang_policy import share
from minimr.shuffle.pairs import block_records
from minimr.tasks.emitted import as_iterable, checked_pairs, encoded
from minimr.tasks.failure import Position, Reporting, TaskFailed
from minimr.tasks.resident import open_resident
from minimr.tasks.watcher import Watcher

WAIT_S = 1.0
NOTE_CHARACTERS_MAX = 4096
NOTE_NUMBER_MAX = (1 << 63) - 1


@dataclass(frozen=True)
class GangSpec:
    """What all members know: how many they are, how many partitions they share, and where the
    checkpoints lie."""

    members: int
    partitions: int
    checkpoints: str


@dataclass
class MemberTask:
    """One member in one epoch. `tell` sends a message to the worker, from any thread."""

    spec: GangSpec
    order: m.Run
    token: bytes
    mail: SlotMail
    tell: Callable[[m.Message], None]
    watcher: Watcher

    def run(self, job: Job, sources: dict[int, Source], partitions: Partitions) -> m.Done:
        """Raises TaskFailed if user code fails, MemberLost if another member is to blame, and
        FetchError if the data cannot be had."""
        attempt = self.order.attempt
        owned = share(attempt.index, self.spec.members, self.spec.partitions)
        paths = partitions.bring([sources[index] for index in owned])
        blocks = [
            (index, _content(path, sources[index]))
            for index, path in zip(owned, paths, strict=True)
        ]
        link = self._listen()
        try:
            self._meet(link)
            data, pairs = self._program(job, blocks, link)
            while not link.leave(WAIT_S):
                self.watcher.tick()
        finally:
            link.close()
        stats = {
            "records_in": sum(len(block) for _, block in blocks),
            "records_out": pairs,
            "bytes_out": len(data),
            "messages": link.sent.messages,
            "sent_bytes": link.sent.total_bytes,
        }
        return m.Done(attempt, [Blob(data)], stats, job.counters, None, "")

    def _listen(self) -> MemberLink:
        attempt = self.order.attempt
        first = attempt.number - self.order.epoch + 1
        checkpoints = Checkpoints(Path(self.spec.checkpoints), attempt.index, attempt.number, first)
        return MemberLink(
            attempt.index,
            self.spec.members,
            _gang_token(self.token, attempt.job, first),
            notes=lambda lines: self.tell(MemberNotes(attempt, lines)),
            keep=checkpoints.keep,
            saved=checkpoints.newest(),
        )

    def _meet(self, link: MemberLink) -> None:
        """Wait for the others. From then on a thread hears who starts again, and who has ended."""
        attempt = self.order.attempt
        met: queue.SimpleQueue[Meet] = queue.SimpleQueue()

        def hear(message: m.Message) -> bool:
            match message:
                case Meet() if message.attempt == attempt:
                    met.put(message)
                case MeetAgain() if message.attempt == attempt:
                    link.replace(message.rank, (message.host, message.port))
                case MemberEnded() if message.attempt == attempt:
                    link.gone(message.rank)
                case Meet() | MeetAgain() | MemberEnded():
                    pass  # Its attempt is over.
                case _:
                    return False
            return True

        self.mail.listen(hear)
        self.tell(MemberReady(attempt, *link.address))
        while True:
            self.watcher.tick()
            try:
                meet = met.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            link.connect(list(zip(meet.hosts, meet.ports, strict=True)), self.order.epoch)
            return

    def _program(self, job: Job, blocks: list[Any], link: MemberLink) -> tuple[bytes, int]:
        """Run user code; return its pairs as pair-blocks, and how many they are."""
        assert job.gang is not None
        members = WatchedMembers(link, self.watcher)
        position = Position(f"member {link.rank} of the gang")
        try:
            with Reporting(job, position):
                yielded = as_iterable(job.gang(blocks, members), "gang")
                pair_blocks = list(encoded(checked_pairs(yielded, "gang")))
                check_counters(job.counters)
        except TaskFailed as error:
            for behind in _causes(error):
                if isinstance(behind, MemberLost):
                    raise behind from None
            raise
        return b"".join(pair_blocks), sum(map(block_records, pair_blocks))


def _gang_token(token: bytes, job: str, first: int) -> bytes:
    """What the members of one gang know: where one died, another gang's may listen next, or one of
    the same gang that began anew since then with attempt `first`, and counts epochs from 1 again.
    """
    return hmac.digest(token, f"minimr {job} {first}".encode(), "sha256")


def _content(path: Path, source: Source) -> Any:
    """A partition as a Block, or as a list of pairs if it has no columns. Raises FetchError if it
    is damaged, so that it is made again."""
    try:
        resident = open_resident(str(path))
        return list(resident.pairs()) if resident.block is None else resident.block
    except CorruptData as error:
        raise FetchError([source.attempt], str(error)) from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The errors from which this one follows: a program may put another in MemberLost's place."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


class WatchedMembers:
    """The link as user code sees it: every use of it is a sign of progress. See Members."""

    def __init__(self, link: MemberLink, watcher: Watcher) -> None:
        self._link, self._tick = link, watcher.tick
        self.rank, self.size, self.epoch = link.rank, link.size, link.epoch
        self.saved = link.saved

    @property
    def sent(self) -> Traffic:
        return self._link.sent

    def send(self, to: int, tag: str, value: Any) -> None:
        self._link.send(to, tag, value)
        self._tick()

    def receive(self, source: int, tag: str) -> Any:
        value = self._link.receive(source, tag)
        self._tick()
        return value

    @contextmanager
    def expect(
        self, source: int, tag: str, targets: Sequence[Target]
    ) -> Iterator[Iterator[Arrived]]:
        with self._link.expect(source, tag, targets) as arrivals:
            yield map(self._met, arrivals)

    def _met(self, arrived: Arrived) -> Arrived:
        self._tick()
        return arrived

    def pass_on(self, to: int, tag: str, arrived: Arrived) -> None:
        self._link.pass_on(to, tag, arrived)
        self._tick()

    def await_member(self, rank: int) -> None:
        self._link.await_member(rank)
        self._tick()

    def note(self, **fields: Any) -> None:
        self._link.note(**_noted(fields))
        self._tick()

    def save(self, value: Any) -> None:
        self._link.save(value)
        self._tick()


def _noted(fields: dict[str, Any]) -> dict[str, Any]:
    """A note as JSON can say it. Raises UsageError for one that cannot go into the event log."""
    try:
        text = json.dumps(fields, default=lambda number: number.item())
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"members.note takes numbers, texts, lists and dicts of them: {error}"
        ) from None
    if len(text) > NOTE_CHARACTERS_MAX:
        raise UsageError(
            f"a note of {len(text):,} characters is too long for the event log, which takes up to "
            f"{NOTE_CHARACTERS_MAX:,}; note a summary"
        )
    noted: dict[str, Any] = json.loads(text, parse_int=_travelling)
    return noted


def _travelling(digits: str) -> int:
    """A whole number of a note. Raises UsageError if no message can carry it."""
    number = int(digits)
    if abs(number) > NOTE_NUMBER_MAX:
        raise UsageError(f"{digits} is too large a number for a note; note it as a float or a text")
    return number


def reason_of(error: Exception) -> str:
    """Why an attempt failed that ended in this error, if user code is not to blame."""
    return "member_lost" if isinstance(error, MemberLost) else "system"
