"""No attempt sees what another one has done to its options or its state, on any runner."""

import numpy as np
import pytest

import minimr as mr


class Marking(mr.Job):
    """Each attempt tells how many records before were noted where it can write, itself included."""

    notes: list
    deep: dict
    mine: list = []  # noqa: RUF012 - as users may write it

    def map(self, offset, line):
        yield "map", self._noted()

    def reduce(self, key, values):
        yield key, list(values)
        yield "reduce", self._noted()

    def map_block(self, block):
        yield self.partition_index, (self._noted(), self._noted_in(self.state["notes"]))

    def _noted(self):
        return [self._noted_in(each) for each in (self.notes, self.deep["a"][0], self.mine)]

    def _noted_in(self, notes):
        notes.append(len(notes))
        return len(notes)


class MarkingLines(Marking):
    map_block = None


@pytest.fixture(scope="module")
def cluster():
    with mr.Cluster(1) as each:
        yield each


def marking(kind):
    return kind(notes=[], deep={"a": ([],)})


@pytest.fixture(params=["serial", "cluster"])
def run(request, cluster):
    def run(job, inputs):
        if request.param == "serial":
            return mr.run(job, inputs, runner="serial", reducers=2)
        return cluster.run(job, inputs, reducers=2)

    return run


def test_the_attempts_of_a_job(run, tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for path in paths:
        path.write_text("one line\n")
    job = marking(MarkingLines)
    assert dict(run(job, paths)) == {"map": [[1, 1, 1]] * 3, "reduce": [1, 1, 1]}
    assert job.options() == marking(MarkingLines).options()


def test_the_attempts_of_rounds(cluster, tmp_path):
    path = tmp_path / "numbers.libsvm"
    path.write_text("".join(f"{row} 1:{row}\n" for row in range(100)))
    state = {"notes": []}
    with cluster.load(path, "libsvm", partitions=4) as dataset:
        for _ in range(2):
            found = dataset.round(marking(Marking), state, reducers=0)
            assert found == [(index, ([1, 1, 1], 1)) for index in range(4)]
    assert state == {"notes": []}


class AddingUp(mr.Job):
    """Changes what it was given, a number in an array."""

    sums: list

    def map(self, offset, line):
        self.sums[0] += 1
        yield 0, float(self.sums[0][0])


def test_an_array_cannot_be_changed(run, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("one line\n")
    sums = np.zeros(2)
    with pytest.raises(mr.JobFailed, match="read-only"):
        run(AddingUp(sums=[sums]), [path])
    assert not sums.any()
