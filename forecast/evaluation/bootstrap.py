"""Block-bootstrap intervals: of differences of two forecasts, and of scores that are no means.

Whole blocks of rows (a year, a pair) are drawn with replacement, so that the interval respects
dependence (cluster bootstrap; Davison and Hinkley 1997, section 3.8). A score of a resample that is
no plain mean (skill, AUC, average precision) is that with each row counted as often as its block
was drawn; it is computed from those counts, so that no row is ever copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.draws import check_level
from forecast.errors import ArgumentError
from forecast.evaluation.scores import (
    FloatArray,
    as_finite,
    as_forecasts,
    brier_rows,
    log_loss_rows,
)

__all__ = [
    "WEIGHTED", "PairedDifference", "ScoreInterval", "block_bootstrap_mean", "paired_difference",
    "score_intervals",
]  # fmt: skip

_CHUNK = 2_000_000  # draws of blocks, or weights, held at once: 16 MB an array


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of a score, first minus second, paired by row.

    Negative means that the first forecast scores better (lower). `lower` and `upper` are the
    wider of the `intervals` by block, that of `block`; `kind` says how it was made. An interval
    from few `blocks` deserves little trust.
    """

    mean: float
    lower: float
    upper: float
    block: str
    kind: str
    intervals: dict[str, tuple[float, float]]
    blocks: dict[str, int]
    rows: int

    def ends(self) -> dict[str, float]:
        """Ends of the interval of every block, as ``lower_by_<block>`` and ``upper_by_<block>``."""
        return {
            f"{end}_by_{block}": limits[i]
            for block, limits in self.intervals.items()
            for i, end in enumerate(("lower", "upper"))
        }


def block_bootstrap_mean(
    values: npt.ArrayLike, block: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> FloatArray:
    r"""Means of `values` when whole blocks of rows are drawn with replacement, (resamples,).

    With :math:`w_b` how often block b was drawn, the mean is
    :math:`\sum_b w_b s_b / \sum_b w_b n_b`, :math:`s_b` being the block's sum and :math:`n_b`
    its rows.
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

    `first` and `second` are scores of the same rows (e.g. `log_loss_rows`), smaller better;
    `blocks` labels by which rows hang together, e.g. ``{"year": …, "dyad": …}``, each with a child
    of the seed. A kind with fewer than two blocks cannot be resampled and is left out; with none
    left, an error.
    """
    a, b = as_finite("first", first), as_finite("second", second)
    if a.shape != b.shape:
        raise ArgumentError(
            f"`first` has {a.size} rows and `second` has {b.size}; a difference is paired by row."
        )
    difference = a - b
    tail = (1.0 - check_level(level)) / 2.0
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
        intervals=intervals,
        blocks=sizes,
        rows=int(difference.size),
    )


