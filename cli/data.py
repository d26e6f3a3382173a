"""`minimr data`: made-up inputs, the same on every machine."""

from pathlib import Path

import click

from cli.output import say
from minimr.errors import UsageError
from minimr.observe.sentences import count, size


@click.group()
def data() -> None:
    """Make input data to try things with."""


@data.command()
@click.argument("records", type=click.IntRange(min=0), metavar="N")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Other seeds, other keys.")
@click.option("--ascii", is_flag=True, help="Printable keys, so that the file is text as well.")
def terasort(records: int, output: Path, seed: int, ascii: bool) -> None:
    """Write N records of 100 bytes with a random key of 10.

    It is the data of the sort benchmark. The same N and seed give the same bytes everywhere.

    \b
    Examples:
      minimr data terasort 5000000 -o records.bin
      minimr run terasort records.bin -o sorted
      minimr validate sorted --input records.bin
    """
    from minimr.formats.terasort import write_terasort

    if output.exists():
        raise UsageError(f"{output} already exists; choose another file or remove it first.")
    written = write_terasort(output, records, seed, ascii)
    say(f"{output}: {count(records, 'record')}, {size(written)}")
