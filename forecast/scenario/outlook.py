"""What risk queries read: the simulated status quo of one fit, and the record beside it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation.strata import BaseRate, base_rates, stratum_of
from forecast.features.arrays import allied
from forecast.scenario.coefficients import Coefficients
from forecast.scenario.dynamics import SIMULATED, Allies, Track, lookup
from forecast.scenario.simulate import origin_of, status_quo_paths
from forecast.sources.codes import resolve_state, state_label

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest
    from forecast.inference.fit import Fit
    from forecast.sources.tables import Tables

__all__ = ["BANDS", "Outlook"]

#: Edges of the bands of probability within which calibration is reported.
BANDS = (0.0, 0.003, 0.01, 0.03, 0.1, 1.0)
#: Posterior draws behind the in-sample record.
_IN_SAMPLE_DRAWS = 100
_TOP = 3

State = str | int
Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]


class Outlook:
    """Draws of the status quo of one fit, and what is needed to read them.

    Parameters
    ----------
    fit : Fit
        Fit of a dyad-year model.
    horizon : int
        Years ahead that are simulated.
    draws : int or None
        Posterior draws D; None for all.
    seed : int
        Seed of what is drawn ahead.

    Attributes
    ----------
    cumulative : numpy.ndarray, shape (R, horizon, D), float32
        Probability of at least one onset within the first h years, by draw.
    position : dict
        Row of each pair of COW numbers (smaller first).
    stratum : numpy.ndarray, shape (R,), str
        Stratum of each row at the origin.
    """

    def __init__(self, fit: Fit, *, horizon: int, draws: int | None, seed: int) -> None:
        self.fit, self.horizon, self.seed = fit, horizon, seed
        self.origin = origin_of(fit)
        paths, self.future, self.record = status_quo_paths(
            fit, horizon=horizon, draws=draws, seed=seed
        )
        # The draws of one pair lie side by side.
        self.cumulative = np.ascontiguousarray(paths.cumulative().transpose(1, 0, 2))
        self.codes = np.stack(
            [paths.rows["ccode_a"].to_numpy(), paths.rows["ccode_b"].to_numpy()], axis=1
        )
        self.position = {(int(a), int(b)): row for row, (a, b) in enumerate(self.codes)}
        self.stratum = stratum_of(self.record.peace, self.record.total)
        self._codes: dict[State, int] = {}
        self._labels: dict[int, str] = {}

    @property
    def tables(self) -> Tables:
        """The fit's data set."""
        assert self.fit.panel.tables is not None
        return self.fit.panel.tables

    def pair(self, a: State, b: State) -> tuple[int, int]:
        """COW numbers of two states in the origin year, smaller first."""
        for name in (a, b):
            if name not in self._codes:
                self._codes[name] = resolve_state(self.tables, name, year=self.origin)
        x, y = sorted((self._codes[a], self._codes[b]))
        if x == y:
            raise ArgumentError(f"{a!r} and {b!r} are the same state; a dyad needs two.")
        return x, y

    def everyone(self) -> list[tuple[int, int]]:
        """All pairs of the population."""
        return [(int(a), int(b)) for a, b in self.codes]

    def label(self, code: int) -> str:
        """Name of a state in the origin year."""
        if code not in self._labels:
            self._labels[code] = state_label(self.tables, code, year=self.origin, kind="name")
        return self._labels[code]

    def estimates(
        self, rows: npt.NDArray[np.int64], horizon: int, level: float
    ) -> tuple[Float64Array, Float32Array, Float32Array]:
        """Mean and equal-tailed interval within 1 … `horizon` years, each (rows, horizon)."""
        draws = self.cumulative[rows, :horizon]
        tail = (1.0 - level) / 2.0
        place = np.array([tail, 1.0 - tail]) * (draws.shape[2] - 1)
        low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
        # The quantiles of np.quantile; a partition at four ranks is several times faster.
        ordered = np.partition(draws, np.unique([low, high]), axis=2)
        share = (place - low).astype(np.float32)
        lower, upper = (
            ordered[..., low[i]] * (1 - share[i]) + ordered[..., high[i]] * share[i]
            for i in range(2)
        )
        return draws.mean(axis=2, dtype=np.float64), lower, upper

    @cached_property
    def base_rates(self) -> dict[int, dict[str, BaseRate]]:
        """Observed rates by horizon and stratum."""
        assert self.fit.panel.world is not None
        return base_rates(self.fit.panel.world, horizon=self.horizon)

    @cached_property
    def vintage(self) -> dict[str, Any]:
        """Coverage and version of every table."""
        return {name: c.to_dict() for name, c in self.tables.coverage.items()}

    @cached_property
    def _mean(self) -> Coefficients:
        return Coefficients(self.fit, draws=None, seed=self.seed)

    @cached_property
    def _first_year(self) -> tuple[Float64Array, Float64Array]:
        """Design columns of the first year, (R, p), and posterior mean coefficients, (p,)."""
        encoding = self.fit.encoding
        X = self.future.X[:, 0].mean(axis=0).astype(np.float64)
        track = Track.start(self.record, 1)
        years = self.future.world["year"].to_numpy()
        ties = allied(self.future.world)[int(np.searchsorted(years, self.origin))]
        allies = Allies.of(self.record, ties, track.active, elsewhere=True, first=True)
        for code in encoding.terms:
            if code.feature in SIMULATED:
                index, raw = lookup(code, self.record, track, track, allies)
                X[:, encoding.term_slices[code.name]] = code(raw)[index[:, 0]]
        return X, self._mean.at(self.origin + 1).mean(axis=0)

    def drivers(self, row: int) -> tuple[dict[str, Any], ...]:
        """The three terms that move the log-odds of the first year most.

        Log-odds are relative to the average dyad-year of the fit (columns are centred there).
        """
        X, beta = self._first_year
        moved = {
            name: float(X[row, at] @ beta[at]) for name, at in self.fit.encoding.term_slices.items()
        }
        largest = sorted(moved, key=lambda name: -abs(moved[name]))[:_TOP]
        return tuple(
            {
                "term": name,
                "log_odds": moved[name],
                "direction": "raises" if moved[name] > 0 else "lowers",
            }
            for name in largest
        )

    @cached_property
    def effects(self) -> dict[str, Float64Array]:
        """Posterior mean log-odds of each group of effects in the first year, (R,)."""
        count = self.record.a.size
        rows = self.future.rows.assign_coords(year=("row", np.full(count, self.origin + 1)))
        return {name: v.mean(axis=1) for name, v in self._mean.effects(rows).items()}

    @cached_property
    def _fitted(self) -> pd.DataFrame:
        """Rows of the fit: dyad, stratum, in-sample probability, outcome."""
        from forecast.features.gather import FeatureRequest, compute_features
        from forecast.inference.predict import predict

        first, last = self.fit.encoding.years
        panel = self.fit.panel.select_years(first, last)
        known = np.isfinite(panel.data["outcome"].to_numpy())
        panel = panel.with_data(panel.data.isel(row=known))
        panel = compute_features(
            panel,
            [
                FeatureRequest("stratum_peace_years", "peace_years"),
                FeatureRequest("stratum_disputes", "disputes_total"),
            ],
        )
        probability = predict(self.fit, panel, draws=_IN_SAMPLE_DRAWS, seed=self.seed)
        # Rows that the model left out for a missing value have no forecast.
        data = panel.data.isel(row=probability.attrs["kept"])
        return pd.DataFrame(
            {
                "ccode_a": data["ccode_a"].to_numpy(),
                "ccode_b": data["ccode_b"].to_numpy(),
                "stratum": stratum_of(
                    data["stratum_peace_years"].to_numpy(), data["stratum_disputes"].to_numpy()
                ),
                "probability": probability.mean("draw").to_numpy(),
                "outcome": data["outcome"].to_numpy(),
            }
        )

    @cached_property
    def _dyad_rows(self) -> dict[tuple[int, int], int]:
        pairs = self._fitted[["ccode_a", "ccode_b"]].to_numpy()
        found, number = np.unique(pairs, axis=0, return_counts=True)
        return {(int(a), int(b)): int(n) for (a, b), n in zip(found, number, strict=True)}

    @cached_property
    def _stratum_rows(self) -> dict[str, int]:
        return {str(name): int(n) for name, n in self._fitted["stratum"].value_counts().items()}

    @cached_property
    def _new_levels(self) -> dict[str, npt.NDArray[np.bool_]]:
        count = self.record.a.size
        rows = self.future.rows.assign_coords(year=("row", np.full(count, self.origin + 1)))
        return self._mean.new_levels(rows)

    def support(self, row: int) -> dict[str, Any]:
        """How much of the fit bears on a pair."""
        pair = (int(self.codes[row, 0]), int(self.codes[row, 1]))
        return {
            "rows_in_stratum": self._stratum_rows.get(str(self.stratum[row]), 0),
            "rows_of_dyad": self._dyad_rows.get(pair, 0),
            "new_levels": [name for name, new in self._new_levels.items() if new[row]],
        }

    def calibration(self, row: int, evidence: Backtest | None) -> dict[str, Any]:
        """Record of forecasts in the pair's stratum and band of one-year probability."""
        first = float(self.cumulative[row, 0].mean(dtype=np.float64))
        band = int(np.searchsorted(BANDS, first, side="right").clip(1, len(BANDS) - 1))
        return self._record(str(self.stratum[row]), band, evidence)

    def _record(self, stratum: str, band: int, evidence: Backtest | None) -> dict[str, Any]:
        key = (stratum, band, id(evidence))
        if key not in self._records:
            low, high = BANDS[band - 1], BANDS[band]
            if evidence is None:
                rows, source = self._fitted, "in sample, one year ahead"
            else:
                rows = evidence.forecasts
                rows = rows[(rows["model"] == evidence.model) & (rows["horizon"] == 1)]
                years = f"{rows['year'].min()}–{rows['year'].max()}"
                source = f"out of sample, one year ahead, {years}"
            chosen = rows[
                (rows["stratum"] == stratum) & rows["probability"].between(low, high, "left")
            ]
            observed, expected = int(chosen["outcome"].sum()), float(chosen["probability"].sum())
            lower, upper = BaseRate(len(chosen), observed).interval(0.9)
            self._records[key] = {
                "source": source,
                "stratum": stratum,
                "band": [low, high],
                "rows": len(chosen),
                "onsets_observed": observed,
                "onsets_expected": expected,
                "observed_rate": observed / len(chosen) if len(chosen) else None,
                "observed_rate_interval": [lower, upper],
                "observed_rate_interval_kind": "90% equal-tailed (Jeffreys)",
            }
        return dict(self._records[key])

    @cached_property
    def _records(self) -> dict[tuple[str, int, int], dict[str, Any]]:
        return {}
