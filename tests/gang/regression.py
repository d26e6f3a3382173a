"""A small least-squares problem, trained through a parameter server and by plain numpy."""

import numpy as np

import minimr as mr

PARTITIONS, WIDTH, CLOCKS = 7, 11, 4
START = np.linspace(-1, 1, WIDTH)


def _rows(partition):
    chance = np.random.default_rng(partition)
    return chance.normal(size=(20, WIDTH)), chance.normal(size=20)


DATA = [_rows(partition) for partition in range(PARTITIONS)]


def sums(parameters, partition):
    """Gradient, loss, rows."""
    X, y = DATA[partition]
    residual = X @ parameters - y
    return np.concatenate([X.T @ residual, [residual @ residual, len(y)]])


def update(parameters, gradient, tail, memory, step, keys):
    """Momentum, with a step that shrinks."""
    memory = np.zeros_like(parameters) if memory is None else memory
    memory = 0.9 * memory + gradient / tail[1]
    return parameters - 0.05 / np.sqrt(step + 1) * memory, memory


def alone():
    """(parameters, tails) of one process that adds up the partitions in their order."""
    parameters, memory, tails = START.copy(), None, []
    for step in range(CLOCKS):
        first, *others = (sums(parameters, partition) for partition in range(PARTITIONS))
        for each in others:
            first += each
        tails.append(first[WIDTH:].tolist())
        parameters, memory = update(
            parameters, first[:WIDTH], first[WIDTH:], memory, step, slice(0, WIDTH)
        )
    return parameters, tails


def training(staleness):
    """What each member runs."""

    def program(members):
        server = mr.ParameterServer(members, START, update, staleness)
        rank, size = members.rank, members.size
        mine = range(rank * PARTITIONS // size, (rank + 1) * PARTITIONS // size)
        for clock in range(server.clock, CLOCKS):
            parameters = server.read(clock)
            server.push(clock, {each: sums(parameters, each) for each in mine})
        final = server.finish(CLOCKS)
        return final, [each.tolist() for each in server.tails], server.staleness_of_updates

    return program
