"""The slot: the process in which user code runs, and the only one.

It takes one order after another from its worker, runs the same `tasks/` code as the serial runner,
and answers with a result or with the reason why there is none. What user code prints goes to a file
that the slot sends along with the answer; the protocol never shares a stream with user code.
"""

import faulthandler
import io
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from minimr.cluster import messages as m
from minimr.cluster.connection import Connection
from minimr.cluster.fetch import Fetcher, FetchError, Source
from minimr.cluster.gang_task import GangSpec, MemberTask, reason_of
from minimr.cluster.heap import keep_freed_memory
from minimr.cluster.inlined import unpack_inlined
from minimr.cluster.limits import limit_memory
from minimr.cluster.partitions import Partitions
from minimr.cluster.places import dataset_path, output_path, scratch_path
from minimr.cluster.slot_mail import SlotMail
from minimr.cluster.started import StartedCounter
from minimr.cluster.whereabouts import Whereabouts
from minimr.cluster.wire import Blob, FrameTooLarge
from minimr.errors import CorruptData, DiskFull, MinimrError
from minimr.job import Job
from minimr.scheduler.state import AttemptId
from minimr.shuffle import codec
from minimr.shuffle.digest import inputs_digest
from minimr.shuffle.segments import read_segment_bytes
from minimr.source.load import load
from minimr.source.pack import Code
from minimr.tasks.failure import Position, TaskFailed, describe
from minimr.tasks.map_task import run_map
from minimr.tasks.profile import profiling
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, MapResult

PRINTED_BYTES_MAX = 64 << 10
IN_MEMORY_SHARE = 4
HOLD_S = 0.01
"""For so long an answer waits for those to orders that came with its own: many answers in a message
are less work for the worker and the coordinator, at the end of a round above all."""


Answer = m.Done | m.Failed | m.FetchMissed


