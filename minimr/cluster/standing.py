"""A cluster that stands: started by `minimr up` or by hand, found through its connection file.

Who only runs a job comes by here, too, so what it takes to be a coordinator or a worker is imported
by those who are.
"""

import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.address import Address, may_be_replaced, read_address, write_address
from minimr.cluster.client import Client
from minimr.cluster.launcher import LocalWorkers, check_count, environment
from minimr.cluster.process_name import name_process
from minimr.errors import MinimrError, NoCoordinator, UsageError
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S

STOP_TIMEOUT_S = 15.0


def serve_coordinator(
    address_file: Path,
    port: int = 0,
    workers: int = 0,
    slots: int = 1,
    on_ready: Callable[[], None] = lambda: None,
    journal: Path | None = None,
    progress_timeout_s: float = PROGRESS_TIMEOUT_S,
) -> None:
    """Be the coordinator, with `workers` of its own, until a client or a signal says stop.

    With a `journal` (a directory), resume the cluster that it remembers. Raises UsageError if a
    cluster with this connection file is running, the port is taken or the journal in use, and
    MinimrError if the journal's disk fails.
    """
    from minimr.cluster.coordinator import Coordinator
    from minimr.cluster.journal import Journal

    name_process("coord")
    _refuse_second(address_file)
    kept = Journal.open(journal) if journal is not None else None
    try:
        coordinator = Coordinator(port=port, journal=kept)
    except BaseException:
        if kept is not None:
            kept.close()
        raise
    address = coordinator.address(os.getpid())
    own: LocalWorkers | None = None
    base: Path | None = None
    try:
        coordinator.start()  # First, since only what was started can be stopped.
        _publish(address_file, address)
        if workers:
            base = Path(tempfile.mkdtemp(prefix="minimr-"))
            own = LocalWorkers(address_file, base, workers, slots, progress_timeout_s)
            own.join(coordinator.expect_at_most)
            client = Client(address)
            client.ask(m.AwaitWorkers(client.next_request(), workers))
            client.close()
        signal.signal(signal.SIGTERM, _interrupt)
        on_ready()
        coordinator.wait()
        if coordinator.failed is not None:
            raise coordinator.failed
    finally:
        if own:
            own.dismiss()
        coordinator.stop()
        if own:
            own.close()
        if kept is not None:
            kept.close()
        if base:
            shutil.rmtree(base, ignore_errors=True)
        with suppress(NoCoordinator):
            if read_address(address_file) == address:
                address_file.unlink(missing_ok=True)


def _publish(address_file: Path, address: Address) -> None:
    with _naming_errors(address_file):
        write_address(address_file, address)


@contextmanager
def _naming_errors(address_file: Path) -> Iterator[None]:
    """What the disk says against the file or its directory becomes a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the connection file {address_file} cannot be written: {error.strerror}; "
            "name another with --address"
        ) from None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _refuse_second(address_file: Path) -> None:
    if address_file.is_dir():
        raise UsageError(
            f"the connection file {address_file} is a directory; name a file in it with --address"
        )
    if not may_be_replaced(address_file):
        raise UsageError(
            f"{address_file} is no connection file and would be lost; name another with --address"
        )
    try:
        running = read_address(address_file)
        Client(running).close()
    except NoCoordinator:
        return  # No file, or one that a killed coordinator left behind.
    raise UsageError(
        f"a cluster is running already at {running.host}:{running.port} (process {running.pid}); "
        f"stop it with 'minimr down', or name another file with --address"
    )


def serve_worker(
    address_file: Path,
    slots: int = 1,
    on_joined: Callable[[str], None] = lambda _: None,
    progress_timeout_s: float = PROGRESS_TIMEOUT_S,
    shuffle_port: int = 0,
    advertise: tuple[str, int] | None = None,
) -> None:
    """Be a worker of the cluster until it ends or a signal says stop.

    It serves its map outputs at `shuffle_port`, 0 for any; others are told to fetch them at
    `advertise` (host, port), by default right there.
    """
    from minimr.cluster.worker_process import serve

    check_count(1, slots)
    serve(
        address_file,
        slots,
        on_joined=on_joined,
        progress_timeout_s=progress_timeout_s,
        shuffle_port=shuffle_port,
        advertise=advertise,
    )


def start_detached(
    address_file: Path,
    workers: int,
    slots: int = 1,
    progress_timeout_s: float = PROGRESS_TIMEOUT_S,
) -> dict[str, Any]:
    """Start a coordinator with workers that outlives this process. Returns where it is."""
    check_count(workers, slots)
    _refuse_second(address_file)
    log = _log_of(address_file)
    with _naming_errors(address_file):
        address_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch()
    command = [sys.executable, "-P", "-m", "minimr.cluster.standing"]
    command += ["--address", str(address_file), "--workers", str(workers), "--slots", str(slots)]
    command += ["--progress-timeout", str(progress_timeout_s)]
    with log.open("a") as messages:
        before = messages.tell()
        started = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            env=environment(),
            start_new_session=True,
            check=False,
        )
    if started.returncode:
        said = _said_since(log, before) or [f"see whether there is room for {log}"]
        raise MinimrError(f"the cluster did not start: {said[-1]}")
    where: dict[str, Any] = json.loads(started.stdout)
    return where


def stop(address_file: Path) -> None:
    """Stop the cluster and wait until nothing of it is left."""
    address = read_address(address_file)
    client = Client(address)
    with _following(address.pid) as process:
        client.ask(m.Shutdown(client.next_request()))
        client.close()
        ended = select.select([process], [], [], STOP_TIMEOUT_S)[0]
    log = _log_of(address_file)
    if log.exists() and not log.stat().st_size:
        log.unlink()
    if not ended:
        raise MinimrError(f"the coordinator (process {address.pid}) does not end; kill it")


def _log_of(address_file: Path) -> Path:
    """Where a cluster without a terminal complains. Beside x.json, x.log may be somebody else's."""
    return address_file.with_name(f"{address_file.name}.log")


def _said_since(log: Path, before: int) -> list[str]:
    """The lines behind that many bytes."""
    return log.read_bytes()[before:].decode(errors="replace").strip().splitlines()


@contextmanager
def _following(pid: int) -> Iterator[int]:
    """A descriptor that becomes readable when the process ends."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def main() -> None:
    """The process behind `minimr up`: it starts the cluster's process, and ends when that is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--progress-timeout", type=float, required=True)
    options = parser.parse_args()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _stand(options, writing)
        return
    os.close(writing)
    with os.fdopen(reading) as pipe:
        ready = pipe.read()
    if not ready:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or 1)
    print(ready)


def _stand(options: argparse.Namespace, ready: int) -> None:
    """The cluster's process. It says where it is through `ready`, once it is up."""

    def say_where() -> None:
        address = read_address(options.address)
        started = {"host": address.host, "port": address.port, "pid": address.pid}
        os.write(ready, json.dumps(started).encode())
        os.close(ready)

    try:
        serve_coordinator(
            options.address,
            workers=options.workers,
            slots=options.slots,
            on_ready=say_where,
            progress_timeout_s=options.progress_timeout,
        )
    except KeyboardInterrupt:
        pass  # SIGTERM, and everything is cleaned up.
    except MinimrError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
