"""Figures for records in tutorials/internals/decisions: `python -m tests.bench.decisions`.

The loop: peers in another process send a heartbeat, wait for the answer, and send the next. They
are served once by the loop and the channels that coordinator and worker have, and once by reader
threads that post into a mailbox, as both did before.

A round over 8 partitions on 2 workers: its time, how many frames reach the coordinator, and how
often a process of the cluster has to wait or is made to.

The nursery: the time until a new slot says its first byte, forked by the nursery and as a fresh
interpreter that imports the same modules.
"""

import multiprocessing
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import minimr as mr
import ml
from minimr.cluster import channel
from minimr.cluster import messages as m
from minimr.cluster.channel import Channel
from minimr.cluster.connection import MESSAGES_KIND, Connection, decode_messages
from minimr.cluster.fork_server import Died
from minimr.cluster.loop import Loop
from minimr.cluster.message_codec import to_wire
from minimr.cluster.nursery import PRELOAD, Nursery
from minimr.cluster.wire import Frame, encode_frame
from tests.bench.peers.on_minimr import ROUNDS, NothingToDo

ROUND_TRIPS = 20_000
PEERS = (1, 8, 64)
RUNS = 5
FRAME = b"".join(encode_frame(MESSAGES_KIND, [to_wire(m.Beat())]))

Serve = Callable[[list[socket.socket]], None]


def main() -> None:
    print(f"Round trips per second ({ROUND_TRIPS} heartbeats in all, median of {RUNS})")
    for peers in PEERS:
        rates = {"mailbox": [], "selector": []}
        for _ in range(RUNS):
            for name, serve in (("mailbox", serve_mailbox), ("selector", serve_selector)):
                rates[name].append(ROUND_TRIPS / timed(serve, peers))
        shown = "   ".join(
            f"{name} {statistics.median(each):8,.0f}" for name, each in rates.items()
        )
        print(f"  {peers:3} peers   {shown}")
    frames, switches, ms = a_round()
    print(
        f"An empty round: {ms:.2f} ms, {frames:.1f} frames reach the coordinator, "
        f"{switches:.0f} context switches"
    )
    print(f"From the request to a new slot's first byte, in ms (median of {4 * RUNS})")
    for name, times in births().items():
        print(f"  {name:18} {statistics.median(times) * 1e3:7.1f}")


def timed(serve: Serve, peers: int) -> float:
    """Seconds for all round trips."""
    pairs = [socket.socketpair() for _ in range(peers)]
    child = multiprocessing.get_context("fork").Process(target=chat, args=(pairs,))
    child.start()
    for _, theirs in pairs:
        theirs.close()
    started = time.perf_counter()
    serve([ours for ours, _ in pairs])
    seconds = time.perf_counter() - started
    child.join()
    return seconds


def chat(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """All peers, in one process: each has one heartbeat under way until its share is done."""
    with selectors.DefaultSelector() as selector:
        for ours, theirs in pairs:
            ours.close()
            selector.register(theirs, selectors.EVENT_READ, [ROUND_TRIPS // len(pairs)])
            theirs.sendall(FRAME)
        talking = len(pairs)
        while talking:
            for key, _ in selector.select():
                assert key.fileobj.recv(len(FRAME), socket.MSG_WAITALL) == FRAME
                key.data[0] -= 1
                if key.data[0]:
                    key.fileobj.sendall(FRAME)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    talking -= 1


def serve_mailbox(socks: list[socket.socket]) -> None:
    """One thread per peer reads with blocking calls; this one handles what they post."""
    mailbox: SimpleQueue[Connection | None] = SimpleQueue()

    def read(connection: Connection) -> None:
        try:
            while True:
                connection.receive()
                mailbox.put(connection)
        except EOFError:
            connection.close()
            mailbox.put(None)

    for sock in socks:
        threading.Thread(target=read, args=(Connection(sock),), daemon=True).start()
    talking = len(socks)
    while talking:
        if (connection := mailbox.get()) is None:
            talking -= 1
        else:
            connection.send([m.Beat()])


def serve_selector(socks: list[socket.socket]) -> None:
    """As the coordinator does, with its own Channel and Loop."""
    loop: Loop[None] = Loop(lambda _: None, lambda: None)
    talking = set(range(len(socks)))

    def serve(number: int, sock: socket.socket) -> None:
        channel = Channel(sock, loop, lambda _: channel.send([m.Beat()]), lambda _: gone(number))

    def gone(number: int) -> None:
        talking.discard(number)
        if not talking:
            loop.stop()

    for number, sock in enumerate(socks):
        serve(number, sock)
    loop.run()
    loop.close()


def a_round() -> tuple[float, float, float]:
    """Frames to the coordinator, context switches and milliseconds, per round."""
    frames = 0

    def counted(frame: Frame) -> list[m.Message]:
        nonlocal frames
        frames += 1
        return decode_messages(frame)

    channel.decode_messages = counted
    with mr.Cluster(workers=2) as cluster:
        data = cluster.load(ml.DIABETES, "libsvm", partitions=8)
        data.round(NothingToDo)
        frames, switches, started = 0, context_switches(), time.perf_counter()
        for _ in range(ROUNDS):
            data.round(NothingToDo)
        ms = (time.perf_counter() - started) * 1e3
        switches = context_switches() - switches
    channel.decode_messages = decode_messages
    return frames / ROUNDS, switches / ROUNDS, ms / ROUNDS


def context_switches() -> int:
    """Of all threads of this process and its children, so far."""
    total, waiting = 0, [os.getpid()]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
            waiting += map(int, (task / "children").read_text().split())
            lines = (task / "status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return total


def births() -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "worker"
        directory.mkdir()
        nursery = Nursery(lambda sock: sock.sendall(b"!"), directory)
        times = {
            "forked by nursery": [born(nursery, serial) for serial in range(4 * RUNS)][RUNS:],
            "fresh interpreter": [fresh() for _ in range(4 * RUNS)],
        }
        nursery.close()
    return times


def born(nursery: Nursery, serial: int) -> float:
    ours, theirs = socket.socketpair()
    output = os.open(os.devnull, os.O_RDWR)
    started = time.perf_counter()
    nursery.spawn(serial, theirs, output)
    theirs.close()
    os.close(output)
    assert ours.recv(1) == b"!"
    seconds = time.perf_counter() - started
    ours.close()
    while not isinstance(nursery.forks.read_report(), Died):
        pass
    return seconds


def fresh() -> float:
    code = "".join(f"import {name}\n" for name in PRELOAD) + "import os; os.write(1, b'!')"
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
