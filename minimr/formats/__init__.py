"""Files to records and back: how input is cut, read, written and published.

`INPUT_FORMATS` names every format that a job may ask for with `input_format`. A format of kind
"records" offers pairs to `map` and text blocks to `map_block`; one of kind "columns" parses a
split straight into one `minimr.block.Block` of numpy columns. The readers are named, not
imported, so that numpy loads only in a process that reads columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from minimr.errors import UsageError


@dataclass(frozen=True)
class InputFormat:
    """One way to read a split; the readers are written "module:function"."""

    name: str
    kind: Literal["records", "columns"]
    record_reader: str | None
    block_reader: str

    def read_records(self, split: Any, **options: Any) -> Iterator[tuple[Any, Any]]:
        """The split's (key, value) pairs; UsageError when the format has no records."""
        if self.record_reader is None:
            raise UsageError(
                f"The input format {self.name!r} has columns, not records: "
                "give the job a map_block(block) instead of a map(key, value)."
            )
        return _load(self.record_reader)(split, **options)  # type: ignore[no-any-return]

    def read_blocks(self, split: Any, **options: Any) -> Any:
        """Kind "records": an iterator of TextBlock. Kind "columns": the split as one Block."""
        return _load(self.block_reader)(split, **options)


INPUT_FORMATS = {
    known.name: known
    for known in (
        InputFormat(
            name="text",
            kind="records",
            record_reader="minimr.formats.text:read_text",
            block_reader="minimr.formats.text:read_text_blocks",
        ),
        InputFormat(
            name="libsvm",
            kind="columns",
            record_reader=None,
            block_reader="minimr.formats.libsvm:read_libsvm",
        ),
    )
}


def input_format(name: str) -> InputFormat:
    """The format of that name; UsageError listing the names there are."""
    if name not in INPUT_FORMATS:
        choices = ", ".join(sorted(INPUT_FORMATS))
        raise UsageError(f"Unknown input format {name!r}; the formats are: {choices}.")
    return INPUT_FORMATS[name]


def _load(reference: str) -> Callable[..., Any]:
    module, _, function = reference.partition(":")
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
