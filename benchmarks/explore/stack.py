"""Stacking by past log score, from the forecasts that a run of `benchmarks/skill.toml` has kept.

    python benchmarks/explore/stack.py DIR/run

For each year from the eleventh on, weights are chosen on the forecasts of all years before it:
a linear pool (weights of 0 or more that sum to one; Yao et al. 2018, Bayesian Analysis 13:917) and
a logistic one (a regression of outcomes on the members' logits). Earlier years stay with the model.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax

from forecast.evaluation.scores import average_precision, log_loss_rows

MODEL = "dyad_onset_historical"
SETS = {
    "model, boosting": [MODEL, "boosting_alliances"],
    "model, without alliances": [MODEL, "without_alliances"],
    "model, boosting, logit": [MODEL, "boosting_alliances", "history_activity_alliances"],
    "five": [
        MODEL, "without_alliances", "boosting_alliances", "boosting", "history_activity_alliances",
    ],
}  # fmt: skip
PERIODS = ((1970, 1990), (1991, 2000), (1970, 2000), (1960, 2000))
FIRST = 1970


def linear(past: np.ndarray, y: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear pool: forecasts and weights."""

    def loss(free: np.ndarray) -> float:
        return float(log_loss_rows(y, past @ softmax(np.append(free, 0.0))).mean())

    weights = softmax(np.append(minimize(loss, np.zeros(past.shape[1] - 1)).x, 0.0))
    return now @ weights, weights


def logistic(past: np.ndarray, y: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logistic pool with a weak ridge towards equal weights."""
    X, Z = logit(past), logit(now)
    equal = np.append(0.0, np.full(X.shape[1], 1.0 / X.shape[1]))

    def loss(b: np.ndarray) -> float:
        eta = b[0] + X @ b[1:]
        return float(np.sum(np.logaddexp(0, eta) - y * eta) + 5.0 * np.sum((b - equal) ** 2))

    b = minimize(loss, equal).x
    return expit(b[0] + Z @ b[1:]), b


def main() -> None:
    """Print every pool beside the model."""
    files = sorted(Path(sys.argv[1], "forecasts").glob("*.parquet"))
    rows = pd.concat([pd.read_parquet(f) for f in files])
    key = ["year", "ccode_a", "ccode_b"]
    members = sorted({member for names in SETS.values() for member in names})
    wide = (
        rows[rows["model"].isin(members)]
        .pivot_table(index=key, columns="model", values="probability")
        .reset_index()
    )
    about = rows[rows["model"] == MODEL][[*key, "outcome", "peace_years"]]
    wide = wide.merge(about, on=key)
    year, y = wide["year"].to_numpy(), wide["outcome"].to_numpy()
    quiet = wide["peace_years"].to_numpy() > 10
    found = {"model alone": wide[MODEL].to_numpy()}
    for name, members in SETS.items():
        p = np.clip(wide[members].to_numpy(), 1e-6, 1 - 1e-6)
        for kind, pool in (("linear", linear), ("logistic", logistic)):
            made = p[:, 0].copy()
            for t in range(FIRST, int(year.max()) + 1):
                made[year == t], weights = pool(p[year < t], y[year < t], p[year == t])
            found[f"{name}, {kind}"] = made
            print(f"{name}, {kind}: last weights {np.round(weights, 2)}", flush=True)
    rng = np.random.default_rng(1)
    print(
        "| pool | years | skill | AP | AP quiet | slope | Σp / obs | less the model's loss, 1e-4 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, p in found.items():
        for first, last in PERIODS:
            at = (year >= first) & (year <= last)
            rate = np.full(at.sum(), y[at].mean())
            loss, base = log_loss_rows(y[at], p[at]), log_loss_rows(y[at], rate)
            apart = loss - log_loss_rows(y[at], found["model alone"][at])
            sums = pd.Series(apart).groupby(year[at]).sum().to_numpy()
            counts = pd.Series(apart).groupby(year[at]).size().to_numpy()
            pick = rng.integers(0, sums.size, (2000, sums.size))
            low, high = np.quantile(sums[pick].sum(1) / counts[pick].sum(1), [0.05, 0.95]) * 1e4
            _, line = logistic(p[at][:, None], y[at], p[at][:, None])
            decades = [
                f"{p[d].sum() / y[d].sum():.2f}"
                for start in range(first // 10 * 10, min(last, 1999), 10)
                if (d := at & (year // 10 * 10 == start)).any()
            ]
            print(
                f"| {name} | {first}–{last} | {1 - loss.mean() / base.mean():.4f} | "
                f"{average_precision(y[at], p[at]):.3f} | "
                f"{average_precision(y[at & quiet], p[at & quiet]):.3f} | {line[1]:.2f} | "
                f"{p[at].sum() / y[at].sum():.2f}; {', '.join(decades)} | "
                f"{apart.mean() * 1e4:+.1f} ({low:+.1f}, {high:+.1f}) |"
            )


if __name__ == "__main__":
    main()
