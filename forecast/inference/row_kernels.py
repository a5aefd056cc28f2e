"""Numba kernels over rows: plain logit, odds, memberships, sums by group.

All release the GIL and take a range of rows where threads can share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = [
    "LARGE",
    "LARGE_SINGLE",
    "MOST_ODDS",
    "add_members",
    "compiled",
    "compiled_sums",
    "compiled_values",
    "group_sums",
    "log_odds_product",
    "member_products",
    "member_sums",
    "odds_product",
    "odds_score",
    "plain_moments",
    "segment_sums",
    "spread_sums",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
SingleArray = npt.NDArray[np.float32]
UnsignedArray = npt.NDArray[np.uint32]

LARGE = 1e100  # a larger running product is folded into a logarithm
LARGE_SINGLE = 1e30
MOST_ODDS = 1e30  # above this, p = 1


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Compile without the GIL and without checks for division by zero; cached on disk.

    A kernel that calls one of another file is compiled anew only when its own file changes.
    """
    machine: Any = nb.njit(nogil=True, cache=True, error_model="numpy")(function)
    typed: F = machine
    return typed


def compiled_sums[F: Callable[..., Any]](function: F) -> F:
    """As `compiled`, and sums may be reordered, so that they use vector instructions."""
    loose = {"reassoc", "contract", "nsz"}
    machine: Any = nb.njit(nogil=True, cache=True, error_model="numpy", fastmath=loose)(function)
    typed: F = machine
    return typed


def compiled_values[F: Callable[..., Any]](function: F) -> F:
    """As `compiled`, and a product may be fused with a sum, but nothing is reordered."""
    loose = {"contract", "nsz"}
    machine: Any = nb.njit(nogil=True, cache=True, error_model="numpy", fastmath=loose)(function)
    typed: F = machine
    return typed


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


@compiled
def add_members(
    a: FloatArray | SingleArray,
    place: UnsignedArray,
    group: Int32Array,
    common: FloatArray | SingleArray,
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    f: FloatArray | SingleArray,
    i0: int,
    i1: int,
    out: FloatArray | SingleArray,
) -> None:
    """Fill ``out[i] = a[r] + common[group[i]] + Σ_j data[j] f[indices[j]]`` of rows i0..i1.

    Row i of the caller is row r = place[i] of ``a`` and of the memberships, in compressed rows.
    """
    for i in range(i0, i1):
        r = np.int64(place[i])
        total = a[r] + common[group[i]]
        for j in range(indptr[r], indptr[r + 1]):
            total += a.dtype.type(data[j]) * f[indices[j]]
        out[i] = total


@compiled
def segment_sums(value: FloatArray, start: IntArray) -> FloatArray:
    """Sum of the rows of each group, (groups,)."""
    out = np.zeros(start.size - 1)
    for g in range(start.size - 1):
        for i in range(start[g], start[g + 1]):
            out[g] += value[i]
    return out


@compiled
def member_sums(
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    r: FloatArray | SingleArray,
    i0: int,
    i1: int,
    f: FloatArray,
) -> None:
    """Add Z' r of rows i0..i1 to ``f`` (m,); Z in compressed rows."""
    for i in range(i0, i1):
        for j in range(indptr[i], indptr[i + 1]):
            f[indices[j]] += r[i] * data[j]


@compiled
def member_products(
    X: FloatArray | SingleArray,
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    weight: FloatArray | SingleArray,
    i0: int,
    i1: int,
    ZX: FloatArray,
    ZZ: FloatArray,
) -> None:
    """Add Z'WX (m, p) and the lower triangle of Z'WZ (m, m) of rows i0..i1.

    The columns of a row of Z ascend.
    """
    for i in range(i0, i1):
        x = X[i]
        for j in range(indptr[i], indptr[i + 1]):
            c = weight[i] * data[j]
            target = ZX[indices[j]]
            for k in range(x.size):
                target[k] += c * x[k]
            below = ZZ[indices[j]]
            for k in range(indptr[i], j + 1):
                below[indices[k]] += c * data[k]


@compiled
def group_sums(
    X: FloatArray | SingleArray,
    p: int,
    columns: IntArray,
    effects: IntArray,
    rest: IntArray,
    indptr: IntArray,
    indices: Int32Array,
    data: FloatArray,
    value: FloatArray,
    group: Int32Array,
    i0: int,
    i1: int,
    out: FloatArray | SingleArray,
) -> None:
    """Add ``value_i (X_i, Z_i)`` of rows i0..i1 to ``out[group_i]``; out is (groups, size).

    ``effects`` of these rows multiply ``columns`` of X; the other memberships, in compressed
    rows, are of the positions ``rest``.
    """
    for i in range(i0, i1):
        target, x, c = out[group[i]], X[i], value[i]
        for k in range(p):
            target[k] += c * x[k]
        for q in range(columns.size):
            target[effects[q]] += c * x[columns[q]]
        for j in range(indptr[i], indptr[i + 1]):
            target[rest[indices[j]]] += c * data[j]


@compiled
def spread_sums(
    indptr: Int32Array,
    indices: Int32Array,
    data: FloatArray,
    total: FloatArray,
    at: IntArray,
    out: FloatArray | SingleArray,
) -> None:
    """Fill ``out[g, at]`` with ``total_g`` times row g of a matrix in compressed rows."""
    for g in range(total.size):
        for j in range(indptr[g], indptr[g + 1]):
            out[g, at[indices[j]]] = total[g] * data[j]


@compiled_sums
def odds_score(e: FloatArray, factor: float) -> tuple[float, float]:
    """Sum of p and of p (1 - p) for odds e_i * factor."""
    kind = e.dtype.type
    one, f, most = kind(1.0), kind(factor), kind(MOST_ODDS)
    total = kind(0.0)
    weight = kind(0.0)
    for i in range(e.size):
        o = min(e[i] * f, most)
        q = one / (one + o)
        total += o * q
        weight += o * q * q
    return total, weight


@compiled_sums
def odds_product(e: FloatArray, factor: float) -> float:
    """Π_i (1 + e_i factor) in the precision of ``e``; may overflow."""
    one = e.dtype.type(1.0)
    f = e.dtype.type(factor)
    product = one
    for i in range(e.size):
        product *= one + e[i] * f
    return product


@compiled
def log_odds_product(e: FloatArray, factor: float) -> float:
    """Logarithm of `odds_product`, which cannot overflow."""
    product, folded = 1.0, 0.0
    for i in range(e.size):
        product *= 1.0 + np.float64(e[i]) * factor
        if product > LARGE:
            folded += log(product)
            product = 1.0
    return folded + log(product)
