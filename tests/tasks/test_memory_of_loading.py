"""A slot that loads or transforms a partition needs no room for copies of it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minimr as mr
from minimr.tasks.resident import store_block

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="Linux tells it in /proc"
)

ROOT = Path(__file__).parents[2]
ROWS, COLUMNS = 500_000, 20
X_BYTES = 8 * ROWS * COLUMNS
TAKEN = """
import sys
from pathlib import Path

import minimr as mr
from minimr.formats.splits import Split
from minimr.tasks.resident import open_resident
from ml.labeled_data import NarrowJob, SplitJob
from ml.scaling import ScaleJob
from tests.tasks.running import map_once

folder, data_format = Path(sys.argv[1]), sys.argv[2]

class Load(mr.Job):
    input_format = data_format

class Halves(SplitJob):
    seed, low, high = 17, 0.0, 0.5

class Scaled(ScaleJob):
    shifts, factors = [0.0] * 20, [2.0] * 20

TRANSFORMS = {"float32": NarrowJob, "half": Halves, "scaled": Scaled}

def peak_bytes():
    # Not getrusage: what that tells after an exec is at least what the parent had.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10

def keep(name):
    path = folder / name
    own = folder / f"{data_format} of {name}"
    own.mkdir()
    if data_format in TRANSFORMS:
        # The pages of the partition are there, whoever maps them.
        open_resident(str(path)).block["X"].sum()
        job, source = TRANSFORMS[data_format], {"kind": "resident", "path": str(path)}
    else:
        job, source = Load, Split(str(path), 0, path.stat().st_size, 0).to_dict()
    before = peak_bytes()
    map_once(job, source, own, keep=str(own / "partition"))
    return peak_bytes() - before

keep("few")
print(keep("many"))
"""


def taken_bytes(folder: Path, data_format: str) -> int:
    """What a process takes at its peak to load the file `many`, after it has loaded `few`."""
    for path in (folder / "few", folder / "many"):
        os.utime(path, (1e9, 1e9))  # old enough that a copy is kept of what is parsed
    done = subprocess.run(
        [sys.executable, "-c", TAKEN, str(folder), data_format],
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


@pytest.mark.parametrize("data_format", ["npy", "npy:3"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_npy_takes_a_few_pieces(tmp_path, dtype, data_format):
    for name, rows in (("few", 10), ("many", ROWS)):
        with (tmp_path / name).open("wb") as file:
            np.save(file, np.ones((rows, COLUMNS + 1), dtype))
    assert taken_bytes(tmp_path, data_format) < X_BYTES / 2


@pytest.mark.parametrize(
    ("transform", "of_the_data"), [("float32", 1 / 4), ("scaled", 1 / 2), ("half", 3 / 4)]
)
def test_a_transform_takes_a_few_pieces_and_the_rows_that_it_picks(
    tmp_path, transform, of_the_data
):
    for name, rows in (("few", 10), ("many", ROWS)):
        store_block(tmp_path / name, mr.Block({"X": np.ones((rows, COLUMNS)), "y": np.ones(rows)}))
    assert taken_bytes(tmp_path, transform) < of_the_data * X_BYTES


@pytest.mark.parametrize(
    ("data_format", "line"),
    [
        ("libsvm", "1 " + " ".join(f"{column + 1}:0.5" for column in range(COLUMNS))),
        ("csv", ",".join(["0.5"] * (COLUMNS + 1))),
    ],
    ids=["libsvm", "csv"],
)
def test_text_takes_its_numbers_once(tmp_path, data_format, line):
    for name, rows in (("few", 10), ("many", ROWS)):
        (tmp_path / name).write_text((line + "\n") * rows)
    assert taken_bytes(tmp_path, data_format) < 2 * X_BYTES
    assert len(list((tmp_path / "cache" / "minimr" / "parsed").iterdir())) == 1
