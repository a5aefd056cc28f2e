"""Numba kernels that draw effects of a group block from their exact conditionals, by rejection.

The groups and their log density h(d) are those of `forecast.inference.gauss_hermite`.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Any

import numpy as np

from forecast.arrays import BoolArray, FloatArray, IntArray, UnsignedArray
from forecast.inference.gauss_hermite import CAP
from forecast.inference.row_kernels import (
    LARGE,
    LARGE_SINGLE,
    MOST_SINGLE,
    Batches,
    ChunkRows,
    Span,
    chunk_odds,
    chunk_predictors,
    compiled,
    compiled_sums,
    largest,
    log_odds_product,
    odds_product,
    odds_score,
)

__all__ = ["chunk_draws", "draw_effects"]

_NEAR = 0.2  # slope, times the prior's s.d., at the middle of a hull: its level is .02 too high


@compiled
def _value(e: FloatArray, events: float, precision: float, d: float) -> float:
    """h(d) up to a constant."""
    factor = exp(min(d, CAP))
    large = LARGE_SINGLE if e.itemsize == 4 else LARGE
    product = odds_product(e, factor)
    logarithm = log(product) if product < large else log_odds_product(e, factor)
    return events * d - 0.5 * precision * d * d - logarithm - e.size * max(d - CAP, 0.0)


@compiled
def _density(
    e: FloatArray, events: float, precision: float, d: float
) -> tuple[float, float, float]:
    """Value h(d) up to a constant, its slope, and minus its curvature."""
    total, weight = odds_score(e, exp(min(d, CAP)))
    return _value(e, events, precision, d), events - total - precision * d, weight + precision


@compiled_sums
def _total(e: FloatArray) -> float:
    """Σ_i e_i."""
    total = e.dtype.type(0.0)
    for i in range(e.size):
        total += e[i]
    return total


@compiled
def _draw_quiet(e: FloatArray, total: float, sigma: float, z: float, u: float) -> float:
    """A draw of the effect of a group without events: its prior, thinned by the likelihood.

    exp(−x) ≤ Π_i (1 + e_i exp(d))^(−1) ≤ 1 / (1 + x) with x = exp(d) Σ_i e_i: between the two,
    which is seldom, the product decides. A standard normal ``z`` and a uniform ``u`` come first.
    """
    for _ in range(10_000):
        d = sigma * z
        factor = exp(min(d, CAP))
        x = total * factor
        # exp(−x) is at least 1 − x.
        if u <= 1.0 - x:
            break
        if u * (1.0 + x) <= 1.0 and (u <= exp(-x) or u * odds_product(e, factor) <= 1.0):
            break
        z = np.random.standard_normal()  # noqa: NPY002
        u = np.random.random()  # noqa: NPY002
    return d


@compiled
def _draw_any(e: FloatArray, events: float, sigma: float, guess: float) -> float:
    """A draw of the effect of a group.

    Rejection from the piecewise exponential hull of a log-concave density: a level that it
    cannot exceed, and tangents at 1.3 conditional standard deviations on either side of a point
    near the mode; the chords between the three points accept most draws without looking at the
    rows again (Gilks & Wild 1992, without the adaptive refinement).
    """
    precision = 1.0 / (sigma * sigma)
    near_enough = _NEAR * sqrt(precision)
    near = guess
    h2, s2, curvature = _density(e, events, precision, near)
    for _ in range(200):
        if abs(s2) < near_enough:
            break
        near += min(max(s2 / curvature, -2.0), 2.0)
        h2, s2, curvature = _density(e, events, precision, near)
    # h'' is at most minus the prior precision, which bounds how far the mode is above.
    peak = h2 + 0.5 * s2 * s2 / precision
    away = 1.3 / sqrt(curvature)
    t1, t3 = near - away, near + away
    h1, s1, _ = _density(e, events, precision, t1)
    h3, s3, _ = _density(e, events, precision, t3)
    while s1 <= 0.0:
        t1 -= away
        h1, s1, _ = _density(e, events, precision, t1)
    while s3 >= 0.0:
        t3 += away
        h3, s3, _ = _density(e, events, precision, t3)
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
        if v <= _value(e, events, precision, d):
            break
    return d


@compiled
def _draw(e: FloatArray, events: float, sigma: float, guess: float, z: float, u: float) -> float:
    """An exact draw of the effect of a group, from a normal and a uniform number and what it needs.

    Where no event was expected and none came the prior is thinned.
    """
    total = _total(e)
    if events == 0.0 and total < exp(-0.5 * sigma * sigma):
        return _draw_quiet(e, total, sigma, z, u)
    return _draw_any(e, events, sigma, guess)


@compiled
def draw_effects(
    e: FloatArray, events: FloatArray, start: IntArray, sigma: float, guess: FloatArray, seed: int,
    out: FloatArray,
) -> None:  # fmt: skip
    """One exact draw of every group effect given the odds of its rows: fills ``out`` (G,).

    Seeds the generator of the calling thread, so a draw depends on ``seed`` alone.
    """
    np.random.seed(seed)  # noqa: NPY002 (the generator that compiled code has per thread)
    for g in range(start.shape[0] - 1):
        z, u = np.random.standard_normal(), np.random.random()  # noqa: NPY002
        out[g] = _draw(e[start[g] : start[g + 1]], events[g], sigma, guess[g], z, u)


@compiled
def chunk_draws(
    rows: ChunkRows, draws: Batches, span: Span, events: FloatArray, sigma: FloatArray,
    guess: FloatArray, seeds: UnsignedArray, normal: FloatArray, uniform: FloatArray,
    first: IntArray, place: IntArray, out: FloatArray, failed: BoolArray,
) -> bool:  # fmt: skip
    """`draw_effects` of the groups of a chunk for batches of draws.

    ``seeds`` (batches,) are of what is needed beyond the first numbers of each draw, ``normal`` and
    ``uniform`` (copies, groups of the chunk), which are made faster elsewhere. The rows of ``out``
    (copies, groups) that get draws given ``w`` number k are ``place[first[k] : first[k + 1]]``; the
    columns of the chunk are filled. ``failed`` (batches, LANES) is filled with whether odds are too
    large for single precision, to be drawn in another way; returned is whether any are.
    """
    i0, lanes = span.i0, draws.B.shape[3]
    A = np.empty((span.i1 - i0, lanes), np.float32)
    E = np.empty_like(A)
    most = np.empty(lanes, np.float32)
    column: Any = np.empty(span.i1 - i0, np.float32)
    any_failed = False
    for b in range(draws.B.shape[0]):
        chunk_predictors(rows, draws, b, span, A, E)
        largest(E, most)
        chunk_odds(E)
        np.random.seed(seeds[b])  # noqa: NPY002
        for s in range(lanes):
            failed[b, s] = not most[s] < MOST_SINGLE
            any_failed = any_failed or failed[b, s]
            if failed[b, s]:
                continue
            for i in range(column.size):
                column[i] = E[i, s]
            for c in range(first[b * lanes + s], first[b * lanes + s + 1]):
                for g in range(span.g0, span.g1):
                    e = column[rows.start[g] - i0 : rows.start[g + 1] - i0]
                    z, u = normal[c, g - span.g0], uniform[c, g - span.g0]
                    out[place[c], g] = _draw(e, events[g], sigma[b, s], guess[g], z, u)
    return any_failed
