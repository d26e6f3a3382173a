import numpy as np
import pytest

from ml import ArgumentError
from ml.class_labels import all_labels, classes_in, encoded
from tests.ml.fakes import labeled_data

DATA = labeled_data((np.ones((3, 1)), [7.0, -1.0, 7.0]), (np.zeros((2, 2)), [2.5, -1.0]))


def test_labels_in_order_and_the_different_ones_rising():
    assert all_labels(DATA).tolist() == [7.0, -1.0, 7.0, 2.5, -1.0]
    assert classes_in(DATA).tolist() == [-1.0, 2.5, 7.0]


def test_rows_with_the_numbers_of_their_classes():
    numbered = encoded(DATA, np.array([-1.0, 2.5, 4.0, 7.0]))
    X, y = numbered.to_arrays()
    assert y.tolist() == [3.0, 0.0, 3.0, 1.0, 0.0]
    assert np.array_equal(X, DATA.to_arrays()[0])


def test_a_label_that_is_no_class():
    with pytest.raises(ArgumentError, match=r"y holds 2\.5, which is none of the classes -1\.0, 7"):
        encoded(DATA, np.array([-1.0, 7.0]))
