"""`minimr validate`: whether an output is sorted as a whole, and holds what the input held."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.job_arguments import JOB_ARGUMENTS, JobCommand, job_options
from cli.output import print_json, print_lines
from minimr.observe.sentences import count

if TYPE_CHECKING:
    from minimr.formats.in_order import KeyOf, Verdict


@click.command(cls=JobCommand)
@click.argument(
    "output", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR"
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="INPUT",
    help="Also compare with the input: as many records, and the same ones. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.pass_context
def validate(ctx: click.Context, output: Path, inputs: tuple[str, ...], as_json: bool) -> None:
    """Check that an output is sorted, from its first part to its last.

    DIR was written by `minimr run sort` or `minimr run terasort`. What follows `--` are the options
    that `sort` was given. The checksum is the sum of the records' CRC-32, as `valsort` prints it.
    The exit code is 1 if a record is out of place, or the records are not those of the input.

    \b
    Examples:
      minimr validate sorted --input names.txt
      minimr validate sorted -- --key 3 --numeric
    """
    from minimr.formats.in_order import judge

    verdict = judge(output, _key_of(ctx.meta[JOB_ARGUMENTS]), inputs)
    if as_json:
        print_json(_as_plain(verdict))
    else:
        print_lines(_lines(output, verdict))
    if not verdict.valid:
        ctx.exit(1)


def _key_of(arguments: list[str]) -> "KeyOf":
    """What `sort` with these options sorts a line by."""
    from minimr.jobs.sort import Sort

    job = Sort(**job_options("sort", Sort.option_table(), arguments))
    return lambda line: job.key_of(line.decode("utf-8", "surrogateescape"))


def _lines(output: Path, verdict: "Verdict") -> Iterator[str]:
    contents, expected, first = verdict.contents, verdict.expected, verdict.first_misplaced
    if first is not None:
        place = f"{output / first.part}, record {first.record:,} (byte {first.offset:,})"
        yield f"{place}: {first.text}"
        yield f"{output}: {count(verdict.misplaced, 'record')} out of place"
    if expected not in (None, contents):
        yield (
            f"{output}: the records are not those of the input, which has "
            f"{count(expected.records, 'record')}, checksum {expected.checksum:x}"
        )
    yield (
        f"{output}: {'sorted' if verdict.valid else 'not valid'}; "
        f"{count(contents.records, 'record')} in {count(verdict.parts, 'part')}, "
        f"{verdict.duplicates:,} with the key of the one before, checksum {contents.checksum:x}"
    )


def _as_plain(verdict: "Verdict") -> dict[str, Any]:
    first, expected = verdict.first_misplaced, verdict.expected
    return {
        "valid": verdict.valid,
        "parts": verdict.parts,
        "records": verdict.contents.records,
        "checksum": f"{verdict.contents.checksum:x}",
        "duplicates": verdict.duplicates,
        "misplaced": verdict.misplaced,
        "first_misplaced": None if first is None else vars(first),
        "input": None
        if expected is None
        else {"records": expected.records, "checksum": f"{expected.checksum:x}"},
    }
