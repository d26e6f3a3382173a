"""What every `minimr train` does around its descent: cluster, data, split, model file, report.

Two descents go by the same options: that of `ml.train`, for any model and strategy, and MLlib's for
`minimr train linear` without a strategy, which has rules of its own (see ml/mllib.py).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cli.address import refuse_own_workers
from cli.model_report import as_plain, report
from cli.output import print_json, print_lines, say
from cli.progress import Progress, progress
from cli.run import say_log

if TYPE_CHECKING:
    from ml import LabeledData, LinearRegressionModel, Trained
    from ml.models import Model

Settings = dict[str, Any]
ModelOf = Callable[["LabeledData", Settings], "Model"]
"""The model to train, from all of the data and the options of the command line."""

NO_PENALTY = "none"
TOLD = ("sync", "gram")
"""The strategies that can tell of a step while they descend; the others run inside the workers."""


def carry_out(
    model_of: ModelOf | None,
    *,
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
    """Train as the options say, save the model and report on it. Without `model_of`: MLlib's."""
    refuse_own_workers(address)
    from minimr.session import Cluster
    from ml.any_model import measure
    from ml.labeled_data import load_file

    strategy = None if model_of is None else _known(settings["strategy"])
    place = log or (f"{model_path}.log" if model_path else None)
    with (
        progress() as shown,
        Cluster(workers, address=address, log=place, on_event=shown.on_event) as cluster,
    ):
        rows = load_file(data, partitions=partitions, cluster=cluster)
        parts = rows.random_split(split, seed=seed) if split else [rows]
        model: LinearRegressionModel | Trained
        if model_of is None:
            model = fit(parts[0], seed, settings, shown)
        else:
            model = descend(model_of(rows, settings), parts[0], seed, settings, shown)
        names = ("training", "test")
        metrics = {name: measure(model, part) for name, part in zip(names, parts, strict=False)}
    if model_path:
        model.save(model_path)
    if as_json:
        print_json(as_plain(model, metrics, strategy))
    else:
        print_lines(report(model, metrics, strategy))
    if place is None:
        say_log(cluster.log)


def descend(
    model: "Model", data: "LabeledData", seed: int, settings: Settings, shown: Progress
) -> "Trained":
    """Train with `ml.train`."""
    from ml import train

    strategy = settings["strategy"]
    return train(
        model,
        data,
        strategy,
        optimizer=settings["optimizer"],
        schedule=settings["schedule"],
        step=settings["step"],
        penalty=_penalty(settings),
        strength=settings["reg_param"],
        iterations=settings["iterations"],
        fraction=settings["fraction"],
        tolerance=settings["tolerance"],
        seed=seed,
        on_step=_tell(shown) if strategy in TOLD else None,
    )


def fit(
    data: "LabeledData", seed: int, settings: Settings, shown: Progress
) -> "LinearRegressionModel":
    """Train with the options of the command line, which are MLlib's under names of its own."""
    from ml import LinearRegressionWithSGD

    with _warnings_as_words():
        return LinearRegressionWithSGD.train(
            data,
            iterations=settings["iterations"],
            step=settings["step"],
            miniBatchFraction=settings["fraction"],
            regParam=settings["reg_param"],
            regType=_penalty(settings),
            intercept=settings["intercept"],
            convergenceTol=settings["tolerance"],
            seed=seed,
            callback=_tell(shown),
        )


def _known(strategy: str) -> str:
    """The strategy itself. Raises ArgumentError now if there is none, not when all has started."""
    from ml.strategies import find_strategy

    find_strategy(strategy)
    return strategy


def _penalty(settings: Settings) -> str | None:
    reg_type: str = settings["reg_type"]
    return None if reg_type == NO_PENALTY else reg_type


def _tell(shown: Progress) -> Callable[[int, float, Any], None]:
    """Shows each entry of the loss history."""
    losses: list[float] = []

    def on_step(iteration: int, loss: float, _parameters: Any) -> None:
        losses.append(loss)
        shown.on_step(iteration, f"iteration {iteration}: loss {loss:.6g}", losses)

    return on_step


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
