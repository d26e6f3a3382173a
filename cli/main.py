"""`minimr`: which commands there are, and what becomes of an error.

Exit codes: 0 done, 1 failed, 2 the request was wrong, 3 no coordinator answers, 130 interrupted,
by Ctrl-C or by SIGTERM.
"""

import atexit
import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from cli.output import discard_stdout, stderr_draws
from minimr import __version__
from minimr.errors import MinimrError

SECTIONS = {
    "First steps": {"demo": "cli.demo"},
    "Jobs": {"run": "cli.run", "jobs": "cli.jobs", "check-log": "cli.check_log", "sim": "cli.sim"},
    "Data": {"data": "cli.data", "validate": "cli.validate"},
    "Measuring": {"bench": "cli.bench"},
    "Machine learning": {
        "train": "cli.train",
        "predict": "cli.predict",
        "evaluate": "cli.predict",
        "compare": "cli.compare",
    },
    "A standing cluster": {
        "up": "cli.cluster",
        "down": "cli.cluster",
        "coordinator": "cli.cluster",
        "worker": "cli.cluster",
        "status": "cli.cluster",
        "submit": "cli.submit",
        "cancel": "cli.submit",
        "logs": "cli.logs",
        "chaos": "cli.chaos",
    },
}
"""The commands, as the help lists them, each with the module that holds it under its own name."""

COMMANDS = {name: module for section in SECTIONS.values() for name, module in section.items()}
INTERRUPTED = 130
STDERR = 2
SUMMARY_LENGTH = 64


class Application(click.Group):
    """A group that imports a command when it is asked for, and reports every error in one place."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [
                (name, command.get_short_help_str(SUMMARY_LENGTH))
                for name, command in commands
                if command
            ]
            with formatter.section(title):
                formatter.write_dl(rows, col_spacing=2)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click takes it for a reader of stdout that went away and says nothing; `cli.output`
            # deals with those, so this one is a connection.
            raise MinimrError(f"a connection broke: {error}") from error

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        # At exit, Python looks for garbage among all that was ever imported: 13 ms for nothing.
        atexit.register(gc.freeze)
        if args is None:  # This is a process of its own.
            be_interrupted_by_any_ending()
            open_closed_streams()
            draw_in_any_encoding()
        given = list(sys.argv[1:] if args is None else args)
        arguments, wants_traceback = take_traceback_flag(given)
        extra["standalone_mode"] = False
        try:
            result = super().main(arguments or ["--help"], prog_name or "minimr", **extra)
        except (Exception, KeyboardInterrupt) as error:
            if wants_traceback:
                import traceback

                traceback.print_exc()
            sys.exit(report(error))
        sys.exit(result if isinstance(result, int) else 0)


def be_interrupted_by_any_ending() -> None:
    """SIGTERM and a terminal that goes away do what Ctrl-C does, so that no temporary file stays.

    What nohup had us ignore stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def open_closed_streams() -> None:
    """Nothing else may get the number of a stream that our caller has closed, as `2>&-` does: a
    worker's words would go into that socket or file."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w")  # noqa: SIM115


def draw_in_any_encoding() -> None:
    """Where stdout's encoding has no bars and curves, they are question marks, and no error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def take_traceback_flag(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without `--traceback`, which may stand anywhere before a `--`."""
    rest = list(arguments)
    end = rest.index("--") if "--" in rest else len(rest)
    ours = [argument for argument in rest[:end] if argument != "--traceback"]
    found = len(ours) < end
    return ours + rest[end:], found or os.environ.get("MINIMR_TRACEBACK") == "1"


def report(error: BaseException) -> int:
    """Tell the user what went wrong; returns the exit code. A fault of ours is raised again."""
    if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps it where a class begins.
        error = error.__cause__
    match error:
        case KeyboardInterrupt() | click.Abort():
            click.echo("minimr: interrupted", err=True)
            return INTERRUPTED
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "minimr"
            _show(f"{error.format_message()}\nTry: {where} --help")
            return error.exit_code
        case MinimrError():
            _show("\n".join([str(error), *getattr(error, "__notes__", [])]))
            return error.exit_code
        case OSError() if error.errno in (errno.EMFILE, errno.ENFILE):
            _show("no file descriptors are left; run 'ulimit -n' with a larger number first")
            return 1
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            discard_stdout()
            _show(f"what was to be written cannot be: {error.strerror}; make room and try again")
            return 1
        case MemoryError():
            _show(f"there is not enough memory for this: {error}".removesuffix(": "))
            return 1
        case OSError() if error.filename is not None:
            _show(f"{error.filename}: {error.strerror}")
            return 1
    raise error


def _show(message: str) -> None:
    name = "minimr:"
    if stderr_draws() and not os.environ.get("NO_COLOR"):
        name = click.style(name, fg="red", bold=True)
    click.echo(f"{name} {message}", err=True)


@click.command(
    name="minimr", cls=Application, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="minimr", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
def main(traceback: bool) -> None:
    """MapReduce small enough to read in a weekend.

    Begin with `minimr demo`. Every command tells more with --help.

    The exit status is 0 when all is done, 1 if it failed, 2 if the request was wrong, 3 if no
    coordinator answers, and 130 after Ctrl-C or SIGTERM.
    """


if __name__ == "__main__":
    main()
