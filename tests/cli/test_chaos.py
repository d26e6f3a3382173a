import json
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.chaos import parse_fault
from minimr.cluster.address import Address, read_address, write_address
from minimr.cluster.fault import KINDS, Fault
from minimr.cluster.launcher import environment
from minimr.errors import UsageError
from tests.cli.conftest import Minimr
from tests.cli.fake_session import FakeSession

WAIT_S = 20.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("cut", Fault("cut")),
        ("cut:after=3s", Fault("cut", after_s=3.0)),
        ("cut:after=200ms,after=4KiB", Fault("cut", after_s=0.2, after_bytes=4096)),
        ("delay:0.2s", Fault("delay", delay_s=0.2)),
        ("delay:1s,jitter=500ms", Fault("delay", delay_s=1.0, jitter_s=0.5)),
        ("trickle:1MiB", Fault("trickle", bytes_per_s=1 << 20)),
        ("half-open:after=100B,for=5s", Fault("half-open", after_bytes=100, duration_s=5.0)),
        ("flip:direction=down,count=2", Fault("flip", direction="down", count=2)),
    ],
)
def test_faults_are_written_in_one_word(spec: str, fault: Fault) -> None:
    assert parse_fault(spec) == fault


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("explode", "no fault is called 'explode'; there are: " + ", ".join(KINDS)),
        ("", "no fault is called ''"),
        ("dely:1s", "no fault is called 'dely'"),
        ("cut:after=soon", "'soon' is no amount with a unit"),
        ("cut:after=-3s", "'-3s' is no amount"),
        ("cut:after=3", "write for instance 3ms, 3s, 3B, 3KiB, 3MiB"),
        ("delay:3B", "'3B' is no amount with a unit; write for instance 3ms, 3s"),
        ("delay", "delay:0.2s"),
        ("trickle:0B", "trickle:100B"),
        ("half-open:5s", "'5s' is no setting; there are: after, for, direction, count, jitter"),
        ("cut:for=3s", "a cut has no duration"),
        ("cut:jitter=3s", "a delay does"),
        ("cut:count=0", "at least one"),
        ("cut:count=some", "'some' is no number of connections"),
        ("cut:direction=left", "say up, down or both"),
        ("cut:after=1s,after=2s", "comes second"),
    ],
)
def test_bad_faults_are_refused_in_one_line(
    minimr: Minimr, tmp_path: Path, spec: str, said: str
) -> None:
    result = minimr("chaos", "--out", tmp_path / "out", "--fault", spec)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"minimr: --fault {spec}: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    with pytest.raises(UsageError):
        parse_fault(spec)


