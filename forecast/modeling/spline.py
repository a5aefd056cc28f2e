"""Natural cubic spline basis with fixed knots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["natural_cubic"]

FloatArray = npt.NDArray[np.float64]

_MANY = 1000


def natural_cubic(x: npt.ArrayLike, knots: Sequence[float]) -> FloatArray:
    """Cardinal basis of the natural cubic splines with the given knots.

    Column j is the natural cubic spline that is 1 at knot j+1 and 0 at every other knot, so a
    coefficient is the value of the smooth at its knot minus the value at the first knot (whose
    own column is left out: the intercept carries it). Linear beyond the outer knots.

    Parameters
    ----------
    x : array_like, shape (...)
        Values; NaN gives NaN.
    knots : sequence of float, length k >= 3
        Strictly increasing.

    Returns
    -------
    numpy.ndarray, shape (..., k - 1)

    Notes
    -----
    S. N. Wood, *Generalized Additive Models* (2nd ed., 2017), section 5.3.1: with steps
    h_j = t_{j+1} - t_j, the second derivatives at the inner knots solve B g = D f.
    """
    t = np.asarray(knots, dtype=np.float64)
    values = np.asarray(x, dtype=np.float64)
    if values.size > _MANY:
        distinct, where = np.unique(values, return_inverse=True)
        if distinct.size <= _MANY:  # whole years, say: each is worked out once
            return np.asarray(natural_cubic(distinct, knots)[where])
    k = t.size
    h = np.diff(t)
    inner = np.arange(k - 2)
    D = np.zeros((k - 2, k))
    D[inner, inner] = 1.0 / h[:-1]
    D[inner, inner + 1] = -1.0 / h[:-1] - 1.0 / h[1:]
    D[inner, inner + 2] = 1.0 / h[1:]
    B = np.diag((h[:-1] + h[1:]) / 3.0)
    B[inner[:-1], inner[1:]] = B[inner[1:], inner[:-1]] = h[1:-1] / 6.0
    curvature = np.zeros((k, k))  # second derivative at each knot, per unit value at each knot
    curvature[1:-1] = np.linalg.solve(B, D)

    inside = np.clip(values, t[0], t[-1])
    j = np.clip(np.searchsorted(t, inside, side="right") - 1, 0, k - 2)
    left, right = (t[j + 1] - inside) / h[j], (inside - t[j]) / h[j]
    unit = np.eye(k)
    basis = left[..., None] * unit[j] + right[..., None] * unit[j + 1]
    bend = (h[j] ** 2 / 6.0)[..., None]
    basis += bend * (
        (left**3 - left)[..., None] * curvature[j]
        + (right**3 - right)[..., None] * curvature[j + 1]
    )
    # Slopes at the two ends, for the linear parts (the end curvatures are zero).
    first = (unit[1] - unit[0]) / h[0] - h[0] / 6.0 * curvature[1]
    last = (unit[-1] - unit[-2]) / h[-1] + h[-1] / 6.0 * curvature[-2]
    below, above = np.minimum(values - t[0], 0.0), np.maximum(values - t[-1], 0.0)
    basis += below[..., None] * first + above[..., None] * last
    out: FloatArray = np.ascontiguousarray(basis[..., 1:])
    return out
