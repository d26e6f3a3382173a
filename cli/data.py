"""`minimr data`: made-up inputs, the same on every machine, and the copies kept of parsed ones."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import print_json, print_lines, say
from minimr.errors import UsageError
from minimr.observe.sentences import count, size

if TYPE_CHECKING:
    from minimr.formats.parsed_copies import Copy


@click.group()
def data() -> None:
    """Make input data; see what is kept of parsed files."""


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


@data.command()
@click.option("--clear", is_flag=True, help="Remove them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with each copy's file.")
def cache(clear: bool, as_json: bool) -> None:
    """Show the parsed copies of libsvm and csv files.

    A file that has not changed is parsed once: its columns are kept, 4 GiB for all files together,
    and those that were used longest ago go first. Removing them costs time and nothing else.

    \b
    Examples:
      minimr data cache
      minimr data cache --clear
    """
    from minimr.formats.parsed_copies import copies_directory, copies_place, kept_copies
    from minimr.formats.parsed_copies import remove_copies as remove

    place = copies_place()
    if copies_directory(create=False) is None and place.exists():
        raise UsageError(
            f"{place} is not used, since others may enter it; make it a directory of your own with "
            f"'chmod 700 {place}', or remove it"
        )
    copies = kept_copies()
    if clear:
        remove()
    if as_json:
        print_json(_as_plain(place, copies, clear))
    else:
        print_lines([_summary(place, copies, clear)])


def _summary(place: Path, copies: "list[Copy]", removed: bool) -> str:
    total = size(sum(copy.size_bytes for copy in copies))
    number = f"{len(copies):,} {'copy' if len(copies) == 1 else 'copies'}"
    return f"{place}: {number}, {total}{', removed' if removed and copies else ''}"


def _as_plain(place: Path, copies: "list[Copy]", removed: bool) -> dict[str, Any]:
    return {
        "directory": str(place),
        "bytes": sum(copy.size_bytes for copy in copies),
        "removed": removed,
        "copies": [_copy_as_plain(copy) for copy in copies],
    }


def _copy_as_plain(copy: "Copy") -> dict[str, Any]:
    source = copy.parsed_from or {}
    return {
        "file": source.get("path"),
        "format": source.get("format"),
        "range": source.get("range"),
        "bytes": copy.size_bytes,
        "last_used": datetime.fromtimestamp(copy.last_used).astimezone().isoformat("T", "seconds"),
    }
