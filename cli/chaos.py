"""`minimr chaos`: break a standing cluster on purpose, to see that its jobs do not mind.

Either a fault proxy stands in somebody's way, or workers die by SIGKILL at times that the seed
chooses. The proxy stands between the coordinator and those who use a copy of the connection file
that names the proxy's port, or between a worker and those who fetch map outputs from it.
"""

import os
import random
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import click

from cli.address import PORT_MAX, READ, address_option, connect, given, host_port, standing_address
from cli.output import print_lines, say
from minimr.errors import MinimrError, UsageError
from minimr.observe.sentences import count

if TYPE_CHECKING:
    from minimr.cluster.fault import Fault
    from minimr.cluster.fault_proxy import ProxyEvent

AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(ms|s|B|KiB|MiB)")
UNITS = {"ms": 0.001, "s": 1.0, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
TIMES = ("ms", "s")
SIZES = ("B", "KiB", "MiB")
DAY_S = 86_400
# Settings of a --fault: the field of `Fault` they fill, and the units they take.
SETTINGS = {
    "delay": ("delay_s", TIMES),
    "jitter": ("jitter_s", TIMES),
    "for": ("duration_s", TIMES),
    "trickle": ("bytes_per_s", SIZES),
}


@click.command()
@address_option(READ)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write the connection file of the proxy, which must not exist.",
)
@click.option(
    "--to",
    "to",
    callback=host_port,
    metavar="HOST:PORT",
    help="Stand before this --shuffle-port of a worker, not before the coordinator.",
)
@click.option(
    "--port",
    type=click.IntRange(0, PORT_MAX),
    metavar="N",
    default=0,
    show_default=True,
    help="The TCP port of the proxy; 0 takes a free one.",
)
@click.option(
    "--fault", "faults", multiple=True, metavar="SPEC", help="What the proxy does; see above."
)
@click.option(
    "--kill-workers",
    "kills",
    type=click.IntRange(min=1),
    metavar="N",
    help="Kill N workers of the cluster, chosen at random, instead of being a proxy.",
)
@click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0, DAY_S),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="The time in which the workers are killed.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Decides all that is left to chance.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what happens as JSON, a line each.")
def chaos(
    address: Path | None,
    out: Path | None,
    to: tuple[str, int] | None,
    port: int,
    faults: tuple[str, ...],
    kills: int | None,
    within_s: float,
    seed: int,
    as_json: bool,
) -> None:
    """Break the connections or kill the workers of a cluster.

    With --out it is a proxy until Ctrl-C: whoever uses that connection file reaches the cluster
    through it. With --to it stands before one worker, and prints how to start that; what other
    workers fetch from it comes through. Each --fault strikes every such connection:

    \b
      delay:0.2s       bytes arrive later; jitter=0.1s adds up to that
      cut              the connection breaks (RST)
      half-open        nothing passes any more, and nobody is told
      flip             one bit of the next byte changes
      truncate         the stream ends (FIN)
      trickle:100B     so many bytes pass per second

    \b
    Settings follow the colon, with commas between them:
      after=3s         how long after a connection's beginning
      after=4KiB       how many bytes after it
      for=5s           how long, for delay, half-open and trickle
      direction=down   towards the one who connected; up, or both
      count=1          how many connections are struck; else all
    """
    proxies = kills is None
    if [kills, out, to].count(None) != 2 or proxies != bool(faults) or given("port") > proxies:
        raise UsageError(
            "say what to break: --out FILE or --to HOST:PORT with a --fault or more, "
            "or --kill-workers N"
        )
    if kills is not None:
        _kill_workers(address, kills, within_s, seed, as_json)
        return
    parsed = [parse_fault(fault) for fault in faults]
    if to is not None:
        _stand_before_a_worker(to, port, parsed, seed, as_json)
    elif out is not None:
        _stand_before_the_coordinator(standing_address(address), out, port, parsed, seed, as_json)


def parse_fault(spec: str) -> "Fault":
    """`KIND[:SETTING,...]` as the help tells. Raises UsageError in one line."""
    from minimr.cluster.fault import Fault, check_kind

    kind, _, rest = spec.partition(":")
    fields: dict[str, Any] = {}
    try:
        check_kind(kind)
        for setting in filter(None, rest.split(",")):
            field, value = _setting(kind, setting)
            if field in fields:
                raise UsageError(f"{setting!r} comes second; one of the kind is enough")
            fields[field] = value
        return Fault(kind, **fields)
    except UsageError as error:
        raise UsageError(f"--fault {spec}: {error}") from None


def _setting(kind: str, setting: str) -> tuple[str, Any]:
    """The field of `Fault` that a setting is for, and its value."""
    name, equals, text = setting.partition("=")
    if not equals:
        name, text = kind, setting  # As in delay:0.2s.
    if name == "direction":
        return name, text
    if name == "count":
        if not text.isascii() or not text.isdigit():
            raise UsageError(f"{text!r} is no number of connections")
        return name, int(text)
    if name == "after":
        amount, unit = _amount(text, TIMES + SIZES)
        return ("after_s", amount) if unit in TIMES else ("after_bytes", int(amount))
    if name not in SETTINGS:
        known = "after, for, direction, count, jitter"
        raise UsageError(f"{setting!r} is no setting; there are: {known}")
    field, units = SETTINGS[name]
    return field, _amount(text, units)[0]


