"""What is said of a trained model: its losses, its weights, and its figures as a table or JSON."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.charts import sparkline
from cli.curves import Curve, Panel, draw
from minimr.observe.sentences import size

if TYPE_CHECKING:
    from ml import EarlyStopping, Trained
    from ml.any_model import AnyModel, Measured

SPARKLINE_WIDTH = 40
WEIGHTS_SHOWN = 5
CLASSES_SHOWN = 7

Figures = Mapping[str, float]

FIGURES = {
    "rows": "rows",
    "rootMeanSquaredError": "root mean squared error",
    "meanSquaredError": "mean squared error",
    "meanAbsoluteError": "mean absolute error",
    "explainedVariance": "explained variance",
    "r2": "r2",
    "accuracy": "accuracy",
    "weightedPrecision": "weighted precision",
    "weightedFMeasure": "weighted F-measure",
    "areaUnderROC": "area under ROC",
    "areaUnderPR": "area under PR",
}
"""Each figure of `ml.any_model.measure` in words, in the order of the table."""


def report(
    model: "AnyModel",
    metrics: Mapping[str, Figures],
    strategy: str | None,
    stopping: "EarlyStopping | None" = None,
) -> list[str]:
    """The lines about a model; `strategy` is None for MLlib's."""
    losses = model.loss_history
    lines = [
        f"loss       {losses[0]:.6g} to {losses[-1]:.6g}, {len(losses)} evaluations",
        f"           {sparkline(losses, SPARKLINE_WIDTH)}",
    ]
    if stopping is not None:
        lines += _held_out(stopping)
    if strategy is not None:
        lines.append(_cost(model, strategy))  # type: ignore[arg-type] # only MLlib's have none
    return [*lines, *_parameters(model), "", *figures_table(metrics)]


def as_plain(
    model: "AnyModel",
    metrics: Mapping[str, Figures],
    strategy: str | None,
    stopping: "EarlyStopping | None" = None,
) -> dict[str, Any]:
    """The same as plain data; the fields of a Trained, or those of a LinearRegressionModel."""
    fields = dict(vars(model)) if strategy is None else {"strategy": strategy, **vars(model)}
    for name in ("weights", "parameters"):
        if name in fields:
            fields[name] = fields[name].tolist()
    if "model" in fields:
        fields["model"] = fields["model"].options()
    if stopping is not None:
        fields["held_out"] = {
            "losses": stopping.losses,
            "best_iteration": stopping.best_iteration,
        }
    return {**fields, "metrics": {name: dict(each) for name, each in metrics.items()}}


def loss_curves(model: "AnyModel", stopping: "EarlyStopping | None" = None) -> str:
    """An SVG document of the loss of the training, and that of the held-out rows, by steps."""
    curves = [Curve("training", list(zip(steps(model), model.loss_history, strict=True)))]
    if stopping is not None:
        curves.append(Curve("held out", list(enumerate(stopping.losses))))
    return draw([Panel("steps", curves)], "loss")


def steps(model: "AnyModel") -> list[float]:
    """How many steps came before each entry of the loss history. `local` and `average` look at the
    loss now and then only: at even distances, or nearly so."""
    entries = len(model.loss_history)
    made = getattr(model, "updates", entries - 1)  # MLlib's models do not count them.
    return [made * entry / max(entries - 1, 1) for entry in range(entries)]


def figures_table(columns: Mapping[str, Figures]) -> Iterator[str]:
    """Figures of several parts of the data side by side."""
    yield f"{'':26}" + "".join(f"{name:>12}" for name in columns)
    for figure, words in FIGURES.items():
        if any(figure in column for column in columns.values()):
            yield f"{words:26}" + "".join(
                f"{column[figure]:>12.6g}" if figure in column else f"{'-':>12}"
                for column in columns.values()
            )


def measured_plain(measured: "Measured") -> dict[str, Any]:
    """What was measured, as plain data."""
    figures: dict[str, Any] = dict(measured.figures)
    if measured.confusion is not None:
        figures["confusionMatrix"] = measured.confusion.tolist()
    return figures


def measured_table(measured: "Measured") -> Iterator[str]:
    """What was measured: the figures and, if the classes are few, what each was taken for."""
    yield from figures_table({"data": measured.figures})
    counts = measured.confusion
    if counts is None:
        return
    yield ""
    if len(counts) > CLASSES_SHOWN:
        yield f"which of {len(counts)} classes is taken for which: see --json"
        return
    cell = max(len(" called 0"), len(f" {counts.max():,}"))
    yield f"{'':16}" + "".join(f"{f'called {k}':>{cell}}" for k in range(len(counts)))
    for label, row in enumerate(counts.tolist()):
        yield f"{f'rows of class {label}':16}" + "".join(f"{number:>{cell},}" for number in row)


def _held_out(stopping: "EarlyStopping") -> list[str]:
    """How well the held-out rows were predicted, and by which step's model best: the one kept."""
    losses, best = stopping.losses, stopping.best_iteration - 1
    return [
        f"held out   {losses[0]:.6g} to {stopping.best_loss:.6g} after {best} of "
        f"{len(losses) - 1} steps, whose model this is",
        f"           {sparkline(losses, SPARKLINE_WIDTH)}",
    ]


def _cost(model: "Trained", strategy: str) -> str:
    return f"strategy   {strategy}: {model.updates:,} updates, {size(model.sent_bytes)} sent"


def _parameters(model: "AnyModel") -> list[str]:
    """Intercept and weights of a linear model with one score, the number of them otherwise."""
    from ml import Linear

    of = model.model
    if not isinstance(of, Linear) or of.outputs > 1:
        return [f"parameters {len(model.parameters):,}"]
    numbers = model.parameters.tolist()
    intercept = numbers.pop() if of.intercept else 0.0
    shown = [f"{weight:.6g}" for weight in numbers[:WEIGHTS_SHOWN]]
    more = len(numbers) - len(shown)
    weights = f"weights    {' '.join(shown)}" + (f" and {more:,} more" if more else "")
    return [f"intercept  {intercept:.6g}", weights]
