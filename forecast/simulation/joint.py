"""Onsets that begin together: a coalition's war on a state is one event and many onsets.

Whether an onset begins between a pair is decided by a uniform number that falls below its
probability. With probability w a pair decides by a number that all pairs of its hub share, else by
one of its own; its hub is the one of its two states with more onsets to expect. Which number
decides does not depend on its value, so that the probability of each pair is what it was, exactly
(a common-shock copula in the manner of Marshall and Olkin 1967, JASA 62: 30-44). Where the shared
number is low, the riskiest pairs of the hub begin together.

w is such that, over the pairs of the forecast, the expected share of onsets that begin with others
is the share of dyadic onsets on record that began in one conflict with others in the same year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecast.draws import Stream, generator

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = ["Joint", "any_begins", "none_begins", "sizes_on_record", "weight_of"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

#: Posterior draws from which the expected share is computed, and values of w that are tried.
_DRAWS, _GRID = 50, np.linspace(0.0, 1.0, 101)
#: Worlds without an onset among the pairs that a comparison with the others needs.
_FEWEST = 20


def sizes_on_record(tables: Tables, origin: int) -> npt.NDArray[np.int64]:
    """Pairs with an onset in each conflict and year up to the origin in which any had one."""
    table = tables.conflicts
    year = table["start"].dt.year
    chosen = table.assign(year=year)[year <= origin]
    chosen = chosen.drop_duplicates(["conflict_id", "year", "ccode_a", "ccode_b"])
    return np.asarray(chosen.groupby(["conflict_id", "year"]).size(), dtype=np.int64)


def weight_of(share: Float64Array, probability: Float32Array, hub: IntArray) -> Float64Array:
    """The w by which the expected share of onsets that begin with others is as given.

    `probability` (R, D) is that of an onset, `hub` (R,) the hub of each pair. A share above what w
    = 1 gives is answered by 1.
    """
    # Between the k-th and the next largest probability of a hub a shared number reaches k pairs.
    reach = np.zeros(hub.size + 1)
    total = 0.0
    first = np.r_[True, np.diff(np.sort(hub)) > 0]
    place = np.arange(hub.size) - np.maximum.accumulate(np.where(first, np.arange(hub.size), 0))
    for p in probability.T.astype(np.float64):
        ordered = p[np.lexsort((-p, hub))]
        below = np.where(np.r_[first[1:], True], 0.0, np.r_[ordered[1:], 0.0])
        reach += np.bincount(place + 1, ordered - below, minlength=reach.size)
        total += p.sum()
    k = np.flatnonzero(reach)
    number = k * _GRID[:, None]
    joint = (number - number * (1.0 - _GRID[:, None]) ** (k - 1)) @ reach[k] / max(total, 1e-300)
    return np.asarray(np.interp(share, joint, _GRID))


def none_begins(
    probability: npt.NDArray[np.floating], hub: IntArray, w: Float32Array
) -> Float64Array:
    """Probability that no onset begins in any of some pairs in a year, (D,).

    `probability` (n, D) of an onset of each pair, `hub` (n,), `w` (D,). The number that the pairs
    of a hub share is summed over, exactly: it decides for the k riskiest of them where it lies
    between the k-th and the next probability.
    """
    _, group, size = np.unique(hub, return_inverse=True, return_counts=True)
    alone = size[group] == 1
    none = np.exp(np.log1p(-probability[alone].astype(np.float64)).sum(axis=0))
    own = (1.0 - w.astype(np.float64))[:, None]
    for number in np.flatnonzero(size > 1):
        p = -np.sort(-probability[group == number].T.astype(np.float64), axis=1)
        reached = np.cumprod(own * (1.0 - p), axis=1)
        missed = np.cumprod((1.0 - own * p)[:, ::-1], axis=1)[:, ::-1]
        # With k = 0, 1, … n pairs reached.
        between = -np.diff(p, axis=1, prepend=1.0, append=0.0)
        one = np.ones_like(own)
        none = none * (between * np.hstack([one, reached]) * np.hstack([missed, one])).sum(axis=1)
    return np.asarray(none)


def any_begins(
    hazard: npt.NDArray[np.floating], onsets: npt.NDArray[np.bool_], hub: IntArray, w: Float32Array
) -> Float64Array:
    """Probability that an onset begins in at least one of some pairs within 1 … h years; (h, D).

    `hazard` (h, n, D) is of the first onset of each pair, by year; `onsets` are the simulated ones;
    `hub` and `w` as in `none_begins`. The hazard of a pair is free of its own simulated onsets, not
    of those of the other pairs, which raise it by contagion. Where one has begun in a draw's world,
    the chance that another begins is lowered by as much as it is higher there, relative to the
    first year, than in the worlds in which none has. For one pair it is 1 − Π (1 − hazard),
    exactly.
    """
    yearly = 1.0 - np.stack([none_begins(year, hub, w) for year in hazard])
    begun, ratio = np.zeros(w.size, dtype=bool), 1.0
    for h in range(1, len(yearly)):
        begun |= onsets[h - 1].any(axis=0) & (hub.size > 1)
        free = ~begun
        if begun.any() and free.sum() >= _FEWEST:
            level = [yearly[h, at].sum() / max(yearly[0, at].sum(), 1e-300) for at in (free, begun)]
            ratio = min(level[0] / max(level[1], 1e-300), 1.0)
        yearly[h, begun] *= ratio
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.cumsum(np.log1p(-yearly), axis=0)))


@dataclass(frozen=True, eq=False)
class Joint:
    """Which onsets of a simulation may begin together.

    `hub` (R,): position of each pair's hub among the S `states`. `weight` (D,): draws of w, the
    share on record by a bootstrap of conflicts (Rubin 1981).
    """

    hub: npt.NDArray[np.int32]
    weight: Float32Array
    states: int

    @classmethod
    def of(
        cls,
        probability: Float32Array,
        sides: tuple[IntArray, IntArray],
        *,
        states: int,
        sizes: npt.NDArray[np.int64],
        seed: int,
    ) -> Joint:
        """From what is known at the origin.

        `probability` (R, D) of an onset in the first year, `sides` the positions of the two states
        of each pair, `sizes` from `sizes_on_record`.
        """
        a, b = sides
        mean = probability.mean(axis=1, dtype=np.float64)
        expected = np.bincount(a, mean, states) + np.bincount(b, mean, states)
        hub = np.where(expected[a] >= expected[b], a, b).astype(np.int32)
        count, draws = probability.shape
        rng = generator(seed, Stream.JOINT_ONSETS)
        share = np.zeros(draws)
        if sizes.size and count:
            of_start = rng.standard_exponential((draws, sizes.size))
            share = of_start @ np.where(sizes > 1, sizes, 0) / (of_start @ sizes)
        chosen = probability[:, :: max(draws // _DRAWS, 1)]
        return cls(hub, weight_of(share, chosen, hub).astype(np.float32), states)

    def numbers(self, seed: int, year: int) -> Float32Array:
        """The number that the pairs of each hub share in a year ahead; (S, D)."""
        rng = generator(seed, Stream.SHARED_NUMBERS, year)
        return rng.random((self.states, self.weight.size), dtype=np.float32)
