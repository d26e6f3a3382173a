"""What `run` and `submit` ask alike: which job, over which inputs, to which output."""

import codecs
from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.job_arguments import JOB_ARGUMENTS, job_options
from cli.size import size_bytes

Command = TypeVar("Command", bound=Callable[..., Any])


def _known_encoding(_ctx: click.Context, _option: click.Parameter, name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        message = f"Python knows no encoding {name!r}, but for instance utf-8, latin-1, cp1252"
        raise click.BadParameter(message) from None
    return name


REQUEST_OPTIONS = (
    click.option("-o", "--output", metavar="OUT", help="A directory for the result; made new."),
    click.option(
        "--reducers", type=click.IntRange(min=1), metavar="N", help="How many parts the result has."
    ),
    click.option(
        "--output-format",
        type=click.Choice(["text", "jsonl", "msgpack", "binary"]),
        help="text is KEY TAB VALUE, one pair a line.  [default: the job's own, mostly text]",
    ),
    click.option(
        "--encoding",
        default="utf-8",
        callback=_known_encoding,
        metavar="NAME",
        show_default=True,
        help="The encoding of text inputs.",
    ),
    click.option(
        "--errors",
        type=click.Choice(["surrogateescape", "replace", "ignore", "strict"]),
        default="surrogateescape",
        show_default=True,
        help="What to do with bytes that the encoding does not know: keep, replace, drop, stop.",
    ),
    click.option(
        "--skip-bad-records",
        type=click.IntRange(min=0),
        metavar="N",
        default=0,
        show_default=True,
        help="Leave out up to N records on which the job fails, and say so in OUT/_skipped.jsonl.",
    ),
    click.option(
        "--backups/--no-backups",
        default=True,
        help="Whether a task that is late gets a second attempt beside its first.  [default: yes]",
    ),
    click.option(
        "--memory",
        "memory_bytes",
        type=size_bytes,
        metavar="SIZE",
        default="256MiB",
        show_default=True,
        help="About how much a slot holds in memory before it sorts on disk, as 64MB or 1GiB.",
    ),
    click.option(
        "--compress",
        type=click.Choice(["none", "zlib", "zstd"]),
        default="none",
        show_default=True,
        help="How spills and shuffled pairs are compressed; zstd needs minimr[compress].",
    ),
    click.option(
        "--pack", is_flag=True, help="Let small input files share map tasks; large ones are split."
    ),
    click.option(
        "--split-hot-keys",
        is_flag=True,
        help="Let the map tasks reduce their own pairs first, if reduce is a named aggregate; what "
        "would round otherwise is left.",
    ),
    click.option(
        "--balance-keys",
        is_flag=True,
        help="Cut the keys into parts of even size, by a sample of the input: a hot key has a part "
        "of its own, whatever reduce does.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace OUT once the new result is complete."),
)


def job_request(command: Command) -> Command:
    """Give a command JOB, INPUT... and the options above."""
    for option in reversed(REQUEST_OPTIONS):
        command = option(command)
    command = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")(command)
    return click.argument("job", metavar="JOB")(command)


def read_job(reference: str) -> tuple[Any, dict[str, Any]]:
    """The job's class and the options that the arguments after `--` give it."""
    from minimr.source.find import load_job

    job_class = load_job(reference)
    arguments = click.get_current_context().meta[JOB_ARGUMENTS]
    return job_class, job_options(reference, job_class.option_table(), arguments)
