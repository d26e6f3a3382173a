"""Fully connected layers: forwards through some of them, and backwards.

A layer computes sums = into @ matrix + offsets, and sends activation(sums) on; the last layer of a
network sends its sums as they are. Back-propagation (Rumelhart, Hinton and Williams 1986) passes
the slope of the loss in the sums of a layer back to the one before. Each layer's gradient is one
product of what came in with what came back.

The layers here need not be a whole network: a stage of a pipeline holds some in the middle.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml.vectors import Matrix, Vector


@dataclass(frozen=True)
class Activation:
    """What a layer does to its sums, and its slope, told from what came out."""

    of: Callable[[Matrix], Matrix]
    slope: Callable[[Matrix], Matrix]


ACTIVATIONS = {
    "tanh": Activation(np.tanh, lambda out: 1.0 - out * out),
    "relu": Activation(
        lambda sums: np.maximum(sums, 0.0), lambda out: (out > 0).astype(np.float64)
    ),
}

Shape = tuple[int, int]
"""(in, out) of a layer."""


@dataclass(frozen=True)
class Layers:
    """Neighbouring layers of a network, and whether they hold its first and its last."""

    shapes: tuple[Shape, ...]
    activation: Activation
    first: bool = True
    last: bool = True

    @property
    def size(self) -> int:
        """The number of parameters: (in + 1) * out, summed over the layers."""
        return sum((into + 1) * out for into, out in self.shapes)

    def stage(self, begin: int, end: int) -> "Layers":
        """Those from `begin` to before `end`."""
        ends = end == len(self.shapes)
        return Layers(
            self.shapes[begin:end], self.activation, self.first and begin == 0, self.last and ends
        )

    def split(self, parameters: Vector) -> list[tuple[Matrix, Vector]]:
        """The matrix (in, out) and the offsets (out,) of each layer: views of `parameters`."""
        found, place = [], 0
        for into, out in self.shapes:
            matrix = parameters[place : place + into * out].reshape(into, out)
            place += into * out
            found.append((matrix, parameters[place : place + out]))
            place += out
        return found

    def forward(self, parameters: Vector, X: Matrix) -> list[Matrix]:
        """What goes into each layer, and last what comes out of the last one.

        X may lack columns at its end, as a partition of a libsvm file does: they are zeros.
        """
        passed = [X]
        for number, (matrix, offsets) in enumerate(self.split(parameters), 1):
            into = passed[-1]
            sums = into @ matrix[: into.shape[1]] + offsets
            ends = self.last and number == len(self.shapes)
            passed.append(sums if ends else self.activation.of(sums))
        return passed

    def backward(
        self, parameters: Vector, passed: list[Matrix], back: Matrix
    ) -> tuple[Vector, Matrix]:
        """The gradient (size,), and the slope in the sums of the layer before these.

        `passed` is what `forward` gave, `back` the slope in the sums of the last layer here.
        Before the first layer of the network there is none: `back` of that one comes out instead.
        """
        layers = self.split(parameters)
        parts: list[Vector] = []
        for number in range(len(layers) - 1, -1, -1):
            matrix, into = layers[number][0], passed[number]
            gradient = np.zeros(matrix.shape)
            gradient[: into.shape[1]] = into.T @ back
            parts += [back.sum(axis=0), gradient.ravel()]
            if number > 0 or not self.first:
                back = (back @ matrix.T) * self.activation.slope(into)
        return np.concatenate(parts[::-1]), back
