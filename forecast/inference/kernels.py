"""Numba kernels of the hierarchical logit: one pass over rows that are sorted by group.

One block of effects (the *group* block, e.g. the dyads) has exactly one level per row. Given
the rest of the linear predictor, ``a``, its effects are independent, so each is integrated out
by adaptive Gauss–Hermite quadrature (Liu & Pierce 1994, Biometrika 81:624):

    log ∫ Normal(d; 0, σ²) Π_{i in g} p(y_i | a_i + d) dd
      ≈ log(√2 s) − ½ log(2πσ²) + log Σ_k w_k exp(x_k² + h(d_k)),   d_k = m + √2 s x_k

with h(d) = Σ_i y_i (a_i + d) − Σ_i log(1 + exp(a_i + d)) − d²/(2σ²), m its mode and
s = (−h''(m))^(−½). The exponential of ``a_i`` is taken once per row; at the nodes
log(1 + e^{a_i} e^{d_k}) is accumulated as a product, one logarithm per group and node.

All kernels release the GIL and take a range of groups, so that threads can share the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = [
    "CAP",
    "cross_products",
    "draw_effects",
    "group_log_likelihood",
    "group_moments",
    "group_sums",
    "plain_log_likelihood",
    "plain_moments",
    "sparse_predictor",
    "sparse_predictors",
]

# Above this, exp(a) is taken of the cap and the excess is added linearly: log(1+e^x) = x there.
CAP = 200.0
_LARGE = 1e100  # a running product is folded into a logarithm before it can overflow
_TOLERANCE = 1e-7  # of the conditional mode, in conditional standard deviations

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def _compile[F: Callable[..., Any]](function: F) -> F:
    """Compile without the GIL and without checks for division by zero; cached on disk."""
    compiled: Any = nb.njit(nogil=True, cache=True, error_model="numpy")(function)
    typed: F = compiled
    return typed


def _compile_sums[F: Callable[..., Any]](function: F) -> F:
    """As `_compile`, and sums may be reordered, so that they use vector instructions."""
    loose = {"reassoc", "contract", "nsz"}
    compiled: Any = nb.njit(nogil=True, cache=True, error_model="numpy", fastmath=loose)(function)
    typed: F = compiled
    return typed


@_compile_sums
def _score(e: FloatArray, size: int, factor: float) -> tuple[float, float]:
    """Sum of p and of p (1 - p) for odds e_i * factor."""
    total = 0.0
    weight = 0.0
    for i in range(size):
        p = 1.0 - 1.0 / (1.0 + e[i] * factor)
        total += p
        weight += p * (1.0 - p)
    return total, weight


@_compile
def _mode(
    e: FloatArray, size: int, events: float, precision: float, start: float
) -> tuple[float, float]:
    """Mode of h(d) and −h''(mode): Newton on a strictly concave function, steps capped."""
    d = start
    curvature = precision
    for _ in range(200):
        total, weight = _score(e, size, exp(min(d, CAP)))
        curvature = weight + precision
        step = (events - total - precision * d) / curvature
        step = min(max(step, -2.0), 2.0)
        d += step
        if abs(step) * sqrt(curvature) < _TOLERANCE:
            break
    return d, curvature


@_compile
def _nodes(
    e: FloatArray,
    size: int,
    events: float,
    precision: float,
    mode: float,
    scale: float,
    x: FloatArray,
    logw: FloatArray,
    d: FloatArray,
    factor: FloatArray,
    value: FloatArray,
) -> float:
    """Nodes d_k and log of each term of the quadrature; returns their largest."""
    K = x.shape[0]
    product = np.ones(K)
    for k in range(K):
        d[k] = mode + 1.4142135623730951 * scale * x[k]
        factor[k] = exp(min(d[k], CAP))
        value[k] = logw[k] + events * d[k] - 0.5 * precision * d[k] * d[k]
        value[k] -= size * max(d[k] - CAP, 0.0)
    for i in range(size):
        ei = e[i]
        for k in range(K):
            product[k] *= 1.0 + ei * factor[k]
        if product[K - 1] > _LARGE:  # the nodes ascend, so the last product is the largest
            for k in range(K):
                value[k] -= log(product[k])
                product[k] = 1.0
    top = -np.inf
    for k in range(K):
        value[k] -= log(product[k])
        top = max(top, value[k])
    return top


@_compile
def group_log_likelihood(
    e: FloatArray,
    events: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    sigma: float,
    modes: FloatArray,
    x: FloatArray,
    logw: FloatArray,
) -> float:
    """Sum over groups g0..g1 of log ∫ Normal(d; 0, σ²) exp(events d) Π (1 + e_i exp(d))^-1 dd.

    ``e`` are the odds exp(a), capped; ``events`` the number of events of each group. The log
    likelihood is this plus the sum of ``a`` over the events, and minus what the cap cut off.
    """
    K = x.shape[0]
    precision = 1.0 / (sigma * sigma)
    d, factor, value = np.empty(K), np.empty(K), np.empty(K)
    total = 0.0
    for g in range(g0, g1):
        i0, i1 = start[g], start[g + 1]
        size = i1 - i0
        mode, curvature = _mode(e[i0:i1], size, events[g], precision, modes[g])
        scale = 1.0 / sqrt(curvature)
        top = _nodes(e[i0:i1], size, events[g], precision, mode, scale, x, logw, d, factor, value)
        mass = 0.0
        for k in range(K):
            mass += exp(value[k] - top)
        total += top + log(mass) + log(1.4142135623730951 * scale)
    return total - (g1 - g0) * (0.9189385332046727 + log(sigma))


@_compile
def group_moments(
    e: FloatArray,
    events: FloatArray,
    y: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    sigma: float,
    modes: FloatArray,
    x: FloatArray,
    logw: FloatArray,
    residual: FloatArray,
    weight: FloatArray,
    slope: FloatArray,
    bend: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
) -> float:
    """As `group_log_likelihood`, with the derivatives by ``a``, row by row.

    Fills for rows: ``residual`` = y − E[p]; ``weight`` = E[p(1 − p)]; ``slope`` and ``bend`` =
    Cov(p, u) and Cov(p, v), where u, v are the first two orthonormal polynomials of the group
    effect under its conditional posterior. The negative Hessian in ``a`` within a group is
    diag(weight) − Cov(p, p'), and Cov(p, p') ≈ slope slope' + bend bend'. Fills for groups: the
    conditional ``mean`` and ``variance`` of the effect, and its mode (``modes``, the next start).
    """
    K = x.shape[0]
    precision = 1.0 / (sigma * sigma)
    d, factor, value = np.empty(K), np.empty(K), np.empty(K)
    first, second = np.empty(K), np.empty(K)
    total = 0.0
    for g in range(g0, g1):
        i0, i1 = start[g], start[g + 1]
        size = i1 - i0
        mode, curvature = _mode(e[i0:i1], size, events[g], precision, modes[g])
        modes[g] = mode
        scale = 1.0 / sqrt(curvature)
        top = _nodes(e[i0:i1], size, events[g], precision, mode, scale, x, logw, d, factor, value)
        mass = 0.0
        for k in range(K):
            value[k] = exp(value[k] - top)
            mass += value[k]
        total += top + log(mass) + log(1.4142135623730951 * scale)
        m1 = 0.0
        for k in range(K):
            value[k] /= mass
            m1 += value[k] * d[k]
        m2 = 0.0
        m3 = 0.0
        m4 = 0.0
        for k in range(K):
            c = d[k] - m1
            m2 += value[k] * c * c
        sd = sqrt(m2)
        for k in range(K):
            u = (d[k] - m1) / sd
            m3 += value[k] * u**3
            m4 += value[k] * u**4
        norm = sqrt(max(m4 - m3 * m3 - 1.0, 1e-12))
        for k in range(K):
            u = (d[k] - m1) / sd
            first[k] = value[k] * u
            second[k] = value[k] * (u * u - m3 * u - 1.0) / norm
        mean[g] = m1
        variance[g] = m2
        for i in range(i0, i1):
            ei = e[i]
            p1 = 0.0
            p2 = 0.0
            s = 0.0
            b = 0.0
            for k in range(K):
                p = 1.0 - 1.0 / (1.0 + ei * factor[k])
                p1 += value[k] * p
                p2 += value[k] * p * (1.0 - p)
                s += first[k] * p
                b += second[k] * p
            residual[i] = y[i] - p1
            weight[i] = p2
            slope[i] = s
            bend[i] = b
    return total - (g1 - g0) * (0.9189385332046727 + log(sigma))


@_compile
def plain_log_likelihood(a: FloatArray, y: FloatArray, i0: int, i1: int) -> float:
    """Bernoulli-logit log likelihood of rows i0..i1."""
    total = 0.0
    for i in range(i0, i1):
        total += y[i] * a[i] - max(a[i], 0.0) - np.log1p(exp(-abs(a[i])))
    return total


@_compile
def plain_moments(
    a: FloatArray, y: FloatArray, i0: int, i1: int, residual: FloatArray, weight: FloatArray
) -> float:
    """Log likelihood of rows i0..i1; fills ``residual`` = y − p and ``weight`` = p (1 − p)."""
    total = 0.0
    for i in range(i0, i1):
        t = exp(-abs(a[i]))
        total += y[i] * a[i] - max(a[i], 0.0) - np.log1p(t)
        small = t / (1.0 + t)
        p = small if a[i] < 0.0 else 1.0 - small
        residual[i] = y[i] - p
        weight[i] = small * (1.0 - small)
    return total


@_compile
def sparse_predictor(
    indptr: IntArray,
    indices: npt.NDArray[np.int32],
    data: FloatArray,
    f: FloatArray,
    i0: int,
    i1: int,
    out: FloatArray,
) -> None:
    """Add Z f to ``out`` for rows i0..i1 (Z in compressed rows)."""
    for i in range(i0, i1):
        total = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            total += data[j] * f[indices[j]]
        out[i] += total


@_compile
def sparse_predictors(
    indptr: IntArray,
    indices: npt.NDArray[np.int32],
    data: FloatArray,
    F: FloatArray,
    out: FloatArray,
) -> None:
    """Add Z F to ``out`` (n, draws): one pass over Z for several draws, F is (m, draws)."""
    draws = F.shape[1]
    for i in range(out.shape[0]):
        target = out[i]
        for j in range(indptr[i], indptr[i + 1]):
            source = F[indices[j]]
            c = data[j]
            for s in range(draws):
                target[s] += c * source[s]


@_compile
def _outer(X: FloatArray, weight: FloatArray, i0: int, i1: int, XX: FloatArray) -> None:
    """Add the lower triangle of X'WX of rows i0..i1, four rows at a time."""
    p = X.shape[1]
    whole = i0 + (i1 - i0) // 4 * 4
    for i in range(i0, whole, 4):
        x0, x1, x2, x3 = X[i], X[i + 1], X[i + 2], X[i + 3]
        for j in range(p):
            c0, c1 = weight[i] * x0[j], weight[i + 1] * x1[j]
            c2, c3 = weight[i + 2] * x2[j], weight[i + 3] * x3[j]
            target = XX[j]
            for k in range(j + 1):
                target[k] += c0 * x0[k] + c1 * x1[k] + c2 * x2[k] + c3 * x3[k]
    for i in range(whole, i1):
        x0 = X[i]
        for j in range(p):
            c0 = weight[i] * x0[j]
            target = XX[j]
            for k in range(j + 1):
                target[k] += c0 * x0[k]


