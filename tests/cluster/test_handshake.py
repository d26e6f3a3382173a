"""The gate: who knows the token comes in, on both sides; everybody else is told why not."""

import socket
import threading
import time

import pytest

from minimr.cluster import handshake
from minimr.cluster.address import Address, new_token
from minimr.cluster.connect import connect
from minimr.cluster.connection import MESSAGES_KIND
from minimr.cluster.handshake import admit, greet
from minimr.cluster.wire import encode_frame
from minimr.errors import NoCoordinator, ProtocolError

TOKEN = bytes(range(32))
ROLES = ("worker", "client")


class Server:
    """The server's half in a thread, its outcome kept."""

    def __init__(self, token=TOKEN, roles=ROLES):
        self.caller, self._sock = socket.socketpair()
        self.outcome = None
        self._thread = threading.Thread(target=self._admit, args=(token, roles))
        self._thread.start()

    def _admit(self, token, roles):
        try:
            self.outcome = admit(self._sock, token, roles)
        except (ProtocolError, OSError) as error:
            self.outcome = error

    def finish(self):
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._sock.close()
        self.caller.close()
        return self.outcome


@pytest.fixture
def server():
    each = Server()
    yield each
    each.finish()


def step(*fields, kind=handshake.HELLO_KIND):
    return b"".join(encode_frame(kind, list(fields)))


def test_both_know_the_token(server):
    greet(server.caller, TOKEN, "worker")
    assert server.finish() == "worker"


def test_after_the_gate_nothing_times_out(server):
    greet(server.caller, TOKEN, "worker")
    assert server.caller.gettimeout() is None


def test_a_caller_with_another_token_is_refused_and_told(server):
    with pytest.raises(NoCoordinator, match="wrong token"):
        greet(server.caller, bytes(32), "worker")
    assert isinstance(server.finish(), ProtocolError)


def test_a_role_that_this_port_does_not_serve(server):
    with pytest.raises(NoCoordinator, match="no entry for the role 'fetch'"):
        greet(server.caller, TOKEN, "fetch")


def test_a_server_that_does_not_know_the_token_is_noticed():
    """It says yes to everybody, as a thief of the port would."""
    caller, thief = socket.socketpair()

    def lie():
        thief.recv(4096)
        thief.sendall(step("challenge", bytes(32)))
        thief.recv(4096)
        thief.sendall(step("proof", bytes(32)))

    thread = threading.Thread(target=lie)
    thread.start()
    with pytest.raises(NoCoordinator, match="does not know the token"):
        greet(caller, TOKEN, "client")
    thread.join()
    caller.close()
    thief.close()


def test_a_callers_own_proof_does_not_work_as_the_servers():
    """The reflection attack: send back what the caller sent."""
    caller, mirror = socket.socketpair()

    def reflect():
        mirror.recv(4096)
        mirror.sendall(step("challenge", bytes(32)))
        mirror.sendall(mirror.recv(4096))

    thread = threading.Thread(target=reflect)
    thread.start()
    with pytest.raises(NoCoordinator):
        greet(caller, TOKEN, "client")
    thread.join()
    caller.close()
    mirror.close()


def test_a_recorded_conversation_cannot_be_replayed(monkeypatch):
    first = Server()
    said = []

    class Recorder:
        def __getattr__(self, name):
            return getattr(first.caller, name)

        def sendall(self, data):
            said.append(data)
            first.caller.sendall(data)

    greet(Recorder(), TOKEN, "worker")
    assert first.finish() == "worker"
    second = Server()
    for data in said:
        second.caller.sendall(data)
    assert isinstance(second.finish(), ProtocolError)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n" + b" " * 100,
        step("hello", "worker"),
        step("hello", 1, bytes(32)),
        step("proof", bytes(32)),
        step(["hello"], "worker", bytes(32)),
        step(),
        step("hello", "w" * 4000, bytes(32)),
        step("hello", "worker", bytes(32), kind=MESSAGES_KIND),
    ],
    ids=["http", "short", "types", "order", "list", "empty", "long", "kind"],
)
def test_whatever_else_a_stranger_says_is_a_protocol_error(server, data):
    server.caller.sendall(data)
    server.caller.shutdown(socket.SHUT_WR)
    assert isinstance(server.finish(), ProtocolError)


def test_the_proof_must_come_as_a_frame_of_the_handshake_too(server):
    server.caller.sendall(step("hello", "worker", bytes(32)))
    server.caller.sendall(step("proof", bytes(32), kind=7))
    assert "does not follow the handshake" in str(server.finish())


def test_a_stranger_who_hangs_up_is_noticed_at_once(server):
    server.caller.shutdown(socket.SHUT_WR)
    assert "closed the connection" in str(server.finish())


def test_the_server_waits_without_a_deadline_for_those_it_admitted(server):
    greet(server.caller, TOKEN, "worker")
    server._thread.join(10)
    assert server._sock.gettimeout() is None


def test_a_stranger_who_says_nothing_is_sent_away(monkeypatch):
    monkeypatch.setattr(handshake, "HELLO_TIMEOUT_S", 0.05)
    outcome = Server().finish()
    assert isinstance(outcome, OSError | ProtocolError)


def test_a_stranger_who_drips_is_sent_away_too(monkeypatch):
    """The deadline is for the whole handshake, not for each byte."""
    monkeypatch.setattr(handshake, "HELLO_TIMEOUT_S", 0.2)
    server = Server()
    started = time.monotonic()
    hello = step("hello", "worker", bytes(32))
    for index in range(len(hello) - 1):
        try:
            server.caller.sendall(hello[index : index + 1])
        except OSError:
            break
        server._thread.join(0.02)
        if not server._thread.is_alive():
            break
    assert isinstance(server.finish(), OSError | ProtocolError)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("resumes", "advice"),
    [(False, "start one with 'minimr up'"), (True, "with 'minimr coordinator' and its --journal")],
)
def test_nobody_at_the_port(resumes, advice):
    """One that keeps a journal has jobs to resume: another in its place would not know them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoCoordinator, match=advice):
        connect(Address("127.0.0.1", port, new_token(), 1, resumes=resumes), "client")
