"""What every `minimr train` does around its descent: cluster, data, split, files, report.

Two descents go by the same options: that of `ml.train`, for any model and strategy, and MLlib's for
`minimr train linear` without a strategy, which has rules of its own (see ml/mllib.py).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cli.address import given, refuse_own_workers
from cli.model_report import as_plain, loss_curves, report
from cli.option_names import options_named
from cli.output import print_json, print_lines, say, write_text
from cli.progress import Progress, progress
from cli.run import say_log
from minimr.errors import UsageError

if TYPE_CHECKING:
    from ml import EarlyStopping, LabeledData, LinearRegressionModel, Trained
    from ml.models import Model

Settings = dict[str, Any]
ModelOf = Callable[["LabeledData", Settings], "Model"]
"""The model to train, from all of the data and the options of the command line."""

NO_PENALTY = "none"
ADD = "add --reg-type l2 or --reg-type l1 to penalise large weights"
TOLD = ("sync", "gram")
"""The strategies that can tell of a step while they descend; the others run inside the workers."""

PARTS = {2: ("training", "test"), 3: ("training", "held out", "test")}
"""What the parts of a split are called, by how many there are."""


@options_named()
def carry_out(
    model_of: ModelOf | None,
    *,
    data: str,
    label: str | None,
    workers: int,
    address: Path | None,
    partitions: int,
    split: list[float] | None,
    seed: int,
    model_path: str | None,
    plot: Path | None,
    log: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train as the options say, save the model and report on it. Without `model_of`: MLlib's."""
    refuse_own_workers(address)
    places = {"--model": model_path, "--plot": plot, "--checkpoint": settings["checkpoint"]}
    refuse_same({"DATA": data, **places, "--log": log})
    for path in places.values():
        refuse_nowhere(path)
    from minimr.session import Cluster
    from ml.any_model import measure
    from ml.loading import load_file

    strategy = None if model_of is None else _checked(settings, split)
    if settings["reg_type"] != NO_PENALTY and not given("reg_param"):
        told = f"--reg-type {settings['reg_type']} has no effect without --reg-param"
        say(f"minimr: warning: {told}: add --reg-param 0.1, or another strength")
    place = log or (f"{model_path}.log" if model_path else None)
    with (
        progress() as shown,
        Cluster(workers, address=address, log=place, on_event=shown.on_event) as cluster,
    ):
        rows = load_file(data, partitions, cluster, label)
        refuse_empty(data, rows)
        parts = _parts(rows, split, seed)
        model, stopping = _trained(model_of, rows, parts, seed, settings, shown)
        if model_path:
            model.save(model_path)
        metrics = {name: measure(model, part).figures for name, part in parts.items()}
    if model.loss_history[-1] > model.loss_history[0]:
        say("minimr: warning: the loss is higher at the end than it was: give a smaller --step")
    if as_json:
        print_json(as_plain(model, metrics, strategy, stopping))
    else:
        print_lines(report(model, metrics, strategy, stopping))
    if plot:
        write_text(plot, loss_curves(model, stopping))
    if place is None:
        say_log(cluster.log)


def _parts(rows: "LabeledData", split: list[float] | None, seed: int) -> "dict[str, LabeledData]":
    """The rows to train on, and those to measure by. Raises UsageError for a part without rows."""
    if split is None:
        return {"training": rows}
    parts = dict(zip(PARTS[len(split)], rows.random_split(split, seed=seed), strict=True))
    for name, part in parts.items():
        if not part.count():
            raise UsageError(
                f"--split leaves no row for {name}, of {rows.count():,} that there are: give that "
                "part a larger share, or another --seed"
            )
    return parts


def _trained(
    model_of: ModelOf | None,
    rows: "LabeledData",
    parts: "dict[str, LabeledData]",
    seed: int,
    settings: Settings,
    shown: Progress,
) -> "tuple[LinearRegressionModel | Trained, EarlyStopping | None]":
    if model_of is None:
        return fit(parts["training"], seed, settings, shown), None
    with _going_on(settings["checkpoint"]):
        return descend(model_of(rows, settings), parts, seed, settings, shown)


