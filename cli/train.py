"""`minimr train`: the models that there are, each with the options of its descent."""

from typing import TYPE_CHECKING, Any

import click

from cli.address import given
from cli.fitting import Settings, carry_out
from cli.train_options import (
    classes_option,
    data_argument,
    descent_options,
    hidden_option,
    intercept_option,
    loss_option,
    place_options,
    strategy_options,
    tolerance_option,
)

if TYPE_CHECKING:
    from ml import LabeledData
    from ml.models import Model

MLLIB_TOLERANCE = 0.001
ANY_STRATEGY = ("optimizer", "schedule", "loss", "patience", "checkpoint")
"""The options of `minimr train linear` that MLlib's descent does not know."""


@click.group(no_args_is_help=False)
def train() -> None:
    """Train a model on data that stays parsed at the workers.

    DATA is libsvm text, or a table in .csv or .npy: a file, a directory or a glob.
    """


@train.command()
@data_argument
@descent_options
@intercept_option(False)
@click.option(
    "--tolerance",
    type=float,
    metavar="X",
    help="Stop at shorter steps; 0 never."
    f"  [default: {MLLIB_TOLERANCE}; if there is a --strategy, 0]",
)
@strategy_options(None, "pipeline")
@loss_option("squared", "linear", "; all but squared need --strategy")
@place_options
def linear(strategy: str | None, tolerance: float | None, **asked: Any) -> None:
    """Linear regression by gradient descent, as Spark's MLlib does it.

    DATA is libsvm text, or a table in .csv or .npy: a file, a directory or a glob. Every iteration
    is one MapReduce round. Nothing scales the features: where they are large the step must be
    small.

    With --strategy it is the descent that the other models have, and any of its strategies.

    \b
    Example:
      minimr train linear data.libsvm --split 0.6,0.4 --model model.json
    """
    if strategy is None:
        _refuse_without_strategy(asked["reg_type"])
        tolerance = MLLIB_TOLERANCE if tolerance is None else tolerance
        carry_out(None, tolerance=tolerance, **asked)
    else:
        carry_out(_linear, strategy=strategy, tolerance=tolerance or 0.0, **asked)


@train.command()
@data_argument
@descent_options
@intercept_option(True)
@tolerance_option
@strategy_options("sync", "gram", "pipeline")
@place_options
def logistic(**asked: Any) -> None:
    """Logistic regression: the probability of label 1 against 0.

    DATA is libsvm text, or a table in .csv or .npy: a file, a directory or a glob.

    \b
    Example:
      minimr train logistic data.libsvm --strategy allreduce --model model.json
    """
    carry_out(_linear, loss="logistic", **asked)


@train.command()
@data_argument
@descent_options
@intercept_option(True)
@tolerance_option
@strategy_options("sync", "gram", "pipeline")
@loss_option("hinge", "svm")
@place_options
def svm(**asked: Any) -> None:
    """Support vector machine: a margin between labels 0 and 1.

    DATA is libsvm text, or a table in .csv or .npy: a file, a directory or a glob.

    \b
    Example:
      minimr train svm data.libsvm --strategy ssp:4 --reg-type l2 --reg-param 0.01
    """
    carry_out(_linear, **asked)


@train.command()
@data_argument
@descent_options
@intercept_option(True)
@tolerance_option
@strategy_options("sync", "gram", "pipeline")
@classes_option
@place_options
def softmax(**asked: Any) -> None:
    """Softmax regression: one of several classes, labels from 0 on.

    DATA is libsvm text, or a table in .csv or .npy: a file, a directory or a glob.

    \b
    Example:
      minimr train softmax data.libsvm --optimizer adam --step 0.1
    """
    carry_out(_linear, loss="softmax", **asked)


@train.command()
@data_argument
@hidden_option
@click.option("--activation", default="tanh", show_default=True, help="tanh or relu.")
@loss_option("squared")
@descent_options
@tolerance_option
@strategy_options("sync", "gram", "model_parallel")
@classes_option
@place_options
def mlp(**asked: Any) -> None:
    """A multilayer perceptron, for any loss.

    DATA is libsvm text, or a table in .csv or .npy: a file, a directory or a glob.

    \b
    Example:
      minimr train mlp data.libsvm --hidden 16,8 --strategy pipeline --step 0.1
    """
    carry_out(_network, **asked)


def _linear(data: "LabeledData", settings: Settings) -> "Model":
    from ml import Linear

    loss = settings["loss"]
    return Linear(loss, settings["intercept"], classes_of(data, loss, settings.get("classes")))


def _network(data: "LabeledData", settings: Settings) -> "Model":
    from ml import MultilayerPerceptron

    loss = settings["loss"]
    classes = classes_of(data, loss, settings["classes"])
    return MultilayerPerceptron(settings["hidden"], loss, settings["activation"], classes)


def _refuse_without_strategy(reg_type: str) -> None:
    for option in ANY_STRATEGY:
        if given(option):
            raise click.UsageError(
                f"--{option} needs --strategy, as in --strategy sync: without one this is MLlib's "
                "descent, which knows no other",
            )
    if reg_type == "elastic_net":
        raise click.UsageError(
            "--reg-type elastic_net needs --strategy, as in --strategy sync: MLlib's descent "
            "penalises by l1 or l2"
        )


def classes_of(data: "LabeledData", loss: str, asked: int | None) -> int:
    """How many classes the softmax loss tells apart: as asked for, or from 0 to the largest label.

    Never more than there are rows: larger labels, and what is no class at all, are refused later.
    """
    if loss != "softmax" or asked is not None:
        return asked or 2
    summary = data.summary()
    largest = summary.label_max
    return int(min(largest, summary.rows - 1)) + 1 if largest >= 1 and summary.rows > 1 else 2
