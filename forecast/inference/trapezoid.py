"""The trapezoidal rule, by which effects of a group block are integrated out for many draws.

Given odds e_i = exp(a_i) of the rows of a group, and a scale σ, what is wanted is

    L = ∫ Normal(d; 0, σ²) exp(y d) Π_i (1 + e_i exp(d))^(−1) dd

for y events. The integrand is analytic and vanishes at both ends, so that the trapezoidal rule
converges faster than any power of its spacing (Trefethen & Weideman 2014, SIAM Review 56:385), and
its nodes can be the same for all groups: no group has to be searched for its mode, and exp(d_k) is
taken once a draw. Half of the nodes are a rule of twice the spacing. Where the two differ by ρ,
the finer one is off by about ρ² of what is integrated; if that is too much the spacing is halved.

At most nodes the product need not be taken over rows. With S_j = Σ_i e_i^j and t = exp(d)

    Σ_i log(1 + e_i t) = S_1 t − S_2 t² / 2 + S_3 t³ / 3 − S_4 t⁴ / 4 + S_5 t⁵ / 5 − R,
    0 ≤ R ≤ S_6 t⁶ / 6,

by Taylor's theorem for every t, so that a bound on S_6 says at which nodes that is enough.
"""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import NamedTuple

import numpy as np

from forecast.arrays import BoolArray, FloatArray, IntArray, SingleArray
from forecast.inference.row_kernels import (
    MOST_SINGLE,
    Batches,
    ChunkRows,
    Span,
    chunk_odds,
    chunk_predictors,
    compiled_sums,
    compiled_values,
    largest,
)

__all__ = ["Grids", "chunk_values", "grids", "power_sums"]


_REACH = 6.2  # standard deviations of the prior: 3e-10 is beyond
_FURTHER = 4.0  # more on the side to which events pull
_SPACING = 0.65  # of the effect, and of it in standard deviations: the finer one
_LEVELS = 5  # spacings tried, each half of the one before; the first is never enough
_WIDEST = 4.0  # scale beyond which there would be too many nodes
_CUT = 3e-10  # error of the integral of a group by the end of a series, by node
_CUT_ALWAYS = 3e-8  # the same, of the integrand
_POWERS = 6
_SMALLEST = 0.02  # integral below which one minus the integral says too little about it
_ERROR = 1e-8  # of the log integral of a group
_FEW = 0.06  # Σ_i e_i t up to which six powers of t are enough: 5e-8 of it is left
_END = 1e-7  # largest share of the integrand at either end of the nodes
_LITTLE = 1e-200
_MOST_POWER = 600.0  # largest logarithm of odds to the power of the events
_SHIFTER = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits


class Grids(NamedTuple):
    """Nodes of every batch of draws: levels one after the other, each between those before it."""

    usable: BoolArray  # (batches,), whether the scales allow for nodes at all
    first: IntArray  # (batches, levels + 1), where the nodes of each level begin, and end
    quiet: IntArray  # (batches, levels), how many of them, from the first, do without events
    spacing: FloatArray  # (batches,), of the first level, in standard deviations
    largest: FloatArray  # (batches,), largest t
    density: FloatArray  # (nodes,), standard normal
    t: FloatArray  # (nodes, draws of a batch), exp(d_k)
    single: SingleArray  # the same
    highest: FloatArray  # (nodes,), the largest
    below: FloatArray  # (nodes, 6, draws), Σ density t^j over nodes of a level so far, j = 1..6
    limit: FloatArray  # (nodes,), largest S_6 for which the series does for a group without events
    strict: FloatArray  # (nodes,), for any


def grids(sigmas: FloatArray) -> Grids:
    """Nodes for scales of the group block, (batches, draws of a batch).

    Those of one batch should be alike: the largest says how many nodes there are.
    """
    widest = sigmas.max(axis=1)
    usable = np.isfinite(widest) & (widest <= _WIDEST)
    spacing = 2.0 * np.minimum(_SPACING, _SPACING / np.maximum(widest, 1e-300))
    first = np.zeros((len(sigmas), _LEVELS + 1), dtype=np.int64)
    quiet = np.zeros((len(sigmas), _LEVELS), dtype=np.int64)
    z: list[FloatArray] = []
    of: list[int] = []
    end = 0
    for b, good in enumerate(usable.tolist()):
        first[b, 0] = end
        for level in range(_LEVELS if good else 0):
            step = spacing[b] * min(1.0, 2.0 ** (1 - level))
            nodes = np.arange(-_REACH + (step / 2 if level else 0.0), _REACH + _FURTHER, step)
            z.append(nodes)
            of.append(b)
            end += nodes.size
            first[b, level + 1] = end
            quiet[b, level] = int(np.searchsorted(nodes, _REACH, side="right"))
    place = np.repeat(of, [nodes.size for nodes in z]).astype(np.int64)
    at = np.concatenate([np.empty(0), *z])
    density = np.exp(-0.5 * at**2) / np.sqrt(2.0 * np.pi)
    t = np.exp(at[:, None] * sigmas[place])
    highest = np.max(t, axis=1, initial=0.0)
    below = density[:, None, None] * t[:, None] ** np.arange(1.0, 7.0)[:, None]
    for i, j in pairwise([*first[:, :-1].ravel().tolist(), end]):
        np.cumsum(below[i:j], axis=0, out=below[i:j])
    weight = density * spacing[place] / 2.0
    reach = np.exp(np.where(usable, widest, 0.0) * (_REACH + _FURTHER))
    limit = 6.0 * np.maximum(_CUT / weight, _CUT_ALWAYS) / highest**6
    strict = 6.0 * _CUT_ALWAYS / highest**6
    single = t.astype(np.float32)
    return Grids(
        usable, first, quiet, spacing, reach, density, t, single, highest, below, limit, strict
    )


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
    E: SingleArray, S: FloatArray, grids: Grids, b: int, H: FloatArray, P: SingleArray,
    q: FloatArray, old: FloatArray, new: FloatArray, value: FloatArray,
) -> bool:  # fmt: skip
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
    E: SingleArray, S: FloatArray, events: float, grids: Grids, b: int, P: FloatArray,
    q: FloatArray, old: FloatArray, new: FloatArray, value: FloatArray, failed: BoolArray,
) -> None:  # fmt: skip
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
    rows: ChunkRows, draws: Batches, span: Span, events: FloatArray, grids: Grids,
    total: FloatArray, failed: BoolArray,
) -> int:  # fmt: skip
    """Sum of the logarithms of `_quiet_group` or `_busy_group` over the groups of a chunk.

    ``events`` is (groups,). Fills ``total`` (batches, LANES) with the sums, and ``failed``
    (batches, groups of the chunk, LANES) with what is not in them and has to be done in another
    way; returns how many have failed.
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
