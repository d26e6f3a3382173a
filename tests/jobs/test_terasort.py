"""terasort, by records and by blocks, against sorted()."""

import pytest

import minimr as mr
from minimr.formats.terasort import write_terasort
from minimr.jobs.terasort import TeraSort


class ByRecords(TeraSort):
    map_block = None


def content(folder):
    return [part.read_bytes() for part in sorted(folder.glob("part-*"))]


def expected(data, width, key_bytes):
    records = [data[start : start + width] for start in range(0, len(data), width)]
    return b"".join(sorted(records, key=lambda record: record[:key_bytes]))


@pytest.mark.parametrize("job", [TeraSort, ByRecords])
@pytest.mark.parametrize(("width", "key_bytes"), [(100, 10), (100, 100), (4, 1), (1, 1)])
def test_parts_are_the_sorted_records(tmp_path, job, width, key_bytes):
    path = tmp_path / "records"
    write_terasort(path, 3_000)
    options = {"record_bytes": width, "key_bytes": key_bytes}
    mr.run(job, [path], tmp_path / "out", runner="serial", reducers=3, options=options)
    assert b"".join(content(tmp_path / "out")) == expected(path.read_bytes(), width, key_bytes)


def test_by_records_and_by_blocks_the_parts_are_the_same(tmp_path):
    path = tmp_path / "records"
    write_terasort(path, 5_000)
    for name, job in (("records", ByRecords), ("blocks", TeraSort)):
        mr.run(job, [path], tmp_path / f"out-{name}", runner="serial", reducers=4)
    assert content(tmp_path / "out-records") == content(tmp_path / "out-blocks")


def test_little_memory_changes_nothing(tmp_path):
    path = tmp_path / "records"
    write_terasort(path, 60_000)
    for name, memory_bytes in (("little", 1_000_000), ("much", 256 << 20)):
        mr.run(
            TeraSort, [path], tmp_path / name, runner="serial", reducers=3,
            memory_bytes=memory_bytes,
        )  # fmt: skip
    assert content(tmp_path / "little") == content(tmp_path / "much")


def test_the_result_reads_back_as_keys_and_rests(tmp_path):
    path = tmp_path / "records"
    write_terasort(path, 50)
    result = mr.run(TeraSort, [path], tmp_path / "out", runner="serial")
    data = expected(path.read_bytes(), 100, 10)
    assert [key + rest for key, rest in result] == [
        data[start : start + 100] for start in range(0, len(data), 100)
    ]


def test_a_key_must_lie_in_its_record():
    with pytest.raises(mr.UsageError, match="A key of 11 bytes cannot lie in a record of 10"):
        TeraSort(record_bytes=10, key_bytes=11)


def test_a_file_of_another_size_is_refused_before_any_work(tmp_path):
    (tmp_path / "a").write_bytes(bytes(250))
    with pytest.raises(mr.UsageError, match="250 bytes, which is no multiple of the record size"):
        mr.run(TeraSort, [tmp_path / "a"], tmp_path / "out", runner="serial")
    assert not (tmp_path / "out").exists()
