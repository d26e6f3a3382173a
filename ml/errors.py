"""The two errors that learning adds to minimr's own."""

import minimr as mr


class ArgumentError(mr.UsageError, ValueError):
    """An argument is outside its allowed range. Also a ValueError, as callers of MLlib expect.

    With the name of the argument, `problem` is what is said of it: the message is both together.
    Whoever knows the argument by another name, as the command line does, puts that in front.
    """

    def __init__(self, problem: str, argument: str | None = None) -> None:
        super().__init__(problem if argument is None else f"{argument} {problem}")
        self.problem = problem
        self.argument = argument


class Diverged(mr.MinimrError):
    """The loss or the weights left the finite numbers, or ended on the way; the message names the
    largest safe step."""
