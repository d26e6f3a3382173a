"""What a task of 16 MB really takes, as the operating system counts it.

`make soak` also measures the forms in between: combined records, and columns of one key.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells it in /proc"),
]

MEMORY_BYTES = 16 << 20
SLACK_BYTES = 60 << 20
"""What Python keeps beside: its arenas, imports, blocks on their way."""

TASK = """
import json, sys
from pathlib import Path

import minimr as mr
from minimr.errors import MinimrError
from minimr.formats.splits import Split
from minimr.shuffle.segments import MapOutputFile, read_segment_bytes
from minimr.tasks.map_task import run_map
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, files_output

folder, memory_bytes = Path(sys.argv[1]), int(sys.argv[2])

{job}

def peak():
    # Not getrusage: what that tells after an exec is at least what the parent had.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024

def run(name, job_class, text, maps=1):
    source = folder / f"{{name}}.txt"
    if text is not None:
        source.write_bytes(text)
    own = folder / name
    own.mkdir()
    spec = JobSpec(partitions=1, memory_bytes=memory_bytes, output=files_output(own, "text"))
    split = Split(str(source), 0, source.stat().st_size, 0).to_dict()
    segments = []
    for index in range(maps):
        directory = own / f"map-{{index}}"
        directory.mkdir()
        done = run_map(spec.new_job(job_class), spec.map_task(index, split), directory)
        segments.append(
            read_segment_bytes(done.segments[0]) if done.path is None
            else MapOutputFile(Path(done.path)).read_segment(0)
        )
    after_map = peak()
    done = run_reduce(spec.new_job(job_class), spec.reduce_task(0), segments, False)
    return after_map, peak(), done

class Nothing(Task):
    def map(self, offset, line):
        return ()
    map_block = None

run("warm", Nothing, b"x\\n")
base = peak()
after_map, after_reduce, done = run("task", Task, None, maps={maps})
print(json.dumps([after_map - base, after_reduce - base]))
"""


def measured(folder, job, text=b"x\n", maps=2):
    """Run map tasks and a reduce task; return the peaks in MiB, and the part they wrote.

    The first peak is that of the maps, the second that of all tasks.
    """
    (folder / "task.txt").write_bytes(text)
    script = TASK.format(job=dedent(job), maps=maps)
    command = [sys.executable, "-c", script, str(folder), str(MEMORY_BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (part,) = [path for path in (folder / "task").iterdir() if path.is_file()]
    return [bytes_ / (1 << 20) for bytes_ in json.loads(done.stdout)], part


MB = 1 << 20
ALLOWED = (MEMORY_BYTES + SLACK_BYTES) / MB


def lines_of(part):
    with part.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            yield line.rstrip("\n").split("\t")


MANY_KEYS = """
class Task(mr.Job):
    reduce = mr.Sum()
    def map(self, offset, line):
        yield from ((n * 7919 % 300_007, 1) for n in range(300_000))
"""
MANY_KEYS_COMBINED = MANY_KEYS.replace("reduce = mr.Sum()", "combine = reduce = mr.Sum()")
MANY_KEYS_IN_COLUMNS = """
import numpy as np
class Task(mr.Job):
    combine = reduce = mr.Sum()
    def map_block(self, block):
        for start in range(0, 300_000, 50_000):
            n = np.arange(start, start + 50_000)
            yield mr.Pairs(n * 7919 % 300_007, np.ones(50_000, np.int64))
"""


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(MANY_KEYS, id="plain"),
        pytest.param(MANY_KEYS_COMBINED, id="combined", marks=pytest.mark.soak),
        pytest.param(MANY_KEYS_IN_COLUMNS, id="columns"),
    ],
)
def test_many_keys(tmp_path, job):
    took, part = measured(tmp_path, job)
    wanted = sorted(n * 7919 % 300_007 for n in range(300_000))
    assert [(int(key), value) for key, value in lines_of(part)] == [(key, "2") for key in wanted]
    assert max(took) < ALLOWED, took


ONE_KEY = """
class Task(mr.Job):
    def map(self, offset, line):
        yield from (("key", n) for n in range(1_000_000))
    def reduce(self, key, values):
        total = count = 0
        for value in values:
            total, count = total * 31 % 300_007 + value, count + 1
        yield key, f"{count} {total}"
"""
ONE_KEY_IN_COLUMNS = (
    ONE_KEY.replace("def map(", "def map_(")
    + """
    def map_block(self, block):
        import numpy as np
        for start in range(0, 1_000_000, 50_000):
            yield mr.Pairs(mr.ByteStrings.of(["key"] * 50_000), np.arange(start, start + 50_000))
"""
)
ONE_KEY_BY_BLOCK = (
    ONE_KEY_IN_COLUMNS
    + """
    def reduce_block(self, groups):
        raise ValueError("the group is larger than the memory")
