"""What is said of a trained model: its losses, its weights, and its figures as a table or JSON."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.charts import sparkline
from minimr.observe.sentences import size

if TYPE_CHECKING:
    from ml import Trained
    from ml.any_model import AnyModel

SPARKLINE_WIDTH = 40
WEIGHTS_SHOWN = 5

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


def report(model: "AnyModel", metrics: Mapping[str, Figures], strategy: str | None) -> list[str]:
    """The lines about a model; `strategy` is None for MLlib's."""
    losses = model.loss_history
    lines = [
        f"loss       {losses[0]:.6g} to {losses[-1]:.6g}, {len(losses)} evaluations",
        f"           {sparkline(losses, SPARKLINE_WIDTH)}",
    ]
    if strategy is not None:
        lines.append(_cost(model, strategy))  # type: ignore[arg-type] # only MLlib's have none
    return [*lines, *_parameters(model), "", *figures_table(metrics)]


def as_plain(
    model: "AnyModel", metrics: Mapping[str, Figures], strategy: str | None
) -> dict[str, Any]:
    """The same as plain data; the fields of a Trained, or those of a LinearRegressionModel."""
    fields = dict(vars(model)) if strategy is None else {"strategy": strategy, **vars(model)}
    for name in ("weights", "parameters"):
        if name in fields:
            fields[name] = fields[name].tolist()
    if "model" in fields:
        fields["model"] = fields["model"].options()
    return {**fields, "metrics": dict(metrics)}


def figures_table(columns: Mapping[str, Figures]) -> Iterator[str]:
    """Figures of several parts of the data side by side."""
    yield f"{'':26}" + "".join(f"{name:>12}" for name in columns)
    for figure, words in FIGURES.items():
        if any(figure in column for column in columns.values()):
            yield f"{words:26}" + "".join(
                f"{column[figure]:>12.6g}" if figure in column else f"{'-':>12}"
                for column in columns.values()
            )


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
