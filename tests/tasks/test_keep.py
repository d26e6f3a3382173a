import numpy as np
import pytest

import minimr as mr
from minimr.tasks.failure import TaskFailed
from minimr.tasks.resident import open_resident

from .running import emitted, map_once, text_input

ROWS = "1 1:2 2:3\n0 1:4\n1 2:5\n"


class Libsvm(mr.Job):
    input_format = "libsvm"


def kept(job_class, source, folder, index=0):
    path = folder / f"partition-{index}"
    result = map_once(job_class, source, folder, index, keep=str(path))
    assert result.path == str(path)
    assert (result.segments, result.digest) == (None, None)
    assert result.bytes_out == path.stat().st_size
    return result, {"kind": "resident", "path": str(path)}


def test_columns_are_kept_as_a_block(tmp_path):
    result, source = kept(Libsvm, text_input(tmp_path, ROWS), tmp_path)
    block = open_resident(source["path"]).block
    assert block["X"].tolist() == [[2.0, 3.0], [4.0, 0.0], [0.0, 5.0]]
    assert block["y"].tolist() == [1.0, 0.0, 1.0]
    assert (result.records_in, result.records_out) == (3, 3)


def test_a_kept_block_can_be_transformed_and_kept_again(tmp_path):
    class Positive(mr.Job):
        def map_block(self, block):
            self.count("seen", len(block))
            return block.take(block["y"] > 0)

    _, source = kept(Libsvm, text_input(tmp_path, ROWS), tmp_path)
    result, source = kept(Positive, source, tmp_path, 1)
    assert open_resident(source["path"]).block["X"].tolist() == [[2.0, 3.0], [0.0, 5.0]]
    assert (result.records_in, result.records_out, result.counters) == (3, 2, {"seen": 3})


def test_records_are_kept_in_their_order(tmp_path):
    _, source = kept(mr.Job, text_input(tmp_path, "b\na\nb\n"), tmp_path)
    assert list(open_resident(source["path"]).pairs()) == [(0, "b"), (2, "a"), (4, "b")]


def test_many_records_are_kept_in_their_order(tmp_path):
    text = "".join(f"{n}\n" for n in range(10_000))
    result, source = kept(mr.Job, text_input(tmp_path, text), tmp_path)
    lines = [line for _, line in open_resident(source["path"]).pairs()]
    assert lines == text.split()
    assert result.records_out == 10_000


def test_kept_records_are_mapped_like_those_of_a_file(tmp_path):
    class Lines(mr.Job):
        def map(self, key, line):
            yield line, key

    text = text_input(tmp_path, "b\na\nb\n")
    _, resident = kept(mr.Job, text, tmp_path)
    from_file = map_once(Lines, text, tmp_path, 1)
    from_memory = map_once(Lines, resident, tmp_path, 2)
    assert emitted(from_memory) == emitted(from_file)
    assert from_memory.records_in == 3


def test_text_may_be_parsed_into_columns(tmp_path):
    class Numbers(mr.Job):
        def map_block(self, block):
            return mr.Block({"n": np.array(block.text().split(), float)})

    _, source = kept(Numbers, text_input(tmp_path, "1\n2.5\n"), tmp_path)
    assert open_resident(source["path"]).block["n"].tolist() == [1.0, 2.5]


def test_an_empty_input_is_kept_as_no_records(tmp_path):
    result, source = kept(mr.Job, text_input(tmp_path, ""), tmp_path)
    assert list(open_resident(source["path"]).pairs()) == []
    assert result.records_out == 0


def test_records_and_a_job_with_only_map_block_do_not_go_together(tmp_path):
    class OnlyBlocks(mr.Job):
        def map_block(self, block):
            yield "never", block

    _, source = kept(mr.Job, text_input(tmp_path, "a\n"), tmp_path)
    with pytest.raises(TaskFailed, match="its input has records, not blocks"):
        map_once(OnlyBlocks, source, tmp_path, 1)


def test_kept_pairs_are_checked_like_all_others(tmp_path):
    class Mixed(mr.Job):
        def map(self, _offset, line):
            yield (line if line == "a" else 1), line

    with pytest.raises(TaskFailed, match="a stage must keep to one kind"):
        kept(Mixed, text_input(tmp_path, "a\nb\n"), tmp_path)
    assert not (tmp_path / "partition-0").exists()
