"""Numba kernels over rows: memberships, sums by group, odds, plain logit, batches of draws.

All release the GIL and take a range or a chunk of rows, so that threads can share the work. In a
chunk, a few thousand rows with the predictors of a few draws stay in the cache from the product
with the columns of X to the log likelihood, and nothing of the size of rows times draws is written
to memory. Draws of a batch stand side by side in the last axis, so that one vector instruction
works on all of them, whatever a group looks like; their predictors and odds are in single
precision.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from forecast.arrays import FloatArray, Int32Array, IntArray, SingleArray, UnsignedArray

__all__ = [
    "LANES", "LARGE", "LARGE_SINGLE", "MOST_ODDS", "MOST_SINGLE", "Batches", "ChunkRows", "Members",
    "Span", "add_members", "chunk_odds", "chunk_plain", "chunk_powers", "chunk_predictors",
    "compiled", "compiled_sums", "compiled_values", "group_sums", "largest", "log_odds_product",
    "machine", "member_products", "member_sums", "odds_product", "odds_score", "plain_moments",
    "segment_sums", "spread_sums",
]  # fmt: skip


LANES = 16  # draws of a batch: a register of the widest kind in single precision
MOST_SINGLE = 8.0  # largest predictor whose odds are kept in single precision
LARGE = 1e100  # a larger running product is folded into a logarithm
LARGE_SINGLE = 1e30
MOST_ODDS = 1e30  # above this, p = 1

_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_MOST_EXPONENT = np.float32(80.0)
_BIAS = np.int32(127)
_C6, _C5, _C4, _C3, _C2 = (
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1)
)


def machine(function: Callable[..., Any], **options: Any) -> Any:
    """Compile by numba; kept on disk, but where this user can write to no cache."""
    try:
        return nb.njit(cache=True, **options)(function)
    except RuntimeError:  # a package that is read-only, and no home: compiled in each process
        return nb.njit(**options)(function)


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Compile without the GIL and without checks for division by zero; cached on disk.

    A kernel that calls one of another file is compiled anew only when its own file changes.
    """
    typed: F = machine(function, nogil=True, error_model="numpy")
    return typed


def compiled_sums[F: Callable[..., Any]](function: F) -> F:
    """As `compiled`, and sums may be reordered, so that they use vector instructions."""
    loose = {"reassoc", "contract", "nsz"}
    typed: F = machine(function, nogil=True, error_model="numpy", fastmath=loose)
    return typed


def compiled_values[F: Callable[..., Any]](function: F) -> F:
    """As `compiled`, and a product may be fused with a sum, but nothing is reordered."""
    loose = {"contract", "nsz"}
    typed: F = machine(function, nogil=True, error_model="numpy", fastmath=loose)
    return typed


class Members(NamedTuple):
    """Weights with which rows, or groups, use effects, in compressed rows whose columns ascend."""

    indptr: IntArray
    indices: Int32Array
    data: FloatArray


class ChunkRows(NamedTuple):
    """What kernels read about the rows; see `forecast.inference.linear_map.LinearMap`.

    "Ours" is the order in which rows of one chunk and part stand together.
    """

    X: SingleArray  # (n, width), ours
    segments: IntArray  # (segments, 3): part, first row and end, ours
    place: UnsignedArray  # (n,), where the row of the caller is in ours
    start: IntArray  # (groups + 1,), first row of each group, the caller's
    members: Members  # of rows, ours
    common: Members  # of groups


class Batches(NamedTuple):
    """Draws of ``w`` in batches."""

    B: SingleArray  # (batches, parts, width, LANES), coefficients of X
    F: SingleArray  # (batches, effects of rows, LANES)
    G: SingleArray  # (batches, effects of groups, LANES)


class Span(NamedTuple):
    """A chunk: ranges of segments, groups and rows."""

    s0: int
    s1: int
    g0: int
    g1: int
    i0: int
    i1: int


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
    a: FloatArray | SingleArray, place: UnsignedArray, group: Int32Array,
    common: FloatArray | SingleArray, members: Members, f: FloatArray | SingleArray, i0: int,
    i1: int, out: FloatArray | SingleArray,
) -> None:  # fmt: skip
    """Fill ``out[i] = a[r] + common[group[i]] + Σ_j data[j] f[indices[j]]`` of rows i0..i1.

    Row i of the caller is row r = place[i] of ``a`` and of the memberships.
    """
    indptr, indices, data = members
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
    members: Members, r: FloatArray | SingleArray, i0: int, i1: int, f: FloatArray
) -> None:
    """Add Z' r of rows i0..i1 to ``f`` (m,)."""
    indptr, indices, data = members
    for i in range(i0, i1):
        for j in range(indptr[i], indptr[i + 1]):
            f[indices[j]] += r[i] * data[j]