def test_workers_are_killed_within_a_day(minimr: Minimr) -> None:
    """For ever is more than a clock can wait, which was a traceback."""
    result = minimr("chaos", "--kill-workers", "1", "--within", "inf")
    assert result.exit_code == 2
    assert "'--within': inf is not in the range 0<=x<=86400" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--fault", "cut"],
        ["--out", "x"],
        ["--out", "x", "--fault", "cut", "--kill-workers", "1"],
        ["--fault", "cut", "--kill-workers", "1"],
        ["--to", "127.0.0.1:7001"],
        ["--to", "127.0.0.1:7001", "--out", "x", "--fault", "cut"],
        ["--to", "127.0.0.1:7001", "--kill-workers", "1"],
        ["--port", "7002", "--kill-workers", "1"],
    ],
)
def test_one_kind_of_chaos_at_a_time(minimr: Minimr, arguments: list[str]) -> None:
    result = minimr("chaos", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("minimr: say what to break: ")


def test_a_file_that_exists_is_not_replaced(minimr: Minimr, tmp_path: Path) -> None:
    write_address(tmp_path / "in", Address("127.0.0.1", 9, "00" * 16, 1))
    (tmp_path / "out").write_text("precious")
    result = minimr(
        "chaos", "--address", tmp_path / "in", "--out", tmp_path / "out", "--fault", "cut"
    )
    assert result.exit_code == 2
    assert f"{tmp_path / 'out'} exists" in result.stderr
    assert (tmp_path / "out").read_text() == "precious"


def test_without_a_cluster(minimr: Minimr, tmp_path: Path) -> None:
    for what in (["--out", tmp_path / "out", "--fault", "cut"], ["--kill-workers", "1"]):
        result = minimr("chaos", "--address", tmp_path / "none", *what)
        assert (result.exit_code, result.stdout) == (3, "")
    assert not (tmp_path / "out").exists()


# The proxy as a process


@pytest.fixture
def target(tmp_path: Path) -> Iterator[socket.socket]:
    """Stands for a coordinator; its connection file is `in`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(WAIT_S)
        port = listening.getsockname()[1]
        write_address(tmp_path / "in", Address("127.0.0.1", port, "abcd" * 8, 77))
        yield listening


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command, and lets no process live on."""
    command = [sys.executable, "-P", "-m", "cli.main", "chaos"]
    command += ["--address", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    with ExitStack() as stack:

        def begin(*options: str) -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [*command, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def line_of(stream: Any) -> str:
    assert select.select([stream], [], [], WAIT_S)[0], "it says nothing"
    return str(stream.readline())


@contextmanager
def connected(
    tmp_path: Path, target: socket.socket
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection through the proxy."""
    address = read_address(tmp_path / "out")
    with socket.create_connection((address.host, address.port), WAIT_S) as near:
        far, _ = target.accept()
        with far:
            far.settimeout(WAIT_S)
            yield near, far


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return data


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_proxy_stands_until_it_is_interrupted(
    start: Start, tmp_path: Path, target: socket.socket, ending: signal.Signals
) -> None:
    process = start("--fault", "flip:direction=up,after=2B", "--fault", "cut:after=9B")
    assert line_of(process.stdout) == f"minimr worker --address {tmp_path / 'out'}\n"
    copy, original = read_address(tmp_path / "out"), read_address(tmp_path / "in")
    assert (copy.token, copy.pid) == (original.token, original.pid)
    assert copy.port != original.port
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    with connected(tmp_path, target) as (near, far):
        near.sendall(b"\0\0\0\0")
        got = receive(far, 4)
        assert got[:2] + got[3:] == b"\0\0\0"
        assert got[2] != 0
        far.sendall(b"123456789")
        assert receive(near, 9) == b"123456789"
        with pytest.raises(ConnectionResetError):
            near.recv(1)
    told = ""
    while "cut strikes" not in told:  # It is told after it is done.
        told += process.stderr.readline()
    process.send_signal(ending)
    stdout, stderr = process.communicate(timeout=WAIT_S)
    stderr = told + stderr
    assert (process.returncode, stdout) == (130, "")
    assert "  flip strikes connection 1, up, at byte 2\n" in stderr
    assert "  cut strikes connection 1, down, at byte 9\n" in stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_proxy_tells_programs_in_json(
    start: Start, tmp_path: Path, target: socket.socket
) -> None:
    process = start("--fault", "cut:direction=up,after=1B", "--json")
    assert process.stdout is not None
    ready = json.loads(line_of(process.stdout))
    assert ready["what"] == "ready"
    assert ready["port"] == read_address(tmp_path / "out").port
    with connected(tmp_path, target) as (near, _):
        near.sendall(b"x")
        heard = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [event["what"] for event in heard] == ["opened", "cut", "closed"]
    assert heard[1] | {"t": 0} == {
        "t": 0, "what": "cut", "connection": 1, "direction": "up", "at_byte": 1,
    }  # fmt: skip
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)


# The killer


@pytest.fixture
def workers() -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Processes that look like workers."""
    sleep = "import time; time.sleep(60)  # minimr"
    processes = [subprocess.Popen([sys.executable, "-S", "-c", sleep]) for _ in range(3)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def standing(session: FakeSession, monkeypatch: pytest.MonkeyPatch, pids: list[int]) -> None:
    """A cluster whose status names these processes."""
    session.start_detached(session.default_address_file(), 1, 1)
    status = {"workers": [{"name": f"worker-{n}", "pid": pid} for n, pid in enumerate(pids)]}
    cluster = session.Cluster()
    monkeypatch.setattr(cluster, "status", lambda: status)
    monkeypatch.setattr(session, "Cluster", lambda address: cluster)


def test_workers_are_killed_and_named(
    minimr: Minimr,
    session: FakeSession,
    monkeypatch: pytest.MonkeyPatch,
    workers: "list[subprocess.Popen[bytes]]",
) -> None:
    standing(session, monkeypatch, [each.pid for each in workers])
    result = minimr("chaos", "--kill-workers", "2", "--within", "0.01", "--seed", "5", "--json")
    assert result.exit_code == 0
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["what"] for event in told] == ["killed", "killed"]
    dead = {int(event["worker"].removeprefix("worker-")) for event in told}
    assert len(dead) == 2
    for number in dead:
        assert workers[number].wait(WAIT_S) == -signal.SIGKILL
    (alive,) = {0, 1, 2} - dead
    assert workers[alive].poll() is None
    assert [line.split()[1] for line in result.stderr.splitlines()] == ["killed", "killed"]


def test_processes_that_are_none_of_ours_live(
    minimr: Minimr, session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        standing(session, monkeypatch, [stranger.pid, 2**22 + 1])
        result = minimr("chaos", "--kill-workers", "3", "--within", "0")
        assert stranger.poll() is None
        stranger.kill()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("minimr: 0 of 3 workers killed; ")
