"""What a simulation says: from draws to means and intervals, by dyad, state, region and world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.draws import Stream, estimates, generator
from forecast.parallel import in_threads
from forecast.simulation.comparison import SOURCES, Split
from forecast.simulation.dynamics import Record
from forecast.simulation.engine import Paths
from forecast.simulation.future import Future
from forecast.simulation.joint import any_begins
from forecast.simulation.levels import RECORDED_AS, Level, of_level
from forecast.sources.codes import BETWEEN, state_label

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["Summary"]

Float32Array = npt.NDArray[np.float32]


class Summary:
    """From draws to means and intervals, by dyad, state and region."""

    def __init__(
        self,
        fit: Fit,
        future: Future,
        record: Record,
        level: float,
        *,
        draws: int,
        seed: int,
        severity: Level = "onset",
    ) -> None:
        self.fit, self.future, self.record, self.level = fit, future, record, level
        self.severity = severity
        region = future.world["region"].to_numpy()
        a, b = region[record.a], region[record.b]
        self.dyad_region = np.where(a == b, a, BETWEEN)
        self.regions = [*sorted(set(region.tolist())), BETWEEN]
        self.states = np.unique(np.concatenate([record.a, record.b]))
        rows = np.arange(record.a.size)
        place = np.concatenate([record.a, record.b])
        ones = np.ones(place.size, dtype=np.float32)
        self.incidence = sp.csr_array(
            (ones, (np.searchsorted(self.states, place), np.tile(rows, 2))),
            shape=(self.states.size, rows.size),
        )
        number = np.array([self.regions.index(name) for name in self.dyad_region])
        self.membership = sp.csr_array(
            (ones[: rows.size], (number, rows)), shape=(len(self.regions), rows.size)
        )
        assert fit.panel.tables is not None
        self.cover = fit.panel.tables.coverage["conflicts"]
        recall = self.cover.recall
        #: Recording of each year to come relative to that of the last ones; (horizon, G, D).
        self.recording = (
            np.ones((1, 1, 1), dtype=np.float32)
            if recall is None
            else recall.factors(
                RECORDED_AS[severity],
                len(self.regions),
                origin=record.origin,
                horizon=future.X.shape[1],
                draws=draws,
                rng=generator(seed, Stream.RECORDING),
            )
        )

    def read(self, paths: Paths) -> dict[str, Float32Array]:
        """Draws of every quantity; (horizon, units, D)."""
        of_state = np.split(self.incidence.indices, self.incidence.indptr[1:-1])
        state_risk = np.empty((len(paths.hazard), len(of_state), paths.hazard.shape[2]), np.float32)

        def fill(state: int) -> None:
            at = of_state[state]
            hub = paths.joint.hub[at]
            pairs = (paths.hazard[:, at], paths.onsets[:, at])
            state_risk[:, state] = any_begins(*pairs, hub, paths.joint.weight)

        in_threads(fill, [(state,) for state in range(len(of_state))])
        onsets = np.stack([self.membership @ year.astype(np.float32) for year in paths.onsets])
        onsets *= self.recording
        return {
            "annual_risk": paths.annual,
            "cumulative_risk": paths.cumulative(),
            "state_risk": state_risk,
            "region_onsets": onsets,
            "world_onsets": onsets.sum(axis=1, keepdims=True),
        }

    def estimates(self, draws: dict[str, Float32Array]) -> dict[str, Float32Array]:
        """Mean and equal-tailed interval of every quantity; (3, horizon, units)."""
        return {name: self.means_and_intervals(values) for name, values in draws.items()}

    def parts(self, parts: Split, difference: Float32Array) -> xr.DataArray:
        """Means and intervals of the two parts of the differences in cumulative risk.

        The draws are of the pairs whose own alliances differ; of all others the whole `difference`
        (3, horizon, R) is contagion.
        """
        found = np.stack([np.zeros_like(difference), difference])
        for source, draws in enumerate((parts.own, parts.contagion)):
            found[source][..., parts.rows] = self.means_and_intervals(draws)
        return xr.DataArray(
            found,
            dims=("source", "estimate", "year", "dyad"),
            coords={"source": list(SOURCES)},
            attrs={
                "unit": f"difference in {self._at_least_one}",
                "interval": f"{self.level:.0%} equal-tailed, parameter uncertainty",
            },
        )

    @property
    def _at_least_one(self) -> str:
        what = of_level("onset", self.severity)
        return f"probability of at least one {what} by the end of the year"

    def dataset(
        self, worlds: dict[str, dict[str, Float32Array]], changed: npt.NDArray[np.bool_]
    ) -> xr.Dataset:
        """Means and intervals with their coordinates and units."""
        several = of_level("onsets", self.severity)
        units = {
            "annual_risk": ("dyad", "probability per undirected dyad-year"),
            "cumulative_risk": ("dyad", self._at_least_one),
            "state_risk": ("state", self._at_least_one),
            "region_onsets": ("region", f"dyadic {several} per year, as recorded"),
            "world_onsets": ("", f"dyadic {several} per year, as recorded"),
        }
        variables = {}
        for name, (unit, meaning) in units.items():
            stacked = np.stack([values[name] for values in worlds.values()])
            kind = "predictive" if name.endswith("_onsets") else "parameter uncertainty"
            variables[name] = xr.DataArray(
                stacked if unit else stacked[..., 0],
                dims=("world", "estimate", "year", *([unit] if unit else [])),
                attrs={"unit": meaning, "interval": f"{self.level:.0%} equal-tailed, {kind}"},
            )
        world, record = self.future.world, self.record
        codes = world["state"].to_numpy()
        horizon = self.future.X.shape[1]
        a, b = codes[record.a], codes[record.b]
        abbrev = world["abbrev"].to_numpy()
        labels = [f"{x}-{y}" for x, y in zip(abbrev[record.a], abbrev[record.b], strict=True)]
        coverage = self.fit.panel.to_dict()["coverage"]
        return xr.Dataset(
            variables,
            coords={
                "world": list(worlds),
                "estimate": ["mean", "lower", "upper"],
                "year": np.arange(record.origin + 1, record.origin + 1 + horizon),
                "dyad": labels,
                "state": codes[self.states],
                "region": self.regions,
                "ccode_a": ("dyad", a),
                "ccode_b": ("dyad", b),
                "dyad_region": ("dyad", self.dyad_region),
                "status": ("dyad", record.status),
                "changed": ("dyad", changed),
                "state_name": ("state", world["name"].to_numpy()[self.states]),
                "state_abbrev": ("state", abbrev[self.states]),
                "state_iso3": ("state", self._iso3(codes[self.states])),
            },
            attrs={
                "unit": "undirected dyad-year",
                "population": self.fit.spec.population,
                "outcome": self.fit.spec.outcome,
                "severity": self.severity,
                "interval_kind": "equal-tailed",
                "interval_level": self.level,
                "origin": record.origin,
                "recall": self.cover.recall_words(record.origin + 1, RECORDED_AS[self.severity]),
                "coverage": {name: [c["first"], c["last"]] for name, c in coverage.items()},
            },
        )

    def _iso3(self, codes: npt.NDArray[np.integer]) -> list[str]:
        assert self.fit.panel.tables is not None
        tables, year = self.fit.panel.tables, self.record.origin
        return [state_label(tables, int(code), year=year, kind="iso3") for code in codes]

    def means_and_intervals(self, draws: Float32Array) -> Float32Array:
        """Mean and equal-tailed interval over draws (horizon, units, D); (3, horizon, units)."""
        found = np.empty((3, *draws.shape[:-1]), dtype=np.float32)

        def of_year(h: int) -> None:
            found[:, h] = estimates(draws[h], self.level)

        in_threads(of_year, [(h,) for h in range(len(draws))])
        return found
