"""minimr's ring all-reduce between processes on loopback: python on_ring.py all_reduce OUT K N

The figure is the median time of one all-reduce of N float64 between K processes.
"""

import json
import sys
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import minimr as mr
from minimr.cluster.member_link import MemberLink

TURNS, WARM_UP = 7, 2


def member(rank, size, length, pipe):
    link = MemberLink(rank, size, bytes(range(32)))
    pipe.send(link.address)
    link.connect(pipe.recv(), 1)
    seconds = []
    for _ in range(TURNS + WARM_UP):
        array = np.full(length, rank + 1.0)
        mr.all_gather(link, None)
        started = perf_counter()
        mr.all_reduce(link, array)
        seconds.append(perf_counter() - started)
    pipe.send((median(seconds[WARM_UP:]), float(array.min()), float(array.max())))
    link.close()


def all_reduce(out, size, length):
    context = get_context("fork")
    pipes = [context.Pipe() for _ in range(size)]
    members = [
        context.Process(target=member, args=(rank, size, length, pipes[rank][1]))
        for rank in range(size)
    ]
    for each in members:
        each.start()
    addresses = [ours.recv() for ours, _ in pipes]
    for ours, _ in pipes:
        ours.send(addresses)
    (seconds, *answer), *_ = [ours.recv() for ours, _ in pipes]
    for each in members:
        each.join()
    (out / "answer").write_text(json.dumps(answer))
    (out / "figure.json").write_text(json.dumps(1000 * seconds))


if __name__ == "__main__":
    all_reduce(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
