"""Files to records and back: how input is cut, read, written and published.

`INPUT_FORMATS` names every format that a job may ask for with `input_format`. A format of kind
"records" offers pairs to `map` and blocks to `map_block`; one of kind "columns" parses a split
straight into one `minimr.block.Block` of numpy columns, or takes it from a copy of what it parsed
before. What follows a colon in the name is the format's argument: "binary:100" has records of 100
bytes, "csv:price" has its labels in the column "price". The readers are named, not imported, so
that numpy loads only in a process that reads columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from minimr.errors import MinimrError, UsageError

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class InputFormat:
    """One way to read a split; the functions are written "module:function".

    `width` is the size of a record in bytes, of a format that has one. A format that names its
    label column passes `label`, the argument of its name, to the reader.
    """

    name: str
    kind: Literal["records", "columns"]
    record_reader: str | None
    block_reader: str
    decodes: bool = False
    """Whether the readers take `encoding`, `errors` and `memory_bytes`."""
    width: int | None = None
    label_check: str | None = None
    """What raises UsageError for a file without that column of labels, if the format has one."""
    label: str = ""
    keeps_copies: bool = False
    """Whether reading takes so long that a copy of the columns is kept, see parsed_copies.py."""

    def read_records(self, split: Any, **text: Any) -> Iterator[tuple[Any, Any]]:
        """The split's (key, value) pairs; UsageError when the format has no records.

        `text` may give an encoding, errors and memory_bytes, which count where text is read.
        """
        if self.record_reader is None:
            raise UsageError(
                f"The input format {self.name!r} has columns, not records: "
                "give the job a map_block(block) instead of a map(key, value)."
            )
        return self._read(self.record_reader, split, text)  # type: ignore[no-any-return]

    def read_blocks(self, split: Any, block_bytes: int = BLOCK_BYTES, **text: Any) -> Any:
        """Kind "records": an iterator of blocks. Kind "columns": the split as one Block.

        `block_bytes` is how large a block may be, where the format lets that be chosen.
        """
        if self.width is not None:
            return _load(self.block_reader)(split, self.width, block_bytes)
        if self.keeps_copies:
            from minimr.formats.parsed_copies import read_through

            return read_through(split, self.name, self._read_columns)
        if self.kind == "columns":
            return self._read_columns(split)
        return self._read(self.block_reader, split, text)

    def check(self, path: str) -> None:
        """Raise UsageError if the file's size tells that it is not of this format, or its beginning
        that it has no such column of labels. What else is wrong is told by whoever reads it."""
        if self.width is not None:
            from minimr.formats.binary import check_size

            check_size(path, Path(path).stat().st_size, self.width)
        if self.label_check is not None and self.label:
            try:
                _load(self.label_check)(path, self.label)
            except UsageError:
                raise
            except MinimrError:
                pass

    def _read_columns(self, split: Any) -> Any:
        label = {"label": self.label} if self.label_check else {}
        return _load(self.block_reader)(split, **label)

    def _read(self, reader: str, split: Any, text: dict[str, Any]) -> Any:
        if self.width is not None:
            return _load(reader)(split, self.width)
        return _load(reader)(split, **(text if self.decodes else {}))


INPUT_FORMATS = {
    known.name: known
    for known in (
        InputFormat(
            name="text",
            kind="records",
            record_reader="minimr.formats.text:read_text",
            block_reader="minimr.formats.text:read_text_blocks",
            decodes=True,
        ),
        InputFormat(
            name="libsvm",
            kind="columns",
            record_reader=None,
            block_reader="minimr.formats.libsvm:read_libsvm",
            keeps_copies=True,
        ),
        InputFormat(
            name="csv",
            kind="columns",
            record_reader=None,
            block_reader="minimr.formats.csv:read_csv",
            label_check="minimr.formats.csv:check_label",
            keeps_copies=True,
        ),
        InputFormat(
            name="npy",
            kind="columns",
            record_reader=None,
            block_reader="minimr.formats.npy:read_npy",
            label_check="minimr.formats.npy:check_label",
        ),
        InputFormat(
            name="binary",
            kind="records",
            record_reader="minimr.formats.binary:read_binary",
            block_reader="minimr.formats.binary:read_binary_blocks",
        ),
    )
}


def input_format(name: str) -> InputFormat:
    """The format of that name; UsageError listing the names there are.

    The name of a format of records of fixed width says their size: "binary:100". That of a table
    may say which column has the labels: "csv:price", "npy:0".
    """
    known, _, argument = name.partition(":")
    found = INPUT_FORMATS.get(known)
    if found is None or (argument and not (known == "binary" or found.label_check)):
        choices = ", ".join(sorted(INPUT_FORMATS))
        raise UsageError(f"Unknown input format {name!r}; the formats are: {choices}.")
    if known == "binary":
        from minimr.formats.binary import record_width

        return replace(found, name=name, width=record_width(argument))
    return replace(found, name=name, label=argument)


@cache
def _load(reference: str) -> Callable[..., Any]:
    module, _, function = reference.partition(":")
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
