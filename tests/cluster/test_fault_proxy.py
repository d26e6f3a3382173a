"""The fault proxy, with both ends in the test's hands: faults do what they say, and no more."""

import random
import select
import socket
import threading
import time
from pathlib import Path

import pytest

from minimr.cluster.fault import Fault
from minimr.cluster.fault_proxy import FaultProxy
from minimr.errors import UsageError

TIMEOUT_S = 10.0


class Target:
    """A listening socket; `through(proxy)` gives the two ends of a new connection."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(TIMEOUT_S)
        self.address = self._listening.getsockname()
        self._ends = []

    def through(self, proxy):
        near = socket.create_connection(proxy.address, TIMEOUT_S)
        far, _ = self._listening.accept()
        far.settimeout(TIMEOUT_S)
        self._ends += [near, far]
        return near, far

    def close(self):
        for each in (self._listening, *self._ends):
            each.close()


@pytest.fixture
def target():
    each = Target()
    yield each
    each.close()


@pytest.fixture
def proxy(target):
    with FaultProxy(target.address, seed=1) as each:
        yield each


def receive(sock, size=None):
    """`size` bytes; without it, all until the end of the stream."""
    data = bytearray()
    while size is None or len(data) < size:
        piece = sock.recv(1 << 16 if size is None else size - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


def is_reset(sock):
    """Whether the stream ends by RST, after whatever bytes came before it."""
    try:
        receive(sock)
    except ConnectionResetError:
        return True
    return False


def is_silent(sock, other):
    """Nothing has come to `sock`, though the proxy has since passed a byte to `other`."""
    sock.sendall(b"?")
    assert receive(other, 1) == b"?"
    return has_nothing(sock)


def has_nothing(sock):
    sock.setblocking(False)
    try:
        return not sock.recv(1)
    except BlockingIOError:
        return True
    finally:
        sock.settimeout(TIMEOUT_S)


def noise(size):
    return random.Random(size).randbytes(size)


def kinds(proxy):
    return [event.what for event in proxy.events]


# Without a fault


def test_bytes_pass_unchanged_in_both_directions(target, proxy):
    near, far = target.through(proxy)
    up, down = noise(1_000_000), noise(999_999)
    near.sendall(up)
    far.sendall(down)
    assert receive(far, len(up)) == up
    assert receive(near, len(down)) == down


def test_a_reader_that_begins_when_every_buffer_is_full(target, proxy):
    near, far = target.through(proxy)
    data, sent = noise(64 << 20), 0
    near.setblocking(False)
    while select.select([], [near], [], 0.2)[1]:
        sent += near.send(data[sent:])
    assert sent < len(data), "the proxy takes whatever comes"
    assert receive(far, sent) == data[:sent]


def test_the_end_of_one_direction_leaves_the_other_open(target, proxy):
    near, far = target.through(proxy)
    near.sendall(b"question")
    near.shutdown(socket.SHUT_WR)
    assert receive(far) == b"question"
    far.sendall(b"answer")
    far.close()
    assert receive(near) == b"answer"


def test_a_connection_that_broke_breaks_on_the_other_side(target, proxy):
    near, far = target.through(proxy)
    near.sendall(b"never read")
    far.recv(1, socket.MSG_PEEK)
    far.close()  # With unread bytes, which the kernel answers by RST.
    assert is_reset(near)


def test_connections_do_not_mix(target, proxy):
    ends = [target.through(proxy) for _ in range(20)]
    for number, (near, _) in enumerate(ends):
        near.sendall(bytes([number]) * 5)
    assert [receive(far, 5) for _, far in ends] == [bytes([number]) * 5 for number in range(20)]


def test_nobody_at_the_target(target, proxy):
    target.close()
    try:
        with socket.create_connection(proxy.address, TIMEOUT_S) as near:
            assert is_reset(near)
    except ConnectionResetError:
        pass  # The reset can come before `connect` has returned.
    assert kinds(proxy) == ["refused"]


# One fault each


def test_a_cut_resets_both_sides_after_the_bytes_it_lets_through(target, proxy):
    proxy.break_with(Fault("cut", direction="up", after_bytes=10))
    near, far = target.through(proxy)
    near.sendall(noise(25))
    assert receive(far, 10) == noise(25)[:10]
    with pytest.raises(ConnectionResetError):
        far.recv(1)
    assert is_reset(near)


@pytest.mark.parametrize("after_s", [0.0, 0.05])
def test_a_cut_needs_no_traffic(target, proxy, after_s):
    near, far = target.through(proxy)
    proxy.break_with(Fault("cut", after_s=after_s))
    assert is_reset(near)
    assert is_reset(far)


def test_a_fault_waits_for_its_time(target, proxy):
    for kind in ("cut", "flip", "half-open", "truncate"):
        proxy.break_with(Fault(kind, after_s=3600.0))
    near, far = target.through(proxy)
    near.sendall(b"as it was")
    assert receive(far, 9) == b"as it was"
    assert kinds(proxy) == ["opened"]


def test_a_half_open_connection_is_silent_until_it_heals(target, proxy):
    proxy.break_with(Fault("half-open", direction="up", after_bytes=5))
    near, far = target.through(proxy)
    near.sendall(b"12345678")
    assert receive(far, 5) == b"12345"
    assert is_silent(far, near)
    near.close()
    proxy.heal()
    assert receive(far) == b"678"
    near, far = target.through(proxy)
    near.sendall(b"like new")
    assert receive(far, 8) == b"like new"


def test_half_open_in_both_directions(target, proxy):
    near, far = target.through(proxy)
    proxy.break_with(Fault("half-open"))
    near.sendall(b"up")
    far.sendall(b"down")
    whole = target.through(proxy)
    whole[0].sendall(b"x")
    assert has_nothing(near)
    assert has_nothing(far)
    assert has_nothing(whole[1])
    proxy.heal()
    assert receive(far, 2) == b"up"
    assert receive(near, 4) == b"down"
    assert receive(whole[1], 1) == b"x"


def test_a_fault_with_a_duration_ends_by_itself(target, proxy):
    near, far = target.through(proxy)
    proxy.break_with(Fault("half-open", duration_s=0.05))
    near.sendall(b"late")
    assert receive(far, 4) == b"late"


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("byte", [0, 1, 70_000, 99_999])
def test_a_flip_changes_one_bit_of_one_byte(target, proxy, direction, byte):
    proxy.break_with(Fault("flip", direction=direction, after_bytes=byte))
    near, far = target.through(proxy)
    sender, receiver = (near, far) if direction == "up" else (far, near)
    data = noise(100_000)
    sender.sendall(data)
    got = receive(receiver, len(data))
    wrong = [index for index in range(len(data)) if got[index] != data[index]]
    assert wrong == [byte]
    assert (got[byte] ^ data[byte]).bit_count() == 1
    receiver.sendall(data)
    assert receive(sender, len(data)) == data


def test_a_flip_counts_from_where_the_connection_stood(target, proxy):
    near, far = target.through(proxy)
    near.sendall(b"abc")
    assert receive(far, 3) == b"abc"
    proxy.break_with(Fault("flip", direction="up", after_bytes=1))
    near.sendall(b"def")
    got = receive(far, 3)
    assert got[0::2] == b"df"
    assert got[1] != ord("e")


def test_the_seed_says_which_bit(target):
    def flipped(seed):
        with FaultProxy(target.address, seed=seed) as proxy:
            proxy.break_with(Fault("flip", direction="up"))
            near, far = target.through(proxy)
            near.sendall(b"\0")
            return receive(far, 1)

    assert [flipped(seed) for seed in range(8)] == [flipped(seed) for seed in range(8)]
    assert len({flipped(seed) for seed in range(8)}) > 1


def test_a_truncated_stream_ends_for_both_sides(target, proxy):
    proxy.break_with(Fault("truncate", direction="down", after_bytes=7))
    near, far = target.through(proxy)
    far.sendall(noise(100_000))
    assert receive(near) == noise(100_000)[:7]
    assert receive(far) == b""
    near.sendall(noise(16 << 20))  # Nobody hears it, and nobody is stopped by that.
    assert kinds(proxy) == ["opened", "truncate"]


def test_a_trickle_is_slow_and_whole(target, proxy):
    proxy.break_with(Fault("trickle", direction="up", bytes_per_s=2000))
    near, far = target.through(proxy)
    began_s = time.monotonic()
    near.sendall(noise(500))
    assert receive(far, 500) == noise(500)
    assert time.monotonic() - began_s >= 0.2  # The last of five steps, each 0.05 s apart.


def test_a_trickle_goes_at_full_speed_once_it_heals(target, proxy):
    proxy.break_with(Fault("trickle", bytes_per_s=1))
    near, far = target.through(proxy)
    near.sendall(noise(100_000))
    assert receive(far, 1) == noise(100_000)[:1]
    proxy.heal()
    assert receive(far, 99_999) == noise(100_000)[1:]


def test_a_delay_holds_bytes_back_and_keeps_their_order(target, proxy):
    proxy.break_with(Fault("delay", direction="up", delay_s=0.05, jitter_s=0.05))
    near, far = target.through(proxy)
    began_s = time.monotonic()
    for number in range(50):
        near.sendall(bytes([number]))
        far.sendall(b"!")
        assert receive(near, 1) == b"!"
    assert receive(far, 1) == b"\0"
    assert time.monotonic() - began_s >= 0.05
    near.shutdown(socket.SHUT_WR)
    assert receive(far) == bytes(range(1, 50))


# Which connections, and what else


def test_count_bounds_the_connections_that_are_struck(target, proxy):
    proxy.break_with(Fault("cut", after_bytes=1, direction="up", count=1))
    first, second = target.through(proxy), target.through(proxy)
    first[0].sendall(b"x")
    assert is_reset(first[1])
    second[0].sendall(b"fine")
    assert receive(second[1], 4) == b"fine"


def test_a_connection_that_is_struck_is_struck_in_both_directions(target, proxy):
    proxy.break_with(Fault("flip", count=1))
    near, far = target.through(proxy)
    near.sendall(b"\0")
    far.sendall(b"\0")
    assert receive(far, 1) != b"\0"
    assert receive(near, 1) != b"\0"


def test_several_faults_at_once(target, proxy):
    proxy.break_with(Fault("flip", direction="up", after_bytes=1))
    proxy.break_with(Fault("truncate", direction="up", after_bytes=3))
    near, far = target.through(proxy)
    near.sendall(b"\0\0\0\0")
    got = receive(far)
    assert len(got) == 3
    assert got[0::2] == b"\0\0"
    assert got[1] != 0


def test_the_log_says_what_happened_to_whom(target):
    heard = []
    with FaultProxy(target.address, on_event=heard.append) as proxy:
        near, far = target.through(proxy)
        proxy.break_with(Fault("cut", direction="up", after_bytes=2))
        near.sendall(b"123")
        assert is_reset(far)
        proxy.heal()
    assert heard == proxy.events
    told = [event.to_dict() for event in heard]
    for each in told:
        assert each.pop("t") >= 0
    nowhere = {"direction": None, "at_byte": None}
    assert told == [
        {"what": "opened", "connection": 1, **nowhere},
        {"what": "cut", "connection": 1, "direction": "up", "at_byte": 2},
        {"what": "closed", "connection": 1, **nowhere},
        {"what": "healed", "connection": None, **nowhere},
    ]


def test_nothing_is_left(target):
    def descriptors():
        return sorted(path.name for path in Path("/proc/self/fd").iterdir())

    before = threading.active_count(), descriptors()
    proxy = FaultProxy(target.address)
    for fault in (Fault("half-open", count=1), Fault("truncate", after_bytes=1)):
        proxy.break_with(fault)
    ends = [target.through(proxy) for _ in range(5)]
    for near, _ in ends:
        near.sendall(b"some bytes")
    proxy.close()
    proxy.close()
    for near, far in ends:
        near.close()
        far.close()
    assert (threading.active_count(), descriptors()) == before


def test_a_port_in_use(proxy):
    with pytest.raises(UsageError, match=f"port {proxy.address[1]} cannot be used"):
        FaultProxy(proxy.address, port=proxy.address[1])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "explode"}, "no fault is called 'explode'"),
        ({"kind": "cut", "direction": "left"}, "'left' is no direction"),
        ({"kind": "cut", "after_s": -1.0}, "negative or no number"),
        ({"kind": "cut", "after_s": float("nan")}, "negative or no number"),
        ({"kind": "half-open", "duration_s": float("inf")}, "negative or no number"),
        ({"kind": "cut", "count": 0}, "0 connections"),
        ({"kind": "flip", "duration_s": 1.0}, "a flip has no duration"),
        ({"kind": "cut", "jitter_s": 1.0}, "does not take a time"),
        ({"kind": "delay", "delay_s": 1.0, "bytes_per_s": 9.0}, "does not take bytes per second"),
        ({"kind": "delay"}, "how long"),
        ({"kind": "trickle"}, "how many bytes per second"),
    ],
)
def test_faults_that_make_no_sense(fields, said):
    with pytest.raises(UsageError, match=said):
        Fault(**fields)
