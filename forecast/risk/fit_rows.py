"""What the rows of a fit say of pairs: how many, how often an onset came, and how bad it was."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.evaluation.calibration_record import BANDS, band_of
from forecast.features.strata import BaseRate, strata_of_rows
from forecast.simulation.severity import levels_reached

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.panel.types import Panel

__all__ = ["FitRows"]

#: Posterior draws behind the in-sample record, and probabilities in all.
_IN_SAMPLE_DRAWS = 100
_IN_SAMPLE = 20_000_000


class FitRows:
    """Rows of a fit by pair and by stratum, each read when it is first asked for."""

    def __init__(self, fit: Fit, *, origin: int, seed: int) -> None:
        self.fit, self.origin, self.seed = fit, origin, seed
        self._in_sample: dict[tuple[str, int], dict[str, Any]] = {}

    @cached_property
    def level_shares(self) -> dict[str, dict[str, BaseRate]]:
        """Of the onsets of each stratum with known deaths, how many came to each level."""
        panel = self.fit.panel
        data = panel.data.isel(row=panel.data["outcome"].to_numpy() == 1)
        onsets = self._with_strata(panel.with_data(data)).assign(year=data["year"].to_numpy())
        assert panel.tables is not None
        reached = levels_reached(panel.tables, last=self.origin)
        keys = pd.MultiIndex.from_frame(onsets[["year", "ccode_a", "ccode_b"]])
        came = reached.reindex(keys).set_index(onsets["stratum"].to_numpy(dtype=object))
        return {
            str(level): {
                str(stratum): BaseRate(int(values.notna().sum()), int(values.sum()))
                for stratum, values in (*came[level].groupby(level=0), ("all", came[level]))
            }
            for level in came
        }

    def _with_strata(self, panel: Panel) -> pd.DataFrame:
        """Pair and stratum of each row of a panel."""
        stratum = strata_of_rows(panel, self.fit.spec.under_way)
        columns = {name: panel.data[name].to_numpy() for name in ("ccode_a", "ccode_b")}
        return pd.DataFrame({**columns, "stratum": stratum})

    @cached_property
    def _seen(self) -> pd.DataFrame:
        """Pair and stratum of the rows of the fit."""
        seen = self.fit.posterior["observed_data"].to_dataset()
        return self._with_strata(self.fit.panel.with_data(seen.drop_vars("outcome")))

    @cached_property
    def _fitted(self) -> pd.DataFrame:
        """Rows of the fit: stratum, in-sample probability, outcome."""
        from forecast.inference.predict import predict

        first, last = self.fit.encoding.years
        panel = self.fit.panel.select_years(first, last)
        known = np.isfinite(panel.data["outcome"].to_numpy())
        panel = panel.with_data(panel.data.isel(row=known))
        draws = int(np.clip(_IN_SAMPLE // max(int(known.sum()), 1), 10, _IN_SAMPLE_DRAWS))
        probability = predict(self.fit, panel, draws=min(draws, self.fit.draws), seed=self.seed)
        # Rows that the model left out for a missing value have no forecast.
        kept = panel.with_data(panel.data.isel(row=probability.attrs["kept"]))
        return self._with_strata(kept).assign(
            probability=probability.mean("draw").to_numpy(), outcome=kept.data["outcome"].to_numpy()
        )

    @cached_property
    def of_dyad(self) -> dict[tuple[int, int], int]:
        """Number of rows of each pair."""
        pairs = self._seen[["ccode_a", "ccode_b"]].to_numpy()
        found, number = np.unique(pairs, axis=0, return_counts=True)
        return {(int(a), int(b)): int(n) for (a, b), n in zip(found, number, strict=True)}

    @cached_property
    def of_stratum(self) -> dict[str, int]:
        """Number of rows of each stratum."""
        counts = self._seen["stratum"].value_counts()
        return {str(name): int(n) for name, n in counts.items()}

    @cached_property
    def pairs(self) -> set[tuple[int, int]]:
        """Pairs that are rows of the panel, whatever came of it."""
        data = self.fit.panel.data
        pairs = np.stack([data["ccode_a"].to_numpy(), data["ccode_b"].to_numpy()], axis=1)
        return {(int(a), int(b)) for a, b in np.unique(pairs, axis=0)}

    def in_sample(self, stratum: str, first: float) -> dict[str, Any]:
        """How the fit itself does in a stratum and band of probability: no record of forecasts."""
        key = (stratum, band_of(first))
        if key not in self._in_sample:
            low, high = BANDS[key[1]], BANDS[key[1] + 1]
            rows = self._fitted
            chosen = rows[
                (rows["stratum"] == stratum) & rows["probability"].between(low, high, "left")
            ]
            observed, expected = int(chosen["outcome"].sum()), float(chosen["probability"].sum())
            lower, upper = BaseRate(len(chosen), observed).interval(0.95)
            self._in_sample[key] = {
                "covered": False,
                "source": "in sample, one year ahead",
                "stratum": stratum,
                "band": [low, high],
                "rows": len(chosen),
                "onsets_observed": observed,
                "onsets_expected": expected,
                "observed_rate": observed / len(chosen) if len(chosen) else None,
                "observed_rate_interval": [lower, upper] if len(chosen) else None,
                "observed_rate_interval_kind": "95% equal-tailed (Jeffreys)",
                "text": (
                    "No backtest travels with this fit, so the probability has no record out of"
                    " sample: `forecast run` and `forecast report` make one."
                ),
            }
        return dict(self._in_sample[key])