@compiled
def member_products(
    X: FloatArray | SingleArray, members: Members, weight: FloatArray | SingleArray, i0: int,
    i1: int, ZX: FloatArray, ZZ: FloatArray,
) -> None:  # fmt: skip
    """Add Z'WX (m, p) and the lower triangle of Z'WZ (m, m) of rows i0..i1."""
    indptr, indices, data = members
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
    X: FloatArray | SingleArray, p: int, columns: IntArray, effects: IntArray, rest: IntArray,
    members: Members, value: FloatArray, group: Int32Array, i0: int, i1: int,
    out: FloatArray | SingleArray,
) -> None:  # fmt: skip
    """Add ``value_i (X_i, Z_i)`` of rows i0..i1 to ``out[group_i]``; out is (groups, size).

    ``effects`` of these rows multiply ``columns`` of X; the other memberships are of the positions
    ``rest``.
    """
    indptr, indices, data = members
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
    members: Members, total: FloatArray, at: IntArray, out: FloatArray | SingleArray
) -> None:
    """Fill ``out[g, at]`` with ``total_g`` times row g of a matrix."""
    indptr, indices, data = members
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


@compiled_sums
def chunk_predictors(
    rows: ChunkRows, draws: Batches, b: int, span: Span, A: SingleArray, out: SingleArray
) -> None:
    """Fill ``out`` (rows, LANES) with the predictors of the chunk's rows in the caller's order."""
    s0, s1, g0, g1, i0, i1 = span
    indptr, indices, data = rows.members
    group_indptr, group_indices, group_data = rows.common
    for k in range(s0, s1):
        j0, j1 = rows.segments[k, 1], rows.segments[k, 2]
        np.dot(rows.X[j0:j1], draws.B[b, rows.segments[k, 0]], A[j0 - i0 : j1 - i0])
    base, total = np.empty(A.shape[1], A.dtype), np.empty(A.shape[1], A.dtype)
    for g in range(g0, g1):
        base[:] = A.dtype.type(0.0)
        for j in range(group_indptr[g], group_indptr[g + 1]):
            weight, f = A.dtype.type(group_data[j]), draws.G[b, group_indices[j]]
            for s in range(base.size):
                base[s] += weight * f[s]
        for i in range(max(rows.start[g], i0), min(rows.start[g + 1], i1)):
            r = np.int64(rows.place[i])
            source = A[r - i0]
            for s in range(base.size):
                total[s] = source[s] + base[s]
            for j in range(indptr[r], indptr[r + 1]):
                weight, f = A.dtype.type(data[j]), draws.F[b, indices[j]]
                for s in range(base.size):
                    total[s] += weight * f[s]
            target = out[i - i0]
            for s in range(base.size):
                target[s] = total[s]


@compiled_values
def chunk_odds(A: SingleArray) -> None:
    """Turn predictors into odds in place: 1.2e-7 off at most, in vector instructions.

    Cephes' polynomial on ±ln 2 / 2 (Moshier 1989), times a power of two.
    """
    for i in range(A.shape[0]):
        row = A[i]
        for s in range(row.size):
            x = max(min(row[s], _MOST_EXPONENT), -_MOST_EXPONENT)
            k = np.floor(x * _LOG2E + _HALF)
            x = (x - k * _LN2_HIGH) - k * _LN2_LOW
            y = ((((_C6 * x + _C5) * x + _C4) * x + _C3) * x + _C2) * x + _HALF
            power = np.int32((np.int32(k) + _BIAS) << np.int32(23)).view(np.float32)
            row[s] = (y * x * x + x + _ONE) * power


@compiled_sums
def largest(A: SingleArray, most: SingleArray) -> None:
    """Fill ``most`` with the largest value of each draw."""
    most[:] = A.dtype.type(-np.inf)
    for i in range(A.shape[0]):
        row = A[i]
        for s in range(row.size):
            most[s] = max(most[s], row[s])


@compiled_sums
def chunk_powers(
    rows: ChunkRows, draws: Batches, span: Span, weight: FloatArray, squares: FloatArray,
    cubes: FloatArray,
) -> None:  # fmt: skip
    """Sums of squares of the predictors over draws, by row, and of weighted cubes over rows.

    ``squares`` (n,) is filled in the rows of the chunk, ``cubes`` (batches, LANES) as a whole.
    """
    i0 = span.i0
    A = np.empty((span.i1 - i0, draws.B.shape[3]), np.float32)
    E = np.empty_like(A)
    squares[i0 : span.i1] = 0.0
    cubes[:] = 0.0
    for b in range(draws.B.shape[0]):
        chunk_predictors(rows, draws, b, span, A, E)
        sums = cubes[b]
        for i in range(E.shape[0]):
            row, w, total = E[i], weight[i0 + i], np.float64(0.0)
            for s in range(row.size):
                square = np.float64(row[s]) * row[s]
                total += square
                sums[s] += w * square * row[s]
            squares[i0 + i] += total


@compiled
def chunk_plain(
    rows: ChunkRows, draws: Batches, span: Span, y: FloatArray, total: FloatArray
) -> None:
    """Fill ``total`` (batches, LANES) with the log likelihood of the chunk's rows, without groups.

    ``y`` (n,) is in the caller's order.
    """
    A = np.empty((span.i1 - span.i0, draws.B.shape[3]), np.float32)
    E = np.empty_like(A)
    total[:] = 0.0
    for b in range(draws.B.shape[0]):
        chunk_predictors(rows, draws, b, span, A, E)
        for i in range(E.shape[0]):
            for s in range(E.shape[1]):
                a = np.float64(E[i, s])
                total[b, s] += y[span.i0 + i] * a - max(a, 0.0) - np.log1p(exp(-abs(a)))
