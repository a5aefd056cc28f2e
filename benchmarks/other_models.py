"""Scores of the models of initiation, state onset, escalation and resolution against baselines.

    uv run python benchmarks/other_models.py --out other-models            # all, historical data
    uv run python benchmarks/other_models.py escalation --first 1990 --last 2000

Each model is refitted every five years on all earlier years and forecasts the next five, one year
ahead at a time, beside the baselines of its unit and itself without alliance terms. Prints the
scores and the paired differences with intervals; writes them as JSON too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

MODELS = (
    "directed_initiation",
    "directed_initiation_historical",
    "state_onset",
    "escalation",
    "escalation:escalation_to_war",
    "resolution",
    "resolution:stalemated",
    "resolution:yielded",
)
SEED = 20261122


def score(
    model: str, *, data: str, first: int, last: int, refit: int, draws: int, workers: int
) -> dict[str, Any]:
    """Backtest of one model as plain values.

    Parameters
    ----------
    model : str
        Name of a shipped model, with another outcome after a colon if wanted, or a file.
    data : str
        As of `forecast.load_panel`.
    first, last : int
        First and last year forecast.
    refit : int
        Years between refits.
    draws : int
        Posterior draws of each fit.
    workers : int
        Processes.
    """
    from forecast.evaluation.backtest import BacktestPlan, backtest
    from forecast.evaluation.baselines import baselines_for
    from forecast.modeling.spec import load_model
    from forecast.panel.build import load_panel
    from forecast.run import panel_options

    spec = load_model(model)
    panel = load_panel(data=data, **panel_options(spec))
    result = backtest(
        BacktestPlan(
            model=spec,
            origins=range(first, last + 1),
            refit=refit,
            seed=SEED,
            draws=draws,
            baselines=[*baselines_for(spec.unit), "without_alliances"],
        ),
        panel,
        workers=workers,
    )
    every = result.scores[result.scores["group"] == "all"]
    found = result.differences
    return {
        "model": spec.name,
        "scores": every.to_dict(orient="records"),
        "differences": found[found["group"] == "all"].to_dict(orient="records"),
        "calibration": result.calibration.to_dict(orient="records"),
        "fits": result.fits.to_dict(orient="records"),
    }


def as_text(found: dict[str, Any]) -> str:
    """Scores and paired differences of log loss as Markdown tables."""
    scores = found["scores"]
    lines = [
        f"## {found['model']}: {scores[0]['rows']:,} rows, {scores[0]['events']:,.0f} events",
        "",
        "| method | AUC | AP | Brier skill | log loss (skill) | slope | Σp / observed |",
        "|---|---|---|---|---|---|---|",
    ]
    slopes = {row["model"]: row["slope"] for row in found["calibration"]}
    for row in scores:
        name = row["model"]
        lines.append(
            f"| {name} | {row['auc']:.3f} | {row['average_precision']:.3f} | "
            f"{row['brier_skill']:.3f} | {row['log_loss']:.4f} ({row['log_loss_skill']:.3f}) | "
            f"{slopes[name]:.2f} | "
            f"{row['expected'] / row['events']:.2f} |"
        )
    lines += [
        "",
        "| log loss minus that of | per row | interval | blocks |",
        "|---|---|---|---|",
    ]
    for row in found["differences"]:
        if row["score"] == "log_loss":
            lines.append(
                f"| {row['against']} | {row['mean']:+.5f} | {row['level']:.0%} "
                f"({row['lower']:+.5f}, {row['upper']:+.5f}) | by {row['block']} |"
            )
    refused = sum(not row["passed"] for row in found["fits"])
    lines += ["", f"{len(found['fits'])} fits, {refused} refused by the gate."]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--data", default="historical")
    parser.add_argument("--first", type=int, default=1960)
    parser.add_argument("--last", type=int, default=2000)
    parser.add_argument("--refit", type=int, default=5)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    for model in given.models:
        found = score(
            model, data=given.data, first=given.first, last=given.last, refit=given.refit,
            draws=given.draws, workers=given.workers,
        )  # fmt: skip
        print(as_text(found), end="\n\n", flush=True)
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(found, indent=1, default=str)
            (given.out / f"{found['model']}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
