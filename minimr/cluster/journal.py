"""The journal's directory: the file that decisions are appended to, and who the cluster is.

    DIR/journal          header and records (see `minimr/formats/journal.py`)
    DIR/identity.json    cluster id, token, port, epoch
    DIR/lock             locked while a coordinator lives; holds its process id

**An append returns when its records are on the disk**, not before: one write, one fdatasync. If
either fails, nobody knows what is there. Linux reports a failed sync once, forgets the pages, and
calls the next sync a success ("fsyncgate", PostgreSQL, 2018). So a journal that failed once takes
nothing more, and the coordinator must stop.

For the same reason opening trusts no bytes that an earlier process left in the page cache: the
good part is written to a new file, synced, and renamed over the old one. That also cuts a torn tail
and is how a journal is compacted. A rename is on the disk once its directory is synced.

**One coordinator at a time.** The lock is the kernel's (flock), so it ends with its process,
however that dies, and no stale lock can stand in the way. The lock file is never removed: whoever
held the removed one would not exclude who locks the new one. Each start has an *epoch* of its own,
on the disk before anything is done in its name; it fences off whatever earlier epochs left running.
"""

import errno
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from minimr.cluster.address import new_token
from minimr.errors import MinimrError, UsageError
from minimr.formats.journal import BadJournal, frame, frames, header, scan

JOURNAL = "journal"
IDENTITY = "identity.json"
LOCK = "lock"
PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
PORT_MAX = 65_535
TOKEN_BYTES_MIN = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """What a coordinator keeps through its deaths; `port` is 0 until it listens for the first time.

    `epoch` counts the starts: 0 is the first.
    """

    cluster: str
    token: str = field(repr=False)
    port: int
    epoch: int


class Journal:
    """An open journal; `records` are the values that it held when it was opened.

    `torn_bytes` tells how much of a torn tail was cut. Not thread-safe: the loop that owns the
    state owns the journal.
    """

    def __init__(
        self, directory: Path, lock: int, identity: Identity, records: list[Any], torn_bytes: int
    ) -> None:
        """Take over what `open` found; call that instead."""
        self.path = directory / JOURNAL
        self.identity = identity
        self.records = records
        self.torn_bytes = torn_bytes
        self._lock = lock
        self._file = -1
        self._count = 0
        self._in_doubt = False

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> "Journal":
        """Start a journal in `directory`, which is made if missing, or resume the one there.

        Raises UsageError if another coordinator holds it or the files are not this user's alone,
        BadJournal if it is damaged or another version's (nothing is changed then), and MinimrError
        if it cannot be written.
        """
        home = Path(directory).absolute()
        with _naming_errors(home):
            _make_private(home)
            lock = _take_lock(home / LOCK)
        try:
            found = _read(home)
        except BaseException:
            os.close(lock)
            raise
        journal = cls(home, lock, *found)
        try:
            journal.rewrite(journal.records)
            journal._keep(journal.identity)
        except BaseException:
            journal.close()
            raise
        return journal

    def append(self, values: Sequence[Any]) -> None:
        """Put records on the disk, all with one sync, before this returns.

        Raises MinimrError if that fails; the coordinator must then stop, since nothing more can be
        appended. TypeError for a value that the codec cannot encode; nothing is written then.
        """
        self._check_usable()
        data = frames(self._count, values)
        if not data:
            return
        self._in_doubt = True
        with _naming_errors(self.path):
            _write_all(self._file, data)
            os.fdatasync(self._file)
        self._count += len(values)
        self._in_doubt = False

    def rewrite(self, values: Sequence[Any]) -> None:
        """Replace all records by these, at once or not at all. Raises as `append` does."""
        self._check_usable()
        # A batch each: the file appears when all are synced, so each proves those before it.
        framed = [frame(sequence, value) for sequence, value in enumerate(values)]
        data = b"".join([header(self.identity.cluster), *framed])
        self._in_doubt = True
        with _naming_errors(self.path):
            file = _replace_file(self.path, data)
        self._close_file()
        self._file = file
        self._count = len(values)
        self._in_doubt = False

    def shorten(self, records: list[Any]) -> None:
        """Keep only these of the records, and forget the others. Raises as `append` does."""
        if len(records) < len(self.records):
            self.rewrite(records)
        self.records = records

    def keep_port(self, port: int) -> None:
        """Listen at this port after a restart too. Raises MinimrError if that cannot be written."""
        self._check_usable()
        self._keep(replace(self.identity, port=port))

    def close(self) -> None:
        """Let go of the journal; another coordinator may resume it now. May be called twice."""
        self._close_file()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, identity: Identity) -> None:
        path = self.path.with_name(IDENTITY)
        with _naming_errors(path):
            os.close(_replace_file(path, json.dumps(asdict(identity)).encode() + b"\n"))
        self.identity = identity

    def _check_usable(self) -> None:
        if self._lock < 0:
            raise MinimrError(f"The journal {self.path} is closed.")
        if self._in_doubt:
            raise MinimrError(
                f"The journal {self.path} failed before, and what is on the disk is not known; "
                "stop this coordinator and start it again with the same --journal."
            )

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextmanager
def _naming_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "Make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Repair that"
        raise MinimrError(
            f"Cannot write {path}: {error.strerror}. {advice}, then start the coordinator with "
            "this journal again; no finished work is lost."
        ) from error


