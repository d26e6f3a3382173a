"""Sizes on the command line: 64MB, 1GiB, 4096."""

import re

import click

UNITS = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", 1)
    for suffix, base in (("", 1024), ("B", 1000), ("iB", 1024))
}
"""MB is 1,000,000 bytes; MiB, and M alone as with sort(1), are 1,048,576."""
SPELLED = {unit.lower(): factor for unit, factor in UNITS.items()}
FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)


def size_bytes(text: str) -> int:
    """The number of bytes that a size stands for, for an option's `type`."""
    match = FORM.fullmatch(text.strip())
    if match is None or match[2].lower() not in SPELLED:
        raise click.BadParameter(f"{text!r} is no size; write 64MB, 1.5GiB or a number of bytes")
    return int(float(match[1]) * SPELLED[match[2].lower()])
