"""A dataset at the workers, and what is done over it: rounds, gangs, further datasets."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.client import Client
from minimr.errors import UsageError
from minimr.job import Job
from minimr.runners import cluster as cluster_runner
from minimr.runners import gather
from minimr.runners.request import check_reducers, whole_number
from minimr.source.find import AnyJob, job_of


@dataclass(frozen=True)
class Home:
    """What a dataset needs of the cluster that it is on.

    `client` is the connection there is now; `finish` submits something and waits for its end.
    `slots` are those that are here or about to come. Temporary files lie in the directory `base`,
    which goes with the cluster, or where such files lie here.
    """

    client: Callable[[], Client]
    finish: Callable[[m.Submit], m.Ended]
    slots: Callable[[], int]
    base: Path | None = None


class Dataset:
    """Partitioned data that stays parsed at the workers; a lost partition is made again."""

    def __init__(self, home: Home, job_id: str, partitions: int) -> None:
        self._home = home
        self._job_id = job_id
        self.partitions = partitions
        # The jobs whose rounds turned out to need a reduce task.
        self._not_gathered: set[type[Job]] = set()

    def round(self, job: AnyJob, state: Any = None, reducers: int = 1) -> list[tuple[Any, Any]]:
        """One map and reduce over the dataset, with `state` broadcast to every task.

        Returns the pairs that the reducers yield, without `reducers` those of the maps. Values of a
        key come in the order of the partitions, so the answer does not depend on the number of
        workers.

        If `reduce` is one of minimr's aggregates and there is one reducer, the work of that is done
        here, in the calling process, unless the maps' outputs are large: see runners/gather.py.
        """
        instance = job_of(job)
        reducers = check_reducers(reducers, least=0)
        if reducers == 1 and gather.suits(instance, self.partitions):
            if type(instance) not in self._not_gathered:
                ended = self._round(instance, state, 0, gather.inline_bytes(self.partitions))
                if (pairs := gather.reduced(instance, ended.results, self.partitions)) is not None:
                    return pairs
            self._not_gathered.add(type(instance))
        return cluster_runner.collected(self._round(instance, state, reducers).results)

    def _round(
        self,
        job: Job,
        state: Any,
        reducers: int,
        inline_bytes: int = cluster_runner.ROUND_INLINE_BYTES,
    ) -> m.Ended:
        submission = cluster_runner.round_over(
            self._home.client(),
            job,
            self._job_id,
            self.partitions,
            state,
            reducers,
            inline_bytes,
        )
        return self._home.finish(submission)

    @property
    def members_max(self) -> int:
        """How many members a gang over this dataset can have."""
        return min(self._home.slots(), self.partitions)

    def gang(
        self,
        job: AnyJob,
        state: Any = None,
        members: int | None = None,
        restart: str = "all",
    ) -> list[tuple[Any, Any]]:
        """Run `job.gang(blocks, members)` in several slots at the same time; see gang/members.py.

        Member r owns the neighbouring partitions from r P // K to (r + 1) P // K of the P, where K
        is `members`: by default one for each slot of the cluster, at most one for each partition.
        With restart="all" all begin again from what they saved when one is lost, with "one" that
        one alone. Returns the pairs that the members yield, those of member 0 first. What a member
        raises fails the job at once. Raises UsageError for more members than slots or partitions.
        """
        instance = job_of(job)
        count = self._members(instance, members, restart)
        with _place_for_checkpoints(self._home.base) as place:
            submission = cluster_runner.gang_over(
                self._home.client(),
                instance,
                self._job_id,
                self.partitions,
                state,
                members=count,
                restart=restart,
                checkpoints=place,
            )
            return cluster_runner.collected(self._home.finish(submission).results)

    def _members(self, job: Job, members: int | None, restart: str) -> int:
        """How many members a gang has; UsageError for one that cannot be."""
        name = type(job).__name__
        if job.gang is None:
            raise UsageError(f"{name} has no gang(blocks, members), the program of a member")
        if restart not in ("all", "one"):
            raise UsageError(f'restart is "all" or "one", not {restart!r}')
        slots = self._home.slots()
        if slots == 0:
            raise UsageError(
                "a gang needs a slot for each member, and the cluster has none; start a worker"
            )
        count = min(slots, self.partitions) if members is None else whole_number("members", members)
        if not 1 <= count <= self.partitions:
            raise UsageError(
                f"a gang over {self.partitions} partitions has 1 to {self.partitions} members, not "
                f"{count}; load the data with more partitions for more"
            )
        if count > slots:
            raise UsageError(
                f"a gang of {count} members needs {count} slots, and the cluster has {slots}; "
                "start more workers, or give fewer members"
            )
        return count

    def transform(self, job: AnyJob) -> "Dataset":
        """A new dataset: partition i is what `job.map_block` makes of partition i of this one.

        It lies where this one lies, and stands until it is closed, whether or not this one is.
        """
        submission = cluster_runner.derive(
            self._home.client(), job_of(job), self._job_id, self.partitions
        )
        return Dataset(self._home, self._home.finish(submission).job, self.partitions)

    def close(self) -> None:
        """Let the workers drop the data."""
        self._home.client().drop_dataset(self._job_id)

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _place_for_checkpoints(base: Path | None) -> Iterator[Path]:
    """A directory that goes, though members that do not know yet that all is over may still save:
    it has another name then, under which they put nothing."""
    place = Path(tempfile.mkdtemp(prefix="minimr-gang-", dir=base))
    try:
        yield place
    finally:
        with suppress(OSError):
            shutil.rmtree(place.rename(f"{place}-over"), ignore_errors=True)