def _read(home: Path) -> tuple[Identity, list[Any], int]:
    """The identity of this start, the records, and the bytes of a torn tail.

    A new journal is written before its identity, so a header without records may stand alone.
    """
    before = _read_identity(home / IDENTITY)
    data = _read_private(home / JOURNAL)
    if data is None and before is not None:
        raise BadJournal(
            f"{home / JOURNAL} is missing beside {IDENTITY}; restore it, or remove {IDENTITY} to "
            "start a new cluster there."
        )
    if data is None:
        return _new_identity(), [], 0
    try:
        found = scan(data, before.cluster if before else None)
    except BadJournal as error:
        raise BadJournal(f"The journal {home / JOURNAL} cannot be used: {error}") from None
    if before is None:
        if found.records:
            raise BadJournal(
                f"{home / IDENTITY} is missing beside a journal of {len(found.records)} records; "
                "restore it, or name another directory."
            )
        return _new_identity(), [], 0
    identity = replace(before, epoch=before.epoch + 1)
    return identity, found.records, len(data) - found.good_bytes


def _new_identity() -> Identity:
    return Identity(secrets.token_hex(8), new_token(), port=0, epoch=0)


def _read_identity(path: Path) -> Identity | None:
    data = _read_private(path)
    if data is None:
        return None
    try:
        identity = Identity(**json.loads(data))
        _check_identity(identity)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadJournal(f"{path} is damaged ({error}); restore it from a copy.") from None
    return identity


def _check_identity(identity: Identity) -> None:
    """Raise ValueError or TypeError for fields that no coordinator wrote."""
    if len(bytes.fromhex(identity.token)) < TOKEN_BYTES_MIN:
        raise ValueError("its token is too short")
    if type(identity.cluster) is not str:
        raise TypeError("its cluster is no text")
    header(identity.cluster)
    for name in ("port", "epoch"):
        number = getattr(identity, name)
        if type(number) is not int or number < 0:
            raise ValueError(f"its {name} is {number!r}")
    if identity.port > PORT_MAX:
        raise ValueError(f"its port is {identity.port}")


def _make_private(directory: Path) -> None:
    """Make the directory if it is missing. Raises UsageError if others may change it."""
    try:
        directory.mkdir(PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{directory} is no directory; --journal names a directory.") from None
    _check_ours(directory, directory.stat())
    _sync_directory(directory.parent)


def _check_ours(path: Path, status: os.stat_result) -> None:
    """Whoever reads the token runs code as this user; whoever writes the journal decides for it."""
    if status.st_uid != os.geteuid():
        raise UsageError(
            f"{path} belongs to another user (id {status.st_uid}); start the coordinator as that "
            "user, or name another directory."
        )
    is_directory = stat.S_ISDIR(status.st_mode)
    if status.st_mode & (0o022 if is_directory else 0o077):
        private = PRIVATE_DIRECTORY if is_directory else PRIVATE_FILE
        raise UsageError(
            f"Others may use {path} (mode {status.st_mode & 0o777:o}), which must be private: "
            f"chmod {private:o} {path}"
        )


def _take_lock(path: Path) -> int:
    """The descriptor that holds the lock, until it is closed or the process ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        _check_ours(path, os.fstat(lock))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        os.close(lock)
        raise UsageError(
            f"The journal {path.parent} is in use by another coordinator "
            f"(process {holder or 'unknown'}); stop that one, or name another directory."
        ) from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _read_private(path: Path) -> bytes | None:
    """The whole file, or None if there is none. Raises UsageError if it is not ours alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _check_ours(path, os.fstat(descriptor))
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from error


def _replace_file(path: Path, data: bytes) -> int:
    """Give `path` this content, wholly or not at all, through a crash too: its new descriptor."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # A crash may have left one, and who holds the lock is alone.
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        _write_all(file, data)
        os.fsync(file)
        draft.rename(path)
        _sync_directory(path.parent)
    except BaseException:
        os.close(file)
        draft.unlink(missing_ok=True)
        raise
    return file


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
