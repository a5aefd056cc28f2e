"""Scores of probability and count forecasts, in numpy.

Rulings for degenerate input, the same everywhere:

- NaN, an outcome other than 0 or 1, a probability outside [0, 1], or empty input: an error.
- No events, or only events: log loss and Brier score are defined as usual. Skill is NaN when
  the reference scores 0 (nothing left to gain). The area under the ROC curve is NaN (no pair to
  rank). Average precision is NaN without events and 1 with only events.
- Log loss of an event given probability 0 is infinite: probabilities are clipped, the clip is
  an argument, and the number of rows it touched is part of the result.

scoringrules, whose values these have (``tests/evaluation/test_scores.py``), compiles its kernels
whenever it is imported: five seconds for what is a line or two here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from forecast.draws import check_level
from forecast.errors import ArgumentError

__all__ = [
    "CLIP", "FloatArray", "LogLoss", "area_under_roc", "as_counts", "as_finite", "as_forecasts",
    "average_precision", "brier_rows", "brier_score", "crps_counts", "interval_score",
    "log_loss", "log_loss_rows", "log_odds", "score_forecasts", "skill",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]


def as_finite(name: str, values: npt.ArrayLike, *, ndim: int = 1) -> FloatArray:
    """Float array of `ndim` dimensions, not empty and without NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ArgumentError(f"`{name}` must have {ndim} dimension(s), found shape {array.shape}.")
    if array.size == 0:
        raise ArgumentError(f"`{name}` is empty; there is nothing to score.")
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = index[0] if ndim == 1 else index
        raise ArgumentError(
            f"`{name}` holds {array[index]} at index {where} ({int(bad.sum())} such value(s)); "
            "a missing forecast or outcome cannot be scored, drop the row on purpose."
        )
    return array


