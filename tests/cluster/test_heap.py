"""Memory that a slot has freed stays with it."""

import ctypes

import pytest

import minimr as mr

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt"
    ),
]

PAGE_BYTES, PIECE_BYTES, PIECES = 4096, 4 << 20, 10


class Faults(mr.Job):
    """How many pages a slot is given while it asks for memory that it had before."""

    def map(self, _offset, line):
        import resource

        def faults():
            pieces = [bytearray(PIECE_BYTES) for _ in range(PIECES)]
            del pieces
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

        before = faults()
        yield line, faults() - before


def test_a_slot_gets_back_the_memory_that_it_freed(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("faults\n")
    ((_, faults),) = mr.run(Faults, [text], workers=1)
    assert faults < PIECES * PIECE_BYTES // PAGE_BYTES // 10
