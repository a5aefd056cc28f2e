"""The ladder of severity over all pairs, each level beside a model fitted to it directly.

    uv run python benchmarks/ladder.py [--origins 2005 2025] [--refit 3]

`dyad_onset` forecasts onsets one year ahead and `severity` how far they go; the product is held
against the same specification fitted to ``fatal_onset`` and to ``deaths_25_onset``. On identical
rows: those whose level is known, which leaves out onsets with deaths that nobody documented and no
other row. Log loss a row, paired, 90% intervals, the wider of a bootstrap by year and one by pair;
expected and observed inside and outside of political relevance; the ranked probability score of the
ladder against that of base rates. Above 999 deaths there are too few onsets for more than a total.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

import forecast as fc
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.scores import log_loss_rows
from forecast.evaluation.yearly_counts import ladder_forecasts, ladder_table
from forecast.modeling.spec import ModelSpec, load_model
from forecast.run import panel_options

SEED, DRAWS = 20261130, 300
KEYS = ["year", "ccode_a", "ccode_b"]
DIRECT = {"fatal": "fatal_onset", "deaths_25": "deaths_25_onset"}
LEVELS = ("onset", "fatal", "deaths_25", "deaths_1000")


def forecasts(spec: ModelSpec, outcome: str, origins: range, refit: int) -> pd.DataFrame:
    """Rows of the backtest of a specification on one outcome."""
    own = ModelSpec.from_dict(spec.to_dict() | {"outcome": outcome})
    panel = fc.load_panel(**panel_options(own))
    made = fc.backtest(
        fc.BacktestPlan(
            model=own,
            origins=origins,
            refit=refit,
            draws=DRAWS,
            seed=SEED,
            baselines=[],
            resamples=20,
        ),
        panel,
    )
    rows = made.forecasts
    return rows[rows["model"] == made.model].set_index(KEYS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--origins", nargs=2, type=int, default=[2005, 2025])
    parser.add_argument("--refit", type=int, default=3)
    chosen = parser.parse_args()
    first, last = chosen.origins
    origins, spec = range(first, last + 1), load_model("dyad_onset")
    onset = forecasts(spec, "onset", origins, chosen.refit)
    tables = fc.load_panel(years=(last, last)).tables
    assert tables is not None
    rows = ladder_forecasts(
        onset.reset_index(), tables, model=str(onset["model"].iloc[0]),
        refits=range(first, last + 1, chosen.refit), seed=SEED, draws=DRAWS,
    ).set_index(KEYS)  # fmt: skip
    print(ladder_table(rows.reset_index(), level=0.9).round(2).to_string(index=False))
    for level, outcome in DIRECT.items():
        direct = forecasts(spec, outcome, origins, chosen.refit)["probability"]
        both = rows.join(direct.rename("direct"), how="inner").dropna(subset=[f"is_{level}"])
        y = both[f"is_{level}"].to_numpy()
        loss = {n: log_loss_rows(y, both[n].to_numpy()) for n in (level, "direct")}
        pair = both.index.droplevel("year").to_frame().astype(str).agg("-".join, axis=1)
        blocks = {"year": both.index.get_level_values("year").to_numpy(), "pair": pair.to_numpy()}
        found = paired_difference(loss["direct"], loss[level], blocks=blocks, seed=SEED)
        gain = ", ".join(f"{1e4 * v:+.3f}" for v in (found.mean, found.lower, found.upper))
        print(
            f"\n{level}: {len(both)} rows, {int(y.sum())} onsets; ladder {loss[level].mean():.6f}"
            f" (expected {both[level].sum():.1f}), fitted directly {loss['direct'].mean():.6f}"
            f" (expected {both['direct'].sum():.1f}); gain of the ladder, 1e-4 a row: {gain}"
            f" ({found.block})"
        )
    known = rows.dropna()
    told, came = (known[names].to_numpy() for names in (list(LEVELS), [f"is_{x}" for x in LEVELS]))
    rps, flat = (((p - came) ** 2).sum(axis=1) for p in (told, came.mean(axis=0)))
    skill = 1 - rps.mean() / np.mean(flat)
    print(
        f"\nranked probability score, 1e-3 a row: ladder {1e3 * rps.mean():.4f}, rates of these"
        f" rows {1e3 * np.mean(flat):.4f}, skill {skill:.3f}"
    )


if __name__ == "__main__":
    main()
