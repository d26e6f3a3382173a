"""A whole cluster for one process: the coordinator in a thread, the workers as child processes.

It is the same coordinator, over the same TCP on loopback, behind the same handshake as a standing
one. Its files lie in one temporary directory, which goes with it.
"""

import os
import shutil
import tempfile
from pathlib import Path

from minimr.cluster.address import Address, write_address
from minimr.cluster.launcher import LocalWorkers
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S


class LocalCluster:
    """Started by creating it; `close()` leaves no process, socket or file behind.

    `base` is its directory, which goes even if this process is killed.
    """

    def __init__(
        self, workers: int, slots: int = 1, progress_timeout_s: float = PROGRESS_TIMEOUT_S
    ) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="minimr-"))
        try:
            self._prepare(workers, slots, progress_timeout_s)
        except BaseException:
            shutil.rmtree(self.base, ignore_errors=True)
            raise
        self._coordinator.start()
        self._workers.join(self._coordinator.expect_at_most)

    def _prepare(self, workers: int, slots: int, progress_timeout_s: float) -> None:
        """The processes, and a coordinator that they find."""
        address_file = self.base / "cluster.json"
        self._workers = LocalWorkers(address_file, self.base, workers, slots, progress_timeout_s)
        try:
            from minimr.cluster.coordinator import Coordinator  # Loaded while the workers load.

            self._coordinator = Coordinator()
            self.address: Address = self._coordinator.address(os.getpid())
            write_address(address_file, self.address)
        except BaseException:
            self._workers.close()
            raise

    @property
    def worker_pids(self) -> list[int]:
        """The workers' process ids, for whoever wants to see what happens when one dies."""
        return self._workers.pids

    def close(self) -> None:
        self._workers.dismiss()
        self._coordinator.stop()
        try:
            self._workers.close()
        finally:
            shutil.rmtree(self.base, ignore_errors=True)
