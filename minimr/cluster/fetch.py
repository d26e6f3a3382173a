"""The reducer's side of the shuffle: bring segment r of every map output here, in map order.

Outputs on the same worker are read from its files; the others come over TCP, all that one worker
holds in one conversation. A segment is checked when it is here, before anything of it is decoded. A
conversation that breaks, or brings a damaged segment, is closed, and what is still missing is asked
for once more on a new connection when all other holders have had their turn. What still fails is
reported by name, and the scheduler decides which map tasks run again (OSDI 2004, section 3.3). The
report tells apart what a holder says it does not have (`gone`) and what a holder did not say
anything about (`unreached`).

A failed attempt may come back to the same slot: what was fetched is kept until the slot fetches for
another task.

One holder after the other, in one thread, because that is simple. On loopback, where this version
talks, threads would gain little for large segments, whose stream fills a core at either end, and up
to a half for many small ones from many holders (tutorials/internals/decisions/0015).
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minimr.cluster.fetched import Fetched
from minimr.cluster.held import sound_segment
from minimr.cluster.holder import Address, Holder
from minimr.cluster.places import output_path
from minimr.errors import CorruptData, ProtocolError
from minimr.scheduler.state import AttemptId
from minimr.shuffle.pairs import StoredPairs
from minimr.shuffle.segments import Blocks, MapOutputFile
from minimr.tasks.failure import InputLost

TRIES = 2
BATCH = 500
PATIENCE_S = 20.0
"""How long one attempt waits, in all, for holders that fail."""
NAMED_MAX = 10_000
"""Of the outputs that are missing, so many are named in one report, which must fit in a frame."""

Segment = Iterator[StoredPairs]


class FetchError(InputLost):
    """Some map outputs could not be had; `gone` and `unreached` name them."""

    def __init__(
        self, gone: list[AttemptId], text: str, unreached: Iterable[AttemptId] = ()
    ) -> None:
        super().__init__(text)
        self.gone = gone[:NAMED_MAX]
        self.unreached = list(unreached)[:NAMED_MAX]


@dataclass(frozen=True, slots=True)
class Source:
    """Where one map output is."""

    attempt: AttemptId
    worker: str
    address: Address


@dataclass
class Errand:
    """A fetch under way: what is wanted of whom, and what went wrong."""

    partition: int
    fetched: Fetched
    wanted: dict[Address, dict[AttemptId, None]] = field(default_factory=dict)
    gone: list[AttemptId] = field(default_factory=list)
    texts: dict[Address, str] = field(default_factory=dict)

    def error(self) -> FetchError | None:
        """What is missing at the holders that were tried."""
        silent = [address for address in self.wanted if address in self.texts]
        unreached = [attempt for address in silent for attempt in self.wanted[address]]
        texts = []
        if self.gone:
            texts.append(f"{len(self.gone)} map outputs, {self.gone[0]} first, are gone or damaged")
        if unreached:
            where = "{}:{}".format(*silent[0]) + (" and elsewhere" if len(silent) > 1 else "")
            texts.append(f"{len(unreached)} map outputs at {where}: {self.texts[silent[0]]}")
        return FetchError(self.gone, "; ".join(texts), unreached) if texts else None


class Fetcher:
    """Fetches for the attempts of one slot; connections are kept from one to the next.

    `scratch` is for segments that memory has no room for; `tick` is called for each segment that
    comes, as a sign of progress.
    """

    def __init__(
        self, token: bytes, directory: Path, scratch: Path, tick: Callable[[], None] = lambda: None
    ) -> None:
        self._token = token
        self._directory, self._scratch = directory, scratch
        self._tick = tick
        self._holders: dict[Address, Holder] = {}
        self._fetched: Fetched | None = None
        self._fetched_for = ("", -1)

    def fetch(
        self, sources: dict[int, Source], partition: int, here: str, memory_bytes: int
    ) -> dict[int, Segment]:
        """Segments by map index, of which up to `memory_bytes` are in memory until `release`.

        Raises FetchError if some cannot be had, and DiskFull if there is no room for them. A
        segment on this worker's own disk can raise FetchError while it is read, too.
        """
        if not sources:
            return {}
        errand = Errand(partition, self._store(sources, partition, memory_bytes))
        segments: dict[int, Segment] = {}
        for index, source in sources.items():
            if source.worker == here:
                self._find_here(errand, source.attempt, index, segments)
            elif source.attempt not in errand.fetched:
                errand.wanted.setdefault(source.address, {})[source.attempt] = None
        self._go(errand)
        if error := errand.error():
            raise error
        for index, source in sources.items():
            if index not in segments:
                segments[index] = errand.fetched.read(source.attempt)
        return segments

    def release(self) -> None:
        """Nobody reads what was fetched any more."""
        if self._fetched is not None:
            self._fetched.close()
            self._fetched = None

    def close(self) -> None:
        self.release()
        for address in list(self._holders):
            self._drop(address)

    def _store(self, sources: dict[int, Source], partition: int, memory_bytes: int) -> Fetched:
        """What an earlier attempt at the same task has fetched, or a new place for it."""
        job = next(iter(sources.values())).attempt.job
        if self._fetched is None or self._fetched_for != (job, partition):
            self.release()
            self._fetched, self._fetched_for = (
                Fetched(self._scratch, memory_bytes),
                (job, partition),
            )
        return self._fetched

    def _find_here(
        self, errand: Errand, attempt: AttemptId, index: int, segments: dict[int, Segment]
    ) -> None:
        path = output_path(self._directory, attempt)
        try:
            sound_segment(path, errand.partition)
            found = MapOutputFile(path).read_segment(errand.partition)
            segments[index] = Blocks(_guard(found, attempt), found.sizes)
        except CorruptData:
            errand.gone.append(attempt)

    def _go(self, errand: Errand) -> None:
        """To each holder in turn, and once more to those where something went wrong.

        The scheduler must hear of holders that do not answer before the waits for them add up.
        """
        wasted_s = 0.0
        for _ in range(TRIES):
            for address in list(errand.wanted):
                started = time.monotonic()
                if self._visit(errand, address):
                    continue
                wasted_s += time.monotonic() - started
                if wasted_s > PATIENCE_S:
                    return

    def _visit(self, errand: Errand, address: Address) -> bool:
        """Fetch from one holder; tell whether all went well. After trouble, hang up."""
        try:
            self._bring(errand, address)
        except (OSError, EOFError, ProtocolError, CorruptData) as error:
            self._drop(address)
            errand.texts[address] = str(error) or "no answer"
            return False
        except BaseException:  # Our own trouble, in the middle of a conversation.
            self._drop(address)
            self.release()
            raise
        del errand.wanted[address]
        return True

    def _bring(self, errand: Errand, address: Address) -> None:
        """All that is wanted of one holder. What has come is wanted no more, whatever follows."""
        wanted = errand.wanted[address]
        while wanted:
            batch = list(wanted)[:BATCH]
            for arrival in self._holder(address).ask(errand.partition, batch):
                if arrival.is_there:
                    errand.fetched.keep(arrival)
                else:
                    errand.gone.append(arrival.attempt)
                del wanted[arrival.attempt]
                self._tick()

    def _holder(self, address: Address) -> Holder:
        known = self._holders.get(address)
        if known is not None and known.is_stale():
            self._drop(address)
            known = None
        if known is None:
            known = self._holders[address] = Holder(address, self._token)
        return known

    def _drop(self, address: Address) -> None:
        if holder := self._holders.pop(address, None):
            holder.close()


def _guard(segment: Segment, attempt: AttemptId) -> Segment:
    """A disk can fail after the check, too; name the map output that must be made again."""
    try:
        yield from segment
    except (CorruptData, OSError) as error:
        raise FetchError([attempt], f"{attempt} is damaged: {error}") from None
