"""Statistics of replicated outcomes, from the list of replicated onsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecast.evaluation.inputs import FloatArray

if TYPE_CHECKING:
    from forecast.evaluation.insample import InSample

__all__ = ["Events", "replicated_statistics"]

IntArray = npt.NDArray[np.int64]
RECURRENCE = 5
"""Years within which a further onset counts as recurrence."""


class Events:
    """Onsets of many data sets over the same rows.

    Parameters
    ----------
    draw, row : numpy.ndarray, shape (k,)
        Data set and row of each onset, sorted by data set, then row.
    draws : int
        Number of data sets.
    unit, year : numpy.ndarray, shape (n,)
        Of the rows, sorted by unit, then year.
    """

    def __init__(
        self, draw: IntArray, row: IntArray, draws: int, unit: IntArray, year: IntArray
    ) -> None:
        self.draw, self.row, self.draws = draw, row, draws
        self.unit, self.year = unit, year
        # an onset and the one before it in the same data set and unit
        self.follows = np.zeros(row.size, dtype=bool)
        self.follows[1:] = (draw[1:] == draw[:-1]) & (unit[row[1:]] == unit[row[:-1]])

    def counts(self, group: IntArray, size: int) -> IntArray:
        """Onsets by data set and group of rows, shape (draws, size); group -1 is left out."""
        label = group[self.row]
        keep = label >= 0
        flat = np.bincount(self.draw[keep] * size + label[keep], minlength=self.draws * size)
        return flat.reshape(self.draws, size).astype(np.int64)

    def recurrence(self, last: int) -> FloatArray:
        """Share of onsets, of those five years before `last`, with another within five years.

        NaN for a data set without such onsets.
        """
        year = self.year[self.row]
        again = np.zeros(self.row.size, dtype=bool)
        again[:-1] = self.follows[1:] & (year[1:] - year[:-1] <= RECURRENCE)
        early = year <= last - RECURRENCE
        starts = np.bincount(self.draw[early], minlength=self.draws)
        followed = np.bincount(self.draw[early & again], minlength=self.draws)
        share: FloatArray = followed / np.where(starts > 0, starts, np.nan)
        return share

    def longest_peace(self) -> FloatArray:
        """Mean over units of their longest run of rows without an onset."""
        start = np.concatenate([[0], np.flatnonzero(np.diff(self.unit)) + 1])
        length = np.diff(np.concatenate([start, [self.unit.size]]))
        units = start.size
        unit = np.searchsorted(start, self.row, side="right") - 1
        key = self.draw * units + unit
        before = self.row - start[unit]
        before[1:] = np.where(self.follows[1:], self.row[1:] - self.row[:-1] - 1, before[1:])
        last = np.append(~self.follows[1:], True) if self.row.size else np.zeros(0, dtype=bool)
        after = np.where(last, start[unit] + length[unit] - 1 - self.row, 0)
        longest = np.maximum(before, after)
        # the longest run of units with onsets, less the length that the others keep whole
        first = np.flatnonzero(~self.follows)
        best = np.maximum.reduceat(longest, first) if first.size else np.zeros(0, dtype=np.int64)
        lost = np.bincount(
            key[first] // units, weights=best - length[unit[first]], minlength=self.draws
        )
        mean: FloatArray = (length.sum() + lost) / units
        return mean


def replicated_statistics(
    sample: InSample, *, names: Mapping[int, str] | None = None
) -> dict[str, tuple[FloatArray, float]]:
    """Draws and observed value of every statistic.

    Onsets in total, by decade and by each of the ten states with most of them; units with three
    and five or more; longest peace; recurrence within five years.

    Parameters
    ----------
    sample : InSample
        In-sample pass.
    names : mapping of int to str, optional
        Names of states by COW number; the number where there is none.

    Returns
    -------
    dict of str to (numpy.ndarray, float)
        Statistic by name: its draws, shape (draws,), and the observed value.
    """
    draw, row = sample.replicated
    seen = np.flatnonzero(sample.outcome == 1.0)
    replicated = Events(draw, row, sample.draws, sample.unit, sample.year)
    observed = Events(np.zeros_like(seen), seen, 1, sample.unit, sample.year)
    both = (replicated, observed)
    found: dict[str, tuple[FloatArray, float]] = {}

    def add(name: str, draws: npt.NDArray[np.generic], value: float) -> None:
        found[name] = (np.asarray(draws, dtype=np.float64), float(value))

    total = [e.counts(np.zeros_like(sample.year), 1)[:, 0] for e in both]
    add("onsets", total[0], total[1][0])
    labels = names or {}
    decades, index = np.unique(sample.year // 10 * 10, return_inverse=True)
    by_decade = [e.counts(index.astype(np.int64), decades.size) for e in both]
    for j, decade in enumerate(decades):
        add(f"onsets in the {decade}s", by_decade[0][:, j], by_decade[1][0, j])
    for state, (draws, value) in _by_state(sample, both).items():
        add(f"onsets of {labels.get(state, f'state {state}')}", draws, value)
    units = int(sample.unit[-1]) + 1
    by_unit = [e.counts(sample.unit, units) for e in both]
    for many in (3, 5):
        shares = [(c >= many).sum(axis=1) for c in by_unit]
        add(f"units with {many} or more onsets", shares[0], shares[1][0])
    peace = [e.longest_peace() for e in both]
    add("longest peace, years, mean over units", peace[0], peace[1][0])
    last = int(sample.year.max())
    again = [e.recurrence(last) for e in both]
    if not np.isnan(again[1][0]):
        drawn = again[0][~np.isnan(again[0])]
        if drawn.size:
            add(f"share of onsets that recur within {RECURRENCE} years", drawn, again[1][0])
    return found


def _by_state(
    sample: InSample, both: tuple[Events, Events], top: int = 10
) -> dict[int, tuple[IntArray, int]]:
    """Onsets of the states with most observed onsets; a dyad's onset counts for both sides."""
    names = [n for n in ("ccode", "ccode_a", "ccode_b") if n in sample.rows]
    codes = [sample.rows[name].to_numpy().astype(np.int64) for name in names]
    states = np.unique(np.concatenate(codes))
    place = [np.searchsorted(states, code) for code in codes]
    observed = sum(both[1].counts(p, states.size)[0] for p in place)
    order = np.argsort(-np.asarray(observed), kind="stable")[:top]
    chosen = np.full(states.size, -1)
    chosen[order] = np.arange(order.size)
    replicated = sum(both[0].counts(chosen[p], order.size) for p in place)
    return {
        int(states[s]): (np.asarray(replicated)[:, j], int(np.asarray(observed)[s]))
        for j, s in enumerate(order)
    }
