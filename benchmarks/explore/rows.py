# ruff: noqa: E501
"""Rows of the exploration with history columns that are computed here, and the scores.

Everything at year t uses years before t only: `decayed` sums onsets of s < t.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

FloatArray = npt.NDArray[np.float64]

#: Where exploration data are kept: outside of the repository.
FOLDER = Path(os.environ.get("EXPLORE_DATA", "explore_data"))
DEFAULT = FOLDER / "data.pkl"
SELECTION = (1960, 1990)
CONFIRMATION = (1991, 2000)


@dataclass
class Rows:
    """Panel rows, their lagged columns and the dense world behind them."""

    columns: dict[str, np.ndarray]
    world: dict[str, np.ndarray]
    tables: dict

    def __post_init__(self) -> None:
        self.year = self.columns["year"].astype(int)
        self.y = self.columns["outcome"].astype(float)
        codes = self.world["codes"]
        self.a = np.searchsorted(codes, self.columns["ccode_a"])
        self.b = np.searchsorted(codes, self.columns["ccode_b"])
        self.t = self.year - int(self.world["years"][0])

    def __getitem__(self, name: str) -> FloatArray:
        return self.columns[name].astype(float)

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self.columns[name] = values

    def pair(self, tensor: np.ndarray) -> FloatArray:
        """Lagged value of a (year, state, other) tensor in each row."""
        return tensor[self.t - 1, self.a, self.b].astype(float)

    def sides(self, tensor: np.ndarray) -> tuple[FloatArray, FloatArray]:
        """Lagged values of a (year, state) tensor for the two sides of each row."""
        return tensor[self.t - 1, self.a].astype(float), tensor[self.t - 1, self.b].astype(float)

    def directed(self, tensor: np.ndarray) -> tuple[FloatArray, FloatArray]:
        """Lagged values (a towards b), (b towards a) of a (year, state, other) tensor."""
        return (
            tensor[self.t - 1, self.a, self.b].astype(float),
            tensor[self.t - 1, self.b, self.a].astype(float),
        )


def load(path: Path = DEFAULT) -> Rows:
    """What prepare.py wrote."""
    with path.open("rb") as file:
        content = pickle.load(file)
    return Rows(content["rows"], content["world"], content["tables"])


def decayed(events: np.ndarray, half_life: float, entered: np.ndarray | None = None) -> np.ndarray:
    """Exponentially decayed sum along years, that of the year itself included.

    `entered` (year, state) says where a membership spell begins: what went before is forgotten.
    """
    keep = 0.5 ** (1.0 / half_life)
    out = np.zeros(events.shape, dtype=np.float32)
    running = np.zeros(events.shape[1:], dtype=np.float64)
    for t in range(len(events)):
        running *= keep
        if entered is not None:
            fresh = np.flatnonzero(entered[t])
            running[fresh] = 0.0
            if running.ndim == 2:
                running[:, fresh] = 0.0
        running += events[t]
        out[t] = running
    return out


def entries(world: dict[str, np.ndarray]) -> np.ndarray:
    """(year, state): a membership spell begins in this year."""
    return world["member"] & (world["entry_year"] == world["years"][:, None])


# ----------------------------------------------------------------------------------- scores


def average_precision(y: FloatArray, p: FloatArray) -> float:
    """Average precision (ties take the order of the rows, which is immaterial here)."""
    order = np.argsort(-p, kind="stable")
    hits = y[order]
    precision = np.cumsum(hits) / np.arange(1, hits.size + 1)
    return float((precision * hits).sum() / hits.sum())


def auc(y: FloatArray, p: FloatArray) -> float:
    """Area under the ROC curve."""
    from scipy.stats import rankdata

    ranks = rankdata(p)
    n1 = y.sum()
    return float((ranks[y == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * (y.size - n1)))


def log_loss(y: FloatArray, p: FloatArray) -> FloatArray:
    """Per row."""
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def slope_of(y: FloatArray, p: FloatArray) -> tuple[float, float]:
    """Intercept and slope of the logistic recalibration."""
    x = logit(np.clip(p, 1e-9, 1 - 1e-9))
    beta = np.array([0.0, 1.0])
    X = np.column_stack([np.ones_like(x), x])
    for _ in range(30):
        mu = expit(X @ beta)
        step = np.linalg.solve((X * (mu * (1 - mu))[:, None]).T @ X, X.T @ (y - mu))
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(beta[1])


def scores(rows: Rows, p: FloatArray, first: int, last: int) -> dict[str, float]:
    """Scores of the forecasts of years first..last. Skill is against the rate of those rows."""
    use = (rows.year >= first) & (rows.year <= last)
    if np.isnan(p[use]).any():
        raise ValueError("a forecast is missing")
    y, q, year = rows.y[use], p[use], rows.year[use]
    rate = y.mean()
    base = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    loss = log_loss(y, q).mean()
    quiet = rows["peace_years"][use] > 10
    found = {
        "loss": loss,
        "skill": 1 - loss / base,
        "brier_skill": 1 - ((q - y) ** 2).mean() / (rate * (1 - rate)),
        "AUC": auc(y, q),
        "AP": average_precision(y, q),
        "AP_quiet": average_precision(y[quiet], q[quiet]),
        "AUC_quiet": auc(y[quiet], q[quiet]),
        "skill_quiet": 1
        - log_loss(y[quiet], q[quiet]).mean()
        / log_loss(y[quiet], y[quiet].mean() + 0 * y[quiet]).mean(),
        "slope": slope_of(y, q)[1],
        "ratio": q.sum() / y.sum(),
    }
    for decade in range(first // 10 * 10, last + 1, 10):
        here = (year >= decade) & (year < decade + 10)
        if here.any():
            found[f"ratio_{decade}s"] = q[here].sum() / y[here].sum()
    return found


def line(name: str, s: dict[str, float]) -> str:
    """One row of the log."""
    decades = " ".join(f"{v:.2f}" for k, v in s.items() if k.startswith("ratio_"))
    return (
        f"{name:<46.46} loss {s['loss']:.5f} skill {s['skill']:.4f} AP {s['AP']:.4f} "
        f"APq {s['AP_quiet']:.4f} skq {s['skill_quiet']:.4f} AUC {s['AUC']:.4f} AUCq {s['AUC_quiet']:.3f} "
        f"slope {s['slope']:.2f} Σ {s['ratio']:.2f} [{decades}]"
    )


def paired(rows: Rows, p: FloatArray, q: FloatArray, first: int, last: int, seed: int = 1) -> str:
    """Gain of q over p in log loss per row, 95% interval by year-block bootstrap."""
    use = (rows.year >= first) & (rows.year <= last)
    gain = log_loss(rows.y[use], p[use]) - log_loss(rows.y[use], q[use])
    _, which = np.unique(rows.year[use], return_inverse=True)
    sums, counts = np.bincount(which, gain), np.bincount(which)
    draw = np.random.default_rng(seed).integers(0, sums.size, (4000, sums.size))
    means = sums[draw].sum(1) / counts[draw].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"gain {gain.mean() * 1e4:+.2f}e-4 ({low * 1e4:+.2f}, {high * 1e4:+.2f})"
