"""numpy by hand: in one process, and in two that partition, spill and meet, without any network.

python on_numpy.py CASE OUT INPUT...
"""

import sys
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np

RECORD_BYTES, KEY_BYTES = 100, 10
PROCESSES = 2
SAMPLES = 1000
AT_ONCE_BYTES, RANGE_BYTES = 10_000_000, 12_000_000


def sort_in_one(out, inputs):
    records = np.concatenate([np.fromfile(path, np.uint8) for path in inputs])
    write_sorted(records.reshape(-1, RECORD_BYTES), out / "part-0")


def sort(out, inputs):
    """Both processes cut their files at one border; then each sorts one side and writes it."""
    in_two_steps(cut_at_border, sort_one_side, out, inputs, border_of(inputs))


def sort_within(out, inputs):
    """The same within 100 MB: so many ranges that one of them fits, each sorted by itself."""
    total = sum(size_bytes(path) for path in inputs)
    ranges = max(PROCESSES, -(-total // RANGE_BYTES))
    in_two_steps(cut_into_ranges, sort_ranges, out, inputs, borders_of(inputs, ranges))


def in_two_steps(first, second, out, inputs, plan):
    context = get_context("fork")
    for step in (first, second):
        running = [
            context.Process(target=step, args=(number, out, inputs, plan))
            for number in range(PROCESSES)
        ]
        for process in running:
            process.start()
        for process in running:
            process.join()
            if process.exitcode:
                sys.exit(f"a process ended with {process.exitcode}")


def border_of(inputs):
    return borders_of(inputs, PROCESSES)


def borders_of(inputs, ranges):
    """The keys that cut a sample into ranges of one size, as numbers of their first 8 bytes."""
    sample = np.concatenate([keys_of(first_records(path)) for path in inputs])
    return np.quantile(np.sort(sample), np.arange(1, ranges) / ranges, method="nearest")


def first_records(path):
    rows = np.fromfile(path, np.uint8, SAMPLES * RECORD_BYTES)
    return rows.reshape(-1, RECORD_BYTES)


def keys_of(rows):
    return np.ascontiguousarray(rows[:, :8]).view(">u8").ravel().astype(np.uint64)


def cut_at_border(number, out, inputs, border):
    for path in inputs[number::PROCESSES]:
        rows = np.fromfile(path, np.uint8).reshape(-1, RECORD_BYTES)
        right = keys_of(rows) >= border[0]
        rows[~right].tofile(out / f"spill-0-{Path(path).name}")
        rows[right].tofile(out / f"spill-1-{Path(path).name}")


def sort_one_side(number, out, inputs, _):
    spills = [out / f"spill-{number}-{Path(path).name}" for path in inputs]
    rows = np.concatenate([np.fromfile(spill, np.uint8) for spill in spills])
    for spill in spills:
        spill.unlink()
    write_sorted(rows.reshape(-1, RECORD_BYTES), out / f"part-{number}")


def cut_into_ranges(number, out, inputs, borders):
    with ExitStack() as stack:
        paths = [out / f"spill-{side:03}-{number}" for side in range(len(borders) + 1)]
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for path in inputs[number::PROCESSES]:
            for start in range(0, size_bytes(path), AT_ONCE_BYTES):
                rows = np.fromfile(path, np.uint8, AT_ONCE_BYTES, offset=start)
                rows = rows.reshape(-1, RECORD_BYTES)
                sides = np.searchsorted(borders, keys_of(rows), side="right")
                for side, file in enumerate(files):
                    file.write(rows[sides == side].tobytes())


def size_bytes(path):
    return Path(path).stat().st_size


def sort_ranges(number, out, _, borders):
    for side in range(number, len(borders) + 1, PROCESSES):
        spills = [out / f"spill-{side:03}-{each}" for each in range(PROCESSES)]
        rows = np.concatenate([np.fromfile(spill, np.uint8) for spill in spills])
        for spill in spills:
            spill.unlink()
        write_sorted(rows.reshape(-1, RECORD_BYTES), out / f"part-{side:03}")


def write_sorted(rows, path):
    """By the first 8 bytes as one number; where these are equal, the last 2 decide."""
    high = keys_of(rows)
    order = np.argsort(high, kind="stable")
    ordered = high[order]
    ties = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(ties):
        low = np.ascontiguousarray(rows[:, 8:KEY_BYTES]).view(">u2").ravel()
        order = np.lexsort((low, high))
    with Path(path).open("wb") as file:
        for start in range(0, len(order), 100_000):
            file.write(rows[order[start : start + 100_000]].data)


def sums_in_one(out, inputs):
    keys = np.concatenate([np.load(path) for path in inputs])
    values = np.concatenate([np.load(values_beside(path)) for path in inputs])
    save(out, 0, *summed(keys, values))


def sums(out, inputs):
    """Sum each half, cut it by parity of the key, meet, sum again."""
    in_two_steps(sum_half, sum_side, out, inputs, None)


def sum_half(number, out, inputs, _):
    mine = inputs[number::PROCESSES]
    keys = np.concatenate([np.load(path) for path in mine])
    values = np.concatenate([np.load(values_beside(path)) for path in mine])
    keys, values = summed(keys, values)
    for side in range(PROCESSES):
        chosen = keys % PROCESSES == side
        np.save(out / f"spill-{side}-{number}.keys.npy", keys[chosen])
        np.save(out / f"spill-{side}-{number}.values.npy", values[chosen])


def sum_side(number, out, _inputs, _):
    spills = [out / f"spill-{number}-{each}.keys.npy" for each in range(PROCESSES)]
    keys = np.concatenate([np.load(spill) for spill in spills])
    values = np.concatenate([np.load(values_beside(spill)) for spill in spills])
    save(out, number, *summed(keys, values))


def summed(keys, values):
    """(different keys in order, the sum of the values of each): sort, then add up the runs."""
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[starts], np.add.reduceat(values, starts)


def values_beside(path):
    return str(path).replace(".keys.", ".values.")


def save(out, number, keys, values):
    np.save(out / f"part-{number}.keys.npy", keys)
    np.save(out / f"part-{number}.values.npy", values)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