class Cargo:
    """What the rounds of an iterative job have in common."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        cargo = codec.loads(packed)
        self.code = Code.from_dict(cargo["code"])
        self.spec = JobSpec.from_dict(cargo["spec"])
        self.source: str | None = cargo["source"]
        self.keep: bool = cargo["keep"]
        self.directory: str = cargo["directory"]
        self.gang = GangSpec(**cargo["gang"]) if cargo.get("gang") else None


class SlotJob:
    """A job as this slot knows it: its cargo, its state, and where its map outputs are."""

    def __init__(self, cargo: Cargo, state: Any) -> None:
        self.cargo, self.spec, self.state = cargo, cargo.spec, state
        self.maps: dict[int, Source] = {}
        self.digests: dict[int, str] = {}
        self.size_bytes = 0

    def learn(self, news: m.MapsAt) -> None:
        """A later location of the same map task replaces the earlier one."""
        places = zip(news.attempts, news.workers, news.hosts, news.ports, strict=True)
        for (attempt, worker, host, port), digest, size_bytes in zip(
            places, news.digests, news.sizes, strict=True
        ):
            self.maps[attempt.index] = Source(attempt, worker, (host, port))
            self.digests[attempt.index] = digest
            self.size_bytes += size_bytes


class Slot:
    def __init__(self, sock: socket.socket, token: bytes, directory: Path) -> None:
        self._connection = Connection(sock)
        self._mail = SlotMail(self._connection)
        self._token = token
        self._directory = directory
        self._pid = os.getpid()
        self._scratch = scratch_path(directory, self._pid)
        self._scratch.mkdir(parents=True)
        self._jobs: dict[str, SlotJob] = {}
        self._cargo: Cargo | None = None
        self._started = StartedCounter(self._scratch)
        self._whereabouts = Whereabouts(self._scratch)
        self._fetcher = Fetcher(token, directory, self._scratch, self._whereabouts.tick)
        self._answers: list[Answer] = []
        self._answered_at = 0.0
        self._worker = ""
        self._job_class: type[Job] | None = None

    def run(self) -> None:
        """Obey until the worker closes the connection.

        Answers to orders that came together leave together, unless they took their time.
        """
        self._connection.send([m.Hello(os.getpid())])
        try:
            while True:
                messages = self._mail.receive()
                self._answered_at = time.perf_counter()
                for message in messages:
                    self._obey(message)
                    if time.perf_counter() - self._answered_at > HOLD_S:
                        self._answer()
                self._answer()
        except (EOFError, OSError):
            return

    def _answer(self) -> None:
        if self._answers:
            try:
                self._connection.send(self._answers)
            except FrameTooLarge:
                for each in self._answers:
                    self._send_alone(each)
            self._answers = []
        self._answered_at = time.perf_counter()

    def _send_alone(self, answer: Answer) -> None:
        """What no message can carry fails in words, and not by the death of its slot."""
        try:
            self._connection.send([answer])
        except FrameTooLarge as error:
            text = f"what {answer.attempt.task} has to tell cannot travel: {error}"
            self._connection.send([m.Failed(answer.attempt, "user", text, None, "")])

    def _obey(self, message: m.Message) -> None:
        match message:
            case m.Registered(worker):
                self._worker = worker
            case m.JobCargo():
                self._jobs[message.job] = self._unpacked(codec.loads(message.spec.data))
            case m.MapsAt():
                self._jobs[message.job].learn(message)
            case m.Run():
                self._started.next()
                self._whereabouts.begin()
                answer = self._attempt(message)
                if os.getpid() != self._pid:
                    _leave_as_a_child(answer)
                self._answers.append(answer)
            case m.Forget(job):
                self._jobs.pop(job, None)
                self._fetcher.release()

    def _unpacked(self, cargo: dict[str, Any]) -> SlotJob:
        if self._cargo is None or self._cargo.packed != cargo["known"]:
            self._cargo = Cargo(cargo["known"])
        return SlotJob(self._cargo, cargo["state"])

    def _attempt(self, order: m.Run) -> Answer:
        """Run one attempt; whatever happens, there is an answer."""
        attempt, started = order.attempt, time.perf_counter()
        job = self._jobs[attempt.job]
        with suppress(OSError):  # On another machine the folder may not exist.
            os.chdir(job.cargo.directory)  # Paths mean the same in every attempt.
        try:
            user_job = self._new_job(job, attempt)
            run = {"reduce": self._reduce, "gang": self._member}.get(attempt.stage, self._map)
            with profiling(job.spec.profiles):
                done = run(job, user_job, order)
        except TaskFailed as error:
            failure = error.failure
            printed = take_printed()
            return m.Failed(attempt, failure.kind, failure.text, failure.position, printed)
        except FetchError as error:
            return m.FetchMissed(attempt, error.gone, str(error), error.unreached)
        except (MinimrError, OSError) as error:
            reason = "disk_full" if isinstance(error, DiskFull) else reason_of(error)
            return m.Failed(attempt, reason, str(error), None, take_printed())
        done.stats["seconds"] = round(time.perf_counter() - started, 6)
        done.printed = take_printed()
        return done

    def _new_job(self, job: SlotJob, attempt: AttemptId) -> Job:
        if self._job_class is None:
            try:
                self._job_class = load(job.cargo.code)
            except BaseException as error:
                position = Position(f"{attempt.task}, while {job.cargo.code.module} was loaded")
                raise TaskFailed(describe(error, Job(), position)) from error
        return job.spec.new_job(self._job_class, job.state)

    def _map(self, job: SlotJob, user_job: Job, order: m.Run) -> m.Done:
        attempt = order.attempt
        if job.cargo.source is not None:
            path = dataset_path(self._directory, job.cargo.source, attempt.index)
            source = {"kind": "resident", "path": str(path)}
        else:
            assert order.cargo is not None
            source = codec.loads(order.cargo.data)
        keep = dataset_path(self._directory, attempt.job, attempt.index) if job.cargo.keep else None
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
        kept = str(keep) if keep else None
        task = job.spec.map_task(
            attempt.index, source, kept, careful=order.careful, skip=order.skip
        )
        try:
            result = run_map(user_job, task, self._scratch, self._whereabouts)
        except CorruptData as error:
            if job.cargo.source is None:
                raise
            raise FetchError([], str(error)) from None  # Its partition, which is made again.
        if result.path is not None and keep is None:
            target = output_path(self._directory, attempt)
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(result.path).rename(target)
        return _map_done(attempt, result)

    def _reduce(self, job: SlotJob, user_job: Job, order: m.Run) -> m.Done:
        attempt = order.attempt
        inline = {each.map_index: each for each in unpack_inlined(order.inline)}
        remote = {index: each for index, each in job.maps.items() if index not in inline}
        memory_bytes = job.spec.memory_bytes // IN_MEMORY_SHARE
        segments = self._fetcher.fetch(remote, attempt.index, self._worker, memory_bytes)
        for index, each in inline.items():
            segments[index] = read_segment_bytes(each.segment)
        in_order = [segments[index] for index in sorted(segments)]
        expected_bytes = job.size_bytes // job.spec.partitions
        in_memory = expected_bytes * IN_MEMORY_SHARE <= job.spec.memory_bytes
        task = job.spec.reduce_task(
            attempt.index, attempt.number, careful=order.careful, skip=order.skip
        )
        try:
            result = run_reduce(
                user_job, task, in_order, in_memory, self._whereabouts, self._scratch
            )
        finally:
            self._fetcher.release()
        pairs = None if result.pairs is None else [Blob(result.pairs)]
        part = None if result.part is None else result.part.to_dict()
        stats = {
            "records_in": result.records_in,
            "records_out": result.records_out,
            "bytes_out": result.bytes_out,
        }
        done = m.Done(attempt, pairs, stats, result.counters, part, "", skipped=[*result.skipped])
        if part is not None:  # A round's result is gone with its message; nobody asks later.
            inline_digests = {index: each.digest for index, each in inline.items()}
            done.inputs = inputs_digest(job.digests | inline_digests)
        return done

    def _member(self, job: SlotJob, user_job: Job, order: m.Run) -> m.Done:
        assert job.cargo.gang is not None
        member = MemberTask(
            job.cargo.gang,
            order,
            self._token,
            self._mail,
            lambda message: self._connection.send([message]),
            self._whereabouts,
        )
        partitions = Partitions(
            self._token, self._directory, order.attempt.job, self._worker, self._whereabouts.tick
        )
        return member.run(user_job, job.maps, partitions)


def _leave_as_a_child(answer: Answer) -> NoReturn:
    """User code forked, and its child came back here by an error, by sys.exit or by going on. It
    must neither answer in our place nor take our orders."""
    if isinstance(answer, m.Failed):
        print(answer.text, file=sys.stderr, flush=True)
    os._exit(1)


def _map_done(attempt: AttemptId, result: MapResult) -> m.Done:
    segments = None if result.segments is None else [Blob(each) for each in result.segments]
    stats: dict[str, Any] = {
        "records_in": result.records_in,
        "records_out": result.records_out,
        "bytes_out": result.bytes_out,
    }
    if result.hot:
        stats["hot"] = result.hot
    return m.Done(
        attempt,
        segments,
        stats,
        result.counters,
        None,
        "",
        digest=result.digest,
        skipped=[*result.skipped],
    )


class CappedOutput(io.RawIOBase):
    """What user code prints, up to a bound per attempt: a print in a loop must not fill a disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = PRINTED_BYTES_MAX

    def reset(self) -> None:
        self._left = PRINTED_BYTES_MAX

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        kept = bytes(data[: self._left])
        if kept:
            # A full disk is no fault of whoever prints; the words are lost.
            with suppress(OSError):
                os.write(self._descriptor, kept)
            self._left -= len(kept)
            if self._left == 0:
                with suppress(OSError):
                    os.write(self._descriptor, b"\n[more was printed and dropped]\n")
        return len(data)


def take_printed() -> str:
    """What the attempt printed since the last call, C libraries and child processes included."""
    for standard in dict.fromkeys((sys.stdout, sys.stderr)):
        with suppress(Exception):  # User code may have put anything in its place, or closed it.
            standard.flush()
    size_bytes = os.fstat(1).st_size
    if size_bytes == 0:
        return ""
    data = os.pread(1, min(size_bytes, 2 * PRINTED_BYTES_MAX), 0)
    os.ftruncate(1, 0)
    for stream in _OUTPUTS:
        stream.reset()
    return data.decode(errors="replace")


_OUTPUTS: list[CappedOutput] = []


def capture_prints() -> None:
    """Send Python's streams through the cap; descriptors 1 and 2 are the file already."""
    output = CappedOutput(1)
    _OUTPUTS.append(output)
    sys.stdout = sys.stderr = io.TextIOWrapper(
        output, encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    faulthandler.enable(file=2, all_threads=False)


def slot_main(sock: socket.socket, token: bytes, directory: Path, memory_bytes: int) -> None:
    """The life of a slot, from fork to the end of its connection."""
    limit_memory(memory_bytes)
    keep_freed_memory()
    capture_prints()
    Slot(sock, token, directory).run()
