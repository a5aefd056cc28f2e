"""Numba kernels over rows: plain logit, predictor, transpose, cross products, sums by group.

All release the GIL and take a range of rows where threads can share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = [
    "add_members",
    "compiled",
    "compiled_sums",
    "cross_products",
    "group_sums",
    "plain_log_likelihood",
    "plain_moments",
    "predictor",
    "sparse_group_sums",
    "transpose",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
SingleArray = npt.NDArray[np.float32]
UnsignedArray = npt.NDArray[np.uint32]


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Compile without the GIL and without checks for division by zero; cached on disk."""
    machine: Any = nb.njit(nogil=True, cache=True, error_model="numpy")(function)
    typed: F = machine
    return typed


def compiled_sums[F: Callable[..., Any]](function: F) -> F:
    """As `compiled`, and sums may be reordered, so that they use vector instructions."""
    loose = {"reassoc", "contract", "nsz"}
    machine: Any = nb.njit(nogil=True, cache=True, error_model="numpy", fastmath=loose)(function)
    typed: F = machine
    return typed


@compiled
def plain_log_likelihood(a: FloatArray | SingleArray, y: FloatArray, i0: int, i1: int) -> float:
    """Bernoulli-logit log likelihood of rows i0..i1."""
    total = 0.0
    for i in range(i0, i1):
        total += y[i] * a[i] - max(a[i], 0.0) - np.log1p(exp(-abs(a[i])))
    return total


@compiled
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


@compiled_sums
def predictor(
    X: FloatArray,
    b: FloatArray,
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    f: FloatArray,
    i0: int,
    i1: int,
    out: FloatArray,
) -> None:
    """Fill ``out`` with X b + Z f for rows i0..i1 (Z in compressed rows)."""
    for i in range(i0, i1):
        x = X[i]
        total = 0.0
        for k in range(b.size):
            total += x[k] * b[k]
        for j in range(indptr[i], indptr[i + 1]):
            total += data[j] * f[indices[j]]
        out[i] = total


@compiled_sums
def add_members(
    A: SingleArray,
    place: UnsignedArray,
    column: UnsignedArray,
    weight: SingleArray,
    F: SingleArray,
    out: SingleArray,
) -> None:
    """Fill ``out[s, i] = A[s, place[i]] + Σ_c weight[c, i] F[s, column[c, i]]``."""
    n = out.shape[1]
    for s in range(out.shape[0]):
        source, target, f = A[s], out[s], F[s]
        for i in range(n):
            target[i] = source[place[i]]
        for c in range(column.shape[0]):
            at, w = column[c], weight[c]
            for i in range(n):
                target[i] += w[i] * f[at[i]]


@compiled
def transpose(
    X: FloatArray,
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    r: FloatArray,
    i0: int,
    i1: int,
    b: FloatArray,
    f: FloatArray,
) -> None:
    """Add X' r to ``b`` (p,) and Z' r to ``f`` (m,), of rows i0..i1."""
    for i in range(i0, i1):
        x = X[i]
        c = r[i]
        for k in range(b.size):
            b[k] += c * x[k]
        for j in range(indptr[i], indptr[i + 1]):
            f[indices[j]] += c * data[j]


@compiled
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


@compiled
def cross_products(
    X: FloatArray,
    indptr: IntArray,
    indices: Int32Array,
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


@compiled
def group_sums(
    X: FloatArray, value: FloatArray, group: Int32Array, i0: int, i1: int, out: FloatArray
) -> None:
    """Add ``value_i X_i`` of rows i0..i1 to ``out[group_i]``; out is (groups, p)."""
    for i in range(i0, i1):
        target, x = out[group[i]], X[i]
        c = value[i]
        for k in range(x.size):
            target[k] += c * x[k]


@compiled
def sparse_group_sums(
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    value: FloatArray,
    group: Int32Array,
    out: FloatArray,
) -> None:
    """Add ``value_i Z_i`` of every row to ``out[group_i]``; out is (groups, m)."""
    for i in range(value.size):
        target = out[group[i]]
        for j in range(indptr[i], indptr[i + 1]):
            target[indices[j]] += value[i] * data[j]
