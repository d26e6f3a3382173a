"""`minimr logs`: what happened in a job, one sentence an event."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from cli.address import READ, address_option, connect
from cli.output import print_lines
from minimr.errors import UsageError
from minimr.observe.log import read_log
from minimr.observe.sentences import sentence

JOB_ID = re.compile(r"[a-z]+-\d+(\.\d+)?")
"""What the scheduler calls its jobs; after a restart with the epoch, as in job-1.2."""


@click.command()
@click.argument("job")
@address_option(READ)
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON lines.")
def logs(job: str, address: Path | None, as_json: bool) -> None:
    """Tell what happened in a job, one line an event.

    JOB is the id of a job on a standing cluster, or the file of an event log, as every run writes
    one.

    \b
    Examples:
      minimr logs job-1
      minimr logs counts.log
    """
    show = json.dumps if as_json else _told
    print_lines(show(event) for event in _events(job, address))


def _events(job: str, address: Path | None) -> Iterable[dict[str, Any]]:
    if Path(job).is_file():
        return read_log(job)
    if not JOB_ID.fullmatch(job):
        raise UsageError(f"there is no event log {job}; check the path, or give an id like job-1")
    with connect(address) as cluster:
        events: list[dict[str, Any]] = cluster.logs(job)
        return events


def _told(event: dict[str, Any]) -> str:
    return f"{event['t']:9.3f}  {sentence(event)}"
