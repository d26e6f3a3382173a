"""What is read from files: the journal, the event log, libsvm, the connection file, models,
manifests, parts.

A file may be damaged, half written, another program's, or edited by hand.
"""

import gzip
import json
import os
from dataclasses import asdict
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minimr as mr
from minimr.cluster.address import Address, read_address
from minimr.cluster.journal import IDENTITY, JOURNAL, Journal
from minimr.errors import BadRecord, CorruptData, MinimrError, NoCoordinator, UsageError
from minimr.formats.committer import MANIFEST, Manifest, read_manifest
from minimr.formats.journal import BadJournal, frame, header, scan
from minimr.formats.libsvm import read_libsvm
from minimr.formats.output import PartInfo, PartWriter
from minimr.formats.parts import read_part
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.formats.text import read_text
from minimr.observe.log import EventLog, read_log
from ml.model_file import read_model, write_model
from tests.fuzz.bad_bytes import DEEP, JSON_VALUES, bad_bytes, damaged, fuzz, judge, written


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "file"


READER_BYTES = 4 << 20
"""What a reader of large files may take for its buffers of 1 MiB, whatever is in the file."""


def judge_file(parse, path, data, allowed):
    path.write_bytes(data)
    return judge(parse, path, allowed, size_bytes=len(data), floor_bytes=READER_BYTES)


def with_fields(valid):
    """A JSON object with some fields replaced, added or left out, or another value, as bytes."""

    def change(fields, names):
        changed = {**valid, **fields}
        kept = {name: value for name, value in changed.items() if name not in names}
        return json.dumps(kept).encode(errors="surrogatepass")

    names = st.sampled_from(sorted(valid))
    changes = st.dictionaries(names | st.text(max_size=3), JSON_VALUES, min_size=1, max_size=2)
    changed = st.builds(change, changes, st.sets(names, max_size=1))
    return changed | JSON_VALUES.map(lambda value: json.dumps(value).encode())


# The journal

RECORDS = [["accepted", {"job": "job-1"}], ["map", ("job-1", 0), b"\0" * 600], ["closed", None]]
JOURNALS = [
    header("c1") + b"".join(frame(number, record) for number, record in enumerate(RECORDS)),
    header("c1") + b"".join(frame(number, record, 0) for number, record in enumerate(RECORDS)),
    header("c1"),
]


@fuzz
@given(data=bad_bytes(JOURNALS))
def test_journals(data):
    found = judge(scan, data, BadJournal)
    if found is not None and found.cluster == "c1":
        assert found.records == RECORDS[: len(found.records)]


