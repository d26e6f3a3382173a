"""Linear regression by gradient descent, by hand: numpy in one process, and in two with pipes.

    python on_numpy_descent.py CASE OUT INPUT...

Inputs are libsvm texts for `whole` and `whole_in_one`, whose figure is that of the process, and
.npy files with the labels in the last column for the others, whose figure is a round's.
"""

import json
import os
import sys
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # Two processes have a core each.

import numpy as np

PROCESSES = 2
ITERATIONS, WARM_UP, STEP = 100, 10, 0.1
ROUNDS = 40
BLOCK_BYTES = 1 << 19


def whole(out, inputs):
    """Each process parses half of the files and answers with a gradient."""
    save(out, descend(inputs, parsed, two_passes, ITERATIONS)[0])


def whole_in_one(out, inputs):
    X, y = parsed(inputs)
    weights = np.zeros(X.shape[1])
    for iteration in range(1, ITERATIONS + 1):
        weights -= STEP / np.sqrt(iteration) * (X.T @ (X @ weights - y)) / len(y)
    save(out, weights)


def rounds(out, inputs):
    """A round with one pass: prediction, residual and gradient of blocks that stay in cache."""
    save(out, *descend(inputs, loaded, one_pass, ROUNDS))


def rounds_of_two_passes(out, inputs):
    """A round with two passes, as it is written everywhere."""
    save(out, *descend(inputs, loaded, two_passes, ROUNDS))


def parsed(inputs):
    """libsvm text whose rows have all features, in order, by numpy's own parser."""
    parts = []
    for path in inputs:
        text = Path(path).read_text()
        width = text[: text.index("\n")].count(":")
        parts.append(np.fromstring(text.replace(":", " "), sep=" ").reshape(-1, 1 + 2 * width))
    rows = np.concatenate(parts)
    return np.ascontiguousarray(rows[:, 2::2]), np.ascontiguousarray(rows[:, 0])


def loaded(inputs):
    rows = np.concatenate([np.load(path) for path in inputs])
    return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, -1])


def two_passes(X, y, weights):
    return X.T @ (X @ weights - y)


def one_pass(X, y, weights):
    gradient = np.zeros(len(weights))
    step = BLOCK_BYTES // (8 * len(weights))
    for first in range(0, len(y), step):
        block = X[first : first + step]
        gradient += (block @ weights - y[first : first + step]) @ block
    return gradient


def descend(inputs, read, gradient_of, iterations):
    """(weights, milliseconds of each step): weights out through pipes, gradients back."""
    context = get_context("fork")
    pipes = [context.Pipe() for _ in range(PROCESSES)]
    processes = [
        context.Process(target=serve, args=(half, read, gradient_of, theirs))
        for half, (_, theirs) in zip(halves(inputs), pipes, strict=True)
    ]
    for process in processes:
        process.start()
    shapes = [ours.recv() for ours, _ in pipes]

    def gradients_at(weights):
        for ours, _ in pipes:
            ours.send(weights)
        return [ours.recv() for ours, _ in pipes]

    found = steps(shapes, gradients_at, iterations)
    for ours, _ in pipes:
        ours.send(None)
    for process in processes:
        process.join()
    return found


def halves(inputs):
    return [inputs[each::PROCESSES] for each in range(PROCESSES)]


def steps(shapes, gradients_at, iterations):
    """(weights, milliseconds of each step) over data of these shapes, wherever it lies."""
    rows, weights, times = sum(shape[0] for shape in shapes), np.zeros(shapes[0][1]), []
    for iteration in range(1, iterations + 1):
        started = perf_counter()
        weights = weights - STEP / np.sqrt(iteration) * sum(gradients_at(weights)) / rows
        times.append(1e3 * (perf_counter() - started))
    return weights, times


def serve(inputs, read, gradient_of, pipe):
    X, y = read(inputs)
    pipe.send(X.shape)
    while (weights := pipe.recv()) is not None:
        pipe.send(gradient_of(X, y, weights))


def save(out, weights, times=None):
    (out / "answer").write_text(json.dumps([round(float(each), 6) + 0.0 for each in weights]))
    if times:
        (out / "figure.json").write_text(json.dumps(median(times[WARM_UP:])))


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
