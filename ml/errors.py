"""The two errors that learning adds to minimr's own."""

import minimr as mr


class ArgumentError(mr.UsageError, ValueError):
    """An argument is outside its allowed range. Also a ValueError, as callers of MLlib expect."""


class Diverged(mr.MinimrError):
    """The loss or the weights left the finite numbers; the message names the largest safe step."""
