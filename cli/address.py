"""Options that say where something is: a standing cluster by its connection file, one port by
HOST:PORT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from minimr.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
PORT_MAX = 65_535
READ = "The cluster's connection file.  [default: $MINIMR_ADDRESS, ~/.minimr/cluster.json]"
"""The help of an `--address` that may be left out."""


def address_option(help_text: str) -> Callable[[Command], Command]:
    """`--address FILE`; the command gets None where it is not given."""
    return click.option(
        "--address", type=click.Path(path_type=Path), metavar="FILE", help=help_text
    )


def host_port(
    _ctx: click.Context, _option: click.Parameter, text: str | None
) -> tuple[str, int] | None:
    """A callback: HOST:PORT as (host, port)."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) <= PORT_MAX):
        message = f"{text!r} is no HOST:PORT; write for instance 127.0.0.1:7077"
        raise click.BadParameter(message)
    return host, int(port)


def given(option: str) -> bool:
    """Whether the user wrote this option, by its parameter's name."""
    source = click.get_current_context().get_parameter_source(option)
    return source is ParameterSource.COMMANDLINE


def refuse_own_workers(address: Path | None) -> None:
    """Raise UsageError where both a cluster and workers of one's own were asked for."""
    if address is not None and given("workers"):
        raise UsageError("a cluster has its workers already: give --address or --workers, not both")


def standing_address(address: Path | None) -> Path:
    """The connection file to use: the one given, $MINIMR_ADDRESS, or ~/.minimr/cluster.json."""
    from minimr.session import default_address_file

    return address or default_address_file()


def connect(address: Path | None) -> Any:
    """A session with the standing cluster; NoCoordinator when nobody answers."""
    from minimr.session import Cluster

    return Cluster(address=standing_address(address))
