"""Plain Python in one process: what somebody writes who has never heard of parallel programs.

python on_python.py CASE OUT INPUT...
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

WORD = re.compile("[A-Za-z]+")
KEY_BYTES = 10


def wordcount(out, inputs):
    counts = Counter()
    for path in inputs:
        with Path(path).open() as file:
            for line in file:
                counts.update(WORD.findall(line))
    write(out, counts.items())


def index(out, inputs):
    places = {}
    for path in inputs:
        with Path(path).open(errors="surrogateescape") as file:
            for word in set(WORD.findall(file.read())):
                places.setdefault(word, []).append(path)
    write(out, ((word, json.dumps(sorted(paths))) for word, paths in places.items()))


def sort(out, inputs):
    records = []
    for path in inputs:
        with Path(path).open("rb") as file:
            records += file
    records.sort(key=lambda record: record[:KEY_BYTES])
    with (out / "part-0").open("wb") as file:
        file.writelines(records)


def write(out, pairs):
    with (out / "part-0").open("w") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in pairs)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
