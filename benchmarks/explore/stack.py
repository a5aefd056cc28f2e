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
from scipy.special import softmax

from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.scores import average_precision, log_loss_rows, skill
from forecast.evaluation.stacking import rolling_stack

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
    late = year >= FIRST
    for name, members in SETS.items():
        p = wide[members].to_numpy()
        found[f"{name}, linear"] = p[:, 0].copy()
        for t in range(FIRST, int(year.max()) + 1):
            now = year == t
            found[f"{name}, linear"][now], weights = linear(p[year < t], y[year < t], p[now])
        pool = rolling_stack(year, year, y, dict(zip(members, p.T, strict=True)))
        found[f"{name}, logistic"] = np.where(late, 0.0, p[:, 0])
        for t in np.unique(year[late]):
            now = year == t
            found[f"{name}, logistic"][now] = pool.apply(int(t), p[now, 1:].T, p[now, 0])
        last = pool.lines.iloc[-1][members].to_numpy(float)
        print(f"{name}: last weights {weights.round(2)}, {last.round(2)}", flush=True)
    print(
        "| pool | years | skill | AP | AP quiet | slope | Σp / obs | less the model's loss, 1e-4 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, p in found.items():
        for first, last in PERIODS:
            at = (year >= first) & (year <= last)
            loss = log_loss_rows(y[at], p[at])
            base = log_loss_rows(y[at], np.full(at.sum(), y[at].mean()))
            apart = paired_difference(
                loss,
                log_loss_rows(y[at], found["model alone"][at]),
                blocks={"year": year[at]},
                seed=1,
            )
            decades = [
                f"{p[d].sum() / y[d].sum():.2f}"
                for start in range(first // 10 * 10, min(last, 1999), 10)
                if (d := at & (year // 10 * 10 == start)).any()
            ]
            print(
                f"| {name} | {first}–{last} | {skill(loss.mean(), base.mean()):.4f} | "
                f"{average_precision(y[at], p[at]):.3f} | "
                f"{average_precision(y[at & quiet], p[at & quiet]):.3f} | "
                f"{recalibrate(y[at], p[at]).slope:.2f} | "
                f"{p[at].sum() / y[at].sum():.2f}; {', '.join(decades)} | {apart.mean * 1e4:+.1f} "
                f"({apart.lower * 1e4:+.1f}, {apart.upper * 1e4:+.1f}) |"
            )


if __name__ == "__main__":
    main()