@_compile
def cross_products(
    X: FloatArray,
    indptr: IntArray,
    indices: npt.NDArray[np.int32],
    data: FloatArray,
    weight: FloatArray,
    i0: int,
    i1: int,
    XX: FloatArray,
    ZX: FloatArray,
    ZZ: FloatArray,
) -> None:
    """Add the lower triangles of X'WX (p, p) and Z'WZ (m, m), and Z'WX (m, p), of rows i0..i1.

    Written out rather than left to BLAS: the outputs stay in cache, nothing of the size of X is
    allocated, and it runs at full speed inside our own threads. The columns of a row of Z ascend.
    """
    p = X.shape[1]
    _outer(X, weight, i0, i1, XX)
    for i in range(i0, i1):
        x = X[i]
        for j in range(indptr[i], indptr[i + 1]):
            c = weight[i] * data[j]
            target = ZX[indices[j]]
            for k in range(p):
                target[k] += c * x[k]
            below = ZZ[indices[j]]
            for k in range(indptr[i], j + 1):
                below[indices[k]] += c * data[k]


@_compile
def group_sums(
    X: FloatArray,
    indptr: IntArray,
    indices: npt.NDArray[np.int32],
    data: FloatArray,
    row_value: FloatArray,
    start: IntArray,
    g0: int,
    g1: int,
    out: FloatArray,
) -> None:
    """Fill ``out[g] = Σ_{i in g} row_value_i (X_i, Z_i)`` for groups g0..g1; out is (G, p + m)."""
    p = X.shape[1]
    for g in range(g0, g1):
        for k in range(out.shape[1]):
            out[g, k] = 0.0
        for i in range(start[g], start[g + 1]):
            c = row_value[i]
            for k in range(p):
                out[g, k] += c * X[i, k]
            for j in range(indptr[i], indptr[i + 1]):
                out[g, p + indices[j]] += c * data[j]


