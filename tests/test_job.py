import subprocess
import sys
from enum import Enum

import numpy as np
import pytest

import minimr as mr
from minimr.job import Job


def test_a_job_that_overrides_nothing_passes_everything_through():
    job = Job()
    assert list(job.map("k", "v")) == [("k", "v")]
    assert list(job.reduce("k", iter([1, 2]))) == [("k", 1), ("k", 2)]
    assert job.partition("k", 4) is None
    assert job.combine is None
    assert job.map_block is None


def test_runtime_attributes_are_neutral_before_a_task_sets_them():
    job = Job()
    assert (job.state, job.partition_index, job.input_index, job.input_path) == (None, 0, 0, "")


def test_counters_add_up_and_belong_to_one_instance():
    job, other = Job(), Job()
    job.count("lines")
    job.count("lines", 4)
    job.count("words", 0)
    assert job.counters == {"lines": 5, "words": 0}
    assert other.counters == {}


def test_a_counter_takes_whole_numbers_of_numpy_too():
    job = Job()
    job.count("rows", np.int64(3))
    assert job.counters == {"rows": 3}
    assert type(job.counters["rows"]) is int


class Kind(str, Enum):  # noqa: UP042
    BAD = "bad lines"


@pytest.mark.parametrize("name", [Kind.BAD, np.str_("bad lines")], ids=repr)
def test_the_name_of_a_counter_may_be_a_member_of_an_enum(name):
    job = Job()
    job.count(name)
    assert [*map(type, job.counters)] == [str]
    assert job.counters == {"bad lines": 1}


@pytest.mark.parametrize("n", [0.5, np.float64(1), float("nan"), "1", None, [1]], ids=repr)
def test_a_counter_refuses_what_is_no_whole_number(n):
    with pytest.raises(TypeError, match="counts whole numbers"):
        Job().count("rows", n)


@pytest.mark.parametrize("name", [7, None, ("a", "b"), b"rows"], ids=repr)
def test_the_name_of_a_counter_is_a_text(name):
    with pytest.raises(TypeError, match="name of a counter"):
        Job().count(name)


def test_an_aggregate_does_not_bind_to_the_job():
    class Total(mr.Job):
        combine = reduce = mr.Sum()

    assert list(Total().reduce("k", iter([1, 2, 3]))) == [("k", 6)]


@pytest.mark.parametrize(
    ("combine", "reduce"),
    [
        (mr.Sum(), mr.Max()),
        (mr.Mean(), mr.Sum()),
        (mr.Sum(), mr.Count()),
        (mr.TopK(2), mr.TopK(3)),
    ],
)
def test_aggregates_that_would_misread_each_other_are_refused(combine, reduce):
    job_class = type("Mixed", (Job,), {"combine": combine, "reduce": reduce})
    with pytest.raises(mr.UsageError, match=r"Mixed: .* does not go with reduce"):
        job_class()


@pytest.mark.parametrize(
    ("combine", "reduce"),
    [(mr.Mean(), mr.Mean()), (mr.Count(), mr.Sum()), (None, mr.Mean()), (mr.TopK(2), mr.TopK(2))],
)
def test_aggregates_that_agree_are_taken(combine, reduce):
    type("Agreeing", (Job,), {"combine": combine, "reduce": reduce})()


def test_the_control_path_does_not_load_numpy():
    modules = "minimr.job, minimr.block, minimr.shuffle.codec, minimr.tasks.spec"
    program = f"import sys, {modules}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
