"""What a user calls: run a job, keep a cluster, load a dataset into it.

Everything here asks and waits; the work is done by a runner. `run` and `Cluster` stop a script that
is only being loaded for its job class inside a slot (see `minimr.source.load`).
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from minimr.cluster import messages as m
from minimr.cluster.address import default_address_file, read_address
from minimr.cluster.client import Client, Lines, Watched
from minimr.cluster.come_back import NewsOnly, come_back
from minimr.cluster.launcher import check_count
from minimr.cluster.local import LocalCluster
from minimr.cluster.standing import serve_coordinator, serve_worker, start_detached, stop
from minimr.dataset import Dataset, Home
from minimr.errors import JobFailed, MinimrError, NoCoordinator, UsageError
from minimr.formats.splits import plan_splits
from minimr.runners import cluster as cluster_runner
from minimr.runners.profiles import collected
from minimr.runners.request import Request, Result, check_inputs, log_beside, new_request
from minimr.runners.story import OnEvent, Story, spare_files
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S
from minimr.source.find import AnyJob
from minimr.source.load import stop_if_loading

__all__ = [
    "Cluster",
    "Result",
    "default_address_file",
    "default_cluster",
    "run",
    "serve_coordinator",
    "serve_worker",
    "start_detached",
    "stop",
]

Inputs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Waited = TypeVar("Waited")
DEFAULT_WORKERS = 2
PARTITIONS_ALLOWED = 100_000


def run(
    job: AnyJob,
    inputs: Inputs,
    output: str | os.PathLike[str] | None = None,
    *,
    workers: int = DEFAULT_WORKERS,
    progress_timeout_s: float = PROGRESS_TIMEOUT_S,
    runner: str = "cluster",
    address: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
    profile: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    **settings: Any,
) -> Result:
    """Run a job from start to end and return its result.

    Without `address` it runs on `workers` of its own, started for it; with the `address` of a
    connection file on a standing cluster; with runner="serial" in this process, one task after
    the other. The bytes of the result are the same. Workers of its own give up a task that has made
    no progress for `progress_timeout_s` seconds. `output` is a directory that must not exist;
    without it the result is kept in a temporary place as long as the returned object. The event
    log goes to the file `log`, by default OUTPUT.log, or without an output one of the last twenty
    in ~/.minimr/logs; `Result.log` names it. With `profile`, a file for pstats, all attempts are
    profiled, and take longer; it must be where the workers reach it, as the output is.

    `settings` are those of `Request`: reducers, output_format, encoding, errors, overwrite,
    skip_bad_records, backups (False: no late task gets a second attempt beside its first), pack
    (True: small input files share map tasks), split_hot_keys (True: map tasks begin the work of an
    aggregate, so that no reducer has all the pairs of a key), balance_keys (True: parts are ranges
    of keys with equally many pairs, by a sample), options. Raises UsageError for a request that
    cannot be carried out, JobFailed when the job fails, NoCoordinator when there is no cluster at
    `address`.
    """
    stop_if_loading()
    if runner not in ("cluster", "serial"):
        raise UsageError(f"no runner is called {runner!r}; there are: cluster, serial")
    with collected(profile) as profiles:
        request = new_request(job, _paths(inputs), output, profiles=profiles, **settings)
        # Everything that can be refused is refused before a process is started.
        with request, _story(request, on_event, log) as story:
            if runner == "serial":
                from minimr.runners.serial import run_request

                result = run_request(request, story.add)
                result.log = story.log_path
                return result
            with Cluster(
                workers, progress_timeout_s=progress_timeout_s, address=address, on_event=on_event
            ) as cluster:
                return cluster._run(request, story)


class Cluster:
    """Workers that stay for many jobs, datasets and rounds; a context manager.

    With `address` it is a standing cluster's connection file, otherwise `workers` processes are
    started here, and end with this object. These give up a task that has made no progress for
    `progress_timeout_s` seconds.

    Its datasets and rounds write one event log, to the file `log`, by default one of the last
    twenty in ~/.minimr/logs. A round in which nothing went wrong is one line in it. Every job that
    it runs has an event log of its own.
    """

    def __init__(
        self,
        workers: int = DEFAULT_WORKERS,
        *,
        progress_timeout_s: float = PROGRESS_TIMEOUT_S,
        address: str | os.PathLike[str] | None = None,
        log: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        stop_if_loading()
        check_count(workers)
        if not progress_timeout_s > 0:
            raise UsageError(f"a progress timeout is more than 0 s, not {progress_timeout_s:g} s")
        self._on_event = on_event
        self._story = None if log is None else Story(on_event, Path(log))
        self._story_lock = threading.Lock()
        self._arrived: Lines = deque()
        self._local: LocalCluster | None = None
        self._address_file = None if address is None else Path(address)
        self._workers = int(workers) if address is None else 1
        self._closed = False
        try:
            if self._address_file is None:
                self._local = LocalCluster(workers, progress_timeout_s=progress_timeout_s)
                self._address = self._local.address
            else:
                self._address = read_address(self._address_file)
            self._client = Client(self._address)
        except BaseException:
            if self._story is not None:
                self._story.close()
            raise

    def run(
        self,
        job: AnyJob,
        inputs: Inputs,
        output: str | os.PathLike[str] | None = None,
        *,
        log: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Result:
        """Like `minimr.run`, on this cluster."""
        request = new_request(job, _paths(inputs), output, **settings)
        with request, _story(request, self._on_event, log) as story:
            return self._run(request, story)

    def _run(self, request: Request, story: Story) -> Result:
        submission = cluster_runner.submission(self._client, request, watch=True)
        watched = self._client.submit(submission)
        news = NewsOnly(story.add)
        ended = self._cancel_if_interrupted(watched, lambda: self._wait(watched.job, news, watched))
        result = request.result(ended.parts, ended.counters, story.seconds)
        result.log = story.log_path
        return result

    def submit(
        self, job: AnyJob, inputs: Inputs, output: str | os.PathLike[str], **settings: Any
    ) -> str:
        """Start a job and return its name at once; the job needs nobody to wait for it.

        The coordinator writes its event log to OUTPUT.log.
        """
        with new_request(job, _paths(inputs), output, **settings) as request:
            spare_files(log_beside(request.target), request.input_paths(), "output")
            submission = cluster_runner.submission(self._client, request, watch=False)
            job_id = self._client.submit(submission).job
            request.hand_over()
            return job_id

    def wait(self, job_id: str) -> None:
        """Block until the job has ended. Raises JobFailed or JobCancelled if it ended badly."""
        with Story(self._on_event) as story:
            self._wait(job_id, NewsOnly(story.add))

    def _wait(self, job_id: str, news: NewsOnly, watched: Watched | None = None) -> m.Ended:
        """Wait for a job's end, through restarts of a coordinator that keeps a journal."""
        while True:
            try:
                if watched is None:
                    watched = self._client.watch(job_id)
                    news.begin_again()
                return watched.wait(news)
            except NoCoordinator:
                if self._address_file is None or not self._address.resumes:
                    raise
            self._client, watched = come_back(self._address_file, self._address), None

    def load(self, path: Inputs, format: str = "text", partitions: int = 8) -> "Dataset":
        """Parse files once and keep them at the workers, cut into about `partitions` partitions.

        `format` is "text", "libsvm", "csv" (with its label column: "csv:price"), "npy" or
        "binary:WIDTH". Raises UsageError for a path that is not there or a table without such a
        label column, JobFailed for data that does not parse.
        """
        if not 1 <= partitions <= PARTITIONS_ALLOWED:
            raise UsageError(
                f"a dataset has from 1 to {PARTITIONS_ALLOWED:,} partitions, not {partitions:,}; "
                "each of them is a task of every round"
            )
        splits = plan_splits(_paths(path), split_bytes=1 << 62, minimum=partitions)
        check_inputs(format, splits)
        self._client.ask(m.AwaitWorkers(self._client.next_request(), self._workers))
        submission = cluster_runner.load(self._client, splits, format)
        base = self._local.base if self._local is not None else None
        home = Home(lambda: self._client, self._finish, self._slots, base)
        return Dataset(home, self._finish(submission).job, len(splits))

    def _slots(self) -> int:
        """Those that are here and stay, and of our own workers those whose replacement is on its
        way: a gang's answer should not depend on when a worker died before it."""
        if self._local is not None:
            return len(self._local.worker_pids)  # They have one slot each.
        workers = self.status()["workers"]
        return sum(each["slots"] for each in workers if each["state"] != "draining")

    def status(self) -> dict[str, Any]:
        """The cluster's workers and jobs, as plain data; of very many jobs the newest ones, with
        the number of `older_jobs`."""
        status: dict[str, Any] = self._client.ask(m.GetStatus(self._client.next_request()))
        return status

    def cancel(self, job_id: str) -> None:
        """End a job. Raises UsageError if no such job is running."""
        self._client.ask(m.CancelJob(self._client.next_request(), job_id))

    def logs(self, job_id: str) -> list[dict[str, Any]]:
        """The events of a job so far, the prints of its code among them."""
        client = Client(self._address)
        try:
            return client.log(job_id)
        finally:
            client.close()

    @property
    def log(self) -> Path | None:
        """The event log of the datasets and rounds; None if there is none, or none yet."""
        return self._story.log_path if self._story is not None else None

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that this object started."""
        return self._local.worker_pids if self._local else []

    def close(self) -> None:
        """Leave the cluster; end it if it is our own. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._client.close()
        if self._story is not None:
            self._story.close()
        if self._local is not None:
            self._local.close()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _finish(self, submission: m.Submit) -> m.Ended:
        """Submit something of a dataset, wait for the end, and pass its events on."""
        with self._story_lock:
            self._story = self._story or Story(self._on_event, name="rounds")
        story, arrived = self._story, self._arrived
        watched = self._client.submit(submission, arrived)
        try:
            # Whichever thread hears of events adds all that have arrived: they stay in order. No
            # coordinator that was restarted knows datasets and rounds: nobody waits for one.
            return self._cancel_if_interrupted(
                watched, lambda: watched.wait(lambda *_: story.take(arrived))
            )
        except JobFailed as error:
            story.point_out(error)
            raise
        except NoCoordinator as error:
            story.break_off(error)
            raise

    def _cancel_if_interrupted(self, watched: Watched, wait: Callable[[], Waited]) -> Waited:
        """Ctrl-C ends the job, not only our waiting for it."""
        try:
            return wait()
        except KeyboardInterrupt:
            with suppress(MinimrError):  # It may have ended at this very moment.
                self.cancel(watched.job)
                wait()  # Its last events belong to its log.
            raise


_default: Cluster | None = None
_default_lock = threading.Lock()


def default_cluster() -> Cluster:
    """This process's own cluster, started at the first call and closed at exit."""
    global _default
    stop_if_loading()
    with _default_lock:
        if _default is None or _default._closed:
            _default = Cluster()
            atexit.register(_default.close)
        return _default


def _paths(inputs: Inputs) -> list[str]:
    if isinstance(inputs, str | os.PathLike):
        inputs = [inputs]
    return [os.fspath(each) for each in inputs]


def _story(request: Request, on_event: OnEvent | None, log: str | os.PathLike[str] | None) -> Story:
    """With the event log where it was asked for, beside the output, or at the default place."""
    if log is None and request.final is not None:
        log = log_beside(request.final)
    if log is not None:
        if Path(log).resolve() == request.final:
            raise UsageError(f"{log} is to be the output and the event log; name another file")
        spare_files(Path(log), request.input_paths())
    return Story(on_event, None if log is None else Path(log), type(request.job).__name__)