@_compile
def _density(
    e: FloatArray, size: int, events: float, precision: float, d: float
) -> tuple[float, float]:
    """Value h(d) up to a constant, and its slope."""
    factor = exp(min(d, CAP))
    value = events * d - 0.5 * precision * d * d - size * max(d - CAP, 0.0)
    product = 1.0
    for i in range(size):
        product *= 1.0 + e[i] * factor
        if product > _LARGE:
            value -= log(product)
            product = 1.0
    total, _ = _score(e, size, factor)
    return value - log(product), events - total - precision * d


@_compile
def draw_effects(
    e: FloatArray,
    events: FloatArray,
    start: IntArray,
    sigma: float,
    modes: FloatArray,
    seed: int,
    out: FloatArray,
) -> None:
    """One exact draw of every group effect given ``a``: fills ``out`` (G,).

    Rejection from the piecewise exponential hull of a log-concave density, tangent at the mode
    and at 1.3 conditional standard deviations on either side (Gilks & Wild 1992, without the
    adaptive refinement). Seeds the generator of the calling thread, so a draw depends on
    ``seed`` alone.
    """
    np.random.seed(seed)  # noqa: NPY002 (the generator that compiled code has per thread)
    precision = 1.0 / (sigma * sigma)
    G = start.shape[0] - 1
    for g in range(G):
        i0, i1 = start[g], start[g + 1]
        size = i1 - i0
        mode, curvature = _mode(e[i0:i1], size, events[g], precision, modes[g])
        away = 1.3 / sqrt(curvature)
        peak, _ = _density(e[i0:i1], size, events[g], precision, mode)
        t1, t3 = mode - away, mode + away
        h1, s1 = _density(e[i0:i1], size, events[g], precision, t1)
        h3, s3 = _density(e[i0:i1], size, events[g], precision, t3)
        # Where the tangents meet the level of the mode.
        z1, z3 = t1 + (peak - h1) / s1, t3 + (peak - h3) / s3
        left, middle, right = 1.0 / s1, z3 - z1, -1.0 / s3
        area = left + middle + right
        d = mode
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
            h, _ = _density(e[i0:i1], size, events[g], precision, d)
            v = np.random.random()  # noqa: NPY002
            if log(max(v, 1e-300)) <= h - peak - hull:
                break
        out[g] = d
