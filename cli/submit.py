"""`minimr submit` and `minimr cancel`: jobs on a standing cluster that nobody waits for."""

from pathlib import Path
from typing import Any

import click

from cli.address import READ, address_option, connect
from cli.job_arguments import JobCommand
from cli.output import print_lines, say
from cli.request import job_request, read_job
from minimr.errors import UsageError


@click.command(cls=JobCommand)
@job_request
@address_option(READ)
def submit(job: str, inputs: tuple[str, ...], address: Path | None, **request: Any) -> None:
    """Hand a job to a standing cluster and do not wait.

    Prints the job's id, for `minimr status`, `minimr logs` and `minimr cancel`. JOB and INPUT are
    those of `minimr run`; paths are read by the workers. The job's event log grows in OUT.log.

    \b
    Example:
      minimr submit wordcount 'books/*.txt' -o counts
    """
    if request["output"] is None:
        raise UsageError("a submitted job needs a place for its result: give -o OUT")
    job_class, options = read_job(job)
    with connect(address) as cluster:
        print_lines([cluster.submit(job_class, inputs, options=options, **request)])


@click.command()
@click.argument("job")
@address_option(READ)
def cancel(job: str, address: Path | None) -> None:
    """Stop a job of a standing cluster.

    JOB is its id, as `minimr submit` printed it and `minimr status` lists it. Nothing appears at
    the job's output path.
    """
    with connect(address) as cluster:
        cluster.cancel(job)
    say(f"{job} is cancelled")
