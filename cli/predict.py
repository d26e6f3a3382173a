"""`minimr predict` and `minimr evaluate`: what a saved model makes of data, and how well."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.address import refuse_own_workers
from cli.fitting import refuse_empty
from cli.model_report import Figures, measured_plain, measured_table
from cli.option_names import options_named
from cli.output import print_json, print_lines, say
from cli.progress import progress
from cli.run import say_log
from cli.train_options import address_here, data_argument, workers_option
from minimr.observe.sentences import count

if TYPE_CHECKING:
    from ml import LabeledData
    from ml.any_model import AnyModel


def model_and_data(command: Callable[..., None]) -> Callable[..., None]:
    """What `opened` takes: the file of a model, and the rows for it."""
    for option in (address_here, workers_option, data_argument):
        command = option(command)
    return click.argument("model", metavar="MODEL")(command)


@click.command()
@model_and_data
@click.option("--json", "as_json", is_flag=True, help="Print predictions and metrics as JSON.")
def predict(as_json: bool, **chosen: Any) -> None:
    """Predict a label for each row of DATA, one a line, in order.

    MODEL is a file that `minimr train` wrote, DATA is what it takes. How far the predictions are
    from the labels in DATA is said on stderr.
    """
    with opened(**chosen) as (loaded, rows):
        import numpy as np

        predictions = np.atleast_1d(loaded.predict(rows)).tolist()
        metrics = _measured(loaded, rows)
        if as_json:
            print_json({"predictions": predictions, "metrics": metrics})
        else:
            print_lines(map(repr, predictions))
            say(_in_a_line(metrics, len(predictions)))


@click.command()
@model_and_data
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(as_json: bool, **chosen: Any) -> None:
    """Measure a model on the rows and labels of DATA.

    MODEL is a file that `minimr train` wrote, DATA is what it takes. The figures are Spark's, those
    of a regression or of a classification.
    """
    with opened(**chosen) as (loaded, rows):
        from ml.any_model import measure

        measured = measure(loaded, rows)
        if as_json:
            print_json(measured_plain(measured))
        else:
            print_lines(measured_table(measured))


@contextmanager
def opened(
    model: str, data: str, label: str | None, workers: int, address: Path | None
) -> Iterator[tuple["AnyModel", "LabeledData"]]:
    """The model of that file, and the data at the workers while the block lasts."""
    refuse_own_workers(address)
    from minimr.session import Cluster
    from ml.any_model import load_model
    from ml.loading import load_file
    from ml.tables import refuse_narrow_table

    loaded = load_model(model)
    with (
        progress() as shown,
        Cluster(workers, address=address, on_event=shown.on_event) as cluster,
    ):
        with options_named():
            rows = load_file(data, cluster=cluster, label=label)
        refuse_empty(data, rows)
        refuse_narrow_table(data, label, rows.features, loaded.features)
        if rows.features < loaded.features:
            told = f"the rows have {count(rows.features, 'feature')}, and the model has "
            told += f"{loaded.features}; those that are missing count as zeros"
            say(f"minimr: warning: {told}")
        yield loaded, rows
    say_log(cluster.log)


def _measured(model: "AnyModel", rows: "LabeledData") -> Figures:
    """The figures; none, and a warning, where the labels are no labels of this model."""
    from ml import ArgumentError
    from ml.any_model import measure

    try:
        return measure(model, rows).figures
    except ArgumentError as error:
        say(f"minimr: warning: nothing is measured: {error}")
        return {}


def _in_a_line(metrics: Figures, rows: int) -> str:
    if "accuracy" in metrics:
        return f"{count(rows, 'row')}, accuracy {metrics['accuracy']:.4f}"
    if "r2" in metrics:
        error = f"root mean squared error {metrics['rootMeanSquaredError']:.6g}"
        return f"{count(rows, 'row')}, {error}, r2 {metrics['r2']:.4f}"
    return count(rows, "row")
