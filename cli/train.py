"""`minimr train` and `minimr predict`: linear models by gradient descent, as `ml` has them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from cli.address import address_option, refuse_own_workers
from cli.charts import sparkline
from cli.output import print_json, print_lines, say
from cli.progress import Progress, progress
from cli.run import say_log

if TYPE_CHECKING:
    from ml import LabeledData, LinearRegressionModel, RegressionMetrics

NO_PENALTY = "none"
SPARKLINE_WIDTH = 40
WEIGHTS_SHOWN = 5

COUNT = click.IntRange(min=1)
NUMBER: dict[str, Any] = {"metavar": "N", "show_default": True}
SIZE: dict[str, Any] = {"metavar": "X", "show_default": True}

workers_option = click.option(
    "--workers", type=COUNT, default=2, help="Workers to start on this machine.", **NUMBER
)
address_here = address_option(
    "Use the cluster with this connection file, not workers of one's own."
)


def _two_weights(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """Relative sizes with a comma between them, as in 0.6,0.4."""
    if text is None:
        return None
    try:
        first, second = map(float, text.split(","))
    except ValueError:
        message = f"{text!r} is not two numbers with a comma, as in 0.6,0.4"
        raise click.BadParameter(message) from None
    return [first, second]


@click.group(no_args_is_help=False)
def train() -> None:
    """Train a model on data that stays parsed at the workers."""


@train.command()
@click.argument("data", metavar="DATA")
@click.option("--iterations", type=COUNT, default=100, help="Rounds to make.", **NUMBER)
@click.option("--step", type=float, default=1.0, help="Iteration i uses X / sqrt(i).", **SIZE)
@click.option(
    "--reg-type",
    type=click.Choice([NO_PENALTY, "l2", "l1"]),
    default=NO_PENALTY,
    show_default=True,
    help="What to penalise: the weights' squares or their sizes.",
)
@click.option("--reg-param", type=float, default=0.0, help="How much to penalise.", **SIZE)
@click.option("--fraction", type=float, default=1.0, help="Share of rows per iteration.", **SIZE)
@click.option("--intercept/--no-intercept", default=False, help="Fit a constant term, too.")
@click.option("--tolerance", type=float, default=0.001, help="Stop at shorter steps.", **SIZE)
@click.option("--split", callback=_two_weights, metavar="A,B", help="Train on A of A+B, test on B.")
@click.option("--seed", type=int, default=42, help="For split and fraction.", **NUMBER)
@click.option("--partitions", type=COUNT, default=8, help="Pieces of the data.", **NUMBER)
@click.option("--model", "model_path", metavar="OUT.json", help="Where to save the model.")
@click.option(
    "--log",
    metavar="FILE",
    help="Where to write the event log; a round that went well is one line."
    "  [default: OUT.json.log, without --model one of ~/.minimr/logs]",
)
@workers_option
@address_here
@click.option("--json", "as_json", is_flag=True, help="Print the model and its metrics as JSON.")
def linear(
    data: str,
    workers: int,
    address: Path | None,
    partitions: int,
    split: list[float] | None,
    seed: int,
    model_path: str | None,
    log: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Linear regression by gradient descent, as Spark's MLlib does it.

    DATA is libsvm text: a file, a directory or a glob. Every iteration is one MapReduce round.
    Nothing scales the features: where they are large the step must be small.

    \b
    Example:
      minimr train linear data.libsvm --split 0.6,0.4 --model model.json
    """
    refuse_own_workers(address)
    from minimr.session import Cluster
    from ml import evaluate, load_libsvm

    place = log or (f"{model_path}.log" if model_path else None)
    with (
        progress() as shown,
        Cluster(workers, address=address, log=place, on_event=shown.on_event) as cluster,
    ):
        rows = load_libsvm(data, partitions=partitions, cluster=cluster)
        parts = rows.random_split(split, seed=seed) if split else [rows]
        model = fit(parts[0], seed, settings, shown)
        names = ("training", "test")
        metrics = {name: evaluate(model, part) for name, part in zip(names, parts, strict=False)}
    if model_path:
        model.save(model_path)
    if as_json:
        print_json(_as_json(model, metrics))
    else:
        print_lines(_report(model, metrics))
    if place is None:
        say_log(cluster.log)


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA")
@workers_option
@address_here
@click.option("--json", "as_json", is_flag=True, help="Print predictions and metrics as JSON.")
def predict(model: str, data: str, workers: int, address: Path | None, as_json: bool) -> None:
    """Predict a label for each row of DATA, one a line, in order.

    MODEL is a file that `minimr train` wrote, DATA is libsvm text. How far the predictions are from
    the labels in DATA is said on stderr.
    """
    refuse_own_workers(address)
    import numpy as np

    from minimr.session import Cluster
    from ml import LinearRegressionModel, evaluate, load_libsvm

    loaded = LinearRegressionModel.load(model)
    with (
        progress() as shown,
        Cluster(workers, address=address, on_event=shown.on_event) as cluster,
    ):
        rows = load_libsvm(data, cluster=cluster)
        predictions = list(np.atleast_1d(loaded.predict(rows)).tolist())
        metrics = evaluate(loaded, rows)
    if as_json:
        print_json({"predictions": predictions, "metrics": _figures(metrics)})
    else:
        print_lines(map(repr, predictions))
        error = f"root mean squared error {metrics.rootMeanSquaredError:.6g}"
        say(f"{metrics.rows:,} rows, {error}, r2 {metrics.r2:.4f}")
    say_log(cluster.log)