@dataclass(frozen=True)
class ScoreInterval:
    """A score with the widest of its block-bootstrap intervals, that of `block`.

    NaN, and an empty name, with no usable block; `blocks` is how many there were.
    """

    value: float
    lower: float
    upper: float
    block: str
    blocks: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """Forecasts in falling order, with what the weighted scores need of them."""

    y: FloatArray
    loss: FloatArray
    brier: FloatArray
    base_loss: FloatArray
    base_brier: FloatArray
    #: Last row of each group of equal forecasts.
    ends: npt.NDArray[np.int64]


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Quotient; NaN where the denominator is 0."""
    found: FloatArray = top / np.where(bottom > 0.0, bottom, np.nan)
    return found


def _auc(events: FloatArray, flagged: FloatArray) -> FloatArray:
    """From weights of events and of rows above each threshold; ties count half."""
    others = flagged - events
    step = np.diff(others, axis=1, prepend=0.0)
    before = np.concatenate([np.zeros((len(events), 1)), events[:, :-1]], axis=1)
    won = np.einsum("ij,ij->i", step, before + events) / 2.0
    return _ratio(won, events[:, -1] * others[:, -1])


def _average_precision(events: FloatArray, flagged: FloatArray) -> FloatArray:
    precision = events / np.maximum(flagged, 1e-300)  # 0 / 0 only before the first row drawn
    step = np.diff(events, axis=1, prepend=0.0)
    return _ratio(np.einsum("ij,ij->i", step, precision), events[:, -1])


def _weighted(w: FloatArray, rows: _Rows) -> dict[str, FloatArray]:
    """Every score by the weights of the rows, shape (resamples, rows), each of (resamples,)."""
    columns = np.stack([rows.loss, rows.brier, rows.base_loss, rows.base_brier], axis=1)
    loss, brier, base_loss, base_brier = (w @ columns).T
    size = w.sum(axis=1)
    events = np.cumsum(w * rows.y, axis=1)[:, rows.ends]
    flagged = np.cumsum(w, axis=1)[:, rows.ends]
    return {
        "log_loss": _ratio(loss, size),
        "brier": _ratio(brier, size),
        "log_loss_skill": 1.0 - _ratio(loss, base_loss),
        "brier_skill": 1.0 - _ratio(brier, base_brier),
        "auc": _auc(events, flagged),
        "average_precision": _average_precision(events, flagged),
    }


#: Scores that have intervals.
WEIGHTED = (
    "log_loss", "brier", "log_loss_skill", "brier_skill", "auc", "average_precision",
)  # fmt: skip


def score_intervals(
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    blocks: Mapping[str, npt.ArrayLike],
    reference: npt.ArrayLike | None = None,
    seed: int,
    level: float = 0.95,
    resamples: int = 500,
) -> dict[str, ScoreInterval]:
    """Every score of some forecasts with the wider of its intervals by block.

    `blocks` as in `paired_difference`; without `reference`, the forecasts that skill is measured
    against, skills are left out. Resamples without an event, or without anything else, have no
    AUC and are left out of its interval. By the names in `WEIGHTED`.
    """
    y, p = as_forecasts(outcome, probability)
    tail = (1.0 - check_level(level)) / 2.0
    if resamples < 1:
        raise ArgumentError(f"`resamples` must be at least 1, found {resamples}.")
    base = p if reference is None else as_forecasts(y, reference)[1]
    names = [n for n in WEIGHTED if reference is not None or not n.endswith("_skill")]
    order = np.argsort(-p, kind="stable")
    rows = _Rows(
        y=y[order],
        loss=log_loss_rows(y, p)[order],
        brier=brier_rows(y, p)[order],
        base_loss=log_loss_rows(y, base)[order],
        base_brier=brier_rows(y, base)[order],
        ends=np.flatnonzero(np.diff(p[order], append=-1.0)),
    )
    plain = _weighted(np.ones((1, y.size)), rows)
    values = {name: float(plain[name][0]) for name in names}
    widest = dict.fromkeys(names, (np.nan, np.nan, "", 0))
    children = np.random.SeedSequence(seed).spawn(len(blocks))
    for (kind, labels), child in zip(blocks.items(), children, strict=True):
        label = np.asarray(labels)
        if label.shape != y.shape:
            raise ArgumentError(f"`blocks[{kind!r}]` has shape {label.shape}, not {y.shape}.")
        index = np.unique(label, return_inverse=True)[1][order]
        count = int(index.max()) + 1
        if count < 2:
            continue
        found = _resampled(rows, index, count, names, resamples, np.random.default_rng(child))
        for name, draws in found.items():
            known = draws[np.isfinite(draws)]
            if not known.size:
                continue
            low, high = (float(q) for q in np.quantile(known, [tail, 1.0 - tail]))
            before = widest[name]
            if not before[2] or high - low > before[1] - before[0]:
                widest[name] = (low, high, kind, count)
    return {name: ScoreInterval(values[name], *widest[name]) for name in names}


def _resampled(
    rows: _Rows,
    index: npt.NDArray[np.intp],
    count: int,
    names: list[str],
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Draws of every score, each of shape (resamples,)."""
    parts: dict[str, list[FloatArray]] = {name: [] for name in names}
    step = max(1, _CHUNK // index.size)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        times = rng.multinomial(count, np.full(count, 1.0 / count), size=size)
        weights = times.astype(np.float64)[:, index]
        found = _weighted(weights, rows)
        for name in names:
            parts[name].append(found[name])
    return {name: np.concatenate(draws) for name, draws in parts.items()}