"""
)


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(ONE_KEY, id="records"),
        pytest.param(ONE_KEY_IN_COLUMNS, id="columns", marks=pytest.mark.soak),
        pytest.param(ONE_KEY_BY_BLOCK, id="reduce_block"),
    ],
)
def test_a_key_with_many_values(tmp_path, job):
    took, part = measured(tmp_path, job)
    total = 0
    for value in [*range(1_000_000)] * 2:
        total = total * 31 % 300_007 + value
    assert list(lines_of(part)) == [["key", f"2000000 {total}"]]
    assert max(took) < ALLOWED, took


def test_a_key_of_10_mb(tmp_path):
    job = """
    class Task(mr.Job):
        combine = reduce = mr.Count()
        def map(self, offset, line):
            for n in range(6):
                yield "x" * (10 << 20) + str(n % 2), 1
    """
    took, part = measured(tmp_path, job)
    assert list(lines_of(part)) == [["x" * (10 << 20) + str(n), "6"] for n in range(2)]
    assert max(took) < ALLOWED + 2 * 10, took


def test_a_few_values_of_3_mb_among_small_ones(tmp_path):
    job = """
    class Task(mr.Job):
        def map(self, offset, line):
            yield from ((n % 7, "x" * (3 << 20 if n % 20 == 3 else 9)) for n in range(200))
        def reduce(self, key, values):
            yield key, sum(map(len, values))
    """
    took, part = measured(tmp_path, job)
    wanted = dict.fromkeys(range(7), 0)
    for n in range(200):
        wanted[n % 7] += 2 * (3 << 20 if n % 20 == 3 else 9)
    assert list(lines_of(part)) == [[str(key), str(total)] for key, total in wanted.items()]
    assert max(took) < ALLOWED, took


def test_a_line_of_12_mb(tmp_path):
    job = """
    class Task(mr.Job):
        reduce = mr.Sum()
        def map(self, offset, line):
            yield line[:1], len(line)
    """
    took, part = measured(tmp_path, job, b"a\n" + b"b" * (12 << 20) + b"\nc\n")
    assert list(lines_of(part)) == [["a", "2"], ["b", str(2 * (12 << 20))], ["c", "2"]]
    assert max(took) < ALLOWED, took


SORTED = """
from minimr.jobs.sort import Sort as Task
"""
SORTED_BY_RECORD = """
from minimr.jobs.sort import Sort
class Task(Sort):
    map_block = None
"""
WORDS_BY_BLOCK = """
import numpy
from minimr.jobs.wordcount import WordCount as Task
"""
WORDS_BY_RECORD = """
from minimr.jobs.wordcount import WordCount
class Task(WordCount):
    map_block = None
"""
DISTINCT = """
from minimr.jobs.distinct import Distinct as Task
"""
ONE_KEY_OF_LONG_LINES = """
class Task(mr.Job):
    def map(self, offset, line):
        yield "key", line
    def reduce(self, key, values):
        for value in values:
            yield value, None
"""
BYTES_IN_COLUMNS = """
import numpy as np
class Task(mr.Job):
    def map_block(self, block):
        data = np.frombuffer(block.data, np.uint8)[: len(block.data) - 1].reshape(1, -1)
        yield mr.Pairs(mr.ByteStrings.fixed(data[:, :2]), mr.ByteStrings.fixed(data[:, 2:]))
"""
LINE_BYTES = 25 << 19
"""A task of that memory takes a record of 12.8 MiB at the most."""


@pytest.mark.parametrize(
    ("job", "copies", "end"),
    [
        pytest.param(SORTED, 5, b"", id="sort"),
        pytest.param(SORTED_BY_RECORD, 5, b"", id="sort-by-record"),
        pytest.param(DISTINCT, 1, b"", id="distinct"),
        pytest.param(ONE_KEY_OF_LONG_LINES, 5, b"", id="one-key"),
        pytest.param(BYTES_IN_COLUMNS, 5, b"", id="columns-of-bytes"),
        pytest.param(WORDS_BY_BLOCK, 1, b"\t5", id="words"),
        pytest.param(WORDS_BY_RECORD, 1, b"\t5", id="words-by-record"),
    ],
)
def test_lines_nearly_as_long_as_they_may_be(tmp_path, job, copies, end):
    """Two to a map, and five maps: a merge of four would hold a line of each."""
    lines = [name + b"x" * LINE_BYTES for name in (b"ba", b"ab")]
    took, part = measured(tmp_path, job, b"".join(line + b"\n" for line in lines), maps=5)
    found = part.read_bytes().splitlines()
    separator = b"\t" if job is BYTES_IN_COLUMNS else b""
    wanted = [line[:2] + separator + line[2:] + end for line in lines] * copies
    assert found == (wanted if job is ONE_KEY_OF_LONG_LINES else sorted(wanted))
    assert max(took) < ALLOWED, took


@pytest.mark.parametrize("letters", ["ab", "\u0436"], ids=["ascii", "cyrillic"])
def test_many_words_in_a_long_line(tmp_path, letters):
    words = [f"{letters}{n}" for n in range(1000)] * (LINE_BYTES // 6500)
    took, part = measured(tmp_path, WORDS_BY_BLOCK, " ".join(words).encode(), maps=2)
    assert dict(lines_of(part)) == {word: str(2 * n) for word, n in Counter(words).items()}
    assert max(took) < ALLOWED, took


@pytest.mark.parametrize(
    "job",
    [
        "map_block = None\n    def map(self, offset, line):\n        yield line, line * 20",
        "def map_block(self, block):\n        yield mr.Pairs(['a'], [block.text() * 20])",
    ],
    ids=["records", "columns"],
)
def test_a_pair_that_is_too_large_is_refused_with_the_memory_that_would_do(tmp_path, job):
    text = b"x" * (1 << 20)
    with pytest.raises(AssertionError, match=r"takes 2[0-9],[0-9,]+ bytes.*Allow it \d+MB \(--mem"):
        measured(tmp_path, f"class Task(mr.Job):\n    {job}\n", text)
