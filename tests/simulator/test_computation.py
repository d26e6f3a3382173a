import pytest

from minimr.simulator.computation import Broken, sequential
from minimr.simulator.jobs import JobChoice, code_of, text, trail


def test_the_reference_reads_every_map_once_and_in_order() -> None:
    code = trail(4, 3)
    outputs = [code.map(index) for index in range(4)]
    right = [code.reduce(r, [each.segments[r] for each in outputs]).data for r in range(3)]
    reference = sequential(code, {}, 0)
    assert reference is not None
    assert [part.data for part in reference.parts] == right
    assert reference.counters == {"lines": 12, "words": 12}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda segments: segments[1:],
        lambda segments: [segments[0], *segments],
        lambda segments: segments[::-1],
        lambda segments: [segments[1], *segments[1:]],
    ],
    ids=["one is missing", "one comes twice", "another order", "one stands for another"],
)
def test_a_mistake_of_the_scheduler_changes_the_bytes(wrong) -> None:
    code = trail(4, 3)
    segments = [code.map(index).segments[0] for index in range(4)]
    assert code.reduce(0, wrong(segments)).data != code.reduce(0, segments).data


def test_a_task_is_run_once_and_remembered() -> None:
    code = trail(4, 3)
    assert code.map(2) is code.map(2)
    segments = [code.map(index).segments[0] for index in range(4)]
    assert code.reduce(0, segments) is code.reduce(0, list(segments))


def test_a_poisoned_record_fails_its_task_at_its_position() -> None:
    code = trail(4, 3, poisoned=2)
    with pytest.raises(Broken) as caught:
        code.map(2)
    assert caught.value.failure.reason == "user"
    assert caught.value.failure.position == code.first_record(2)
    assert sequential(code, {}, 0) is None


def test_a_poisoned_record_and_a_killer_are_skipped_alike() -> None:
    poisoned = trail(4, 3, poisoned=2, skip_max=1)
    healthy = trail(4, 3, skip_max=1)
    killers = {2: healthy.first_record(2)}
    skipping, leaving = sequential(poisoned, {}, 1), sequential(healthy, killers, 1)
    assert skipping is not None
    assert leaving is not None
    assert [part.data for part in skipping.parts] == [part.data for part in leaving.parts]
    assert sequential(healthy, {}, 1) != leaving


def test_positions_do_not_name_the_temporary_directory() -> None:
    assert trail(4, 3).first_record(0) == "input-4:0"


def test_a_named_job_runs_over_lines_of_its_own_or_over_files(tmp_path) -> None:
    choice = JobChoice("wordcount")
    counted = sequential(code_of(choice, 3, 2, 0), {}, 0)
    assert counted is not None
    assert len(counted.parts) == 2
    path = tmp_path / "words.txt"
    path.write_text(text(9, 3), "utf-8")
    same = sequential(code_of(JobChoice("wordcount", (), (str(path),)), 3, 2, 0), {}, 0)
    assert same is not None
    assert [part.data for part in same.parts] == [part.data for part in counted.parts]
