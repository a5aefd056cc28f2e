"""Numba kernels over a chunk of rows and a batch of draws: predictors, odds, likelihood, powers.

A few thousand rows with the predictors of a few draws stay in the cache from the product with the
columns of X to the log likelihood, and nothing of the size of rows times draws is written to
memory. Draws of a batch stand side by side in the last axis, so that one vector instruction works
on all of them, whatever a group looks like. Predictors and odds are in single precision, what is
made of the sums of a group in double.

How the effect of a group is integrated out is told in `forecast.inference.grids`.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.inference.grids import Grids
from forecast.inference.row_kernels import compiled, compiled_sums, compiled_values

__all__ = [
    "LANES",
    "MOST_SINGLE",
    "Batches",
    "ChunkRows",
    "Span",
    "chunk_odds",
    "chunk_plain",
    "chunk_powers",
    "chunk_predictors",
    "chunk_values",
    "largest",
    "power_sums",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SingleArray = npt.NDArray[np.float32]
FlagArray = npt.NDArray[np.bool_]

LANES = 16  # draws of a batch: a register of the widest kind in single precision
MOST_SINGLE = 8.0  # largest predictor whose odds are kept in single precision
_POWERS = 6
_SMALLEST = 0.02  # integral below which one minus the integral says too little about it
_ERROR = 1e-8  # of the log integral of a group
_FEW = 0.06  # Σ_i e_i t up to which six powers of t are enough: 5e-8 of it is left
_END = 1e-7  # largest share of the integrand at either end of the nodes
_LITTLE = 1e-200
_MOST_POWER = 600.0  # largest logarithm of odds to the power of the events

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
_SHIFTER = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits


class ChunkRows(NamedTuple):
    """What kernels read about the rows; see `forecast.inference.rows.Rows`.

    "Ours" is the order in which rows of one chunk and part stand together.
    """

    X: SingleArray  # (n, width), ours
    segments: IntArray  # (segments, 3): part, first row and end, ours
    place: npt.NDArray[np.uint32]  # (n,), where the row of the caller is in ours
    start: IntArray  # (groups + 1,), first row of each group, the caller's
    indptr: IntArray  # memberships of rows, ours, compressed
    indices: npt.NDArray[np.int32]
    data: FloatArray
    group_indptr: IntArray  # memberships of groups, compressed
    group_indices: npt.NDArray[np.int32]
    group_data: FloatArray


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


@compiled_sums
def chunk_predictors(
    rows: ChunkRows, draws: Batches, b: int, span: Span, A: SingleArray, out: SingleArray
) -> None:
    """Fill ``out`` (rows, LANES) with the predictors of the chunk's rows in the caller's order."""
    s0, s1, g0, g1, i0, i1 = span
    for k in range(s0, s1):
        j0, j1 = rows.segments[k, 1], rows.segments[k, 2]
        np.dot(rows.X[j0:j1], draws.B[b, rows.segments[k, 0]], A[j0 - i0 : j1 - i0])
    base, total = np.empty(A.shape[1], A.dtype), np.empty(A.shape[1], A.dtype)
    for g in range(g0, g1):
        base[:] = A.dtype.type(0.0)
        for j in range(rows.group_indptr[g], rows.group_indptr[g + 1]):
            weight, f = A.dtype.type(rows.group_data[j]), draws.G[b, rows.group_indices[j]]
            for s in range(base.size):
                base[s] += weight * f[s]
        for i in range(max(rows.start[g], i0), min(rows.start[g + 1], i1)):
            r = np.int64(rows.place[i])
            source = A[r - i0]
            for s in range(base.size):
                total[s] = source[s] + base[s]
            for j in range(rows.indptr[r], rows.indptr[r + 1]):
                weight, f = A.dtype.type(rows.data[j]), draws.F[b, rows.indices[j]]
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
def power_sums(E: SingleArray, S: SingleArray) -> None:
    """Fill ``S`` (6, draws) with Σ_i e_i^j, j = 1..6, of the rows of E."""
    S[:] = S.dtype.type(0.0)
    i = 0
    while i + 2 <= E.shape[0]:  # two at a time: half of the loads and stores of sums
        first, second = E[i], E[i + 1]
        for s in range(S.shape[1]):
            x, y = first[s], second[s]
            x2, y2 = x * x, y * y
            x4, y4 = x2 * x2, y2 * y2
            S[0, s] += x + y
            S[1, s] += x2 + y2
            S[2, s] += x2 * x + y2 * y
            S[3, s] += x4 + y4
            S[4, s] += x4 * x + y4 * y
            S[5, s] += x4 * x2 + y4 * y2
        i += 2
    if i < E.shape[0]:
        first = E[i]
        for s in range(S.shape[1]):
            x = first[s]
            S[0, s] += x
            S[1, s] += x * x
            S[2, s] += x * x * x
            S[3, s] += (x * x) * (x * x)
            S[4, s] += (x * x) * (x * x) * x
            S[5, s] += (x * x) * (x * x) * (x * x)


@compiled_sums
def _product(E: SingleArray, t: FloatArray | SingleArray, P: FloatArray | SingleArray) -> None:
    """Fill ``P`` (draws,) with Π_i (1 + e_i t); may overflow to infinity."""
    one = P.dtype.type(1.0)
    P[:] = one
    i = 0
    while i + 4 <= E.shape[0]:
        e0, e1, e2, e3 = E[i], E[i + 1], E[i + 2], E[i + 3]
        for s in range(P.size):
            u = (one + e0[s] * t[s]) * (one + e1[s] * t[s])
            v = (one + e2[s] * t[s]) * (one + e3[s] * t[s])
            P[s] *= u * v
        i += 4
    while i < E.shape[0]:
        e0 = E[i]
        for s in range(P.size):
            P[s] *= one + e0[s] * t[s]
        i += 1


@compiled_values
def _series(S: FloatArray, t: FloatArray, q: FloatArray) -> None:
    """Fill ``q`` with exp(−x), x = Σ_j (−1)^(j+1) S_j t^j / j for j ≤ 5; S_j comes divided by j."""
    for s in range(q.size):
        u = t[s]
        x = u * (S[0, s] - u * (S[1, s] - u * (S[2, s] - u * (S[3, s] - u * S[4, s]))))
        x = -min(x, 700.0)
        shifted = x * 1.4426950408889634 + _SHIFTER
        r = x - (shifted - _SHIFTER) * 0.6931471805599453
        y = 1.0 / 3628800.0
        y = y * r + 1.0 / 362880.0
        y = y * r + 1.0 / 40320.0
        y = y * r + 1.0 / 5040.0
        y = y * r + 1.0 / 720.0
        y = y * r + 1.0 / 120.0
        y = y * r + 1.0 / 24.0
        y = y * r + 1.0 / 6.0
        y = y * r + 0.5
        y = y * r + 1.0
        y = y * r + 1.0
        power = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
        q[s] = y * power


@compiled_values
def _expansion(S: FloatArray, H: FloatArray) -> None:
    """Fill ``H`` (6, draws) with minus the coefficients of t^j, j = 1..6, of Π_i (1 + e_i t)^(−1).

    Up to the sign they are the complete symmetric polynomials of the e_i, by Newton's identities;
    row j of ``S`` is Σ_i e_i^(j+1) / (j + 1).
    """
    for s in range(H.shape[1]):
        p1, p2, p3 = -S[0, s], 2.0 * S[1, s], -3.0 * S[2, s]
        p4, p5, p6 = 4.0 * S[3, s], -5.0 * S[4, s], 6.0 * S[5, s]
        h2 = (p1 * p1 + p2) / 2.0
        h3 = (p1 * h2 + p2 * p1 + p3) / 3.0
        h4 = (p1 * h3 + p2 * h2 + p3 * p1 + p4) / 4.0
        h5 = (p1 * h4 + p2 * h3 + p3 * h2 + p4 * p1 + p5) / 5.0
        h6 = (p1 * h5 + p2 * h4 + p3 * h3 + p4 * h2 + p5 * p1 + p6) / 6.0
        H[0, s], H[1, s], H[2, s], H[3, s], H[4, s], H[5, s] = -p1, -h2, -h3, -h4, -h5, -h6


@compiled_sums
def _quiet_group(
    E: SingleArray,
    S: FloatArray,
    grids: Grids,
    b: int,
    H: FloatArray,
    P: SingleArray,
    q: FloatArray,
    old: FloatArray,
    new: FloatArray,
    value: FloatArray,
) -> bool:
    """Fill ``value`` with ∫ Normal(d) Π_i (1 + e_i exp(d))^(−1) dd; False if it did not settle.

    One minus the integrand is what is added up: for most groups that is next to nothing.
    """
    first_power, sixth_power = 0.0, 0.0
    for s in range(q.size):
        first_power, sixth_power = max(first_power, S[0, s]), max(sixth_power, 6.0 * S[5, s])
    _expansion(S, H)
    old[:] = 0.0
    spacing = grids.spacing[b]
    for level in range(grids.quiet.shape[1]):
        new[:] = 0.0
        k = grids.first[b, level]
        end = k + grids.quiet[b, level]
        while k < end and first_power * grids.highest[k] <= _FEW:
            k += 1
        if k > grids.first[b, level]:
            M = grids.below[k - 1]
            for j in range(_POWERS):
                for s in range(q.size):
                    new[s] += H[j, s] * M[j, s]
        while k < end:
            if sixth_power <= grids.limit[k]:
                _series(S, grids.t[k], q)
            else:
                _product(E, grids.single[k], P)
                for s in range(q.size):
                    q[s] = 1.0 / P[s]
            weight = grids.density[k]
            for s in range(q.size):
                new[s] += weight * (1.0 - q[s])
            k += 1
        if level:
            spacing *= 0.5
            worst, largest = 0.0, 0.0
            for s in range(q.size):
                total = old[s] + new[s]
                apart = old[s] - new[s]
                worst = max(worst, apart * apart - _ERROR * total / spacing)
                largest = max(largest, total)
            if largest * spacing > 1.0 - _SMALLEST:
                return False
            if worst <= 0.0:
                for s in range(q.size):
                    value[s] = 1.0 - spacing * (old[s] + new[s])
                return True
        for s in range(q.size):
            old[s] += new[s]
    return False


@compiled_sums
def _busy_group(
    E: SingleArray,
    S: FloatArray,
    events: float,
    grids: Grids,
    b: int,
    P: FloatArray,
    q: FloatArray,
    old: FloatArray,
    new: FloatArray,
    value: FloatArray,
    failed: FlagArray,
) -> None:
    """Fill ``value`` with ∫ Normal(d) exp(events d) Π_i (1 + e_i exp(d))^(−1) dd.

    ``failed`` says for which draws the nodes do not do: to be done in another way.
    """
    most = 0.0
    for s in range(q.size):
        most = max(most, 6.0 * S[5, s])
    old[:] = 0.0
    failed[:] = True
    spacing, levels = grids.spacing[b], grids.quiet.shape[1]
    if events * log(grids.largest[b]) > _MOST_POWER:
        return
    first, last = np.zeros(q.size), np.zeros(q.size)
    for level in range(levels):
        new[:] = 0.0
        k0, k1 = grids.first[b, level], grids.first[b, level + 1]
        for k in range(k0, k1):
            t = grids.t[k]
            if most <= grids.strict[k]:
                _series(S, t, q)
            else:
                _product(E, t, P)
                for s in range(q.size):
                    q[s] = 1.0 / P[s]
            for _ in range(int(events)):
                for s in range(q.size):
                    q[s] *= t[s]
            weight = grids.density[k]
            for s in range(q.size):
                new[s] += weight * q[s]
            if level == 0 and k == k0:
                for s in range(q.size):
                    first[s] = weight * q[s]
            if level == 0 and k == k1 - 1:
                for s in range(q.size):
                    last[s] = weight * q[s]
        if level:
            spacing *= 0.5
            settled = True
            for s in range(q.size):
                total = old[s] + new[s]
                apart = old[s] - new[s]
                good = apart * apart <= _ERROR * total * total
                settled = settled and good
                if (
                    good
                    and max(first[s], last[s]) <= _END * total
                    and _LITTLE < total < 1.0 / _LITTLE
                ):
                    value[s] = spacing * total
                    failed[s] = False
                else:
                    failed[s] = True
            if settled:
                return
        for s in range(q.size):
            old[s] += new[s]


@compiled_sums
def chunk_values(
    rows: ChunkRows,
    draws: Batches,
    span: Span,
    events: FloatArray,
    grids: Grids,
    total: FloatArray,
    failed: FlagArray,
) -> int:
    """Sum of the logarithms of `_quiet_group` or `_busy_group` over the groups of a chunk.

    Parameters
    ----------
    rows, draws, span
        See there.
    events : numpy.ndarray, shape (groups,)
    grids : Grids
        Nodes of every batch.
    total : numpy.ndarray, shape (batches, LANES)
        Filled with the sums.
    failed : numpy.ndarray, shape (batches, groups of the chunk, LANES)
        Filled with what is not in the sums and has to be done in another way.

    Returns
    -------
    int
        How many have failed.
    """
    g0, i0 = span.g0, span.i0
    A = np.empty((span.i1 - i0, draws.B.shape[3]), np.float32)
    E = np.empty_like(A)
    lanes = A.shape[1]
    sums, S = np.empty((_POWERS, lanes), np.float32), np.empty((_POWERS, lanes))
    most, single = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
    P, q, old, new = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    value, bad, kept = np.empty(lanes), np.empty(lanes, np.bool_), np.empty(lanes)
    H = np.empty((_POWERS, lanes))
    count = 0
    for b in range(draws.B.shape[0]):
        flags = failed[b]
        flags[:] = False
        total[b] = 0.0
        kept[:] = 1.0
        if not grids.usable[b]:
            flags[:] = True
            count += flags.size
            continue
        chunk_predictors(rows, draws, b, span, A, E)
        largest(E, most)
        chunk_odds(E)
        for g in range(g0, span.g1):
            r0, r1 = rows.start[g] - i0, rows.start[g + 1] - i0
            if r1 == r0:
                continue
            power_sums(E[r0:r1], sums)
            for j in range(_POWERS):
                for s in range(lanes):
                    S[j, s] = sums[j, s] / (j + 1.0)
            bad[:] = False
            if events[g] > 0.0 or not _quiet_group(
                E[r0:r1], S, grids, b, H, single, q, old, new, value
            ):
                _busy_group(E[r0:r1], S, events[g], grids, b, P, q, old, new, value, bad)
            for s in range(lanes):
                if bad[s] or not most[s] < MOST_SINGLE:
                    flags[g - g0, s] = True
                    count += 1
                elif _LITTLE < kept[s] * value[s] < 1.0 / _LITTLE:
                    kept[s] *= value[s]  # one logarithm for many groups
                else:
                    total[b, s] += log(kept[s])
                    kept[s] = value[s]
        for s in range(lanes):
            total[b, s] += log(kept[s])
    return count


@compiled_sums
def chunk_powers(
    rows: ChunkRows, draws: Batches, span: Span, weight: FloatArray, squares: FloatArray,
    cubes: FloatArray,
) -> None:  # fmt: skip
    """Sums of squares of the predictors over draws, by row, and of weighted cubes over rows.

    Parameters
    ----------
    weight, squares : numpy.ndarray, shape (n,)
        The rows of the chunk are filled.
    cubes : numpy.ndarray, shape (batches, LANES)
        Filled.
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
