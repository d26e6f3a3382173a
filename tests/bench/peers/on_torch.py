"""torch.distributed with gloo between processes on loopback: python on_torch.py all_reduce OUT K N

The figure is the median time of one all-reduce of N float64 between K processes.
"""

import json
import socket
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

TURNS, WARM_UP = 7, 2


def member(rank, size, length, port, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    seconds = []
    for _ in range(TURNS + WARM_UP):
        array = torch.full((length,), rank + 1.0, dtype=torch.float64)
        dist.barrier()
        started = perf_counter()
        dist.all_reduce(array)
        seconds.append(perf_counter() - started)
    if rank == 0:
        (out / "answer").write_text(json.dumps([array.min().item(), array.max().item()]))
        (out / "figure.json").write_text(json.dumps(1000 * median(seconds[WARM_UP:])))
    dist.destroy_process_group()


def all_reduce(out, size, length):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    mp.spawn(member, (size, length, port, out), nprocs=size)


if __name__ == "__main__":
    all_reduce(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
