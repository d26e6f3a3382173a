"""Models: what they predict, and the sums that a gradient descent needs of them.

A model is a function of parameters, one flat vector, and rows. All that the descent asks of it is
`sums`: gradient and loss added up over some rows. Sums over rows add up over partitions, and that
is all that any strategy of distributing the work relies on (Chu et al., NIPS 2006, section 2).

`Linear` scores a row by weights . x + intercept, or with the softmax loss by one such score for
each class. Its parameters are the rows of a matrix, one per class, each with its intercept last.
With one row that is MLlib's order.

`MultilayerPerceptron` puts layers with an activation between row and score. Its gradient is taken
by back-propagation (Rumelhart, Hinton and Williams 1986): the slope of the loss in the scores is
passed back through the layers, and each layer's gradient is one product of what came in with what
came back. Its parameters are layer after layer, each the matrix (in, out) by rows, then offsets.

A partition may be narrower than the model: the columns of a libsvm file that it lacks are zeros.

A model travels to the slots as its options, plain values; `model_from` makes it again there.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import Any, Protocol, TypeVar

import numpy as np

from ml.arguments import choice, number, whole_number, yes_or_no
from ml.errors import ArgumentError
from ml.layers import ACTIVATIONS, Layers
from ml.losses import Loss, find_loss
from ml.vectors import Matrix, Vector

PIECE_NUMBERS = 1 << 16
"""Rows are taken in pieces of so many numbers, 512 KiB as float64, which stay in a core's own cache
between scores and gradient. In smaller ones numpy's calls would take as long as they compute."""
LINE_BYTES = 1 << 15
"""A piece that lies column by column has at least so much of each: a little here and a little there
is the slowest way to read memory."""

Part = TypeVar("Part")


class Model(Protocol):
    """What the descent, the strategies and the errors need of a model."""

    @property
    def objective(self) -> Loss:
        """The loss, which knows the labels that it takes and its curvature."""

    @property
    def classes(self) -> int:
        """How many classes the labels may name."""

    def size(self, features: int) -> int:
        """The number of parameters for rows of so many features."""

    def start(self, features: int, seed: int) -> Vector:
        """Parameters (size,) to begin with."""

    def penalised(self, features: int) -> Vector:
        """1.0 for each parameter that a penalty applies to, 0.0 for the others (size,)."""

    def sums(self, parameters: Vector, X: Matrix, y: Vector, backwards: bool = False) -> Vector:
        """[gradient, loss, rows] summed over the rows: (size + 2,).

        `backwards` gives the same bytes, and begins with the rows that a pass forwards reads last:
        some of them are still in the processor's caches.
        """

    def scores(self, parameters: Vector, X: Matrix) -> Vector | Matrix:
        """What the loss compares with the labels: (n,), or (n, classes)."""

    def predict(self, parameters: Vector, X: Matrix) -> Vector:
        """The label expected of each row: (n,). A class for losses of classes, else a mean."""

    def options(self) -> dict[str, Any]:
        """Plain values from which `model_from` makes an equal model."""


