"""Workers die during a training, and no byte of the weights changes."""

import os
import signal
from pathlib import Path

import pytest

import minimr as mr
from ml import LinearRegressionWithSGD, load_libsvm

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "sample_linear_regression_data.txt"
SETTINGS = {"iterations": 30, "step": 0.1, "intercept": True, "convergenceTol": 0.0}


def trained(workers, kills=()):
    """Weights, intercept and losses; at each iteration in `kills` a worker dies by SIGKILL."""
    with mr.Cluster(workers) as cluster:
        training, _ = load_libsvm(DATA, partitions=8, cluster=cluster).random_split([0.6, 0.4], 17)

        def kill(iteration, loss, weights):
            if iteration in kills:
                os.kill(cluster.worker_pids[0], signal.SIGKILL)

        model = LinearRegressionWithSGD.train(training, **SETTINGS, callback=kill)
    return model.weights.tobytes(), model.intercept, list(model.loss_history)


@pytest.fixture(scope="module")
def undisturbed():
    return trained(2)


@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers_changes_no_byte(undisturbed, workers):
    assert trained(workers) == undisturbed


@pytest.mark.parametrize("workers", [1, 2])
def test_kills_change_no_byte(undisturbed, workers):
    """The partitions of the split, a dataset derived from another, are made again each time."""
    assert trained(workers, kills={3, 9, 20}) == undisturbed
