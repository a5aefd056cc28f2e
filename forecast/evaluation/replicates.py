"""Statistics of replicated outcomes, from the list of replicated onsets.

A replicate keeps the history that was observed. What it can be held against are therefore numbers
of onsets in groups of rows that are told from the past alone (a decade, a state, the years since
the pair's last onset): given the past, the outcome of such a row is a draw from its probability
if the model is true, so that observed less expected is a martingale, whose variance is that of the
replicates. Statistics of the outcomes as a sequence (runs of peace, shares that recur, units
with many onsets) are none of these: an onset makes the next one likelier in the record, but a
replicated onset does not, and a true model with state dependence would fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecast.evaluation.inputs import FloatArray

if TYPE_CHECKING:
    from forecast.evaluation.insample import InSample

__all__ = ["counts", "earlier_onsets", "judged", "replicated_statistics"]

IntArray = npt.NDArray[np.int64]
SINCE = (1, 2, 3, 6, 11, 26)
"""First years of the groups of years since the last onset."""
EARLIER = (1, 2, 5)
"""First numbers of the groups of earlier onsets."""


def counts(draw: IntArray, row: IntArray, draws: int, group: IntArray, size: int) -> IntArray:
    """Onsets by data set and group of rows.

    Parameters
    ----------
    draw, row : numpy.ndarray, shape (k,)
        Data set and row of each onset.
    draws : int
        Number of data sets.
    group : numpy.ndarray, shape (n,)
        Group of each row; -1 is left out.
    size : int
        Number of groups.

    Returns
    -------
    numpy.ndarray, shape (draws, size)
    """
    label = group[row]
    keep = label >= 0
    flat = np.bincount(draw[keep] * size + label[keep], minlength=draws * size)
    return flat.reshape(draws, size).astype(np.int64)


def earlier_onsets(
    outcome: FloatArray, unit: IntArray, year: IntArray
) -> tuple[IntArray, IntArray]:
    """Years since the unit's last onset in an earlier year, and how many there were.

    Parameters
    ----------
    outcome, unit, year : numpy.ndarray, shape (n,)
        Of the rows, sorted by unit, then year. An onset before the first row is not known.

    Returns
    -------
    since : numpy.ndarray, shape (n,)
        Years; -1 where no onset came before.
    number : numpy.ndarray, shape (n,)
        Onsets of the unit in years before that of the row.
    """
    base = int(year.min())
    span = int(year.max()) - base + 1
    key = unit * span + (year - base)
    onset = key[outcome == 1.0]
    before = np.searchsorted(onset, key)  # a row of the same year is not earlier
    number = before - np.searchsorted(onset, unit * span)
    last = onset[np.maximum(before - 1, 0)] if onset.size else np.zeros_like(key)
    return np.where(number > 0, key - last, -1), number


def replicated_statistics(
    sample: InSample, *, names: Mapping[int, str] | None = None
) -> dict[str, tuple[FloatArray, float]]:
    """Draws and observed value of every statistic: numbers of onsets in groups of rows.

    In total, by decade, of each of the ten states of which most are expected, by years since the
    unit's last onset, and by its number of earlier onsets.

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
    seen = np.flatnonzero(sample.outcome == 1.0)
    found: dict[str, tuple[FloatArray, float]] = {}

    def both(group: IntArray, size: int) -> tuple[IntArray, IntArray]:
        replicated = counts(*sample.replicated, sample.draws, group, size)
        return replicated, counts(np.zeros_like(seen), seen, 1, group, size)[0]

    def add(labels: list[str], group: IntArray) -> None:
        replicated, observed = both(group, len(labels))
        used = np.bincount(group[group >= 0], minlength=len(labels)) > 0
        for j in np.flatnonzero(used):
            found[labels[j]] = (replicated[:, j].astype(np.float64), float(observed[j]))

    add(["onsets"], np.zeros_like(sample.year))
    decades, index = np.unique(sample.year // 10 * 10, return_inverse=True)
    add([f"onsets in the {decade}s" for decade in decades], index.astype(np.int64))
    codes, places = _states(sample)
    known = names or {}
    by_state = [both(place, codes.size) for place in places]
    for j, code in enumerate(codes.tolist()):
        found[f"onsets of {known.get(code, f'state {code}')}"] = (
            np.sum([r[:, j] for r, _ in by_state], axis=0, dtype=np.float64),
            float(sum(o[j] for _, o in by_state)),
        )
    since, number = earlier_onsets(sample.outcome, sample.unit, sample.year)
    add(
        [f"onsets {span} after the last" for span in _spans(SINCE, "year", "years")]
        + ["first onsets"],
        np.where(since < 0, len(SINCE), np.searchsorted(SINCE, since, side="right") - 1),
    )
    add(
        [f"onsets after {span}" for span in _spans(EARLIER, "earlier one", "earlier ones")],
        np.searchsorted(EARLIER, number, side="right") - 1,
    )
    return found


def _spans(firsts: tuple[int, ...], one: str, many: str) -> list[str]:
    """Names of the groups that begin at `firsts`, the last one open."""
    names = []
    for first, after in zip(firsts, (*firsts[1:], 0), strict=True):
        last = after - 1
        if last == first:
            names.append(f"{first} {one if first == 1 else many}")
        else:
            names.append(f"{first} or more {many}" if after == 0 else f"{first}–{last} {many}")
    return names


def _states(sample: InSample, top: int = 10) -> tuple[IntArray, list[IntArray]]:
    """States of which most onsets are expected, and their place in each row (-1: not there).

    A dyad's onset counts for both sides. Chosen by what is expected: those with most observed
    onsets would be those that luck has favoured.
    """
    sides = [n for n in ("ccode", "ccode_a", "ccode_b") if n in sample.rows]
    values = [sample.rows[name].to_numpy().astype(np.int64) for name in sides]
    states = np.unique(np.concatenate(values))
    place = [np.searchsorted(states, code) for code in values]
    expected = sum(np.bincount(p, sample.probability, minlength=states.size) for p in place)
    order = np.argsort(-np.asarray(expected), kind="stable")[:top]
    chosen = np.full(states.size, -1)
    chosen[order] = np.arange(order.size)
    return states[order], [chosen[p] for p in place]


def judged(
    statistics: Mapping[str, tuple[FloatArray, float]], *, rate: float
) -> tuple[FloatArray, float]:
    """How far each observed value lies from its draws, and how far is too far for any of them.

    Distances are of square roots (which spread about alike whatever the number of onsets), in
    s.d. of the draws. The limit is that which the largest distance of a draw over all statistics
    exceeds at a rate of at most `rate`: with the observed values taken as one more draw, a true
    model fails no more often than that.

    Parameters
    ----------
    statistics : mapping of str to (numpy.ndarray, float)
        Draws, shape (draws,), and observed value of each; at least 0.
    rate : float
        Of failing by chance, for all statistics together.

    Returns
    -------
    distance : numpy.ndarray, shape (statistics,)
        Too far when greater than the limit.
    limit : float
    """
    values = np.sqrt(np.column_stack([np.append(d, o) for d, o in statistics.values()]))
    spread = values.std(axis=0)
    distance = np.abs(values - values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
    largest = np.sort(distance.max(axis=1))[::-1]
    # as many members of the whole, the observed one among them, as may lie above the limit
    return distance[-1], float(largest[int(rate * largest.size)])
