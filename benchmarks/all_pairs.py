"""Forecasts of all pairs, inside and outside of political relevance, on identical rows.

    uv run python benchmarks/all_pairs.py                               # 2005-2025, embedded
    uv run python benchmarks/all_pairs.py --origins 1975 2004 --refit 6 --priors-to 1974
    uv run python benchmarks/all_pairs.py --data historical --origins 1960 2000 --refit 5

Embedded: `dyad_onset` beside itself without alliance terms, the model of relevant pairs that was
shipped before (`benchmarks/dyad_onset_relevant.toml`), and the flat rate of the other pairs.
Historical: `dyad_onset_historical` by both rules of what is under way, beside its predecessor on
relevant pairs by the field's convention. Differences are paired by row, positive where the model is
better; intervals are the wider of a bootstrap by year and one by pair. ``--priors-to`` takes the
borrowed priors from official data up to that year (`benchmarks/borrow.py`), so that no forecast
of a later year has seen it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecast as fc
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.scores import log_loss_rows
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel
from forecast.run import panel_options

SEED = 20261130
KEYS = ["year", "ccode_a", "ccode_b"]
HERE = Path(__file__).parent


def forecasts(spec: ModelSpec, panel: Panel, options: argparse.Namespace) -> pd.DataFrame:
    """Rows of the origins with one column of probabilities for each method."""
    first, last = options.origins
    found = fc.backtest(
        fc.BacktestPlan(
            model=spec,
            origins=range(first, last + 1),
            refit=options.refit,
            draws=options.draws,
            seed=SEED,
            baselines=["climatology", "without_alliances"],
            resamples=100,
        ),
        panel,
        workers=options.workers,
    ).forecasts
    names = {spec.name: "model", f"{spec.name}_without_alliances": "without_alliances"}
    wide = found.assign(model=found["model"].map(lambda name: names.get(name, name)))
    wide = wide.pivot_table(index=KEYS, columns="model", values="probability", observed=True)
    about = found.drop_duplicates(KEYS).set_index(KEYS)
    kept = ["outcome", "stratum", "relevance", "continues", "decade"]
    return wide.join(about[[name for name in kept if name in about]])


def flat_rate(years: pd.Index, remote: pd.Series) -> pd.Series:
    """Share of onsets among remote rows of all years before each of `years`."""
    counts = remote.groupby(level="year").agg(["size", "sum"])
    before = counts.shift(fill_value=0).cumsum()
    return ((before["sum"] + 0.5) / (before["size"] + 1.0)).reindex(years)


def line(name: str, rows: pd.DataFrame, model: str, other: str | None = None) -> dict[str, Any]:
    """Rows, onsets, expected, log loss, and the paired gain over another method."""
    y, p = rows["outcome"].to_numpy(), rows[model].to_numpy()
    found: dict[str, Any] = {
        "of": name, "rows": len(rows), "onsets": int(y.sum()), "expected": float(p.sum()),
        "log_loss": float(log_loss_rows(y, p).mean()),
    }  # fmt: skip
    if other is not None:
        loss = log_loss_rows(y, p), log_loss_rows(y, rows[other].to_numpy())
        year = rows.index.get_level_values("year").to_numpy()
        pair = rows.index.get_level_values("ccode_a").to_numpy() * 1000
        pair = pair + rows.index.get_level_values("ccode_b").to_numpy()
        gain = paired_difference(*loss, blocks={"year": year, "pair": pair}, seed=SEED)
        found |= {
            "over": other, "gain_1e4": -1e4 * gain.mean, "lower": -1e4 * gain.upper,
            "upper": -1e4 * gain.lower, "block": gain.block,
        }  # fmt: skip
    return found


def embedded(options: argparse.Namespace) -> pd.DataFrame:
    """The table of the embedded data."""
    spec = fc.load_model("dyad_onset")
    panel = fc.load_panel(years=(1947, options.origins[1]))
    if options.priors_to is not None:
        from borrow import borrowed

        spec = borrowed(spec, options.priors_to, panel)
    rows = forecasts(spec, panel, options)
    before = fc.load_model(HERE / "dyad_onset_relevant.toml")
    own = fc.load_panel(years=(1947, options.origins[1]), **panel_options(before))
    old = forecasts(before, own, options)["model"]
    rows["relevant_model"] = old.reindex(rows.index)
    # Outcomes of all years, for the rate that each origin knows.
    other = ~relevant_rows(panel)
    year = pd.Index(panel.data["year"].to_numpy()[other], name="year")
    remote = pd.Series(panel.data["outcome"].to_numpy()[other], index=year)
    years = rows.index.get_level_values("year")
    rows["flat_rate"] = flat_rate(years, remote).to_numpy()
    rows["relevant_model_and_flat_rate"] = rows["relevant_model"].fillna(rows["flat_rate"])
    open_ = rows["stratum"] == "under way"
    inside = rows["relevant_model"].notna() & ~open_
    outside = (rows["relevance"] == "remote") & rows["relevant_model"].isna() & ~open_
    table = [
        line("all", rows, "model", "without_alliances"),
        line("inside", rows[inside], "model", "without_alliances"),
        line("outside", rows[outside], "model", "without_alliances"),
        line("under way", rows[open_], "model", "without_alliances"),
        line("inside", rows[inside], "model", "relevant_model"),
        line("outside", rows[outside], "model", "flat_rate"),
        line("both", rows[inside | outside], "model", "relevant_model_and_flat_rate"),
    ]
    for kind in ("stratum", "decade"):
        table += [line(f"{kind} {k}", part, "model") for k, part in rows.groupby(kind)]
    return pd.DataFrame(table)


def relevant_rows(panel: Panel) -> np.ndarray[Any, Any]:
    """Which rows of a panel are politically relevant in their year."""
    from forecast.panel.rows import relevant_pairs

    assert panel.world is not None
    states = panel.world["state"].to_numpy()
    year = panel.data["year"].to_numpy() - int(panel.world["year"][0])
    a, b = (np.searchsorted(states, panel.data[f"ccode_{s}"].to_numpy()) for s in "ab")
    return np.asarray(relevant_pairs(panel.world)[year, a, b])


def historical(options: argparse.Namespace) -> pd.DataFrame:
    """The table of the official sources, relevant pairs by the convention first."""
    spec = fc.load_model("dyad_onset_historical")
    by_rule = {
        rule: forecasts(
            spec.with_under_way(rule),
            fc.load_panel(
                data="historical", years=(1890, options.origins[1]), under_way=rule
            ),
            options,
        )
        for rule in ("stratum", "convention")
    }  # fmt: skip
    rows = by_rule["stratum"]
    rows["convention"] = by_rule["convention"]["model"].reindex(rows.index)
    relevant = (rows["relevance"] == "relevant") & rows["convention"].notna()
    remote = (rows["relevance"] == "remote") & (rows["stratum"] != "under way")
    open_ = rows["stratum"] == "under way"
    table = [
        line("relevant, by the convention", rows[relevant], "convention"),
        line("relevant, by the convention", rows[relevant], "model", "convention"),
        line("relevant, not under way", rows[relevant & ~open_], "model", "convention"),
        line("relevant, not under way", rows[relevant & ~open_], "model", "without_alliances"),
        line("remote", rows[remote], "model", "without_alliances"),
        line("under way", rows[open_], "model"),
    ]
    for kind in ("stratum", "decade"):
        table += [line(f"{kind} {k}", part, "model") for k, part in rows.groupby(kind)]
    return pd.DataFrame(table)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=("embedded", "historical"), default="embedded")
    parser.add_argument("--origins", nargs=2, type=int, default=(2005, 2025))
    parser.add_argument("--refit", type=int, default=3)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--priors-to", type=int, help="last year of the official record used")
    options = parser.parse_args()
    table = embedded(options) if options.data == "embedded" else historical(options)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(table.round({"expected": 1, "log_loss": 6, "gain_1e4": 3, "lower": 3, "upper": 3}))


if __name__ == "__main__":
    main()