def fit(
    data: "LabeledData", seed: int, settings: dict[str, Any], shown: Progress
) -> "LinearRegressionModel":
    """Train with the options of the command line, which are MLlib's under names of its own."""
    from ml import LinearRegressionWithSGD

    losses: list[float] = []

    def callback(iteration: int, loss: float, _weights: Any) -> None:
        losses.append(loss)
        shown.on_step(iteration, f"iteration {iteration}: loss {loss:.6g}", losses)

    reg_type = settings["reg_type"]
    with _warnings_as_words():
        return LinearRegressionWithSGD.train(
            data,
            iterations=settings["iterations"],
            step=settings["step"],
            miniBatchFraction=settings["fraction"],
            regParam=settings["reg_param"],
            regType=None if reg_type == NO_PENALTY else reg_type,
            intercept=settings["intercept"],
            convergenceTol=settings["tolerance"],
            seed=seed,
            callback=callback,
        )


@contextmanager
def _warnings_as_words() -> Iterator[None]:
    """What the library warns of, said as the command line says things."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _say_warning
        yield


def _say_warning(  # with the parameters of warnings.showwarning
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    say(f"minimr: warning: {message}")


def _figures(metrics: "RegressionMetrics") -> dict[str, float]:
    return {"rows": metrics.rows, **metrics.as_dict()}


def _as_json(
    model: "LinearRegressionModel", metrics: "dict[str, RegressionMetrics]"
) -> dict[str, Any]:
    return {
        "weights": model.weights.tolist(),
        "intercept": model.intercept,
        "loss_history": model.loss_history,
        "metrics": {name: _figures(each) for name, each in metrics.items()},
    }


def _report(
    model: "LinearRegressionModel", metrics: "dict[str, RegressionMetrics]"
) -> Iterator[str]:
    losses = model.loss_history
    yield f"loss       {losses[0]:.6g} to {losses[-1]:.6g}, {len(losses)} evaluations"
    yield f"           {sparkline(losses, SPARKLINE_WIDTH)}"
    yield f"intercept  {model.intercept:.6g}"
    shown = [f"{weight:.6g}" for weight in model.weights[:WEIGHTS_SHOWN].tolist()]
    more = len(model.weights) - len(shown)
    yield f"weights    {' '.join(shown)}" + (f" and {more:,} more" if more else "")
    yield ""
    yield from metrics_table(metrics)


def metrics_table(metrics: "dict[str, RegressionMetrics]") -> Iterator[str]:
    """The figures of training and test side by side."""
    columns = {name: _figures(each) for name, each in metrics.items()}
    yield f"{'':26}" + "".join(f"{name:>12}" for name in columns)
    for figure, words in FIGURES.items():
        values = (column[figure] for column in columns.values())
        yield f"{words:26}" + "".join(f"{value:>12.6g}" for value in values)


FIGURES = {
    "rows": "rows",
    "rootMeanSquaredError": "root mean squared error",
    "meanSquaredError": "mean squared error",
    "meanAbsoluteError": "mean absolute error",
    "explainedVariance": "explained variance",
    "r2": "r2",
}
