"""Code is packed the same whoever asks, and however many do."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from minimr.source.pack import pack

SOURCE = """
import minimr as mr

class Lines(mr.Job):
    def map(self, offset, line):
        yield line, 1

TABLE = [
""" + "    (1, [2, 3], {4: (5, 6)}),\n" * 1000 + "]\n"  # fmt: skip


@pytest.fixture
def hasty_threads():
    """They take turns wherever Python can, and so inside of ast.parse: it collects garbage, which
    calls functions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gc.callbacks.append(lambda *_: sum(range(30)))
    yield
    gc.callbacks.pop()
    sys.setswitchinterval(before)


def test_threads_that_pack_at_the_same_time(hasty_threads, tmp_path):
    path = tmp_path / "lines.py"
    path.write_text(SOURCE)
    program = compile(SOURCE, path, "exec")

    def pack_another(_):
        names = {"__name__": "lines"}
        exec(program, names)
        return pack(names["Lines"]).digest

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(pack_another, range(30)))) == 1
