"""The option that names a standing cluster by its connection file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from minimr.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def address_option(help_text: str) -> Callable[[Command], Command]:
    """`--address FILE`; the command gets None where it is not given."""
    return click.option(
        "--address", type=click.Path(path_type=Path), metavar="FILE", help=help_text
    )


def refuse_own_workers(address: Path | None) -> None:
    """Raise UsageError where both a cluster and workers of one's own were asked for."""
    source = click.get_current_context().get_parameter_source("workers")
    if address is not None and source is ParameterSource.COMMANDLINE:
        raise UsageError("a cluster has its workers already: give --address or --workers, not both")


def standing_address(address: Path | None) -> Path:
    """The connection file to use: the one given, $MINIMR_ADDRESS, or ~/.minimr/cluster.json."""
    from minimr.session import default_address_file

    return address or default_address_file()


def connect(address: Path | None) -> Any:
    """A session with the standing cluster; NoCoordinator when nobody answers."""
    from minimr.session import Cluster

    return Cluster(address=standing_address(address))
