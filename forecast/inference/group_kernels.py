"""Numba kernels that integrate out, or draw, the effects of one block of groups.

One block of effects (the *group* block, e.g. the dyads) has exactly one level per row. Given
the rest of the linear predictor, ``a``, its effects are independent, so each is integrated out
by adaptive Gauss–Hermite quadrature (Liu & Pierce 1994, Biometrika 81:624):

    log ∫ Normal(d; 0, σ²) Π_{i in g} p(y_i | a_i + d) dd
      ≈ log(√2 s) − ½ log(2πσ²) + log Σ_k w_k exp(x_k² + h(d_k)),   d_k = m + √2 s x_k

with h(d) = Σ_i y_i (a_i + d) − Σ_i log(1 + exp(a_i + d)) − d²/(2σ²), m its mode and
s = (−h''(m))^(−½). The exponential of ``a_i`` is taken once per row; at the nodes
log(1 + e^{a_i} e^{d_k}) is accumulated as a product. What is left of exponentials and
logarithms, one per group and node, is taken by numpy between the kernels, in vector
instructions that compiled code does not have.

All kernels release the GIL and take a range of groups, so that threads can share the rows.
"""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np
import numpy.typing as npt

from forecast.inference.row_kernels import compiled, compiled_sums

__all__ = ["CAP", "draw_effects", "group_modes", "node_products", "node_values", "row_moments"]

# Above this, exp(a) is taken of the cap and the excess is added linearly: log(1+e^x) = x there.
CAP = 200.0
_LARGE = 1e100  # a running product is folded into a logarithm before it can overflow
_TOLERANCE = 1e-7  # of the conditional mode, in conditional standard deviations
_NEAR = 0.2  # the same where the mode is only the middle of a hull
_ROOT2 = 1.4142135623730951

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compiled_sums
def _score(e: FloatArray, i0: int, i1: int, factor: float) -> tuple[float, float]:
    """Sum of p and of p (1 - p) of rows i0..i1 for odds e_i * factor."""
    total = 0.0
    weight = 0.0
    for i in range(i0, i1):
        q = 1.0 / (1.0 + e[i] * factor)
        total += 1.0 - q
        weight += q * (1.0 - q)
    return total, weight


@compiled
def group_modes(
    e: FloatArray,
    events: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    sigma: float,
    guess: FloatArray,
    mode: FloatArray,
    scale: FloatArray,
) -> None:
    """Fill the ``mode`` of h(d) and ``scale`` = (−h''(mode))^(−½) of groups g0..g1.

    Newton on a strictly concave function, steps capped. ``e`` are the odds exp(a), capped;
    ``events`` the number of events of each group, ``guess`` where to start.
    """
    precision = 1.0 / (sigma * sigma)
    for g in range(g0, g1):
        d = guess[g]
        curvature = precision
        for _ in range(200):
            total, weight = _score(e, start[g], start[g + 1], exp(min(d, CAP)))
            curvature = weight + precision
            step = (events[g] - total - precision * d) / curvature
            step = min(max(step, -2.0), 2.0)
            d += step
            if abs(step) * sqrt(curvature) < _TOLERANCE:
                break
        mode[g] = d
        scale[g] = 1.0 / sqrt(curvature)


@compiled_sums
def node_products(
    e: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    factor: FloatArray,
    product: FloatArray,
    folded: FloatArray,
) -> None:
    """Fill Π_i (1 + e_i factor_k) of groups g0..g1 as ``product`` exp(``folded``), (G, nodes)."""
    K = factor.shape[1]
    for g in range(g0, g1):
        p, f = product[g], factor[g]
        for k in range(K):
            p[k] = 1.0
            folded[g, k] = 0.0
        for i in range(start[g], start[g + 1]):
            ei = e[i]
            for k in range(K):
                p[k] *= 1.0 + ei * f[k]
            if p[K - 1] > _LARGE:  # the nodes ascend, so the last product is the largest
                for k in range(K):
                    folded[g, k] += log(p[k])
                    p[k] = 1.0