@fuzz
@given(data=damaged([RECORDS[1][2], JOURNALS[0][20:]]), number=st.integers(0, 3))
def test_journals_with_any_record_under_a_right_checksum(data, number):
    judge(scan, header("c1") + frame(0, data) + frame(number, [data]), BadJournal)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The directory of a coordinator that has stopped."""
    home = tmp_path_factory.mktemp("home") / "journal"
    Journal.open(home).close()
    return home


IDENTITY_FIELDS = {"cluster": "c1", "token": "ab" * 32, "port": 4711, "epoch": 3}


@fuzz
@given(data=bad_bytes([json.dumps(IDENTITY_FIELDS).encode()]) | with_fields(IDENTITY_FIELDS))
def test_identities_of_coordinators(data, home):
    (home / JOURNAL).write_bytes(JOURNALS[0])
    (home / IDENTITY).write_bytes(data)
    with mock.patch.object(os, "fsync"):
        journal = judge(Journal.open, home, BadJournal, size_bytes=len(data))
    if journal is None:
        assert (home / JOURNAL).read_bytes() == JOURNALS[0]
    else:
        journal.close()
        assert (journal.records, journal.identity.cluster) == (RECORDS, "c1")


# The event log


def write_log(path):
    with EventLog(path, wall="2026-11-24T05:29:00+00:00") as log:
        log.append([{"t": 0.5, "event": "note", "job": "job-1", "text": "\ud800 é"}])
        log.append([{"t": 1, "event": "job_done", "counters": {"n": 1}}] * 2)


LOG = written(write_log)
FIRST_LINE = LOG[: LOG.index(b"\n") + 1]
EVENT = {"t": 0.5, "event": "note", "text": "x"}


@fuzz
@given(data=bad_bytes([LOG]) | with_fields(EVENT).map(lambda line: FIRST_LINE + line))
def test_event_logs(data, path):
    events = judge_file(lambda path: list(read_log(path)), path, data, BadRecord)
    for event in events or []:
        assert isinstance(event["event"], str)
        assert isinstance(event["t"], int | float)


@fuzz
@given(line=with_fields({"event": "log", "version": 1, "minimr": "0", "wall": ""}))
def test_first_lines_of_event_logs(line, path):
    judge_file(lambda path: list(read_log(path)), path, line + b"\n", BadRecord)


# Inputs

LINES = [
    b"1 1:0.5 3:-2e3\n0 2:1\n",
    b"# comment\n-1 qid:3 1:1 2:inf\n\n+1\t7:nan # tail\n",
    b"1 1:1 2:2 3:3\r\n" * 5,
]
NUMBERS = [
    b"1e999",
    b"9" * 5000,
    b"2147483648",
    b"00000000001",
    b"1_0",
    b"5000000",
    b"-0",
    b"\xd9\xa1",
]
LIBSVM_LIMIT_BYTES = 1 << 16


def columns(path):
    split = Split(str(path), 0, path.stat().st_size, 0)
    return read_libsvm(split, limit_bytes=LIBSVM_LIMIT_BYTES)


@fuzz
@given(data=bad_bytes(LINES))
def test_libsvm(data, path):
    block = judge_file(columns, path, data, BadRecord)
    assert block is None or block["X"].shape[0] == block["y"].shape[0]


@fuzz
@given(
    label=st.sampled_from(NUMBERS) | st.binary(max_size=4),
    features=st.lists(
        st.tuples(*[st.sampled_from([*NUMBERS, b"1", b"2"]) | st.binary(max_size=3)] * 2),
        max_size=3,
    ),
)
@example(label=b"1", features=[(b"5000000", b"1")])
def test_libsvm_with_odd_numbers(label, features, path):
    line = b" ".join([label, *(b":".join(each) for each in features)])
    judge_file(columns, path, LINES[0] + line + b"\n", BadRecord)


@fuzz
@given(data=st.binary(max_size=100), start=st.integers(0, 120), length=st.integers(0, 120))
def test_text(data, start, length, path):
    split = Split(str(path), start, length, 0)
    judge_file(lambda _: list(read_text(split)), path, data, BadRecord)


COMPRESSED = [gzip.compress(b"a line\n" * many, mtime=0) for many in (1, 400)]


@fuzz
@given(data=bad_bytes(COMPRESSED))
def test_compressed_text(data, path):
    path = path.with_suffix(".gz")
    split = Split(str(path), 0, WHOLE_FILE, 0)
    judge_file(lambda _: list(read_text(split)), path, data, BadRecord)


# The connection file

ADDRESS = asdict(Address("127.0.0.1", 4711, "ab" * 32, 99))


@fuzz
@given(data=bad_bytes([json.dumps(ADDRESS).encode()]) | with_fields(ADDRESS))
def test_connection_files(data, path):
    address = judge_file(read_address, path, data, NoCoordinator)
    assert address is None or isinstance(address.secret, bytes)


# Models

MODEL_FIELDS = {"weights": [0.5, -1.0], "intercept": 2.0, "loss_history": [1.0, 0.25]}
MODEL = written(lambda path: write_model(path, MODEL_FIELDS))
ODD_NUMBERS = st.sampled_from([10**400, -(10**400), True, None, "1", float("nan"), float("inf"), 7])


@fuzz
@given(data=bad_bytes([MODEL]) | with_fields(json.loads(MODEL)))
def test_models(data, path):
    fields = judge_file(read_model, path, data, mr.UsageError)
    if fields is not None:
        numbers = [*fields["weights"], *fields["loss_history"], fields["intercept"]]
        assert all(abs(float(number)) < float("inf") for number in numbers)


@fuzz
@given(weights=st.lists(ODD_NUMBERS, max_size=2), intercept=ODD_NUMBERS)
def test_models_with_odd_numbers(weights, intercept, path):
    fields = {**json.loads(MODEL), "weights": weights, "intercept": intercept}
    found = judge_file(read_model, path, json.dumps(fields).encode(), mr.UsageError)
    assert (found is None) != all(number == 7 for number in [*weights, intercept])


# Outputs

PART = PartInfo("part-00000", 2, 10, "ab" * 32, ("str", "int|null"))
MANIFEST_TEXT = Manifest("text", (PART,), {"words": 3}).to_json()


@fuzz
@given(
    data=bad_bytes([MANIFEST_TEXT.encode()])
    | with_fields(json.loads(MANIFEST_TEXT))
    | with_fields(PART.to_dict()).map(lambda part: b'{"parts": [' + part + b'], "format": "text"}')
)
def test_manifests(data, path):
    path = path.with_name(MANIFEST)
    judge_file(lambda path: read_manifest(path.parent), path, data, CorruptData)


PAIRS = [("a", 1), ("b", None), ("c", 2.5), ("d", [1, {"k": 2}])]
KINDS = [("str", "int"), ("int|float", "str"), ("json", "json"), ("bytes", "null"), ("bool", "")]


def part(output_format):
    def write(path):
        with PartWriter(output_format, path) as writer:
            for key, value in PAIRS:
                writer.write(key, value)
            writer.close()

    return written(write)


PARTS = {name: part(name) for name in ("text", "jsonl", "msgpack")}


@fuzz
@given(
    part=st.sampled_from(sorted(PARTS)).flatmap(
        lambda name: st.tuples(st.just(name), bad_bytes([PARTS[name]]))
    ),
    kinds=st.sampled_from(KINDS),
)
def test_parts(part, kinds, path):
    output_format, data = part
    allowed = (CorruptData, BadRecord)
    judge_file(lambda path: list(read_part(path, output_format, kinds)), path, data, allowed)


JSON_READERS = {
    "log": (lambda path: list(read_log(path)), BadRecord),
    "jsonl": (lambda path: list(read_part(path, "jsonl", ("str", "str"))), CorruptData),
    "text": (lambda path: list(read_part(path, "text", ("json", "json"))), CorruptData),
    "model": (read_model, UsageError),
    "address": (read_address, NoCoordinator),
    "manifest": (
        lambda path: read_manifest(path.rename(path.with_name(MANIFEST)).parent),
        CorruptData,
    ),
}


@pytest.mark.parametrize("data", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("reader", list(JSON_READERS))
def test_json_that_is_nested_without_end(reader, data, path):
    parse, allowed = JSON_READERS[reader]
    assert judge_file(parse, path, data, allowed) is None


@pytest.mark.parametrize("data", DEEP.values(), ids=DEEP)
def test_an_identity_that_is_nested_without_end(data, home):
    (home / IDENTITY).write_bytes(data)
    assert judge(Journal.open, home, BadJournal, size_bytes=len(data)) is None


@pytest.mark.parametrize("name", [os.sep, "\0", "x" * 300])
def test_paths_that_cannot_be_read_are_our_errors_too(name, tmp_path):
    for parse in (read_address, read_model):
        judge(parse, tmp_path / name, MinimrError, size_bytes=100)
