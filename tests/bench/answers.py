"""What candidates answered, in a form that can be compared: each reads the parts in a folder.

Every system writes files of its own taste; the parts are those whose names begin with "part-", at
any depth, in the order of their paths. An answer is small: counts, and a digest of all the rest.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORD_BYTES, KEY_BYTES, SHOWN_BYTES = 100, 10, 98


class WrongAnswer(Exception):
    """What a candidate left cannot be an answer to the question; the message says why."""


def word_counts(out: Path) -> list[Any]:
    """[words, different words, digest] of lines WORD TAB COUNT."""
    counts = {}
    for line in lines(out):
        word, _, count = line.partition("\t")
        if word in counts:
            raise WrongAnswer(f"{word!r} occurs twice")
        counts[word] = int(count)
    rows = (f"{word}\t{count}\n" for word, count in sorted(counts.items()))
    return [sum(counts.values()), len(counts), digest(rows)]


def index(out: Path) -> list[Any]:
    """[places, words, digest] of lines WORD TAB JSON list of paths; only the names count."""
    places = {}
    for line in lines(out):
        word, _, paths = line.partition("\t")
        if word in places:
            raise WrongAnswer(f"{word!r} occurs twice")
        places[word] = sorted(path.rpartition("/")[2] for path in json.loads(paths))
    rows = (f"{word}\t{names}\n" for word, names in sorted(places.items()))
    return [sum(map(len, places.values())), len(places), digest(rows)]


def sorted_records(out: Path) -> list[int]:
    """[records, checksum], whatever the order of records with one key. WrongAnswer if unsorted.

    A record is a line of 98 characters; whether a carriage return follows is a matter of taste.
    """
    import numpy as np

    count, checksum, last = 0, 0, b""
    for part in parts(out):
        data = np.fromfile(part, np.uint8)
        if not len(data):
            continue
        width = int(np.argmax(data == ord("\n"))) + 1
        if width not in (RECORD_BYTES - 1, RECORD_BYTES) or len(data) % width:
            raise WrongAnswer(f"{part.name} does not hold records of {SHOWN_BYTES} characters")
        rows = data.reshape(-1, width)[:, :SHOWN_BYTES]
        first, final = rows[0, :KEY_BYTES].tobytes(), rows[-1, :KEY_BYTES].tobytes()
        if first < last or not in_order(rows[:, :KEY_BYTES]):
            raise WrongAnswer(f"{part.name} is not in order, or not after the part before")
        count, last = count + len(rows), final
        checksum += checksum_of(rows)
    return [count, checksum % 2**64]


def in_order(keys: Any) -> bool:
    """Whether rows of 10 bytes do not decrease: as two numbers, the first bytes the heaviest."""
    import numpy as np

    high = np.ascontiguousarray(keys[:, :8]).view(">u8").ravel()
    low = np.ascontiguousarray(keys[:, 8:]).view(">u2").ravel()
    later, earlier = high[1:], high[:-1]
    return bool(((later > earlier) | ((later == earlier) & (low[1:] >= low[:-1]))).all())


def checksum_of(rows: Any) -> int:
    """The sum of a stirred number for each row of 98 bytes."""
    import numpy as np

    total = 0
    for start in range(0, len(rows), 100_000):
        padded = np.zeros((len(rows[start : start + 100_000]), 104), np.uint8)
        padded[:, :SHOWN_BYTES] = rows[start : start + 100_000]
        factors = np.arange(1, 14, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (padded.view("<u8") * factors).sum(axis=1, dtype=np.uint64)
        mixed ^= mixed >> np.uint64(29)
        total += int((mixed * np.uint64(0xBF58476D1CE4E5B9)).sum(dtype=np.uint64))
    return total


def sums(out: Path) -> list[Any]:
    """[keys, sum, digest] of part-*.npy pairs of arrays, or of lines KEY TAB VALUE."""
    import numpy as np

    found = list(_key_value_arrays(out))
    keys = np.concatenate([keys for keys, _ in found])
    values = np.concatenate([values for _, values in found])
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    if (keys[1:] == keys[:-1]).any():
        raise WrongAnswer("a key occurs twice")
    content = keys.astype("<i8").tobytes() + values.astype("<f8").tobytes()
    return [len(keys), float(values.sum()), hashlib.sha256(content).hexdigest()[:16]]


def _key_value_arrays(out: Path) -> Iterator[tuple[Any, Any]]:
    import numpy as np

    for part in parts(out):
        if part.name.endswith(".keys.npy"):
            values = part.with_name(part.name.replace(".keys.", ".values."))
            yield np.load(part), np.load(values)
        elif not part.name.endswith(".npy"):
            fields = part.read_bytes().split()
            yield np.array(fields[::2], np.int64), np.array(fields[1::2], np.float64)


def number(out: Path) -> Any:
    """What stands in the file `answer`."""
    return json.loads((out / "answer").read_text())


def parts(out: Path) -> list[Path]:
    """The files of the result; a folder named "part-..." is looked into."""
    found = sorted(path for path in out.rglob("part-*") if path.is_file())
    if not found:
        raise WrongAnswer(f"no part in {', '.join(sorted(each.name for each in out.iterdir()))}")
    return found


def lines(out: Path) -> Iterator[str]:
    for part in parts(out):
        with part.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n")


def digest(rows: Iterator[str]) -> str:
    content = hashlib.sha256()
    for row in rows:
        content.update(row.encode())
    return content.hexdigest()[:16]
