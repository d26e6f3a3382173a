"""The lines of a block of text as one column, without a Python object for each of them."""

import minimr as mr


def column_of_lines(block: mr.TextBlock) -> mr.ByteStrings:
    """Return the lines of a block without their ends, as `block.lines()` would give them."""
    import numpy as np

    if not _is_kept_as_it_is(block):
        return mr.ByteStrings.of([line for _, line in block.lines()])
    data = np.frombuffer(block.data, np.uint8)
    if block.is_long_line:
        end = len(data) - block.data.endswith(b"\n")
        return mr.ByteStrings(data, np.array([0, end]), text=True)
    ends = np.flatnonzero(data == ord("\n"))
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        ends = np.append(ends, len(data))
    offsets = np.zeros(len(ends) + 1, np.int64)
    offsets[1:] = ends - np.arange(len(ends))  # the ends before each one are left out
    return mr.ByteStrings(data[data != ord("\n")], offsets, text=True)


def _is_kept_as_it_is(block: mr.TextBlock) -> bool:
    """Tell whether the block's bytes are the UTF-8 of its text."""
    if block.encoding != "utf-8":
        return False  # some keep ASCII as it is, and some do not
    if block.data.isascii():
        return True
    try:
        block.data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
