"""What a published output says of itself, to compare the log of the run with it.

The manifest `_SUCCESS` names each part with its size, its records and its SHA-256. It is read here
without the code that writes it: a checker that shares a mistake with what it checks finds nothing.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from minimr.errors import CorruptData, UsageError
from minimr.observe.checks.ledger import Expected

MANIFEST = "_SUCCESS"
CHUNK_BYTES = 1 << 20


def expected_of(output: Path) -> Expected:
    """What the manifest of the output says. UsageError if there is none, CorruptData if damaged."""
    path = output / MANIFEST
    try:
        fields = json.loads(path.read_text("utf-8"))
        parts = [
            {name: part[name] for name in ("name", "records", "bytes", "sha256")}
            for part in fields["parts"]
        ]
        return Expected(parts, dict(fields["counters"]))
    except OSError as error:
        raise UsageError(f"{output} is no output of minimr: {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"{path} is damaged: {type(error).__name__}: {error}") from None


def damage(output: Path, expected: Expected) -> Iterator[str]:
    """In sentences, how the part files differ from what the manifest says of them."""
    named = {part["name"] for part in expected.parts}
    for part in expected.parts:
        path = output / part["name"]
        found_bytes, found_sha256 = _measure(path)
        if found_bytes != part["bytes"]:
            yield f"{path} has {found_bytes} bytes, and its manifest says {part['bytes']}"
        elif found_sha256 != part["sha256"]:
            yield f"{path} has other content than its manifest says"
    for path in sorted(output.glob("part-*")):
        if path.name not in named:
            yield f"{path} is not in the manifest"


def _measure(path: Path) -> tuple[int | None, str | None]:
    """Size and SHA-256 of a file; None and None if there is none."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
    except FileNotFoundError:
        return None, None
    return size_bytes, digest.hexdigest()
