"""`minimr compare`: several ways of distributing one training, side by side."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.address import refuse_own_workers
from cli.charts import sparkline
from cli.curves import Curve, Panel, draw
from cli.fitting import refuse_empty, refuse_nowhere, refuse_same
from cli.model_report import steps
from cli.option_names import options_named
from cli.output import console, print_json, print_lines, say, write_text
from cli.progress import progress
from cli.run import say_log
from cli.train import classes_of
from cli.train_options import (
    COUNT,
    NUMBER,
    SIZE,
    address_here,
    data_argument,
    layer_sizes,
    loss_option,
    optimizer_option,
    schedule_option,
    svg_path,
    workers_option,
)
from minimr.cluster.fork_server import ONE_THREAD
from minimr.errors import UsageError
from minimr.observe.sentences import size

if TYPE_CHECKING:
    from ml import Trained
    from ml.comparison import Compared
    from ml.delays import Delays
    from ml.models import Model

SPARKLINE_WIDTH = 24
CURVE = "loss by step"
FILE_COLUMNS = 1000
SLOWEST = 1_000_000
"""How many times as slow a member may be made: a wait that no clock counts is an error."""


def _slow(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """worker=1,factor=4[,share=0.3] as numbers."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        found = {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        found = {}
    whole = found.get("worker", 0.0).is_integer()
    if not (whole and {"worker", "factor"} <= set(found) <= {"worker", "factor", "share"}):
        raise click.BadParameter(f"{text!r} is not of the form worker=1,factor=4[,share=0.3]")
    if not (1 <= found["factor"] <= SLOWEST and 0 < found.get("share", 1.0) <= 1):
        raise click.BadParameter(f"factor is from 1 to {SLOWEST:,}, and share in (0, 1]")
    return found


