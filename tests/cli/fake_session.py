"""A session without processes: it maps and reduces in this one, and keeps its clusters in memory.

It stands in for `minimr.session` where tests are about the command line: what is asked of the
session, what is shown, what is said when it fails. It runs jobs for real, in the plainest way.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from minimr.errors import JobFailed, NoCoordinator, UsageError
from minimr.formats.output import PartInfo, encode_text
from tests.observe.story import Story

Pair = tuple[Any, Any]
WORKERS = ("worker-1", "worker-2")


@dataclass
class FakeResult:
    pairs: list[Pair]
    output: Path | None = None
    parts: list[PartInfo] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    seconds: float = 1.5
    skipped: list[dict[str, str]] = field(default_factory=list)
    log: Path | None = None

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)


class FakeSession(ModuleType):
    """What `sys.modules["minimr.session"]` holds in these tests."""

    def __init__(self, home: Path) -> None:
        super().__init__("minimr.session")
        self.home = home
        self.requests: list[dict[str, Any]] = []
        self.submitted: dict[str, str] = {}
        self.skipped: list[dict[str, str]] = []
        self.log: Path | None = None
        self.log_error: str | None = None
        self.older_jobs = 0
        self.seconds: float | None = 12.3
        self.before_running: Callable[[], None] = lambda: None
        self.Cluster = lambda *args, **keywords: FakeCluster(self, *args, **keywords)

    def default_address_file(self) -> Path:
        return self.home / "cluster.json"

    def start_detached(
        self, address_file: Path, workers: int, slots: int, progress_timeout_s: float = 600
    ) -> dict[str, Any]:
        other = {"progress_timeout_s": progress_timeout_s} if progress_timeout_s != 600 else {}
        self.requests.append({"started": workers, "slots": slots, **other})
        where = {"host": "127.0.0.1", "port": 4000, "pid": 77}
        address_file.write_text(json.dumps(where))
        return where

    def stop(self, address_file: Path) -> None:
        self.standing(address_file)
        address_file.unlink()

    def serve_coordinator(
        self,
        address_file: Path,
        port: int,
        workers: int,
        slots: int,
        on_ready: Any,
        journal: Path | None,
    ) -> None:
        address_file.write_text(json.dumps({"port": port}))
        asked = {"port": port, "workers": workers}
        self.requests.append(asked | ({"journal": str(journal)} if journal else {}))
        on_ready()
        raise KeyboardInterrupt

    def serve_worker(
        self,
        address_file: Path,
        slots: int,
        on_joined: Any,
        progress_timeout_s: float,
        shuffle_port: int,
        advertise: tuple[str, int] | None,
    ) -> None:
        self.standing(address_file)
        on_joined("worker-1")
        asked = {"worker": str(address_file), "slots": slots}
        other = {
            name: value
            for name, value, default in (
                ("progress_timeout_s", progress_timeout_s, 600),
                ("shuffle_port", shuffle_port, 0),
                ("advertise", advertise, None),
            )
            if value != default
        }
        self.requests.append(asked | other)

    def standing(self, address_file: Path) -> dict[str, Any]:
        if not Path(address_file).exists():
            raise NoCoordinator(f"{address_file} does not exist: start one with `minimr up`")
        found: dict[str, Any] = json.loads(Path(address_file).read_text())
        return found

    def run(self, job_class: Any, inputs: Any, output: Any = None, **request: Any) -> FakeResult:
        self.requests.append({"inputs": list(inputs), "output": output, **request})
        self.before_running()
        job = job_class(**request["options"])
        story = Story()
        pairs = self._run_with_events(job, inputs, story, request["on_event"])
        return self._written(pairs, output, job.counters)

    def _run_with_events(self, job: Any, inputs: Any, story: Story, on_event: Any) -> list[Pair]:
        for worker in WORKERS:
            story.joined(worker)
        story.submitted(maps=len(inputs), reduces=1, name=type(job).__name__)
        groups: dict[Any, list[Any]] = {}
        try:
            for index, path in enumerate(inputs):
                task, worker = f"map-{index}", WORKERS[index % 2]
                story.started(task, worker)
                lines = _map(job, path, groups)
                story.done(task, worker, records=lines)
        finally:
            for event in story.events:
                on_event(event)
        return [pair for key in sorted(groups) for pair in job.reduce(key, iter(groups[key]))]

    def _written(self, pairs: list[Pair], output: Any, counters: dict[str, int]) -> FakeResult:
        if output is None:
            return FakeResult(pairs, counters=counters, skipped=self.skipped, log=self.log)
        directory = Path(output)
        directory.mkdir()
        data = b"".join(encode_text(key, value) for key, value in pairs)
        (directory / "part-00000").write_bytes(data)
        part = PartInfo("part-00000", len(pairs), len(data), "0" * 64, ("str", "int"))
        return FakeResult(pairs, directory, [part], counters, skipped=self.skipped)


def _map(job: Any, path: str, groups: dict[Any, list[Any]]) -> int:
    if not Path(path).exists():
        raise UsageError(f"no such input: {path}")
    lines = Path(path).read_text(errors="surrogateescape").splitlines()
    for number, line in enumerate(lines):
        try:
            pairs = list(job.map(number, line))
        except Exception as error:
            raise JobFailed(f"map-0 failed 4 times: {type(error).__name__}: {error}") from error
        for key, value in pairs:
            groups.setdefault(key, []).append(value)
    return len(lines)


class FakeCluster:
    """A client of a standing cluster, or a cluster of one's own when there is no address."""

    def __init__(
        self,
        session: FakeSession,
        workers: int = 2,
        address: Path | None = None,
        log: str | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._session = session
        self.log = session.log
        if address is not None:
            session.standing(address)
        asked: dict[str, Any] = {"workers": workers, "address": address}
        session.requests.append(asked | ({"log": log} if log is not None else {}))
        self._on_event = on_event or (lambda event: None)
        self.closed = False

    def __enter__(self) -> "FakeCluster":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closed = True

    def run(self, job_class: Any, inputs: Any, output: Any = None, **request: Any) -> FakeResult:
        return self._session.run(job_class, inputs, output, on_event=self._on_event, **request)

    def load(self, path: str, format: str, partitions: int) -> Any:
        from tests.ml.fakes import FakeCluster as LoadingCluster

        self._session.requests.append({"load": path, "partitions": partitions})
        return LoadingCluster().load(path, format, partitions)

    def submit(self, job_class: Any, inputs: Any, **request: Any) -> str:
        job = f"job-{len(self._session.submitted) + 1}"
        self._session.submitted[job] = "running"
        self._session.requests.append({"inputs": list(inputs), **request})
        return job

    def cancel(self, job: str) -> None:
        self._known(job)
        self._session.submitted[job] = "cancelled"

    def logs(self, job: str) -> list[dict[str, Any]]:
        self._known(job)
        story = Story(job)
        story.submitted(maps=2, reduces=1)
        story.started("map-0", "worker-1")
        return story.events

    def status(self) -> dict[str, Any]:
        worker = {"slots": 1, "address": "127.0.0.1:5000", "state": "alive"}
        job = {"name": "wordcount", "maps_done": 3, "maps": 12, "reduces_done": 0, "reduces": 2}
        if self._session.log_error:
            job["log_error"] = self._session.log_error
        return {
            "address": "127.0.0.1:4000",
            "workers": [
                {"name": "worker-1", "running": ["job-1/map-3/0"], **worker},
                {"name": "worker-10", "running": [], **worker},
            ],
            "jobs": [
                {"job": name, "state": state, "seconds": self._session.seconds, **job}
                for name, state in self._session.submitted.items()
            ],
            "older_jobs": self._session.older_jobs,
        }

    def _known(self, job: str) -> None:
        if job not in self._session.submitted:
            raise UsageError(f"there is no job {job}; `minimr status` lists them")
