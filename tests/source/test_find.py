"""From what the user typed to a Job class, or to a message that helps."""

import errno
import re
import sys
from dataclasses import dataclass
from functools import partialmethod, wraps
from pathlib import Path

import pytest

import minimr as mr
from minimr.errors import UsageError
from minimr.source.find import job_of, load_job

ONE = "import minimr as mr\n\nclass First(mr.Job):\n    pass\n"
TWO = ONE + "\nclass Second(mr.Job):\n    pass\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def work(name, text):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return work


def test_a_built_in_name():
    assert load_job("wordcount").__name__ == "WordCount"


def test_a_file_with_one_job(write):
    assert load_job(write("one_job.py", ONE)).__name__ == "First"


def test_a_file_and_a_class(write):
    assert load_job(write("two_jobs_a.py", TWO) + ":Second").__name__ == "Second"


def test_a_file_that_may_not_be_read(write, monkeypatch):
    """Root may read all, and the tests may run as root."""
    path = write("secret_job.py", ONE)

    def refuse(self, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError) as caught:
        load_job(path)
    assert str(caught.value) == f"the job file {path} cannot be read: Permission denied"


def test_a_module_and_a_class(write):
    write("found_module.py", TWO)
    assert load_job("found_module:Second").__name__ == "Second"


def test_imported_jobs_do_not_count(write):
    text = "from minimr.jobs.wordcount import WordCount\n" + ONE
    assert load_job(write("imports_one.py", text)).__name__ == "First"


def test_a_script_that_would_run_its_job_is_only_loaded(write):
    text = ONE + "\nmr.run(First, ['no such file'])\nraise SystemExit(9)\n"
    assert load_job(write("runs_itself.py", text)).__name__ == "First"


@pytest.mark.parametrize(
    ("name", "text", "suffix", "says"),
    [
        ("two_jobs_b.py", TWO, "", "several jobs: First, Second. Say which"),
        ("two_jobs_c.py", TWO, ":Third", "no job class 'Third'; it defines First, Second"),
        ("no_job.py", "x = 1\n", "", "defines no job; write a class that extends minimr.Job"),
        ("bad_syntax.py", "def f(:\n", "", "bad_syntax.py, line 1: invalid syntax"),
        ("utf_16.py", "x\0=\x001\0\n\0", "", "utf_16.py cannot be loaded: source code string"),
        ("fails.py", "x = 1\nprint(1 / 0)\n", "", "ZeroDivisionError: division by zero"),
        ("leaves.py", "raise SystemExit(2)\n", "", "cannot be loaded: SystemExit: 2"),
    ],
)
def test_what_is_wrong_with_a_file(write, name, text, suffix, says):
    with pytest.raises(UsageError) as caught:
        load_job(write(name, text) + suffix)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("nothing", "the built-in ones are wordcount"),
        ("missing.py", "the job file missing.py does not exist"),
        ("no_such_module:Job", "no module 'no_such_module'"),
    ],
)
def test_what_is_not_there(write, reference, says):
    with pytest.raises(UsageError, match=says):
        load_job(reference)


def test_a_job_that_cannot_be_made_is_refused():
    class Needy(mr.Job):
        def __init__(self, n):
            self.n = n

    class Failing(mr.Job):
        def __init__(self):
            raise ValueError("no")

    with pytest.raises(UsageError, match=r"the job Needy cannot be made: TypeError: .*'n'$"):
        job_of(Needy)
    with pytest.raises(UsageError, match=r"the job Failing cannot be made: ValueError: no$"):
        job_of(Failing)


@pytest.mark.parametrize("made", [True, False])
def test_a_job_that_is_not_prepared_is_refused(made):
    @dataclass
    class Counted(mr.Job):
        n: int = 2

    with pytest.raises(UsageError, match=r"Counted has an __init__ that does not call that of"):
        job_of(Counted() if made else Counted)


@pytest.mark.parametrize("job", [None, int, 5, object()])
def test_what_is_no_job_is_refused(job):
    with pytest.raises(UsageError, match=r"is no job; give a class that extends minimr\.Job"):
        job_of(job)


