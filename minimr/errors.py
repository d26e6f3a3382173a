"""Every error that minimr raises on purpose.

A message says what happened, where, and what to do next, in one or two lines. The command line
prints it without a traceback and leaves with the error's exit code.
"""


class MinimrError(Exception):
    """Base of all errors a user may meet; `exit_code` is what the command line leaves with."""

    exit_code = 1


class UsageError(MinimrError):
    """The request itself is wrong: a missing file, an unknown job, an impossible option."""

    exit_code = 2


class NoCoordinator(MinimrError):
    """Nobody answers at the address, or it is not ours (wrong token, other version)."""

    exit_code = 3


class JobFailed(MinimrError):
    """The job ended in failure; the message names the task and shows the user's traceback."""


class JobCancelled(MinimrError):
    """The job was cancelled by its user."""

    exit_code = 130


class BadRecord(MinimrError):
    """A record that cannot be read, compared or encoded; the message names the record."""


class CorruptData(MinimrError):
    """Bytes from a file or a peer do not have the form they must have."""


class DiskFull(MinimrError):
    """There is no room left where we write; another machine may have some."""


class ProtocolError(MinimrError):
    """A peer broke the protocol: bad frame, over a limit, out of order. Close the connection."""