@click.command()
@data_argument
@click.option(
    "--strategies",
    default="sync,ssp:4,async,allreduce,local:8",
    show_default=True,
    metavar="NAME,...",
    help="Also gram, average, model_parallel, pipeline. Gradients may travel compressed: "
    "ssp:4:half, async:top-k, allreduce:sign.",
)
@loss_option("squared")
@click.option(
    "--hidden",
    callback=layer_sizes,
    metavar="N,...",
    help="Hidden layers: a network, not a linear model.",
)
@click.option("--iterations", type=COUNT, default=50, help="Steps to make.", **NUMBER)
@click.option("--step", type=float, default=0.1, help="The first step's length.", **SIZE)
@optimizer_option
@schedule_option("constant")
@click.option("--fraction", type=float, default=1.0, help="Share of rows per step.", **SIZE)
@click.option(
    "--slow",
    callback=_slow,
    metavar="SPEC",
    help="worker=R,factor=F: make member R, from 0, F times as slow; with ,share=S behind it in "
    "that share of its steps.",
)
@workers_option
@click.option("--partitions", type=COUNT, default=8, help="Pieces of the data.", **NUMBER)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    callback=svg_path,
    metavar="FILE.svg",
    help="Where to draw the losses.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write the event log of it all.  [default: one of ~/.minimr/logs]",
)
@address_here
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@options_named(strategy="--strategies")
def compare(
    data: str,
    label: str | None,
    strategies: str,
    loss: str,
    hidden: tuple[int, ...] | None,
    slow: dict[str, float] | None,
    workers: int,
    partitions: int,
    plot: Path | None,
    log: Path | None,
    address: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train one model in several ways, and tell what each costs.

    DATA is what `minimr train` takes. The table has seconds, updates of the parameters, bytes sent,
    the last loss, and how far the parameters are from those of one process of plain numpy with one
    thread, the row (alone). It ends with what that costs beside the fastest.

    \b
    Examples:
      minimr compare data.libsvm --strategies sync,async --slow worker=1,factor=4
      minimr compare data.libsvm --strategies sync,pipeline --hidden 16,8
      minimr compare data.libsvm --strategies ssp:4 --log a.log
      minimr check-log a.log
    """
    refuse_own_workers(address)
    refuse_same({"DATA": data, "--plot": plot, "--log": log})
    refuse_nowhere(plot)
    _one_thread()
    from minimr.session import Cluster
    from ml.comparison import compare as run
    from ml.comparison import verdict
    from ml.loading import load_file

    names = _names(strategies)
    with (
        progress() as shown,
        Cluster(workers, address=address, log=log, on_event=shown.on_event) as cluster,
    ):
        rows = load_file(data, partitions, cluster, label)
        refuse_empty(data, rows)
        model = _model(loss, hidden, classes_of(rows, loss, None))
        delays = _delays(slow, rows.dataset.members_max, rows.dataset.partitions)
        found, single = run(model, rows, names, delays=delays, **settings)
        if not all(each.loss_history for each in (single, *(one.trained for one in found))):
            raise UsageError("no mini-batch held a row: give a larger --fraction")
    cost = verdict(found, single)
    if as_json:
        print_json({"strategies": [_plain(each) for each in found], "cost": cost})
    else:
        columns = console().width if sys.stdout.isatty() else FILE_COLUMNS
        print_lines([*_table(found, single, columns), "", cost])
    if plot is not None:
        write_text(plot, draw(_panels(found), "loss"))
        say(f"the losses are drawn in {plot}")
    if log is None:
        say_log(cluster.log)


def _one_thread() -> None:
    """Gives what runs alone one thread of linear algebra, as every slot has, unless the environment
    says otherwise: several wait for each other where cores are busy, and it took 16 times as long.

    numpy reads it when it is imported, so this comes first.
    """
    if "numpy" not in sys.modules:
        for name in ONE_THREAD:
            os.environ.setdefault(name, "1")


def _names(strategies: str) -> list[str]:
    """The strategies' names. Raises UsageError for none, ArgumentError for one that is none."""
    from ml.strategies import find_strategy

    names = [name.strip() for name in strategies.split(",") if name.strip()]
    if not names:
        raise UsageError("--strategies names none: give some, as in --strategies sync,allreduce")
    for name in names:
        find_strategy(name)
    return names


def _model(loss: str, hidden: tuple[int, ...] | None, classes: int) -> "Model":
    from ml import Linear, MultilayerPerceptron

    if hidden is None:
        return Linear(loss, intercept=True, classes=classes)
    return MultilayerPerceptron(hidden, loss, classes=classes)


def _delays(slow: dict[str, float] | None, members: int, partitions: int) -> "Delays | None":
    from ml.delays import slow_member

    if slow is None:
        return None
    rank = int(slow["worker"])
    if not 0 <= rank < members:
        raise click.BadParameter(
            f"there is no worker {rank}: they are 0 to {members - 1}", param_hint="--slow"
        )
    return slow_member(rank, members, partitions, slow["factor"], slow.get("share", 1.0))


def _table(found: "list[Compared]", single: "Trained", columns: int) -> list[str]:
    """A line for each, no longer than `columns` where that can be: the curves give way."""
    width = max(len("strategy"), *(len(each.strategy) for each in found))
    head = (
        f"{'strategy':<{width}} {'seconds':>8} {'updates':>7} {'sent':>9} {'loss':>12} "
        f"{'from alone':>10}"
    )
    curve = min(SPARKLINE_WIDTH, columns - len(head) - 2)
    if curve < len(CURVE):
        curve = 0
    lines = [f"{head}  {CURVE[:curve]}"]
    for each in found:
        trained = each.trained
        lines.append(
            f"{each.strategy:<{width}} {each.seconds:>8.2f} {trained.updates:>7,} "
            f"{size(trained.sent_bytes):>9} {trained.loss_history[-1]:>12.6g} "
            f"{each.distance:>10.1e}  {_curve(trained, curve)}"
        )
    lines.append(
        f"{'(alone)':<{width}} {single.seconds[-1]:>8.2f} {single.updates:>7,} {'':>9} "
        f"{single.loss_history[-1]:>12.6g} {'':>10}  {_curve(single, curve)}"
    )
    return [line.rstrip() for line in lines]


def _curve(trained: "Trained", width: int) -> str:
    return sparkline(trained.loss_history, width) if width else ""


def _panels(found: "list[Compared]") -> list[Panel]:
    """Loss against steps, seconds, and bytes sent until then (in proportion to the steps)."""
    panels: dict[str, list[Curve]] = {"steps": [], "seconds": [], "megabytes sent": []}
    for each in found:
        trained = each.trained
        losses, count = trained.loss_history, max(len(trained.loss_history) - 1, 1)
        sent = trained.sent_bytes / 1e6
        axes = (steps(trained), trained.seconds, [sent * i / count for i in range(len(losses))])
        for curves, xs in zip(panels.values(), axes, strict=True):
            curves.append(Curve(each.strategy, list(zip(xs, losses, strict=False))))
    return [Panel(title, curves) for title, curves in panels.items()]


def _plain(each: "Compared") -> dict[str, Any]:
    trained = each.trained
    return {
        "strategy": each.strategy,
        "seconds": each.seconds,
        "updates": trained.updates,
        "sent_bytes": trained.sent_bytes,
        "from_alone": each.distance,
        "loss_history": trained.loss_history,
        "loss_seconds": trained.seconds,
        "staleness": trained.staleness,
    }
