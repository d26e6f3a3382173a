"""`minimr run`: run one job and wait for its result."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from cli.address import address_option, given, refuse_own_workers
from cli.cluster import progress_timeout_option
from cli.job_arguments import JobCommand
from cli.output import print_bytes, print_json, say
from cli.progress import progress
from cli.request import job_request, read_job
from minimr.errors import UsageError
from minimr.observe.sentences import count, duration, size


@click.command(cls=JobCommand)
@job_request
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    default=2,
    show_default=True,
    help="How many workers to start on this machine.",
)
@progress_timeout_option
@click.option(
    "--runner",
    type=click.Choice(["cluster", "serial"]),
    default="cluster",
    show_default=True,
    help="serial runs every task in this process, one after the other.",
)
@address_option("Run on the cluster with this connection file, not on workers of one's own.")
@click.option(
    "--log",
    metavar="FILE",
    help="Where to write the event log.  [default: OUT.log, without -o one of ~/.minimr/logs]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary of the run as JSON.")
@click.option(
    "--profile", is_flag=True, help="Profile all tasks, into OUT.pstats; show where time went."
)
def run(job: str, as_json: bool, profile: bool, **request: Any) -> None:
    """Run a job and wait for its result.

    JOB is a built-in job (see `minimr jobs`), a file (my_job.py or my_job.py:MyJob) or a class
    (package.module:MyJob). INPUT is a file, a directory or a glob, plain or .gz. Without -o the
    result goes to stdout. What follows `--` are the job's own options.

    \b
    Examples:
      minimr run wordcount 'books/*.txt' -o counts -- --words letters
      minimr run grep server.log -- ERROR
    """
    check_request(request, as_json)
    if profile:
        request["profile"] = profile_beside(request["output"])
    from minimr.cluster.ahead import forked_ahead
    from minimr.session import run as run_job

    with forked_ahead() if needs_workers(request) else nullcontext():
        job_class, options = read_job(job)
        with progress() as shown:
            result = run_job(job_class, on_event=shown.on_event, options=options, **request)
    if request["output"] is None:
        print_result(result, request["output_format"] or job_class.output_format)
        say_counters(result)
        say_skipped(result)
        if request["log"] is None:
            say_log(result.log)
    elif as_json:
        print_json(summary(result))
        say_skipped(result)
    else:
        say_summary(result)
    if profile:
        from cli.profile import say_profile

        say_profile(request["profile"])


def profile_beside(output: str | None) -> Path:
    if output is None:
        raise UsageError("--profile writes OUT.pstats beside the result: give -o OUT")
    return Path(f"{output}.pstats")


def needs_workers(request: dict[str, Any]) -> bool:
    return request["runner"] == "cluster" and request["address"] is None


def check_request(request: dict[str, Any], as_json: bool) -> None:
    """Refuse options that contradict each other."""
    if as_json and request["output"] is None:
        raise UsageError(
            "--json prints a summary, and without -o stdout carries the result: give -o OUT, "
            "or ask for --output-format jsonl"
        )
    refuse_own_workers(request["address"])
    if request["address"] is not None and request["runner"] == "serial":
        raise UsageError("the serial runner uses no cluster: leave out --address")
    foreign = request["address"] is not None or request["runner"] == "serial"
    if foreign and given("progress_timeout_s"):
        raise UsageError(
            "--progress-timeout is for workers that this run starts; for those of a standing "
            "cluster it is an option of 'minimr up' and 'minimr worker'"
        )


def print_result(result: Any, output_format: str) -> None:
    from minimr.formats.output import encoder

    encode = encoder(output_format)
    print_bytes(encode(key, value) for key, value in result)


def summary(result: Any) -> dict[str, Any]:
    return {
        "output": str(result.output),
        "seconds": result.seconds,
        "records": sum(part.records for part in result.parts),
        "bytes": sum(part.bytes for part in result.parts),
        "parts": [
            {
                "name": part.name,
                "records": part.records,
                "bytes": part.bytes,
                "sha256": part.sha256,
            }
            for part in result.parts
        ],
        "counters": result.counters,
        "skipped": len(result.skipped),
    }


def say_summary(result: Any) -> None:
    records = count(sum(part.records for part in result.parts), "record")
    total = size(sum(part.bytes for part in result.parts))
    parts = count(len(result.parts), "part")
    say(f"{result.output}: {records}, {total} in {parts}, {duration(result.seconds)}")
    say_counters(result)
    say_skipped(result)


def say_counters(result: Any) -> None:
    for name, value in sorted(result.counters.items()):
        say(f"  {name} = {value:,}")


def say_log(path: Path | None) -> None:
    """Where a log lies that was given no place."""
    if path is not None:
        say(f"event log: {path}")


def say_skipped(result: Any) -> None:
    """How many bad records were left out, if any, and where to read about them."""
    if not result.skipped:
        return
    number = count(len(result.skipped), "record")
    first = result.skipped[0]
    where = f"see {result.output}/_skipped.jsonl"
    if result.output is None:
        where = f"the first at {first['position']} ({first['error']})"
    say(f"{number} {'was' if len(result.skipped) == 1 else 'were'} skipped, {where}")