def node_values(
    e: FloatArray,
    events: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    sigma: float,
    guess: FloatArray,
    x: FloatArray,
    logw: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """The quadrature of groups g0..g1.

    Parameters
    ----------
    e : numpy.ndarray, shape (n,)
        Odds exp(a), capped.
    events : numpy.ndarray, shape (groups,)
    start : numpy.ndarray, shape (groups + 1,)
        First row of each group.
    sigma : float
    guess : numpy.ndarray, shape (groups,)
        Where the search for each mode begins.
    x, logw : numpy.ndarray, shape (nodes,)
        Nodes, ascending, and logarithms of weights times exp(x²).

    Returns
    -------
    mode, d, factor, share : numpy.ndarray
        Modes (groups,), nodes d_k, exp(d_k), and weights of the nodes in the conditional
        posterior of each effect, summing to one; each (groups, nodes).
    value : numpy.ndarray, shape (groups,)
        Log integral of each group. The log likelihood is the sum of this plus the sum of ``a``
        over the events, and minus what the cap cut off.
    """
    events, guess = events[g0:g1], guess[g0:g1]
    bounds = start[g0 : g1 + 1]
    G, K = g1 - g0, x.size
    mode, scale = np.empty(G), np.empty(G)
    group_modes(e, events, bounds, 0, G, sigma, guess, mode, scale)
    d = mode[:, None] + (_ROOT2 * scale)[:, None] * x
    factor = np.exp(np.minimum(d, CAP))
    product, folded, top = np.empty((G, K)), np.empty((G, K)), np.empty(G)
    node_products(e, bounds, 0, G, factor, product, folded)
    np.log(product, out=product)
    _below_top(product, folded, d, events, bounds, 0.5 / sigma**2, logw, top)
    share = np.exp(product, out=product)
    integral = top + np.log(_normalise(share) * scale / sigma) - 0.5 * log(pi)
    return mode, d, factor, share, integral


@compiled_sums
def _below_top(
    product: FloatArray,
    folded: FloatArray,
    d: FloatArray,
    events: FloatArray,
    start: IntArray,
    half: float,
    logw: FloatArray,
    top: FloatArray,
) -> None:
    """Turn log products into the logarithms of the terms of the sum, less the largest, ``top``."""
    K = d.shape[1]
    for g in range(d.shape[0]):
        value, fold, at = product[g], folded[g], d[g]
        rows = start[g + 1] - start[g]
        largest = -np.inf
        for k in range(K):
            v = logw[k] + at[k] * (events[g] - half * at[k]) - fold[k] - value[k]
            v -= rows * max(at[k] - CAP, 0.0)
            value[k] = v
            largest = max(largest, v)
        for k in range(K):
            value[k] -= largest
        top[g] = largest


@compiled_sums
def _normalise(share: FloatArray) -> FloatArray:
    """Divide each row by its sum, in place; returns the sums."""
    mass = np.empty(share.shape[0])
    for g in range(share.shape[0]):
        row = share[g]
        total = 0.0
        for k in range(share.shape[1]):
            total += row[k]
        for k in range(share.shape[1]):
            row[k] /= total
        mass[g] = total
    return mass


@compiled_sums
def row_moments(
    e: FloatArray,
    y: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    factor: FloatArray,
    share: FloatArray,
    first: FloatArray,
    second: FloatArray,
    residual: FloatArray,
    weight: FloatArray,
    slope: FloatArray,
    bend: FloatArray,
) -> None:
    """Derivatives of the log likelihood by ``a``, row by row, for groups g0..g1.

    Fills ``residual`` = y − E[p]; ``weight`` = E[p(1 − p)]; ``slope`` and ``bend`` = Cov(p, u)
    and Cov(p, v), where u, v are the first two orthonormal polynomials of the group effect
    under its conditional posterior, times whose weights ``first`` and ``second`` are. The
    negative Hessian in ``a`` within a group is diag(weight) − Cov(p, p'), and
    Cov(p, p') ≈ slope slope' + bend bend'. The four node arrays begin with group g0.
    """
    K = factor.shape[1]
    for g in range(g0, g1):
        f, v = factor[g - g0], share[g - g0]
        u, t = first[g - g0], second[g - g0]
        for i in range(start[g], start[g + 1]):
            ei = e[i]
            p1 = 0.0
            p2 = 0.0
            s = 0.0
            b = 0.0
            for k in range(K):
                q = 1.0 / (1.0 + ei * f[k])
                p = 1.0 - q
                p1 += v[k] * p
                p2 += v[k] * p * q
                s += u[k] * p
                b += t[k] * p
            residual[i] = y[i] - p1
            weight[i] = p2
            slope[i] = s
            bend[i] = b


@compiled_sums
def _density(
    e: FloatArray, i0: int, i1: int, events: float, precision: float, d: float
) -> tuple[float, float, float]:
    """Value h(d) up to a constant, its slope, and minus its curvature."""
    factor = exp(min(d, CAP))
    folded = 0.0
    product = 1.0
    total = 0.0
    weight = 0.0
    for j in range(i0, i1, 8):  # eight rows at a time, none of which can overflow the product
        for i in range(j, min(j + 8, i1)):
            o = 1.0 + e[i] * factor
            q = 1.0 / o
            product *= o
            total += 1.0 - q
            weight += q * (1.0 - q)
        if product > _LARGE:
            folded += log(product)
            product = 1.0
    value = events * d - 0.5 * precision * d * d - folded - log(product)
    value -= (i1 - i0) * max(d - CAP, 0.0)
    return value, events - total - precision * d, weight + precision


@compiled_sums
def _value(e: FloatArray, i0: int, i1: int, events: float, precision: float, d: float) -> float:
    """Value h(d) of `_density` alone."""
    factor = exp(min(d, CAP))
    folded = 0.0
    product = 1.0
    for j in range(i0, i1, 8):
        for i in range(j, min(j + 8, i1)):
            product *= 1.0 + e[i] * factor
        if product > _LARGE:
            folded += log(product)
            product = 1.0
    value = events * d - 0.5 * precision * d * d - folded - log(product)
    return value - (i1 - i0) * max(d - CAP, 0.0)


@compiled
def draw_effects(
    e: FloatArray,
    events: FloatArray,
    start: IntArray,
    sigma: float,
    guess: FloatArray,
    seed: int,
    out: FloatArray,
) -> None:
    """One exact draw of every group effect given ``a``: fills ``out`` (G,).

    Rejection from the piecewise exponential hull of a log-concave density: a level that it
    cannot exceed, and tangents at 1.3 conditional standard deviations on either side of a point
    near the mode; the chords between the three points accept most draws without looking at the
    rows again (Gilks & Wild 1992, without the adaptive refinement). Seeds the generator of the
    calling thread, so a draw depends on ``seed`` alone.
    """
    np.random.seed(seed)  # noqa: NPY002 (the generator that compiled code has per thread)
    precision = 1.0 / (sigma * sigma)
    for g in range(start.shape[0] - 1):
        i0, i1 = start[g], start[g + 1]
        near = guess[g]
        h2, s2, curvature = _density(e, i0, i1, events[g], precision, near)
        for _ in range(200):
            if abs(s2) < _NEAR * sqrt(curvature):
                break
            near += min(max(s2 / curvature, -2.0), 2.0)
            h2, s2, curvature = _density(e, i0, i1, events[g], precision, near)
        # h'' is at most minus the prior precision, which bounds how far the mode is above.
        peak = h2 + 0.5 * s2 * s2 / precision
        away = 1.3 / sqrt(curvature)
        t1, t3 = near - away, near + away
        h1, s1, _ = _density(e, i0, i1, events[g], precision, t1)
        h3, s3, _ = _density(e, i0, i1, events[g], precision, t3)
        while s1 <= 0.0:
            t1 -= away
            h1, s1, _ = _density(e, i0, i1, events[g], precision, t1)
        while s3 >= 0.0:
            t3 += away
            h3, s3, _ = _density(e, i0, i1, events[g], precision, t3)
        # Where the tangents meet the level.
        z1, z3 = t1 + (peak - h1) / s1, t3 + (peak - h3) / s3
        left, middle, right = 1.0 / s1, z3 - z1, -1.0 / s3
        area = left + middle + right
        d = near
        for _ in range(10_000):
            u = np.random.random() * area  # noqa: NPY002
            if u < left:
                hull = log(max(u, 1e-300) / left)
                d = z1 + hull / s1
            elif u < left + middle:
                hull = 0.0
                d = z1 + u - left
            else:
                hull = log(max(area - u, 1e-300) / right)
                d = z3 + hull / s3
            v = log(max(np.random.random(), 1e-300)) + hull + peak  # noqa: NPY002
            if t1 < d < t3:
                share = (d - t1) / (near - t1) if d < near else (t3 - d) / (t3 - near)
                chord = h2 * share + (h1 if d < near else h3) * (1.0 - share)
                if v <= chord:
                    break
            if v <= _value(e, i0, i1, events[g], precision, d):
                break
        out[g] = d
