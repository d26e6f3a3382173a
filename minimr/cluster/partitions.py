"""Bring the partitions of a dataset that a member of a gang owns to the member's worker.

Most are there already, since the scheduler prefers their holder. The others come over the shuffle
server, each as one segment, and are kept as files as long as the gang is there: a member that is
started again on the same worker finds them.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from minimr.cluster.fetch import FetchError, Source
from minimr.cluster.holder import PIECE_BYTES, Arrival, Holder
from minimr.cluster.places import dataset_path, visiting_path
from minimr.errors import CorruptData, ProtocolError
from minimr.shuffle.whole_file import WholeFile

Address = tuple[str, int]


class Partitions:
    """`tick` is called for every piece that comes, as a sign of progress."""

    def __init__(
        self, token: bytes, directory: Path, job: str, here: str, tick: Callable[[], None]
    ) -> None:
        self._token, self._directory = token, directory
        self._job, self._here, self._tick = job, here, tick

    def bring(self, sources: Iterable[Source]) -> list[Path]:
        """The files of these partitions, in order.

        Raises FetchError for those that cannot be had, DiskFull if there is no room for them.
        """
        wanted: dict[Address, list[Source]] = {}
        paths = []
        for source in sources:
            path = self._path(source)
            paths.append(path)
            if source.worker == self._here and not path.exists():
                raise FetchError([source.attempt], f"{path} is gone")
            if not path.exists():
                wanted.setdefault(source.address, []).append(source)
        for address, some in wanted.items():
            self._fetch(address, some)
        return paths

    def _path(self, source: Source) -> Path:
        made = source.attempt
        if source.worker == self._here:
            return dataset_path(self._directory, made.job, made.index)
        return visiting_path(self._directory, self._job, made)

    def _fetch(self, address: Address, sources: list[Source]) -> None:
        """All that is wanted of one holder."""
        missing = {source.attempt: source for source in sources}
        try:
            holder = Holder(address, self._token)
            try:
                for arrival in holder.ask(0, list(missing)):
                    if not arrival.is_there:
                        text = f"{arrival.attempt} at {address[0]}:{address[1]} is gone or damaged"
                        raise FetchError([arrival.attempt], text)
                    self._keep(arrival, missing.pop(arrival.attempt))
            finally:
                holder.close()
        except (OSError, EOFError, ProtocolError, CorruptData) as error:
            text = f"{len(missing)} partitions at {address[0]}:{address[1]}: {error}"
            raise FetchError([], text, missing) from None

    def _keep(self, arrival: Arrival, source: Source) -> None:
        path = self._path(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        with WholeFile(path, "partition") as file:
            for piece in arrival.pieces(memoryview(bytearray(PIECE_BYTES))):
                file.write(piece)
                self._tick()
