"""What the commands write: data to stdout, words to stderr."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minimr.errors import MinimrError

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str) -> None:
    """One line to people, on stderr; above the live view while there is one."""
    print(text, file=sys.stderr, flush=True)


def print_lines(lines: Iterable[str]) -> None:
    """Data, one line each, on stdout."""
    print_bytes(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines)


def print_json(value: Any) -> None:
    """Plain data as JSON: null for NaN and infinity, as r2 is where all labels are equal."""
    try:
        text = json.dumps(value, indent=2, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), indent=2)
    print_lines([text])


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def print_bytes(chunks: Iterable[bytes]) -> None:
    """Data on stdout. When its reader goes away, as `head` does, the command ends quietly."""
    if sys.stdout is None:
        raise MinimrError("stdout cannot be written: it is closed")
    for chunk in chunks:
        with _writing():
            sys.stdout.buffer.write(chunk)
    with _writing():
        sys.stdout.buffer.flush()


def write_text(path: Path, text: str) -> None:
    """A file for people, whole or not at all. What is there and no file, as a pipe or a device, is
    written to, not replaced. Raises MinimrError if it cannot be written."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, "utf-8")
            return
        try:
            unfinished.write_text(text, "utf-8")
            unfinished.replace(path)
        except BaseException:  # Ctrl-C, too, leaves no half of a file behind.
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MinimrError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _writing() -> Iterator[None]:
    """What becomes of an error of stdout, and of stdout alone: chunks are made outside of this."""
    try:
        yield
    except OSError as error:
        discard_stdout()
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(0) from None
        raise MinimrError(f"stdout cannot be written: {error.strerror}") from error


def discard_stdout() -> None:
    """What is still buffered goes nowhere, so that Python's flush at exit does not fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stderr_draws() -> bool:
    """Whether stderr is a terminal that can redraw lines."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def console(stderr: bool = False) -> "Console":
    """A rich console; it leaves colours out for NO_COLOR and where there is no terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)
