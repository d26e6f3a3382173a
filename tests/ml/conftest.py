"""The clusters that the learning tests run on: a fake one, and real ones with 1, 2, 4 workers.

`every_cluster` is for what the number of workers could break; `cluster`, with one real cluster
beside the fake, for what a wire could break.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

import minimr as mr
from tests.ml.fakes import FakeCluster

SAMPLE = Path(__file__).parent / "sample_linear_regression_data.txt"
WORKERS = {"fake": 0, "1-worker": 1, "2-workers": 2, "4-workers": 4}


@pytest.fixture(scope="session")
def start_cluster():
    """Gives the cluster of that name; each is started when first asked for, and only once."""
    started = {"fake": FakeCluster()}
    with ExitStack() as stack:

        def start(name):
            if name not in started:
                started[name] = stack.enter_context(mr.Cluster(workers=WORKERS[name]))
            return started[name]

        yield start


@pytest.fixture(params=WORKERS)
def every_cluster(request, start_cluster):
    return start_cluster(request.param)


@pytest.fixture(params=["fake", "2-workers"])
def cluster(request, start_cluster):
    return start_cluster(request.param)
