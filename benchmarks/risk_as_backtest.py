"""Whether `risk` says what a backtest says: same pairs, origins and data, a fit for each origin.

    uv run python benchmarks/risk_as_backtest.py [FIRST LAST [POPULATION]]

For each year the model is fitted to the years before; `predict` forecasts the rows of the year as
a backtest does, and `risk` answers from the data as they were known. Prints the largest difference
over all pairs, and for the pairs by how things stood on 31 December the onsets of the next year
and what both expect.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import pandas as pd

from forecast.evaluation.origins import known_before, target_panel, training_panel
from forecast.inference.fit import fit
from forecast.inference.predict import predict
from forecast.modeling.spec import load_model
from forecast.panel.build import load_panel
from forecast.risk.query import forget, risk
from forecast.sources.datasets import read_tables

PAIR = ["ccode_a", "ccode_b"]


def main(first: int = 2005, last: int = 2025, population: str = "politically_relevant") -> None:
    tables = read_tables("embedded")
    spec = load_model("dyad_onset").model_copy(update={"population": population})
    options = {"population": population, "under_way": spec.under_way}
    panel = load_panel(data=tables, **options)
    parts, warm = [], None
    for year in range(first, last + 1):
        fitted = fit(spec, training_panel(panel, year), seed=1, draws=500, warm_start=warm)
        warm = warm or fitted
        rows = target_panel(panel, year)
        data = rows.data.to_dataframe().reset_index(drop=True)[[*PAIR, "outcome"]]
        probability = predict(fitted, rows)
        data = data.iloc[probability.attrs["kept"]]
        data = data.assign(year=year, backtest=probability.mean("draw").to_numpy())
        then = replace(fitted, panel=load_panel(data=known_before(tables, year), **options))
        forget()
        table = risk(then, horizon=1)
        columns = [*PAIR, "probability", "status", "handling"]
        parts.append(data.merge(table[columns], on=PAIR, how="left"))
    found = pd.concat(parts)
    asked = found[found["handling"] == "model"]
    apart = (asked["probability"] / asked["backtest"] - 1).abs().max()
    print(f"{len(found):,} forecasts of {first}-{last}, {population}; both ways {len(asked):,}")
    print(f"largest relative difference: {apart:.1e}")
    sums = {"pairs": ("outcome", "size"), "onsets": ("outcome", "sum")}
    sums |= {"backtest expects": ("backtest", "sum"), "risk says": ("probability", "sum")}
    print(asked.groupby("status").agg(**sums).round(1).to_string())
    active = asked[asked["status"] != "at peace"]
    print(
        "active in the last year:",
        active[["outcome", "backtest", "probability"]].sum().round(1).to_dict(),
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(int(v) for v in given[:2]), *given[2:])
