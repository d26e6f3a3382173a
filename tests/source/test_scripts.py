"""Jobs where users write them: in scripts without a guard, at prompts, beside helper modules."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

JOB = """\
import minimr as mr
from helpers.words import split


class Count(mr.Job):
    def map(self, key, line):
        from late import weight
        for word in split(line):
            yield word, weight(word)

    combine = reduce = mr.Sum()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("")
    (tmp_path / "helpers" / "words.py").write_text(
        "from .inner import SEPARATOR\n\ndef split(line):\n    return line.split(SEPARATOR)\n"
    )
    (tmp_path / "helpers" / "inner.py").write_text('SEPARATOR = "-"\n')
    (tmp_path / "late.py").write_text("def weight(word):\n    return len(word)\n")
    (tmp_path / "text.txt").write_text("a-bb\nbb-ccc\n")
    return tmp_path


def python(folder, *arguments, stdin=""):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONSTARTUP", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


EXPECTED = "[('a', 1), ('bb', 4), ('ccc', 3)]"
RUN = "print(sorted(mr.run(Count, ['text.txt'])))\n"


def test_a_script_without_a_guard_and_with_helpers_beside_it(folder):
    (folder / "job.py").write_text(JOB + "\nprint('top level')\n" + RUN + "print('after')\n")
    done = python(folder, "job.py")
    assert done.stdout.splitlines() == ["top level", EXPECTED, "after"], done.stderr
    assert done.stderr == ""


def test_a_script_with_a_guard(folder):
    (folder / "job.py").write_text(JOB + '\nif __name__ == "__main__":\n    ' + RUN)
    assert python(folder, "job.py").stdout.strip() == EXPECTED


def test_a_script_that_keeps_a_cluster(folder):
    (folder / "job.py").write_text(
        JOB + "\nwith mr.Cluster(workers=2) as cluster:\n"
        "    for _ in range(2):\n"
        "        print(sorted(cluster.run(Count, ['text.txt'])))\n"
    )
    assert python(folder, "job.py").stdout.splitlines() == [EXPECTED, EXPECTED]


def test_a_script_that_reads_its_arguments(folder):
    (folder / "job.py").write_text("import sys\npath = sys.argv[1]\n" + JOB + RUN)
    assert python(folder, "job.py", "text.txt").stdout.strip() == EXPECTED


def test_what_is_defined_after_the_call_is_no_part_of_the_job(folder):
    (folder / "job.py").write_text(JOB + RUN + "raise SystemExit(7)\n")
    done = python(folder, "job.py")
    assert done.stdout.strip() == EXPECTED
    assert done.returncode == 7


def test_python_i_with_a_script(folder):
    (folder / "job.py").write_text(JOB)
    done = python(folder, "-i", "job.py", stdin=RUN)
    assert EXPECTED in done.stdout, done.stderr


def test_a_class_typed_at_the_prompt(folder):
    """There is no source file; it travels by cloudpickle."""
    pytest.importorskip("cloudpickle", reason="NOT tested: a job typed at the prompt")
    typed = (
        "import minimr as mr\n"
        "from helpers.words import split\n"
        "class Count(mr.Job):\n"
        "    def map(self, key, line):\n"
        "        for word in split(line):\n"
        "            yield word, len(word)\n"
        "    combine = reduce = mr.Sum()\n"
        "\n" + RUN
    )
    done = python(folder, "-i", stdin=typed)
    assert EXPECTED in done.stdout, done.stderr


def test_a_class_typed_over_one_from_the_script(folder):
    pytest.importorskip("cloudpickle", reason="NOT tested: a job typed over a script's")
    (folder / "job.py").write_text(JOB)
    typed = (
        "class Count(mr.Job):\n"
        "    def map(self, key, line):\n"
        "        yield 'typed', 1\n"
        "    combine = reduce = mr.Sum()\n"
        "\n" + RUN
    )
    assert "[('typed', 2)]" in python(folder, "-i", "job.py", stdin=typed).stdout


def test_without_cloudpickle_the_error_names_the_extra(folder):
    script = (
        "import sys\n"
        "sys.modules['cloudpickle'] = None\n"
        "import minimr as mr\n"
        "def make():\n"
        "    class Inner(mr.Job):\n"
        "        pass\n"
        "    return Inner\n"
        "try:\n"
        "    mr.run(make(), ['text.txt'])\n"
        "except mr.UsageError as error:\n"
        "    print(error)\n"
    )
    (folder / "job.py").write_text(script)
    shown = python(folder, "job.py").stdout
    assert "inside a function" in shown
    assert "minimr[notebook]" in shown


def test_a_class_that_is_defined_too_late_is_named(folder):
    (folder / "other.py").write_text(
        "import minimr as mr\nmr.run('wordcount', ['text.txt'])\n" + JOB
    )
    (folder / "main.py").write_text(
        "import minimr as mr\n"
        "from other import Count\n"
        "try:\n"
        "    mr.run(Count, ['text.txt'])\n"
        "except mr.JobFailed as error:\n"
        "    print(error)\n"
    )
    shown = python(folder, "main.py").stdout
    assert "does not define Count before it first calls minimr" in shown


def test_a_traceback_shows_the_file_that_the_user_wrote(folder):
    (folder / "late.py").write_text("def weight(word):\n    return 1 / 0\n")
    (folder / "job.py").write_text(JOB + RUN)
    done = python(folder, "job.py")
    assert f'File "{folder}/late.py", line 2, in weight' in done.stderr
    assert "return 1 / 0" in done.stderr
