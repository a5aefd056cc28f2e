"""Block-bootstrap intervals of scores that are no plain means: skill, AUC, average precision.

Whole blocks of rows (a year, a pair) are drawn with replacement; a score of a resample is the score
with each row counted as often as its block was drawn (cluster bootstrap; Davison and Hinkley 1997,
section 3.8). Each score is computed from those counts, so that no row is ever copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError
from forecast.evaluation.inputs import FloatArray, as_forecasts, as_level
from forecast.evaluation.scores import brier_rows, log_loss_rows

__all__ = ["WEIGHTED", "ScoreInterval", "score_intervals"]

_CHUNK = 2_000_000  # weights held at once: 16 MB


@dataclass(frozen=True)
class ScoreInterval:
    """A score with the widest of its block-bootstrap intervals.

    Attributes
    ----------
    value : float
        The score of the rows as they are.
    lower, upper : float
        Percentile interval of the block that gives the widest one; NaN with no usable block.
    block : str
        That block; empty without one.
    blocks : int
        How many there were.
    level : float
        Probability of the interval.
    """

    value: float
    lower: float
    upper: float
    block: str
    blocks: int
    level: float


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

    Parameters
    ----------
    outcome, probability : array_like, shape (n,)
        What happened (0/1) and what was forecast.
    blocks : mapping of str to array_like, shape (n,)
        Labels by which rows hang together, e.g. ``{"year": …, "dyad": …}``. A kind with fewer
        than two blocks is left out.
    reference : array_like, shape (n,), optional
        Forecasts of the reference of the skills; without it skills are left out.
    seed : int
        Seed of the bootstrap; each kind of block gets its own child.
    level : float
        Probability of the percentile intervals.
    resamples : int
        Resamples per kind of block. Those without an event, or without anything else, have no
        AUC and are left out of its interval.

    Returns
    -------
    dict of str to ScoreInterval
        By the names in `WEIGHTED`.
    """
    y, p = as_forecasts(outcome, probability)
    tail = (1.0 - as_level(level)) / 2.0
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
    return {name: ScoreInterval(values[name], *widest[name], level) for name in names}


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