def test_run_takes_a_name(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b a")
    assert dict(mr.run("wordcount", [str(path)], runner="serial")) == {"a": 2, "b": 1}


class Keeps(mr.Job):
    """What an __init__ keeps of its arguments is known here alone."""

    factor: int = 1

    def __init__(self, n=2, **options):
        super().__init__(**options)
        self.n, self.twice, self.seen = n, 2 * self.factor, []


def test_what_would_not_reach_the_tasks_is_refused():
    assert job_of(Keeps).n == 2
    assert job_of(Keeps(factor=3)).twice == 6, "as a task's own job has it"
    with pytest.raises(UsageError, match=r"Keeps has n = 5, which is no option: .* n: int = 5"):
        job_of(Keeps(n=5))
    changed = Keeps()
    changed.word = "the"
    with pytest.raises(UsageError, match=r"Keeps has word = 'the', which is no option"):
        job_of(changed)


def class_with(name, method):
    return type("Odd", (mr.Job,), {name: method})


@pytest.mark.parametrize(
    ("name", "method", "shown"),
    [
        ("map", lambda key, line: [(key, line)], r"map(key, line) is called as map(key, value)"),
        ("map", lambda self, line: [(self, line)], r"map(self, line) is called as map(key, value)"),
        ("reduce", lambda self: self, r"reduce(self) is called as reduce(key, values)"),
        ("combine", lambda self, *, values: self, r"combine(self, *, values) is called as combine"),
        ("partition", lambda self, key: 0, r"partition(self, key) is called as partition(key, p"),
        ("map_block", lambda block: [], r"map_block(block) is called as map_block(block); write"),
        ("gang", lambda self, blocks: [], r"write def gang(self, blocks, members)"),
    ],
)
def test_a_method_that_cannot_be_called_is_refused(name, method, shown):
    """It failed in every attempt, with a traceback of our frames, as there was none of theirs."""
    with pytest.raises(UsageError) as caught:
        job_of(class_with(name, method))
    line = method.__code__.co_firstlineno
    assert str(caught.value).startswith(f"{__file__}, line {line}: Odd.")
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("reduce", mr.Sum, "Odd.reduce is the class Sum, not an object of it: write parentheses"),
        ("combine", mr.TopK, "Odd.combine is the class TopK, not an object of it: write"),
        ("reduce", None, "Odd.reduce = None cannot be called as reduce(key, values); write def re"),
        ("map", "upper", "Odd.map = 'upper' cannot be called as map(key, value); write def map("),
        ("reduce_block", 5, "Odd.reduce_block = 5 cannot be called as reduce_block(groups); write"),
    ],
)
def test_what_is_no_method_is_refused_in_its_place(name, value, says):
    """It failed in every attempt, with a traceback of our frames, or never where a combiner had
    nothing to shrink."""
    with pytest.raises(UsageError, match=re.escape(says)):
        job_of(class_with(name, value))


def for_words(function):
    @wraps(function)
    def for_lines(_self, _key, line):
        return [pair for word in line.split() for pair in function(word)]

    return for_lines


@pytest.mark.parametrize(
    "method",
    [
        lambda self, key, line: [],
        for_words(lambda word: [(word, 1)]),
        lambda self, *both: [],
        lambda self, key, line=None, third=3: [],
        staticmethod(lambda key, line: []),
        classmethod(lambda cls, key, line: []),
        partialmethod(lambda self, third, key, line: [], 3),
        max,
    ],
)
def test_whatever_can_be_called_is_taken(method):
    assert isinstance(job_of(class_with("map", method)), mr.Job)


@pytest.mark.parametrize("name", ["minimr", "ml", "cli", "numpy", "select", "json"])
def test_a_file_does_not_take_the_name_of_a_module_in_use(write, name):
    """select.py ended in an error of ours, and ml.py in the advice to move its class up."""
    before = sys.modules.get(name)
    with pytest.raises(UsageError, match=rf"{name}\.py has the name of a module .*another name"):
        load_job(write(f"{name}.py", ONE))
    assert sys.modules.get(name) is before


def test_names_that_python_has_but_nobody_uses_are_free(write, monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    path = write("this.py", ONE)
    for _ in range(2):  # The second time its own place is taken by itself.
        assert load_job(path).__name__ == "First"


def test_a_job_whose_methods_nobody_calls_is_refused():
    """It copied its input, with the exit status 0: the names are those of another framework."""

    class Count(mr.Job):
        def mapper(self, _, line):
            yield from line.split()

        def reducer(self, word, counts):
            yield word, sum(counts)

        def _help(self):
            pass

    said = (
        "Count has mapper, reducer, but none of the methods that are called: map, combine, reduce"
    )
    with pytest.raises(UsageError, match=said):
        job_of(Count)


def test_a_job_may_have_methods_of_its_own_beside_those_that_are_called():
    class Words(mr.Job):
        def words(self, line):
            return line.split()

    class Count(Words):
        def map(self, _, line):
            for word in self.words(line):
                yield word, 1

    class Same(mr.Job):
        def options(self):
            return super().options()

    assert job_of(Count).options() == {}
    assert job_of(Same).options() == {}
