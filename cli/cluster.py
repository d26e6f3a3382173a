"""The commands that start, stop and watch a standing cluster.

A cluster is named by its connection file: address, token and all that a worker or a client needs to
join. Whoever can read the file can use the cluster.
"""

import shlex
from math import isnan
from pathlib import Path
from typing import Any

import click

from cli.address import PORT_MAX, READ, address_option, connect, host_port, standing_address
from cli.output import print_json, print_lines, say
from minimr.observe.sentences import count, duration

WRITTEN = "Where to write the connection file.  [default: $MINIMR_ADDRESS, ~/.minimr/cluster.json]"
slots_option = click.option(
    "--slots",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="How many tasks a worker runs at once.",
)


def _no_nan(_ctx: click.Context, _option: click.Parameter, seconds: float) -> float:
    """The range lets it pass: it is neither above nor below any number."""
    if isnan(seconds):
        raise click.BadParameter("nan is no number of seconds")
    return seconds


progress_timeout_option = click.option(
    "--progress-timeout",
    "progress_timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    callback=_no_nan,
    metavar="SECONDS",
    default=600,
    show_default=True,
    help="Give up a task that has made no progress for so long.",
)


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    default=2,
    show_default=True,
    help="How many workers to start.",
)
@slots_option
@progress_timeout_option
@address_option(WRITTEN)
@click.option("--json", "as_json", is_flag=True, help="Print what was started as JSON.")
def up(
    workers: int, slots: int, progress_timeout_s: float, address: Path | None, as_json: bool
) -> None:
    """Start a cluster on this machine, which stands until `down`."""
    from minimr.session import start_detached

    address_file = standing_address(address)
    started = start_detached(address_file, workers, slots, progress_timeout_s)
    if as_json:
        print_json(started | {"address_file": str(address_file)})
        return
    say(f"a coordinator and {count(workers, 'worker')} are up; stop them with:")
    print_lines([_command("down", address)])


@click.command()
@address_option(READ)
def down(address: Path | None) -> None:
    """Stop a standing cluster, its jobs and its workers."""
    from minimr.session import stop

    stop(standing_address(address))
    say("the cluster is down")


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, PORT_MAX),
    metavar="N",
    default=0,
    show_default=True,
    help="The TCP port; 0 takes a free one.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write every decision there, and resume what a killed coordinator left there.",
)
@address_option(WRITTEN)
def coordinator(port: int, journal: Path | None, address: Path | None) -> None:
    """Run a coordinator in this shell until Ctrl-C.

    It prints the command that starts a worker; paste that into other shells. With --journal it can
    be killed and started again: workers and waiting clients come back, finished work stays done.
    """
    from minimr.session import serve_coordinator

    address_file = standing_address(address)

    def on_ready() -> None:
        say("the coordinator is ready; start workers in other shells with:")
        print_lines([_command("worker", address_file)])
        say("Ctrl-C stops it")

    serve_coordinator(address_file, port, workers=0, slots=1, on_ready=on_ready, journal=journal)


@click.command()
@address_option(READ)
@slots_option
@progress_timeout_option
@click.option(
    "--shuffle-port",
    type=click.IntRange(0, PORT_MAX),
    metavar="N",
    default=0,
    show_default=True,
    help="The TCP port where others fetch its map outputs; 0 takes a free one.",
)
@click.option(
    "--advertise",
    callback=host_port,
    metavar="HOST:PORT",
    help="Tell others to fetch there, for instance through `minimr chaos`.  [default: the port]",
)
def worker(
    address: Path | None,
    slots: int,
    progress_timeout_s: float,
    shuffle_port: int,
    advertise: tuple[str, int] | None,
) -> None:
    """Run a worker in this shell until Ctrl-C.

    It ends by itself when its coordinator ends; SIGTERM lets it finish or hand back its work.
    """
    from minimr.session import serve_worker

    def on_joined(name: str) -> None:
        say(f"this is {name}, with {count(slots, 'slot')}; Ctrl-C stops it")

    serve_worker(
        standing_address(address),
        slots,
        on_joined=on_joined,
        progress_timeout_s=progress_timeout_s,
        shuffle_port=shuffle_port,
        advertise=advertise,
    )


@click.command()
@address_option(READ)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(address: Path | None, as_json: bool) -> None:
    """Show the workers and jobs of a standing cluster."""
    with connect(address) as cluster:
        state = cluster.status()
    if as_json:
        print_json(state)
        return
    print_lines(
        [
            f"coordinator at {state['address']}",
            "",
            *_table(["WORKER", "SLOTS", "STATE", "ADDRESS", "RUNNING"], state["workers"], _worker),
            "",
            *_table(["JOB", "NAME", "STATE", "MAPS", "REDUCES", "TIME"], state["jobs"], _job),
        ]
    )
    if older := state["older_jobs"]:
        say(f"{count(older, 'older job')} not shown: a reply has no room for more")
    for job in state["jobs"]:
        if job.get("log_error"):
            say(f"{job['job']}: {job['log_error']}")


def _command(name: str, address: Path | None) -> str:
    """A line to paste into a shell."""
    return shlex.join(["minimr", name, *(["--address", str(address)] if address else [])])


def _worker(worker: dict[str, Any]) -> list[str]:
    running = " ".join(worker["running"]) or "-"
    return [worker["name"], str(worker["slots"]), worker["state"], worker["address"], running]


def _job(job: dict[str, Any]) -> list[str]:
    maps = f"{job['maps_done']}/{job['maps']}"
    reduces = f"{job['reduces_done']}/{job['reduces']}"
    time = "-" if job["seconds"] is None else duration(job["seconds"])
    return [job["job"], job["name"], job["state"], maps, reduces, time]


def _table(heads: list[str], items: list[dict[str, Any]], row: Any) -> list[str]:
    """Columns as wide as their content, for people and for awk alike."""
    rows = [heads, *map(row, items)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, each, widths)).rstrip() for each in rows]
