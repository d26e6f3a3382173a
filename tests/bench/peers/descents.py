"""The descent of on_numpy_descent.py on Dask, Ray and torch, and Spark's own: two processes each.

python descents.py CASE OUT INPUT...
"""

import socket
import sys
from pathlib import Path

import numpy as np
import on_numpy_descent as by_hand


def dask_whole(out, inputs):
    by_hand.save(out, on_dask(inputs, by_hand.parsed, by_hand.ITERATIONS)[0])


def dask_rounds(out, inputs):
    by_hand.save(out, *on_dask(inputs, by_hand.loaded, by_hand.ROUNDS))


def on_dask(inputs, read, iterations):
    """Rows as futures, one at each worker; a step is a task over each."""
    from distributed import Client

    with Client(
        n_workers=by_hand.PROCESSES, threads_per_worker=1, dashboard_address=None
    ) as client:
        parts = client.map(read, by_hand.halves(inputs))
        shapes = client.gather(client.map(shape_of, parts))

        def gradients_at(weights):
            return client.gather(client.map(gradient_of, parts, weights=weights, pure=False))

        return by_hand.steps(shapes, gradients_at, iterations)


def shape_of(part):
    return part[0].shape


def gradient_of(part, weights):
    return by_hand.two_passes(*part, weights)


def ray_whole(out, inputs):
    by_hand.save(out, on_ray(inputs, by_hand.parsed, by_hand.ITERATIONS)[0])


def ray_rounds(out, inputs):
    by_hand.save(out, *on_ray(inputs, by_hand.loaded, by_hand.ROUNDS))


def on_ray(inputs, read, iterations):
    """Rows as objects in shared memory; a step is a task over each."""
    import ray

    ray.init(num_cpus=by_hand.PROCESSES, include_dashboard=False, log_to_driver=False)
    parts = [ray.remote(read).remote(half) for half in by_hand.halves(inputs)]
    shapes = ray.get([ray.remote(shape_of).remote(part) for part in parts])
    gradient = ray.remote(gradient_of)

    def gradients_at(weights):
        return ray.get([gradient.remote(part, weights) for part in parts])

    found = by_hand.steps(shapes, gradients_at, iterations)
    ray.shutdown()
    return found


def torch_whole(out, inputs):
    on_torch(out, inputs, "parsed", by_hand.ITERATIONS)


def torch_rounds(out, inputs):
    on_torch(out, inputs, "loaded", by_hand.ROUNDS)


def on_torch(out, inputs, read, iterations):
    """Replicas that all-reduce their gradients, as DDP does."""
    import torch.multiprocessing as mp

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    mp.spawn(replica, (inputs, read, iterations, port, out), nprocs=by_hand.PROCESSES)


def replica(rank, inputs, read, iterations, port, out):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", address, rank=rank, world_size=by_hand.PROCESSES)
    X, y = map(torch.from_numpy, getattr(by_hand, read)(by_hand.halves(inputs)[rank]))
    rows = torch.tensor([float(len(y))])
    dist.all_reduce(rows)

    def gradients_at(weights):
        gradient = X.T @ (X @ torch.from_numpy(weights) - y)
        dist.all_reduce(gradient)
        return [gradient.numpy()]

    weights, times = by_hand.steps([(int(rows), X.shape[1])], gradients_at, iterations)
    if rank == 0:
        by_hand.save(out, weights, times if read == "loaded" else None)
    dist.destroy_process_group()


def spark_whole(out, inputs):
    """MLlib's own, as the seed program of this project calls it."""
    from on_spark import session
    from pyspark.mllib.regression import LinearRegressionWithSGD
    from pyspark.mllib.util import MLUtils

    context = session().sparkContext
    data = MLUtils.loadLibSVMFile(context, str(Path(inputs[0]).parent)).cache()
    model = LinearRegressionWithSGD.train(
        data, by_hand.ITERATIONS, by_hand.STEP, convergenceTol=0.0
    )
    by_hand.save(out, np.array(model.weights))
    session().stop()


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
