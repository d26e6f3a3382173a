"""File descriptors run out: newcomers are turned away, those who are in stay, and it passes."""

import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from minimr.cluster import handshake, listener
from minimr.cluster import messages as m
from minimr.cluster.address import Address
from minimr.cluster.client import Client
from minimr.cluster.connect import connect
from minimr.cluster.launcher import environment
from minimr.errors import NoCoordinator
from tests.cluster.shells import PATIENCE_S, read_line

pytestmark = pytest.mark.slow

DESCRIPTORS = 64
SERVERS = """
import sys
from minimr.cluster import listener
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.shuffle_server import ShuffleServer

listener.KEPT_BACK = int(sys.argv[1])
coordinator = Coordinator()
coordinator.start()
token = coordinator.address(0).token
shuffle = ShuffleServer(bytes.fromhex(token), {}.get)
shuffle.start()
print(token, coordinator.address(0).port, shuffle.address[1], flush=True)
sys.stdin.read()
coordinator.stop()
"""


@pytest.fixture(params=[32, 0], ids=["some kept back", "all may be used"])
def servers(request):
    """A process with few descriptors: its stderr, and the addresses of its two ports.

    A crowd leaves one by one, and whoever stood at its end takes their places: so a port may be
    full, and say so, more than once.
    """

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))

    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SERVERS, str(request.param)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=limit,
    )
    token, *ports = read_line(process.stdout).split()
    yield process.stderr, *[Address("127.0.0.1", int(port), token, 0) for port in ports]
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert [line for line in said.splitlines() if "turns connections away" not in line] == []


def crowd(address, stack):
    """More strangers than there are descriptors, who say nothing."""
    for _ in range(DESCRIPTORS):
        stack.enter_context(socket.create_connection((address.host, address.port)))


def admitted(address, role):
    """Whether one gets in, before long."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            connect(address, role).close()
        except NoCoordinator:
            continue
        return True
    return False


def ask(client):
    return client.ask(m.GetStatus(client.next_request()))["workers"]


def test_a_crowd_at_the_coordinators_door(servers, monkeypatch):
    stderr, coordinator, _ = servers
    client = Client(coordinator)
    with ExitStack() as stack:
        crowd(coordinator, stack)
        said = read_line(stderr)
        assert said.startswith(f"minimr: port {coordinator.port} turns connections away")
        assert "'ulimit -n'" in said
        assert ask(client) == []
    assert admitted(coordinator, "client")
    assert ask(client) == []
    client.close()


def test_a_crowd_at_a_shuffle_servers_door(servers):
    stderr, _, shuffle = servers
    with ExitStack() as stack:
        crowd(shuffle, stack)
        assert f"port {shuffle.port}" in read_line(stderr)
    assert admitted(shuffle, "fetch")


def test_a_port_says_that_it_is_full_once_until_there_is_room_again(monkeypatch, capsys):
    port = listener.Listener(bytes(32), ("client",), lambda sock, _: sock.close())
    port.start()
    address = Address(*port.address, bytes(32).hex(), 0)
    said = []
    for enough in (False, False, True, False):
        monkeypatch.setattr(listener, "descriptors_max", lambda enough=enough: 10_000 * enough)
        if enough:
            connect(address, "client").close()
        else:
            with pytest.raises(NoCoordinator, match="0 file descriptors in use"):
                connect(address, "client")
        said.append(capsys.readouterr().err.count("turns connections away"))
    assert said == [1, 0, 0, 1]
    port.close()


def test_who_is_turned_away_is_told_why():
    near, far = socket.socketpair()
    handshake.turn_away(far, "this port has no descriptor left")
    with pytest.raises(NoCoordinator, match="no descriptor left"):
        handshake.greet(near, bytes(32), "client")
    near.close()
