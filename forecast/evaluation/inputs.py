"""Checks on the arrays that are scored: one place, so that every score refuses the same things."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError

__all__ = ["FloatArray", "as_counts", "as_finite", "as_forecasts", "as_level"]

FloatArray = npt.NDArray[np.float64]


def as_finite(name: str, values: npt.ArrayLike, *, ndim: int = 1) -> FloatArray:
    """Float array of `ndim` dimensions, not empty and without NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ArgumentError(f"`{name}` must have {ndim} dimension(s), found shape {array.shape}.")
    if array.size == 0:
        raise ArgumentError(f"`{name}` is empty; there is nothing to score.")
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = index[0] if ndim == 1 else index
        raise ArgumentError(
            f"`{name}` holds {array[index]} at index {where} ({int(bad.sum())} such value(s)); "
            "a missing forecast or outcome cannot be scored, drop the row on purpose."
        )
    return array


def as_forecasts(
    outcome: npt.ArrayLike, probability: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Outcomes (0 or 1) and probabilities (0 to 1) of the same length."""
    y = as_finite("outcome", outcome)
    p = as_finite("probability", probability)
    if y.shape != p.shape:
        raise ArgumentError(f"`outcome` has {y.size} rows but `probability` has {p.size}.")
    bad = (y != 0.0) & (y != 1.0)
    if bad.any():
        i = int(np.argmax(bad))
        raise ArgumentError(f"`outcome` must be 0 or 1, found {y[i]} at index {i}.")
    bad = (p < 0.0) | (p > 1.0)
    if bad.any():
        i = int(np.argmax(bad))
        raise ArgumentError(f"`probability` must lie in [0, 1], found {p[i]} at index {i}.")
    return y, p


def as_counts(observed: npt.ArrayLike, draws: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Observed values, shape (n,), and their predictive draws, shape (draws, n)."""
    y = as_finite("observed", observed)
    x = as_finite("draws", draws, ndim=2)
    if x.shape[1] != y.size:
        raise ArgumentError(
            f"`draws` must have shape (draws, {y.size}) to match `observed`, found {x.shape}."
        )
    return y, x


def as_level(level: float) -> float:
    """Probability of an interval, strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ArgumentError(f"`level` must lie strictly between 0 and 1, found {level}.")
    return float(level)