def _amount(text: str, units: tuple[str, ...]) -> tuple[float, str]:
    """A number in seconds or bytes, and its unit."""
    found = AMOUNT.fullmatch(text)
    if found is None or found[2] not in units:
        examples = ", ".join(f"3{unit}" for unit in units)
        raise UsageError(f"{text!r} is no amount with a unit; write for instance {examples}")
    return float(found[1]) * UNITS[found[2]], found[2]


# The proxy


def _stand_before_the_coordinator(
    address_file: Path, out: Path, port: int, faults: "list[Fault]", seed: int, as_json: bool
) -> None:
    from minimr.cluster.address import read_address, write_address

    address = read_address(address_file)
    if out.exists():
        raise UsageError(f"{out} exists; remove it, or name another file with --out")
    with _proxy((address.host, address.port), port, faults, seed) as (here, happened):
        write_address(out, replace(address, host=here[0], port=here[1]))
        try:
            _ready(faults, here, ["--address", str(out)], as_json)
            while True:
                _tell(happened.get(), as_json)
        finally:
            out.unlink(missing_ok=True)


def _stand_before_a_worker(
    to: tuple[str, int], port: int, faults: "list[Fault]", seed: int, as_json: bool
) -> None:
    with _proxy(to, port, faults, seed) as (here, happened):
        advertise = f"{here[0]}:{here[1]}"
        _ready(faults, here, ["--shuffle-port", str(to[1]), "--advertise", advertise], as_json)
        while True:
            _tell(happened.get(), as_json)


@contextmanager
def _proxy(
    target: tuple[str, int], port: int, faults: "list[Fault]", seed: int
) -> "Iterator[tuple[tuple[str, int], SimpleQueue[ProxyEvent]]]":
    """A proxy with these faults: its address, and what happens there, from now on."""
    from minimr.cluster.fault_proxy import FaultProxy

    happened: SimpleQueue[ProxyEvent] = SimpleQueue()
    with FaultProxy(target, seed, port, on_event=happened.put) as proxy:
        for fault in faults:
            proxy.break_with(fault)
        yield proxy.address, happened


def _ready(faults: "list[Fault]", here: tuple[str, int], options: list[str], as_json: bool) -> None:
    """Say where the proxy is, and the command that sends a worker through."""
    host, port = here
    say(f"{count(len(faults), 'fault')} at {host}:{port}; send a worker through with:")
    paste = shlex.join(["minimr", "worker", *options])
    if as_json:
        _print_json_line({"what": "ready", "host": host, "port": port, "paste": paste})
    else:
        print_lines([paste])
    say("Ctrl-C ends it")


def _tell(event: "ProxyEvent", as_json: bool) -> None:
    if as_json:
        _print_json_line(event.to_dict())
    if event.direction is not None:
        say(
            f"{event.t:9.3f}  {event.what} strikes connection {event.connection}, "
            f"{event.direction}, at byte {event.at_byte}"
        )
    elif event.what == "refused":
        say(f"{event.t:9.3f}  nobody answers for connection {event.connection}")


# The killer


def _kill_workers(
    address: Path | None, kills: int, within_s: float, seed: int, as_json: bool
) -> None:
    chance = random.Random(seed)
    times = sorted(chance.uniform(0, within_s) for _ in range(kills))
    began_s = time.monotonic()
    killed: set[int] = set()
    with connect(address) as cluster:
        for at_s in times:
            time.sleep(max(0.0, began_s + at_s - time.monotonic()))
            worker = _choose(cluster.status()["workers"], killed, chance.choice)
            if worker is None:
                raise MinimrError(
                    f"{len(killed)} of {count(kills, 'worker')} killed; "
                    "no other worker of the cluster runs on this machine"
                )
            os.kill(worker["pid"], signal.SIGKILL)
            killed.add(worker["pid"])
            t = round(time.monotonic() - began_s, 6)
            say(f"{t:9.3f}  killed {worker['name']} (process {worker['pid']})")
            if as_json:
                fields = {"worker": worker["name"], "pid": worker["pid"]}
                _print_json_line({"t": t, "what": "killed", **fields})


def _choose(
    workers: list[dict[str, Any]],
    killed: set[int],
    choose: Callable[[list[dict[str, Any]]], dict[str, Any]],
) -> dict[str, Any] | None:
    """One of the workers that can be killed from here, None if there is none."""
    here = [each for each in workers if each["pid"] not in killed and _is_minimr(each["pid"])]
    return choose(here) if here else None


def _is_minimr(pid: int) -> bool:
    """Whether the process is one of ours: a worker says itself what its process id is."""
    try:
        return b"minimr" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _print_json_line(fields: dict[str, Any]) -> None:
    import json

    print_lines([json.dumps(fields)])
