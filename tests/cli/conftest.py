import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import minimr as package
from cli.main import main
from tests.cli.fake_session import FakeSession

WORD_COUNT = '''
import minimr as mr


class WordCount(mr.Job):
    """Counts words."""

    ignore_case: bool = False

    def map(self, offset, line):
        self.count("lines")
        for word in (line.lower() if self.ignore_case else line).split():
            yield word, 1

    combine = reduce = mr.Sum()
'''

Minimr = Callable[..., Result]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    """The fake session in the place of the real one."""
    fake = FakeSession(tmp_path)
    # The package remembers its public names when they are first used: the real ones, always.
    for name in package._HOMES["minimr.session"]:
        getattr(package, name)
    monkeypatch.setitem(sys.modules, "minimr.session", fake)
    return fake


@pytest.fixture
def minimr(session: FakeSession) -> Minimr:
    """Runs the command line in this process, on the fake session."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def job_file(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "counting.py"
    path.write_text(WORD_COUNT)
    search_path = list(sys.path)
    yield str(path)
    sys.path[:] = search_path
    sys.modules.pop("counting", None)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("to be or\nnot To be\n")
    return str(path)
