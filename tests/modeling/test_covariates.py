from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from forecast.modeling.covariates import natural_cubic


def test_worked_by_hand() -> None:
    # Knots 0, 1, 2 and f = (0, 1, 0): one inner second derivative g with
    # (h0 + h1)/3 g = 1 - (1 + 1) ... = -2, so g = -3 and f(1/2) = 1/2 - (1/6)(1/8 - 1/2) 3 = 11/16.
    basis = natural_cubic([0.5, 1.0, 1.5], (0.0, 1.0, 2.0))
    np.testing.assert_allclose(basis[:, 0], [11 / 16, 1.0, 11 / 16], atol=1e-15)


def test_is_one_at_its_knot_and_zero_at_the_others() -> None:
    knots = (0.0, 1.0, 2.5, 7.0)
    np.testing.assert_allclose(natural_cubic(knots, knots), np.eye(4)[:, 1:], atol=1e-14)


@pytest.mark.parametrize(
    "knots", [(0.0, 1.0, 4.0), (0.0, 1.1, 2.2, 3.3, 4.1), (-2.0, 0.5, 3.0, 9.0)]
)
def test_agrees_with_scipy_between_the_knots(knots: tuple[float, ...]) -> None:
    x = np.linspace(knots[0], knots[-1], 57)
    oracle = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    np.testing.assert_allclose(natural_cubic(x, knots), oracle(x)[:, 1:], atol=1e-12)


def test_is_linear_beyond_the_outer_knots() -> None:
    knots = (0.0, 1.1, 2.2, 3.3)
    oracle = CubicSpline(knots, np.eye(4), bc_type="natural")
    for x0, x in ((knots[0], -1.7), (knots[-1], 5.0)):
        expected = oracle(x0) + (x - x0) * oracle(x0, 1)
        np.testing.assert_allclose(natural_cubic(x, knots), expected[1:], atol=1e-12)


def test_keeps_shape_and_missing_values() -> None:
    basis = natural_cubic(np.array([[0.0, np.nan], [1.0, 2.0]]), (0.0, 1.0, 4.0))
    assert basis.shape == (2, 2, 2)
    assert np.isnan(basis[0, 1]).all()
    assert np.isfinite(basis[[0, 1, 1], [0, 0, 1]]).all()


def test_reproduces_a_straight_line() -> None:
    # A natural spline through points of a line is the line: x = sum of knot_j times column j.
    knots = np.array([0.0, 1.0, 2.5, 7.0])
    x = np.linspace(-3, 12, 31)
    np.testing.assert_allclose(natural_cubic(x, knots) @ knots[1:], x, atol=1e-12)