@dataclass(frozen=True)
class Linear:
    """weights . x, for any loss. Starts at zero."""

    loss: str = "squared"
    intercept: bool = False
    """Whether the score has a constant term."""
    classes: int = 2
    """For the softmax loss alone."""
    loss_parameter: float | None = None
    penalise_intercept: bool = False
    """MLlib's SGD does, as it makes the intercept from a column of ones."""
    intercept_start: float = 0.0

    def __post_init__(self) -> None:
        _check(self)
        for name in ("intercept", "penalise_intercept"):
            yes_or_no(name, getattr(self, name))
        number("intercept_start", self.intercept_start, lambda _: True, "that is finite")

    @property
    def objective(self) -> Loss:
        """The loss."""
        return find_loss(self.loss, self.loss_parameter)

    @property
    def outputs(self) -> int:
        """The number of scores of a row."""
        return self.classes if self.objective.per_class else 1

    def size(self, features: int) -> int:
        """(features + intercept) for each score."""
        return self.outputs * (features + self.intercept)

    def start(self, features: int, seed: int) -> Vector:  # noqa: ARG002 - nothing is drawn
        """Zeros, and `intercept_start` for the constant terms."""
        parameters = np.zeros((self.outputs, features + self.intercept))
        if self.intercept:
            parameters[:, -1] = self.intercept_start
        return parameters.ravel()

    def penalised(self, features: int) -> Vector:
        """Ones, and zeros for the constant terms unless `penalise_intercept`."""
        mask = np.ones((self.outputs, features + self.intercept))
        if self.intercept and not self.penalise_intercept:
            mask[:, -1] = 0.0
        return mask.ravel()

    def scores(self, parameters: Vector, X: Matrix) -> Vector | Matrix:
        """(n,), or (n, classes) for the softmax loss."""
        weights, biases = self._split(parameters)
        scores: Matrix = X @ weights[:, : X.shape[1]].T + biases
        return scores if self.objective.per_class else scores[:, 0]

    def predict(self, parameters: Vector, X: Matrix) -> Vector:
        """Labels: the score itself, the mean count e^z, or the class."""
        return _labels_of(self.objective, self.scores(parameters, X))

    @np.errstate(over="ignore", invalid="ignore")  # the descent reports what overflows
    def sums(self, parameters: Vector, X: Matrix, y: Vector, backwards: bool = False) -> Vector:
        """[gradient, loss, rows], each piece of rows read once.

        A piece is worked on in the precision of X, labels and residuals included: in float32 they
        are no less exact than its products are, and half as long. Pieces are added up in float64.
        """
        loss, width = self.objective, X.shape[1]
        weights, biases = self._split(parameters)
        narrow = X.dtype == np.float32
        columns = weights[:, :width].T.astype(X.dtype if narrow else np.float64, copy=False)
        if not loss.per_class:  # A vector has a faster product than a matrix of one column.
            columns = columns[:, 0]
        of_piece = partial(_scored_sums, loss, columns, biases if self.intercept else None)
        gradient, on_biases = np.zeros(columns.T.shape), np.zeros(biases.shape)
        value = 0.0
        for part, on_columns, on_constants in _by_pieces(of_piece, X, y, gradient.size, backwards):
            value += part
            gradient += on_columns
            if self.intercept:
                on_biases += on_constants
        sums = np.zeros((self.outputs, len(parameters) // self.outputs))
        sums[:, :width] = gradient
        if self.intercept:
            sums[:, -1] = on_biases
        return np.concatenate([sums.ravel(), [value, len(y)]])

    def options(self) -> dict[str, Any]:
        """The fields."""
        return {"model": "linear", **asdict(self)}

    def _split(self, parameters: Vector) -> tuple[Matrix, Vector]:
        rows = parameters.reshape(self.outputs, -1)
        if self.intercept:
            return rows[:, :-1], rows[:, -1]
        return rows, np.zeros(self.outputs)


def _scored_sums(
    loss: Loss, columns: Matrix, biases: Vector | None, X: Matrix, y: Vector
) -> tuple[float, Matrix, Vector | float]:
    """Of one piece of rows: the loss, and its gradient in the columns and in the biases."""
    scores = X @ columns
    if biases is not None:
        scores += biases
    if X.dtype == np.float32:
        value, slopes = loss.evaluate(scores, y.astype(np.float32))
        slopes = slopes.astype(np.float32, copy=False)
    else:
        value, slopes = loss.evaluate(scores, y)
    return value, slopes.T @ X, 0.0 if biases is None else slopes.sum(axis=0)


@dataclass(frozen=True)
class MultilayerPerceptron:
    """A network of `hidden` layers, fully connected. Starts at random, from the seed."""

    hidden: tuple[int, ...] = (16,)
    loss: str = "squared"
    activation: str = "tanh"
    classes: int = 2
    """For the softmax loss alone."""
    loss_parameter: float | None = None

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "hidden", _layer_sizes(self.hidden))
        choice("activation", self.activation, tuple(ACTIVATIONS))

    @property
    def objective(self) -> Loss:
        """The loss."""
        return find_loss(self.loss, self.loss_parameter)

    @property
    def outputs(self) -> int:
        """The number of scores of a row."""
        return self.classes if self.objective.per_class else 1

    def size(self, features: int) -> int:
        """(in + 1) * out, summed over the layers."""
        return self.layers(features).size

    def shapes(self, features: int) -> list[tuple[int, int]]:
        """(in, out) of each layer."""
        return list(pairwise((features, *self.hidden, self.outputs)))

    def start(self, features: int, seed: int) -> Vector:
        """Uniform weights within Glorot and Bengio's (2010) bound, offsets zero."""
        generator = np.random.default_rng(seed)
        layers = []
        for into, out in self.shapes(features):
            bound = np.sqrt(6.0 / (into + out))
            layers += [generator.uniform(-bound, bound, into * out), np.zeros(out)]
        return np.concatenate(layers)

    def penalised(self, features: int) -> Vector:
        """Ones for the matrices, zeros for the offsets."""
        return np.concatenate(
            [
                part
                for into, out in self.shapes(features)
                for part in (np.ones(into * out), np.zeros(out))
            ]
        )

    def layers(self, features: int) -> Layers:
        """The whole network, for rows of so many features."""
        return Layers(tuple(self.shapes(features)), ACTIVATIONS[self.activation])

    def scores(self, parameters: Vector, X: Matrix) -> Vector | Matrix:
        """(n,), or (n, classes) for the softmax loss."""
        return self._as_scores(self._layers_of(parameters).forward(parameters, X)[-1])

    def predict(self, parameters: Vector, X: Matrix) -> Vector:
        """Labels: the score itself, the mean count e^z, or the class."""
        return _labels_of(self.objective, self.scores(parameters, X))

    @np.errstate(over="ignore", invalid="ignore")  # the descent reports what overflows
    def sums(self, parameters: Vector, X: Matrix, y: Vector, backwards: bool = False) -> Vector:
        """[gradient, loss, rows], by back-propagation over pieces of the rows."""
        of_piece = partial(self._piece_sums, self._layers_of(parameters), parameters)
        total = np.zeros(len(parameters) + 2)
        for part in _by_pieces(of_piece, X, y, len(parameters), backwards):
            total[:-1] += part
        total[-1] = len(y)
        return total

    def options(self) -> dict[str, Any]:
        """The fields."""
        return {"model": "mlp", **asdict(self), "hidden": list(self.hidden)}

    def _piece_sums(self, layers: Layers, parameters: Vector, X: Matrix, y: Vector) -> Vector:
        passed = layers.forward(parameters, X)
        value, slopes = self.objective.evaluate(self._as_scores(passed[-1]), y)
        back = slopes if self.objective.per_class else slopes[:, None]
        gradient, _ = layers.backward(parameters, passed, back)
        return np.append(gradient, value)

    def _as_scores(self, out: Matrix) -> Vector | Matrix:
        return out if self.objective.per_class else out[:, 0]

    def _layers_of(self, parameters: Vector) -> Layers:
        """The network that has so many parameters."""
        rest = self.size(0)
        return self.layers((len(parameters) - rest) // self.hidden[0])


MODELS: dict[str, Callable[..., Model]] = {"linear": Linear, "mlp": MultilayerPerceptron}


def model_from(options: dict[str, Any]) -> Model:
    """The model that gave these `options()`."""
    fields = dict(options)
    return MODELS[fields.pop("model")](**fields)


def _check(model: Linear | MultilayerPerceptron) -> None:
    find_loss(model.loss, model.loss_parameter)
    whole_number("classes", model.classes, 2)


def _layer_sizes(hidden: object) -> tuple[int, ...]:
    sizes = tuple(hidden) if isinstance(hidden, Iterable) else ()
    if not sizes or not all(_is_size(size) for size in sizes):
        raise ArgumentError(
            "must hold the size of at least one layer, each a whole number >= 1, as (16, 8) does, "
            f"but is {hidden!r}",
            "hidden",
        )
    return tuple(int(size) for size in sizes)


def _is_size(size: object) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1


def _by_pieces(
    of_piece: Callable[[Matrix, Vector], Part],
    X: Matrix,
    y: Vector,
    numbers: int,
    backwards: bool,
) -> Iterable[Part]:
    """What `of_piece` makes of the rows of each piece, so many `numbers`, in the order of the rows.

    `backwards` asks it for the last piece first, and keeps what it makes: of all pieces no more
    numbers than one has. Where there are more, the rows are many times what caches hold.
    """
    pieces = _pieces(X)
    if not backwards or len(pieces) * numbers > PIECE_NUMBERS:
        return (of_piece(X[rows], y[rows]) for rows in pieces)
    parts = [of_piece(X[rows], y[rows]) for rows in reversed(pieces)]
    return reversed(parts)


def _pieces(X: Matrix) -> list[slice]:
    """The rows cut into pieces of about PIECE_NUMBERS, and LINE_BYTES or more of a column."""
    rows, columns = X.shape
    least = 1 if X.flags.c_contiguous else LINE_BYTES // X.itemsize
    step = max(PIECE_NUMBERS // max(columns, 1), least)
    return [slice(first, first + step) for first in range(0, rows, step)]


def _labels_of(loss: Loss, scores: Vector | Matrix) -> Vector:
    if loss.per_class:
        classes: Vector = scores.argmax(axis=1).astype(np.float64)
        return classes
    if loss.takes_classes:
        return (scores > 0).astype(np.float64)
    if loss.name == "poisson":
        with np.errstate(over="ignore"):
            means: Vector = np.exp(scores)
            return means
    return scores