def descend(
    model: "Model",
    parts: "dict[str, LabeledData]",
    seed: int,
    settings: Settings,
    shown: Progress,
) -> "tuple[Trained, EarlyStopping | None]":
    """Train with `ml.train` on the first part; with patience also what the second said of it."""
    from ml import EarlyStopping, all_of, checkpointed, train

    strategy, checkpoint = settings["strategy"], settings["checkpoint"]
    training, *others = parts.values()
    stopping = (
        EarlyStopping(model, others[0], settings["patience"]) if settings["patience"] else None
    )
    on_step = _tell(shown) if strategy in TOLD else None
    trained = train(
        model,
        training,
        checkpointed(checkpoint) if checkpoint else strategy,
        optimizer=settings["optimizer"],
        schedule=settings["schedule"],
        step=settings["step"],
        penalty=_penalty(settings),
        strength=settings["reg_param"],
        iterations=settings["iterations"],
        fraction=settings["fraction"],
        tolerance=settings["tolerance"],
        seed=seed,
        on_step=all_of(on_step, stopping) if on_step and stopping else on_step,
    )
    _refuse_no_rows(trained)
    return (stopping.best(trained) if stopping else trained), stopping


@contextmanager
def _going_on(checkpoint: str | None) -> Iterator[None]:
    """Says, when it is interrupted, how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint and Path(checkpoint).exists():
            say(f"\n{checkpoint} holds the state; the same command goes on from it")
        raise


def fit(
    data: "LabeledData", seed: int, settings: Settings, shown: Progress
) -> "LinearRegressionModel":
    """Train with the options of the command line, which are MLlib's under names of its own."""
    from ml import LinearRegressionWithSGD

    penalty, strength = _penalty(settings), settings["reg_param"]
    if penalty is None and strength > 0:  # MLlib trains all the same, and so does this
        say(f"minimr: warning: --reg-param {strength:g} has no effect without --reg-type: {ADD}")
        strength = 0.0
    with _warnings_as_words():
        model = LinearRegressionWithSGD.train(
            data,
            iterations=settings["iterations"],
            step=settings["step"],
            miniBatchFraction=settings["fraction"],
            regParam=strength,
            regType=penalty,
            intercept=settings["intercept"],
            convergenceTol=settings["tolerance"],
            seed=seed,
            callback=_tell(shown),
        )
    _refuse_no_rows(model)
    return model


def _checked(settings: Settings, split: list[float] | None) -> str:
    """The strategy's name. What it cannot do is refused now, not when all has started."""
    from ml.strategies import find_strategy

    strategy: str = settings["strategy"]
    find_strategy(strategy)
    if strategy == "gram" and settings["fraction"] < 1:
        raise UsageError("--strategy gram takes all rows in every step: leave --fraction out")
    if settings["reg_param"] > 0 and settings["reg_type"] == NO_PENALTY:
        raise UsageError(f"--reg-param has no effect without --reg-type: {ADD}")
    if settings["patience"] and split is None:
        raise UsageError("--patience needs rows to stop by: add --split 3,1 or --split 3,1,1")
    if settings["patience"] and strategy not in TOLD:
        raise UsageError(
            f"--patience needs --strategy {' or '.join(TOLD)}: {strategy} steps inside the workers"
        )
    if settings["checkpoint"] and strategy != "sync":
        raise UsageError(f"--checkpoint needs --strategy sync, not {strategy}")
    return strategy


def refuse_same(places: Mapping[str, str | Path | None]) -> None:
    """Raise UsageError where two of them are one file, of which only the last would be left."""
    taken: dict[Path, str] = {}
    for option, path in places.items():
        if path and (other := taken.setdefault(Path(path).resolve(), option)) != option:
            raise UsageError(f"{option} {path} is the file of {other}, too: name another one")


def refuse_nowhere(path: str | Path | None) -> None:
    """Raise UsageError for a file that could not be written when the work is done."""
    if path == "":
        raise UsageError("an empty name is that of no file: give another, or leave the option out")
    if path and Path(path).is_dir():
        raise UsageError(f"{path} cannot be written: it is a directory; name a file in it")
    if path and not (folder := Path(path).parent).is_dir():
        raise UsageError(f"{path} cannot be written: there is no directory {folder}; make it first")


def refuse_empty(data: str, rows: "LabeledData") -> None:
    """Raise UsageError for data without a row."""
    if not rows.count():
        raise UsageError(f"{data} is empty: there is no row in it")


def _refuse_no_rows(model: "LinearRegressionModel | Trained") -> None:
    if not model.loss_history:
        raise UsageError("no mini-batch held a row: give a larger --fraction")


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
