"""What a backtest gives: forecasts, yearly counts and fits, and the tables that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.cards import Card, Carded
from forecast.csv_text import as_csv
from forecast.evaluation import score_table as st
from forecast.evaluation.calibration import Reliability, reliability
from forecast.evaluation.recalibration import SUFFIX
from forecast.evaluation.score_table import REFERENCE
from forecast.evaluation.yearly_counts import total_table
from forecast.sources.tables import vintage_words

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = ["Backtest", "years_and_units"]


@dataclass(frozen=True, eq=False, repr=False)
class Backtest(Carded):
    """Forecasts made without hindsight, and how they scored.

    Attributes
    ----------
    forecasts : pandas.DataFrame
        One row per target and model: ``origin``, ``horizon``, ``year``, ``ccode_a``, ``ccode_b``
        (or ``ccode``), ``outcome``, ``model``, ``probability`` (posterior mean), ``lower`` and
        ``upper`` (equal-tailed interval of the probability, parameter uncertainty only; NaN for
        a method without draws), and where known ``stratum``, ``peace_years``, ``decade``,
        ``region``, and ``continues`` (a dispute that was under way goes on and no new one
        begins: no row by the field's convention).
    counts : pandas.DataFrame
        Yearly counts, in total and by region: observed, interval, CRPS, PIT.
    fits : pandas.DataFrame
        Diagnostics of every fit of a Bayesian model.
    model : str
        Name of the model under test.
    level : float
        Probability of every interval.
    settings : dict
        Origins, horizons, method, seed, the whole plan, panel, rows that could not be forecast.
    recalibration : pandas.DataFrame
        Recalibration line of each origin, by horizon and model, and the years it was learnt
        from; empty unless asked for.
    stack : pandas.DataFrame
        Weights of the stack at each origin, and the years they were learnt from; empty unless
        asked for.
    nuts : pandas.DataFrame
        By origin, how far the forecasts of NUTS are from those of the backtest's own method;
        empty unless asked for.

    Notes
    -----
    The tables below are made from these when they are first read. For other scores and slices see
    `forecast.evaluation.score_table.score_table`.
    """

    forecasts: pd.DataFrame
    counts: pd.DataFrame
    fits: pd.DataFrame
    model: str
    level: float
    settings: dict[str, Any]
    recalibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    stack: pd.DataFrame = field(default_factory=pd.DataFrame)
    nuts: pd.DataFrame = field(default_factory=pd.DataFrame)

    def card(self) -> Card:
        """Which forecasts of which years, and how each method scored over all of them."""
        rows = self.forecasts[self.forecasts["model"] == self.model]
        known = set(map(str, self.forecasts["model"]))
        table = st.score_table(
            self.forecasts, by=(), against=REFERENCE if REFERENCE in known else None,
            scores=(st.proper, st.ratio), level=self.level,
        )  # fmt: skip
        keys = ["horizon", "model", "log_loss", "log_loss_skill", "brier_skill", "auc"]
        shown = st.wide(table, keys[:2])
        own = table[(table["model"] == self.model) & (table["score"] == "ratio")]
        ratios = [
            f"{value:.2f} ({self.level:.0%} interval {low:.2f} to {high:.2f}; {h} ahead)"
            for h, value, low, high in zip(
                own["horizon"], own["estimate"], own["lower"], own["upper"], strict=True)
        ]  # fmt: skip
        origins, panel = self.settings.get("origins", []), self.settings.get("panel", {})
        facts = [
            ("forecasts", f"{len(rows):,} {panel.get('unit', 'row')}s, "
             f"{rows['year'].min()}–{rows['year'].max()}, {int(rows['outcome'].sum()):,} events"),
            ("origins", f"{len(origins)}, {min(origins)}–{max(origins)}" if origins else "none"),
            ("expected", f"over observed: {'; '.join(ratios)}"),
            ("data", vintage_words(panel.get("data"), panel.get("coverage", {}))),
        ]  # fmt: skip
        few = shown[[k for k in keys if k in shown]].round(5)
        return Card(f"Backtest of {self.model}", facts, table=few)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores by horizon, model and group (all, relevance, stratum, decade, region, peace)."""
        table = st.score_table(self.forecasts, against=REFERENCE, scores=(st.proper,))
        keys = ["horizon", "model", "kind", "group", "rows", "events", "expected"]
        return st.wide(table, keys).astype({"clipped": np.int64})

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Paired differences of the model to each other method, with block-bootstrap intervals.

        Decades and regions are too short or too few for an interval by block.
        """
        names = list(dict.fromkeys(map(str, self.forecasts["model"])))
        tested = [name for name in (self.model, self.model + SUFFIX) if name in names]
        parts = [
            st.difference_table(
                self.forecasts,
                [(name, other) for other in names if other != name],
                by=("stratum", "peace"),
                bootstrap=st.Bootstrap(
                    self.settings["seed"], self.settings["resamples"], years_and_units
                ),
                scores=("log_loss", "brier"),
                level=self.level,
            )
            for name in tested
        ]
        columns = ["horizon", "model", "against", "score", "kind", "group", "rows", "estimate",
                   "lower", "upper", "block", "blocks", "interval", "level"]  # fmt: skip
        table = pd.concat(parts, ignore_index=True)
        return table.reindex(columns=columns if len(table) else []).rename(
            columns={"estimate": "mean"}
        )

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """CORP decompositions, recalibration intercept and slope, by horizon and model.

        Where recalibration has no finite solution its columns are NaN and ``remark`` says why.
        """
        scores = (st.decomposition, st.recalibration)
        table = st.score_table(self.forecasts, by=(), scores=scores, level=self.level)
        return st.wide(table, ["horizon", "model", "level"], ends=["slope"], last=["remark"])

    @cached_property
    def ratios(self) -> pd.DataFrame:
        """Expected over observed events, in total and by group."""
        by = [kind for kind in st.SLICES if kind != "peace"]
        return st.ratio_lines(
            st.score_table(self.forecasts, by=by, scores=(st.ratio,), level=self.level)
        )

    @cached_property
    def murphy(self) -> pd.DataFrame:
        """Elementary scores at the usual decision thresholds."""
        return st.murphy_table(self.forecasts, against=REFERENCE)

    @cached_property
    def reliability(self) -> dict[tuple[int, str], Reliability]:
        """CORP curve with consistency band, by horizon and model."""
        seed, level = self.settings["seed"], self.level
        return {
            (int(str(h)), str(m)): reliability(
                part["outcome"], part["probability"], seed=seed, level=level
            )
            for (h, m), part in self.forecasts.groupby(["horizon", "model"], sort=False)
        }

    @cached_property
    def totals(self) -> pd.DataFrame:
        """By horizon and model: share of years whose number of events lies inside its interval.

        Beside it the events expected and observed over all years.
        """
        return total_table(self.counts)

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        for name in (
            "scores", "differences", "calibration", "ratios", "murphy", "counts", "fits", "totals",
            "recalibration", "stack", "nuts",
        ):  # fmt: skip
            yield name, getattr(self, name)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the row-level forecasts as plain values for JSON; NaN becomes None."""
        return {
            "model": self.model,
            "level": self.level,
            "settings": self.settings,
            **{name: st.records(table) for name, table in self._tables()},
            "reliability": [
                {"horizon": horizon, "model": model, **curve.to_dict()}
                for (horizon, model), curve in self.reliability.items()
            ],
        }

    def severity(self, tables: Tables, *, level: float = 0.9) -> pd.DataFrame:
        """Expected and observed at every level of severity, one year ahead.

        Parameters
        ----------
        tables : Tables
            The data set behind the panel.
        level : float
            Probability of the intervals.

        Returns
        -------
        pandas.DataFrame
            As `forecast.evaluation.yearly_counts.ladder_table` has it; empty for anything but
            onsets of pairs and years.
        """
        from forecast.evaluation.yearly_counts import ladder_forecasts, ladder_table

        about = self.settings.get("panel", {})
        if (about.get("unit"), about.get("outcome")) != ("dyad-year", "onset"):
            return pd.DataFrame()
        first = self.settings["origins"][0] - self.settings["warm_up"]
        refits = range(first, max(self.settings["origins"]) + 1, self.settings["refit"])
        rows = ladder_forecasts(
            self.forecasts, tables, model=self.model, refits=refits, seed=self.settings["seed"]
        )
        return ladder_table(rows, level=level)

    def save(self, folder: str | Path) -> None:
        """Write every table into a folder: Parquet and CSV, and ``backtest.json``.

        Parameters
        ----------
        folder : str or Path
            New, empty, or that of an earlier call, which is replaced as a whole.

        Raises
        ------
        ArgumentError
            The folder holds something that this library did not write.
        """
        import json

        from forecast.folders import replace_folder, write_all

        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        files = {"backtest.json": text.encode()}
        for name, table in (("forecasts", self.forecasts), *self._tables()):
            if len(table.columns):
                files[f"{name}.parquet"] = table.to_parquet(index=False)
                files[f"{name}.csv"] = as_csv(table)
        with replace_folder(Path(folder)) as staging:
            write_all(staging, files)


def years_and_units(rows: pd.DataFrame, mask: st.Mask) -> st.Blocks:
    """Blocks of the bootstrap: the two directions of a pair share their disputes."""
    keys = rows.loc[mask, [name for name in st.KEYS if name in rows]].to_numpy(dtype=np.int64)
    unit = np.unique(np.sort(keys, axis=1), axis=0, return_inverse=True)[1]
    few = unit.max() < 1  # an interval by year alone would not be what it says
    return {} if few else {"year": rows.loc[mask, "year"].to_numpy(), "unit": unit}
