"""The generator of the sort benchmark's records."""

import pytest

from minimr.errors import MinimrError
from minimr.formats import terasort
from minimr.formats.terasort import terasort_rows, write_terasort


def records_of(path):
    data = path.read_bytes()
    return [data[start : start + 100] for start in range(0, len(data), 100)]


def test_a_record_has_its_number_a_letter_and_a_line_end(tmp_path):
    assert write_terasort(tmp_path / "a", 30) == 3000
    for number, record in enumerate(records_of(tmp_path / "a")):
        letter = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 26 : number % 26 + 1]
        assert record[10:] == b"%020d" % number + 68 * letter + b"\r\n"


def test_keys_look_random_and_hardly_repeat(tmp_path):
    write_terasort(tmp_path / "a", 20_000)
    keys = [record[:10] for record in records_of(tmp_path / "a")]
    assert len(set(keys)) == len(keys)
    for place in range(10):
        mean = sum(key[place] for key in keys) / len(keys)
        assert 125 < mean < 130  # 127.5 with a standard deviation of 0.52


def test_keys_are_the_published_outputs_of_splitmix64():
    """Two outputs a key, little-endian: a file of today must equal one of tomorrow."""
    keys = [row.tobytes()[:10] for row in terasort_rows(0, 2, seed=0)]
    outputs = [number.to_bytes(8, "little") for number in SPLITMIX64_OF_0]
    assert keys == [outputs[0] + outputs[1][:2], outputs[2] + outputs[3][:2]]
    assert terasort_rows(0, 1, seed=1).tobytes() != terasort_rows(0, 1, seed=0).tobytes()


SPLITMIX64_OF_0 = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]


@pytest.mark.parametrize("ascii", [False, True])
def test_the_size_of_the_chunks_does_not_matter(tmp_path, monkeypatch, ascii):
    write_terasort(tmp_path / "whole", 1_000, seed=3, ascii=ascii)
    monkeypatch.setattr(terasort, "CHUNK_RECORDS", 7)
    write_terasort(tmp_path / "chunks", 1_000, seed=3, ascii=ascii)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "chunks").read_bytes()


def test_a_longer_file_begins_with_the_shorter_one(tmp_path):
    write_terasort(tmp_path / "short", 10)
    write_terasort(tmp_path / "long", 20)
    assert (tmp_path / "long").read_bytes().startswith((tmp_path / "short").read_bytes())


def test_ascii_records_are_lines(tmp_path):
    write_terasort(tmp_path / "a", 5_000, ascii=True)
    lines = (tmp_path / "a").read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert set(map(len, lines)) == {99}
    characters = set().union(*(line[:10] for line in lines))
    assert characters == set(range(32, 127))


def test_no_records_make_an_empty_file(tmp_path):
    assert write_terasort(tmp_path / "a", 0) == 0
    assert (tmp_path / "a").read_bytes() == b""


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(MinimrError, match=r"Cannot write the file .*gone/a"):
        write_terasort(tmp_path / "gone" / "a", 5)


def test_numbers_of_many_digits():
    assert terasort_rows(12_345_678_901_234, 1)[0, 10:30].tobytes() == b"00000012345678901234"
