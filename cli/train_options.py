"""The options of `minimr train`: those of every model, and those that some have."""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.address import address_option
from cli.fitting import NO_PENALTY

Command = TypeVar("Command", bound=Callable[..., Any])

COUNT = click.IntRange(min=1)
NUMBER: dict[str, Any] = {"metavar": "N", "show_default": True}
SIZE: dict[str, Any] = {"metavar": "X", "show_default": True}

workers_option = click.option(
    "--workers", type=COUNT, default=2, help="Workers to start on this machine.", **NUMBER
)
address_here = address_option(
    "Use the cluster with this connection file, not workers of one's own."
)


def _weights(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """Two or three relative sizes with commas between them, as in 0.6,0.4."""
    if text is None:
        return None
    try:
        weights = [float(each) for each in text.split(",")]
    except ValueError:
        weights = []
    sizes_fit = all(0 <= weight < inf for weight in weights) and sum(weights) > 0
    if len(weights) not in (2, 3) or not sizes_fit:
        message = f"{text!r} is not two or three weights with commas, as in 0.6,0.4 or 3,1,1"
        raise click.BadParameter(message)
    return weights


def svg_path(_ctx: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """The name of an SVG document."""
    if path is not None and path.suffix.lower() != ".svg":
        raise click.BadParameter(f"{path} is not an SVG file by its name, as loss.svg is")
    return path


def layer_sizes(
    _ctx: click.Context, _option: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    """Sizes with commas between them, as in 16,8."""
    if text is None:
        return None
    try:
        sizes = tuple(int(each) for each in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise click.BadParameter(f"{text!r} is not a list of sizes from 1 on, as in 16,8")
    return sizes


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator; the help lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


descent_options = together(
    click.option("--iterations", type=COUNT, default=100, help="Steps to make.", **NUMBER),
    click.option("--step", type=float, default=1.0, help="The first step's length.", **SIZE),
    click.option(
        "--reg-type",
        type=click.Choice([NO_PENALTY, "l2", "l1", "elastic_net"]),
        default=NO_PENALTY,
        show_default=True,
        help="What to penalise: the weights' squares, their sizes, or both.",
    ),
    click.option("--reg-param", type=float, default=0.0, help="How much to penalise.", **SIZE),
    click.option(
        "--fraction", type=float, default=1.0, help="Share of rows per iteration.", **SIZE
    ),
)


optimizer_option = click.option(
    "--optimizer",
    default="sgd",
    show_default=True,
    metavar="NAME",
    help="sgd, momentum, nesterov, adagrad or adam.",
)


def schedule_option(default: str) -> Callable[[Command], Command]:
    """How long the steps are after the first."""
    return click.option(
        "--schedule",
        default=default,
        show_default=True,
        metavar="NAME",
        help="Of the steps: mllib (X / sqrt(i)), constant, inverse or adaptive.",
    )


STRATEGIES = (
    "sync",
    "gram",
    "ssp:N",
    "async",
    "allreduce",
    "local:N",
    "average",
    "model_parallel",
    "pipeline",
)


def strategy_options(default: str | None, *unfit: str) -> Callable[[Command], Command]:
    """How the descent is distributed, and by which rule it steps; `unfit` are the strategies that
    are not for such a model."""
    *names, last = (name for name in STRATEGIES if name not in unfit)
    told = "sync" if "gram" in unfit else "sync or gram"
    return together(
        click.option(
            "--strategy",
            default=default,
            show_default=True,
            metavar="NAME",
            help=f"{', '.join(names)} or {last}. Gradients may travel compressed: ssp:4:half, "
            "async:top-k, allreduce:sign.",
        ),
        optimizer_option,
        schedule_option("mllib"),
        click.option(
            "--patience",
            "--early-stopping",
            type=COUNT,
            metavar="N",
            help=f"With --strategy {told}: stop after N steps in a row that did not predict "
            "the second part of --split better, and keep the best model.",
        ),
        click.option(
            "--checkpoint",
            metavar="FILE",
            help="With --strategy sync: keep the state of the descent there; the same command goes "
            "on from it.",
        ),
    )


def intercept_option(default: bool) -> Callable[[Command], Command]:
    """Whether the scores have a constant term."""
    return click.option(
        "--intercept/--no-intercept",
        default=default,
        show_default=True,
        help="Fit a constant term, too.",
    )


FITTED_BY = {
    "squared": "linear",
    "huber": "linear",
    "quantile": "linear",
    "poisson": "linear",
    "logistic": "logistic",
    "hinge": "svm",
    "squared_hinge": "svm",
    "softmax": "softmax",
}
"""The command that is for each loss; `mlp` takes them all."""


def loss_option(
    default: str, command: str | None = None, more: str = ""
) -> Callable[[Command], Command]:
    """What is minimised: a loss that `command` is for, of all of them without one."""
    losses = [loss for loss, its in FITTED_BY.items() if command in (None, its)]
    words = f"{', '.join(losses[:-1])} or {losses[-1]}"

    def checked(_ctx: click.Context, _option: click.Parameter, loss: str) -> str:
        if loss in losses:
            return loss
        if loss in FITTED_BY:
            other = f"{loss} is for 'minimr train {FITTED_BY[loss]}' or mlp, not for {command}"
            raise click.BadParameter(f"{other}, which takes {words}")
        raise click.BadParameter(f"it must be {words}, but is {loss}")

    return click.option(
        "--loss",
        default=default,
        callback=checked,
        show_default=True,
        metavar="NAME",
        help=f"{words}{more}.",
    )


tolerance_option = click.option(
    "--tolerance", type=float, default=0.0, help="Stop at shorter steps; 0 never.", **SIZE
)
hidden_option = click.option(
    "--hidden",
    callback=layer_sizes,
    default="16",
    show_default=True,
    metavar="N,...",
    help="Sizes of the hidden layers.",
)
classes_option = click.option(
    "--classes",
    type=click.IntRange(min=2),
    metavar="N",
    help="How many there are.  [default: as the labels say]",
)

place_options = together(
    click.option(
        "--split",
        callback=_weights,
        metavar="A,B[,C]",
        help="Train on A of A+B, test on B. Of three parts the second is held out, the third is "
        "the test.",
    ),
    click.option("--seed", type=int, default=42, help="For split, fraction and network.", **NUMBER),
    click.option("--partitions", type=COUNT, default=8, help="Pieces of the data.", **NUMBER),
    click.option(
        "--model",
        "model_path",
        metavar="OUT",
        help="Where to save the model: as numpy's arrays under a name in .npz, else as JSON.",
    ),
    click.option(
        "--plot",
        type=click.Path(path_type=Path),
        callback=svg_path,
        metavar="FILE.svg",
        help="Where to draw the loss.",
    ),
    click.option(
        "--log",
        metavar="FILE",
        help="Where to write the event log; a round that went well is one line."
        "  [default: OUT.log, without --model one of ~/.minimr/logs]",
    ),
    workers_option,
    address_here,
    click.option(
        "--json", "as_json", is_flag=True, help="Print the model and its metrics as JSON."
    ),
)

data_argument = together(
    click.argument("data", metavar="DATA"),
    click.option(
        "--label",
        metavar="COLUMN",
        help="Where a table has the labels: a name in a .csv, or a number from 0 or, negative, "
        "from the end.  [default: the last column]",
    ),
)
