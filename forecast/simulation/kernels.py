"""The hot loops of the simulation, compiled by numba."""

from __future__ import annotations

from functools import partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from forecast.inference.row_kernels import machine

__all__ = [
    "add_allies",
    "add_lookup",
    "add_product",
    "begin_and_end",
    "mark_elsewhere",
    "mark_opponent",
    "probability",
    "share_numbers",
    "with_others",
]

Array = npt.NDArray[Any]


@machine
def mark_opponent(
    left: Array, right: Array, draw: Array, a: Array, indptr: Array, indices: Array, row_of: Array,
    out: Array,
) -> None:  # fmt: skip
    """Each active dispute k–j marks the rows i–j of every ally i of k (and of j, against k)."""
    for e in range(left.size):
        d = draw[e]
        for turn in range(2):
            k = left[e] if turn == 0 else right[e]
            j = right[e] if turn == 0 else left[e]
            for q in range(indptr[k], indptr[k + 1]):
                i = indices[q]
                if i == j:
                    continue
                r = row_of[i, j]
                if r >= 0:
                    out[0 if a[r] == i else 1, r, d] = 1


@machine
def add_allies(
    left: Array, right: Array, draw: Array, weight: Array, a: Array, indptr: Array, indices: Array,
    row_of: Array, out: Array,
) -> None:  # fmt: skip
    """Each onset i–k adds its weight to the side i of the rows i–j of every ally j of k."""
    for e in range(left.size):
        for turn in range(2):
            i = left[e] if turn == 0 else right[e]
            k = right[e] if turn == 0 else left[e]
            for q in range(indptr[k], indptr[k + 1]):
                j = indices[q]
                if j == i:
                    continue
                r = row_of[i, j]
                if r >= 0:
                    out[0 if a[r] == i else 1, r, draw[e]] += weight[e]


@partial(machine, parallel=True)
def mark_elsewhere(
    left: Array, right: Array, start: Array, a: Array, b: Array, indptr: Array, indices: Array,
    states: int, out: Array,
) -> None:  # fmt: skip
    """Mark the sides i of rows i–j with an ally k, not j, in a dispute with a third state."""
    for d in numba.prange(start.size - 1):
        with_whom = np.zeros((states, states), dtype=np.int8)
        number = np.zeros(states, dtype=np.int32)
        for e in range(start[d], start[d + 1]):
            i, j = left[e], right[e]
            with_whom[i, j] = with_whom[j, i] = 1
            number[i] += 1
            number[j] += 1
        for r in range(a.size):
            for turn in range(2):
                i = a[r] if turn == 0 else b[r]
                j = b[r] if turn == 0 else a[r]
                for q in range(indptr[i], indptr[i + 1]):
                    k = indices[q]
                    if k != j and number[k] - with_whom[k, i] - with_whom[k, j] > 0:
                        out[turn, r, d] = 1
                        break


@partial(machine, parallel=True)
def add_lookup(out: Array, index: Array, table: Array) -> None:
    """out[r, d] += table[index[r, d], d]; `index` may have a single column."""
    single = index.shape[1] == 1
    for r in numba.prange(out.shape[0]):
        for d in range(out.shape[1]):
            out[r, d] += table[index[r, 0 if single else d], d]


@partial(machine, parallel=True)
def add_product(out: Array, left: Array, right: Array, center: float, beta: Array) -> None:
    """out[r, d] += beta[d] (left[r, d] right[r, d] - center); each may have a single column."""
    one, two = left.shape[1] == 1, right.shape[1] == 1
    for r in numba.prange(out.shape[0]):
        for d in range(out.shape[1]):
            product = left[r, 0 if one else d] * right[r, 0 if two else d]
            out[r, d] += beta[d] * (product - center)


@partial(machine, parallel=True)
def with_others(
    level: Array, pair: Array, share: np.float32, simulated: Array, a: Array, b: Array,
    rows: Array, largest: bool, out: Array,
) -> None:  # fmt: skip
    """Larger or smaller of the two states' disputes without those of the pair itself.

    level (S, D) holds those of each state, pair (n,) those of the pair on record, simulated (R, D)
    its simulated ones, each of which counts `share` in its states' sums.
    """
    none = np.float32(0)
    for r in numba.prange(rows.size):
        i = rows[r]
        for d in range(out.shape[1]):
            apart = pair[r] + share * simulated[i, d]
            left = max(level[a[i], d] - apart, none)
            right = max(level[b[i], d] - apart, none)
            out[r, d] = max(left, right) if largest else min(left, right)


@partial(machine, parallel=True)
def probability(log_odds: Array, out: Array) -> None:
    """Inverse logit."""
    for r in numba.prange(out.shape[0]):
        for d in range(out.shape[1]):
            out[r, d] = 1.0 / (1.0 + np.exp(-log_odds[r, d]))


@partial(machine, parallel=True)
def share_numbers(number: Array, shared: Array, hub: Array, weight: Array) -> None:
    """With probability `weight` the number of a row becomes that of its hub.

    What is left of a uniform number once it has decided which, is uniform again.
    """
    for r in numba.prange(number.shape[0]):
        for d in range(number.shape[1]):
            if number[r, d] < weight[d]:
                number[r, d] = shared[hub[r], d]
            else:
                number[r, d] = (number[r, d] - weight[d]) / (1.0 - weight[d])


@partial(machine, parallel=True)
def begin_and_end(
    risk: Array, stays: Array, severe: Array, first: Array, second: Array, before: Array,
    onset: Array, after: Array,
) -> None:  # fmt: skip
    """Onsets of a year, and disputes that are open at its end; see `dynamics.Track.step`.

    What is left of a uniform number once it has decided is uniform again: the first, below the
    risk, decides how severe the new dispute is; the second, once the old one has ended, whether
    the new one is open at the end of the year.
    """
    for r in numba.prange(risk.shape[0]):
        for d in range(risk.shape[1]):
            begins = first[r, d] < risk[r, d]
            onset[r, d] = begins
            number, going, code = second[r, d], 0, before[r, d]
            if code > 0:
                p = stays[code, d]
                if number < p:
                    going = code + 2
                else:
                    number = (number - p) / (1.0 - p)
            if begins and going == 0:
                code = 1 if first[r, d] < risk[r, d] * severe[d] else 0
                if number < stays[code, d]:
                    going = code + 2
            after[r, d] = going
