"""StandardScaler against numpy over all rows at once."""

import statistics

import numpy as np
import pytest

from ml import (
    DIABETES,
    DIABETES_RAW,
    ArgumentError,
    LinearRegressionWithSGD,
    StandardScaler,
    StandardScalerModel,
    load_libsvm,
)
from tests.ml.fakes import FakeCluster, labeled_data


def far_from_zero(rows=50):
    """A mean of 1e8 and a spread of 1: sums of squares would lose every digit."""
    return 1e8 + np.random.default_rng(0).normal(size=(rows, 3)) * [1.0, 2.0, 0.5]


def in_parts(X):
    parts = [X[:7], X[7:8], np.zeros((0, 0)), X[8:]]
    return labeled_data(*((part, np.zeros(len(part))) for part in parts))


def test_mean_and_deviation_are_numpys():
    X = far_from_zero()
    model = StandardScaler().fit(in_parts(X))
    np.testing.assert_allclose(model.mean, X.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(model.std, X.std(axis=0, ddof=1), rtol=1e-12)


def test_the_rounding_of_the_mean_is_made_up_for():
    """A mean of 1e12 is rounded to 1e-4; `statistics` counts in fractions."""
    X = 1e4 * far_from_zero()[:, :1]
    std = StandardScaler().fit(in_parts(X + np.arange(50)[:, None])).std
    exact = statistics.stdev((X[:, 0] + np.arange(50)).tolist())
    assert std == pytest.approx([exact], rel=1e-14)


@pytest.mark.parametrize("withMean", [False, True])
@pytest.mark.parametrize("withStd", [False, True])
def test_scaling_resident_rows_and_rows_here(withMean, withStd):
    X = far_from_zero()
    data = in_parts(X)
    model = StandardScaler(withMean=withMean, withStd=withStd).fit(data)
    shift = X.mean(axis=0) if withMean else 0.0
    factor = X.std(axis=0, ddof=1) if withStd else 1.0
    scaled = model.transform(X)
    np.testing.assert_allclose(scaled, (X - shift) / factor, rtol=1e-10, atol=1e-6)
    resident, labels = model.transform(data).to_arrays()
    assert resident.tobytes() == scaled.tobytes()
    assert len(labels) == 50
    assert model.transform(X[3]).tolist() == scaled[3].tolist()


def test_by_default_the_deviation_scales_and_the_mean_does_not():
    X = far_from_zero()
    deviation = X.std(axis=0, ddof=1)
    scaled = StandardScalerModel(X.mean(axis=0), deviation).transform(X)
    np.testing.assert_allclose(scaled, X / deviation, rtol=1e-14)


def test_a_partition_that_lacks_columns_has_zeros_there():
    wide = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 6.0]])
    data = labeled_data((wide[:2, :1], [0, 0]), (wide[2:], [0]))
    model = StandardScaler(withMean=True).fit(data)
    np.testing.assert_allclose(model.mean, [2.0, 2.0])
    expected = (wide - wide.mean(axis=0)) / wide.std(axis=0, ddof=1)
    np.testing.assert_allclose(model.transform(data).to_arrays()[0], expected, rtol=1e-14)


def test_a_constant_column_becomes_zeros_and_one_row_too():
    for value in (3.0, 0.1, 1e8 + 0.1, 0.0):  # a mean of many 0.1 is not quite 0.1
        model = StandardScaler().fit(in_parts(np.full((50, 1), value)))
        assert model.transform([[value], [4.0]]).tolist() == [[0.0], [0.0]]
    one = StandardScaler(withMean=True).fit(labeled_data(([[5.0]], [1.0])))
    assert one.transform([5.0]).tolist() == [0.0]


def test_scaled_features_bear_a_large_step():
    """The way out that the message about divergence names."""
    data = load_libsvm(DIABETES_RAW, partitions=3, cluster=FakeCluster())
    scaled = StandardScaler(withMean=True).fit(data).transform(data)
    losses = LinearRegressionWithSGD.train(scaled, step=0.1, intercept=True).loss_history
    assert losses[-1] < losses[0]


def test_what_does_not_fit():
    for wrong in ({"withMean": "no"}, {"withStd": 2}):
        with pytest.raises(ArgumentError, match="must be True or False"):
            StandardScaler(**wrong)
    with pytest.raises(ArgumentError, match="data is empty: there is no row"):
        StandardScaler().fit(labeled_data((np.zeros((0, 0)), [])))
    with pytest.raises(ArgumentError, match=r"LabeledData, .* load_arrays .* but is ndarray"):
        StandardScaler().fit(np.ones((2, 2)))
    for large in ([1e200, -1e200], [1e308, 1e308], [1e308, -1e308]):
        rows = np.column_stack([[1.0, 2.0], large])
        with pytest.raises(ArgumentError, match="the squares of feature 2 overflow: scale it down"):
            StandardScaler().fit(labeled_data((rows, np.zeros(2))))
    model = StandardScaler().fit(load_libsvm(DIABETES, cluster=FakeCluster()))
    with pytest.raises(ArgumentError, match="the rows have 1 features, but the scaler was fitted"):
        model.transform([[1.0]])
    with pytest.raises(ArgumentError, match="the rows have 11 features"):
        model.transform(labeled_data((np.ones((1, 11)), [0.0])))
