"""Differences between two forecasts of the same rows, with intervals that respect dependence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError
from forecast.evaluation.inputs import FloatArray, as_finite, as_level

__all__ = ["PairedDifference", "block_bootstrap_mean", "paired_difference"]

_CHUNK = 2_000_000  # draws of blocks held at once: 16 MB each for index and values


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of a score, first minus second, paired by row.

    Attributes
    ----------
    mean : float
        Mean over rows; negative means that the first forecast scores better (lower).
    lower, upper : float
        The wider of the intervals by block.
    block : str
        The block whose interval that is.
    kind : str
        How the interval was made.
    level : float
        Its probability.
    intervals : dict of str to (float, float)
        The interval of every block.
    blocks : dict of str to int
        How many blocks there were; an interval from few blocks deserves little trust.
    rows : int
        Rows compared.
    resamples, seed : int
        Of the bootstrap.
    """

    mean: float
    lower: float
    upper: float
    block: str
    kind: str
    level: float
    intervals: dict[str, tuple[float, float]]
    blocks: dict[str, int]
    rows: int
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)

    def ends(self) -> dict[str, float]:
        """Ends of the interval of every block, as ``lower_by_<block>`` and ``upper_by_<block>``."""
        return {
            f"{end}_by_{block}": limits[i]
            for block, limits in self.intervals.items()
            for i, end in enumerate(("lower", "upper"))
        }


def block_bootstrap_mean(
    values: npt.ArrayLike,
    block: npt.ArrayLike,
    *,
    resamples: int,
    rng: np.random.Generator,
) -> FloatArray:
    r"""Means of `values` when whole blocks of rows are drawn with replacement.

    With :math:`w_b` how often block b was drawn, the mean is
    :math:`\sum_b w_b s_b / \sum_b w_b n_b`, :math:`s_b` being the block's sum and :math:`n_b`
    its rows (cluster bootstrap; Davison and Hinkley 1997, section 3.8).

    Parameters
    ----------
    values : array_like, shape (n,)
        One value per row.
    block : array_like, shape (n,)
        Label of the block of each row.
    resamples : int
        How many means to draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray, shape (resamples,)
    """
    v = as_finite("values", values)
    labels = np.asarray(block)
    if labels.shape != v.shape:
        raise ArgumentError(f"`block` has shape {labels.shape} but `values` has {v.shape}.")
    if resamples < 1:
        raise ArgumentError(f"`resamples` must be at least 1, found {resamples}.")
    names, index = np.unique(labels, return_inverse=True)
    k = names.size
    if k < 2:
        raise ArgumentError(f"A block bootstrap needs at least two blocks, found {k}.")
    sums = np.bincount(index, weights=v, minlength=k)
    sizes = np.bincount(index, minlength=k).astype(np.float64)
    means = np.empty(resamples)
    step = max(1, _CHUNK // k)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = rng.integers(0, k, size=(stop - start, k))
        means[start:stop] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    blocks: dict[str, npt.ArrayLike],
    seed: int,
    level: float = 0.9,
    resamples: int = 2000,
) -> PairedDifference:
    """Mean of ``first - second`` with the wider of the block-bootstrap intervals.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Scores of the same rows (e.g. `log_loss_rows`), smaller better.
    blocks : dict of str to array_like, shape (n,)
        Labels by which rows hang together, e.g. ``{"year": …, "dyad": …}``. A kind with fewer
        than two blocks cannot be resampled and is left out; with none left, an error.
    seed : int
        Seed of the bootstrap; each kind of block gets its own child.
    level : float
        Probability of the percentile interval.
    resamples : int
        Bootstrap resamples per kind of block.

    Returns
    -------
    PairedDifference

    Raises
    ------
    ArgumentError
        For scores that are not finite, lengths that differ, or no usable block.
    """
    a, b = as_finite("first", first), as_finite("second", second)
    if a.shape != b.shape:
        raise ArgumentError(
            f"`first` has {a.size} rows and `second` has {b.size}; a difference is paired by row."
        )
    difference = a - b
    tail = (1.0 - as_level(level)) / 2.0
    intervals: dict[str, tuple[float, float]] = {}
    sizes: dict[str, int] = {}
    children = np.random.SeedSequence(seed).spawn(len(blocks))
    for (name, labels), child in zip(blocks.items(), children, strict=True):
        sizes[name] = int(np.unique(np.asarray(labels)).size)
        if sizes[name] < 2:
            continue
        means = block_bootstrap_mean(
            difference, labels, resamples=resamples, rng=np.random.default_rng(child)
        )
        low, high = np.quantile(means, [tail, 1.0 - tail])
        intervals[name] = (float(low), float(high))
    if not intervals:
        raise ArgumentError(
            f"None of the blocks {sizes} has two members; no interval can be resampled."
        )
    widest = max(intervals, key=lambda name: intervals[name][1] - intervals[name][0])
    low, high = intervals[widest]
    return PairedDifference(
        mean=float(difference.mean()),
        lower=low,
        upper=high,
        block=widest,
        kind=f"percentile of a block bootstrap by {widest}, the wider of {', '.join(intervals)}",
        level=level,
        intervals=intervals,
        blocks=sizes,
        rows=int(difference.size),
        resamples=resamples,
        seed=seed,
    )
