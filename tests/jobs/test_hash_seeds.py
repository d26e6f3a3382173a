"""A built-in job's map leaves the same bytes whatever order Python's sets have in its process.

A map that runs again, elsewhere, must leave what it left before, or the job fails as impure.
"""

import json
import os
import subprocess
import sys

import pytest

from minimr.jobs import BUILT_IN

SEEDS = ("0", "1", "4242")


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What each form of each job left, by seed. All seeds at once, each in one process."""
    folder = tmp_path_factory.mktemp("seeds")
    started = {
        seed: subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.map_digests", str(folder / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in SEEDS
    }
    return {seed: json.loads(process.communicate()[0]) for seed, process in started.items()}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_map_leaves_the_same_bytes_with_every_seed(left, name):
    forms = [form for form in left[SEEDS[0]] if form in (name, f"{name}-by-record")]
    assert forms
    for form in forms:
        assert len({left[seed][form][0] for seed in SEEDS}) == 1, form
        assert left[SEEDS[0]][form][1] > 1, f"{form} did not spill"