def as_forecasts(
    outcome: npt.ArrayLike, probability: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Outcomes (0 or 1) and probabilities (0 to 1) of the same length."""
    y = as_finite("outcome", outcome)
    p = as_finite("probability", probability)
    if y.shape != p.shape:
        raise ArgumentError(f"`outcome` has {y.size} rows but `probability` has {p.size}.")
    bad = (y != 0.0) & (y != 1.0)
    if bad.any():
        i = int(np.argmax(bad))
        raise ArgumentError(f"`outcome` must be 0 or 1, found {y[i]} at index {i}.")
    bad = (p < 0.0) | (p > 1.0)
    if bad.any():
        i = int(np.argmax(bad))
        raise ArgumentError(f"`probability` must lie in [0, 1], found {p[i]} at index {i}.")
    return y, p


def as_counts(observed: npt.ArrayLike, draws: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Observed values, shape (n,), and their predictive draws, shape (draws, n)."""
    y = as_finite("observed", observed)
    x = as_finite("draws", draws, ndim=2)
    if x.shape[1] != y.size:
        raise ArgumentError(
            f"`draws` must have shape (draws, {y.size}) to match `observed`, found {x.shape}."
        )
    return y, x


CLIP = 1e-7
"""Default bound of the log loss: about the resolution of a float32 probability near 1."""


def log_odds(probability: npt.ArrayLike) -> FloatArray:
    """Log odds of probabilities that are clipped at `CLIP`, so that they are finite."""
    p = np.clip(np.asarray(probability, dtype=np.float64), CLIP, 1.0 - CLIP)
    return np.asarray(logit(p))


@dataclass(frozen=True)
class LogLoss:
    """Mean log loss with what the clip did to it."""

    value: float  # mean negative log likelihood per row, in nats
    clip: float  # probabilities were moved into [clip, 1 - clip]
    clipped: int  # rows whose probability was moved
    would_be_infinite: int  # rows that would have scored infinity without the clip


def log_loss_rows(
    outcome: npt.ArrayLike, probability: npt.ArrayLike, *, clip: float = CLIP
) -> FloatArray:
    r"""Log loss of each row, :math:`-y\log p - (1-y)\log(1-p)`, in nats, shape (n,).

    Probabilities are moved into ``[clip, 1 - clip]`` first; with 0 they are left, and then a
    forecast that ruled out what happened is an `ArgumentError`, never a silent infinity.
    """
    y, p = as_forecasts(outcome, probability)
    if not 0.0 <= clip < 0.5:
        raise ArgumentError(f"`clip` must lie in [0, 0.5), found {clip}.")
    chance = np.where(y == 1.0, p, 1.0 - p)
    if clip == 0.0 and (chance == 0.0).any():
        i = int(np.argmax(chance == 0.0))
        raise ArgumentError(
            f"Row {i} was given probability {p[i]:g} and came out {y[i]:g}: its log loss is "
            "infinite. Pass `clip` > 0 to bound it."
        )
    rows: FloatArray = -np.log(np.clip(chance, clip, 1.0 - clip))
    return rows


def log_loss(outcome: npt.ArrayLike, probability: npt.ArrayLike, *, clip: float = CLIP) -> LogLoss:
    """Mean log loss (Good 1952), strictly proper; see `log_loss_rows` for the formula."""
    rows = log_loss_rows(outcome, probability, clip=clip)
    y, p = as_forecasts(outcome, probability)
    moved = (p < clip) | (p > 1.0 - clip)
    return LogLoss(
        value=float(rows.mean()),
        clip=float(clip),
        clipped=int(moved.sum()),
        would_be_infinite=int((p == 1.0 - y).sum()),
    )


def brier_rows(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> FloatArray:
    r"""Brier score of each row, :math:`(p-y)^2`, shape (n,)."""
    y, p = as_forecasts(outcome, probability)
    rows: FloatArray = (p - y) ** 2
    return rows


def brier_score(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean Brier score (Brier 1950), strictly proper, in [0, 1]."""
    return float(brier_rows(outcome, probability).mean())


def skill(score: float, reference: float) -> float:
    r"""Skill :math:`1 - S / S_\mathrm{ref}` of a negatively oriented score.

    1 is perfect, 0 as good as the reference, negative worse. NaN when the reference scores 0:
    nothing was left to gain, and a ratio would say nothing.
    """
    return float("nan") if reference == 0.0 else 1.0 - score / reference


def area_under_roc(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Chance that a random event was forecast higher than a random non-event, ties counted half.

    Mann-Whitney form (Hanley and McNeil 1982). NaN when only one class is present.
    """
    from sklearn.metrics import roc_auc_score

    y, p = as_forecasts(outcome, probability)
    return float("nan") if y.min() == y.max() else float(roc_auc_score(y, p))


def average_precision(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    r"""Average precision :math:`\sum_k (R_k - R_{k-1}) P_k` over the distinct thresholds.

    Rows with the same forecast enter together, so the order of ties does not matter. A constant
    forecast scores the base rate. NaN without events, 1 when every row is an event.
    """
    from sklearn.metrics import average_precision_score

    y, p = as_forecasts(outcome, probability)
    return float(average_precision_score(y, p)) if y.any() else float("nan")


def crps_counts(observed: npt.ArrayLike, draws: npt.ArrayLike) -> FloatArray:
    r"""Continuous ranked probability score of each observation, from draws of shape (m, n).

    :math:`\mathrm{CRPS} = E|X - y| - \tfrac12 E|X - X'|` (Gneiting and Raftery 2007) of the
    ensemble itself, the second term from the sorted draws in :math:`O(m\log m)`. In the unit of
    the observations; smaller is better.
    """
    y, x = as_counts(observed, draws)
    m = x.shape[0]
    error = np.abs(x - y).mean(axis=0)
    weight = 2.0 * np.arange(1, m + 1) - m - 1.0
    # sum over pairs |x_i - x_j| = 2 sum_i (2i - m - 1) x_(i)
    spread = 2.0 * np.einsum("i,ij->j", weight, np.sort(x, axis=0))
    crps: FloatArray = error - 0.5 * spread / (m * m)
    return crps


def interval_score(
    observed: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, *, level: float
) -> FloatArray:
    r"""Interval (Winkler) score of each central interval, in the unit of the observations.

    :math:`(u-l) + \tfrac{2}{\alpha}(l-y)_+ + \tfrac{2}{\alpha}(y-u)_+` with
    :math:`\alpha = 1 -` `level` (Gneiting and Raftery 2007, eq. 43); smaller is better.
    """
    y, low, high = (
        as_finite(name, values)
        for name, values in (("observed", observed), ("lower", lower), ("upper", upper))
    )
    if not y.shape == low.shape == high.shape:
        raise ArgumentError(
            f"`observed`, `lower` and `upper` have {y.size}, {low.size} and {high.size} rows."
        )
    if (low > high).any():
        i = int(np.argmax(low > high))
        raise ArgumentError(f"`lower` is above `upper` at index {i}: {low[i]:g} > {high[i]:g}.")
    alpha = 1.0 - check_level(level)
    miss = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    score: FloatArray = (high - low) + 2.0 / alpha * miss
    return score


def score_forecasts(
    outcome: npt.ArrayLike, probability: npt.ArrayLike, *, reference: npt.ArrayLike | None = None
) -> dict[str, float]:
    """All scores of one set of forecasts by name.

    ``rows``, ``events``, ``expected`` (sum of probabilities), the scores, ``clipped`` (rows moved
    by the clip of the log loss), and with a reference ``log_loss_skill`` and ``brier_skill``.
    The reference should be climatology learnt on the training years: computed from the scored
    rows themselves it would be a stronger one than any forecaster could have had.
    """
    y, p = as_forecasts(outcome, probability)
    loss, brier = log_loss(y, p), brier_score(y, p)
    row: dict[str, float] = {"rows": y.size, "events": int(y.sum()), "expected": float(p.sum())}
    row["log_loss"] = loss.value
    if reference is not None:
        row["log_loss_skill"] = skill(loss.value, log_loss(y, reference).value)
    row["brier"] = brier
    if reference is not None:
        row["brier_skill"] = skill(brier, brier_score(y, reference))
    row["auc"] = area_under_roc(y, p)
    row["average_precision"] = average_precision(y, p)
    row["clipped"] = loss.clipped
    return row
