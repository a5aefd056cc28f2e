"""What risk queries read: the simulated status quo of one fit, and the record beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.draws import Stream, estimates, generator
from forecast.errors import ArgumentError
from forecast.features.arrays import allied
from forecast.features.strata import NEW, OUTSIDE, BaseRate, base_rates, stratum_of
from forecast.panel.rows import relevant_pairs
from forecast.risk.fit_rows import FitRows
from forecast.simulation.comparison import Support, outside
from forecast.simulation.dynamics import STATUSES, Allies, Track
from forecast.simulation.ending import disputes_at
from forecast.simulation.engine import hazard_of, level_within
from forecast.simulation.levels import LEVELS, RECORDED_AS, Level, of_level
from forecast.simulation.lookup import lookup
from forecast.simulation.paired import CAUTION, StatusQuo, origin_of, status_quo
from forecast.simulation.predictor import Coefficients, Frame, simulated_terms
from forecast.sources.codes import resolve_states, state_label

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.sources.tables import Tables

__all__ = ["Outlook"]

_TOP = 3
#: Rows whose ladders are held at a time.
_BLOCK = 1024
#: Onsets with known deaths from which a stratum has shares of its own.
_FEWEST = 10

State = str | int
Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class Outlook:
    """Draws (D) of the status quo of one fit, some years ahead, and how they are read.

    `cumulative` (R, horizon, D): probability of at least one onset within the first h years, by
    draw. `joint`: which onsets may begin together. `position`: row of each pair of COW numbers
    (smaller first). `stratum` (R,): of each row at the origin.
    """

    def __init__(
        self, fit: Fit, *, horizon: int, draws: int | None, seed: int, now: StatusQuo | None = None
    ) -> None:
        self.fit, self.horizon, self.seed = fit, horizon, seed
        self.origin = origin_of(fit)
        now = now or status_quo(fit, horizon=horizon, draws=draws, seed=seed)
        self.future, self.record, self.endings = now.future, now.record, now.endings
        self.severity = now.severity
        # The draws of one pair lie side by side.
        self.cumulative = np.ascontiguousarray(now.paths.cumulative().transpose(1, 0, 2))
        self._annual = now.paths.annual
        self.joint = now.paths.joint
        self._onsets = np.packbits(now.paths.onsets, axis=2)
        rows = now.paths.rows
        self.codes = np.stack([rows["ccode_a"].to_numpy(), rows["ccode_b"].to_numpy()], axis=1)
        self.position = {(int(a), int(b)): row for row, (a, b) in enumerate(self.codes)}
        # Only a fit with rows of disputes under way has a stratum of them.
        under_way = self.record.under_way if fit.spec.under_way == "stratum" else None
        relevant = self._relevant[self.record.a, self.record.b]
        self.stratum = stratum_of(
            self.record.peace, self.record.total, under_way, relevant=relevant
        )
        self.rows_of_fit = FitRows(fit, origin=self.origin, seed=seed)
        self._labels: dict[int, str] = {}

    @cached_property
    def _relevant(self) -> npt.NDArray[np.bool_]:
        """Politically relevant pairs at the origin, (state, other) of the world to come."""
        return np.asarray(relevant_pairs(self.future.world.sel(year=[self.origin]))[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the draws."""
        held = (self.cumulative, self._annual, self._onsets, self.future.X)
        return sum(array.nbytes for array in held)

    @property
    def tables(self) -> Tables:
        """The fit's data set."""
        assert self.fit.panel.tables is not None
        return self.fit.panel.tables

    def asked(self, horizon: int, level: float, severity: Level, whom: str) -> dict[str, Any]:
        """What was asked, and what is the same in every answer to it."""
        outcome = of_level(self.fit.spec.outcome, severity)
        return {
            "first_year": self.origin + 1,
            "last_year": self.origin + horizon,
            "horizon": horizon,
            "interval_level": level,
            "severity": severity,
            "unit": f"probability of at least one {outcome}, as recorded in the data, between"
            f" {whom} within {horizon} year{'s' if horizon > 1 else ''}",
            "recall": self.tables.coverage["conflicts"].recall_words(
                self.origin + 1, RECORDED_AS[severity]
            ),
            "vintage": self.vintage,
            "caution": CAUTION,
        }

    def pairs(self, a: Sequence[State], b: Sequence[State]) -> list[tuple[int, int]]:
        """COW numbers in the origin year of pairs of states, each in the order given."""
        codes = resolve_states(self.tables, [*a, *b], year=self.origin)
        found = list(zip(codes[: len(a)], codes[len(a) :], strict=True))
        for (x, y), one, other in zip(found, a, b, strict=True):
            if x == y:
                raise ArgumentError(f"{one!r} and {other!r} are the same state; a dyad needs two.")
        return found

    def everyone(self) -> list[tuple[int, int]]:
        """All pairs of the population."""
        return [(int(a), int(b)) for a, b in self.codes]

    def label(self, code: int) -> str:
        """Name of a state in the origin year."""
        if code not in self._labels:
            self._labels[code] = state_label(self.tables, code, year=self.origin, kind="name")
        return self._labels[code]

    def estimates(
        self, rows: npt.NDArray[np.int64], horizon: int, level: float, severity: Level = "onset"
    ) -> Float64Array:
        """Mean and equal-tailed interval within 1 … `horizon` years, (3, rows, horizon)."""
        if severity == "onset":
            return estimates(self.cumulative[rows, :horizon], level)
        number = tuple(LEVELS).index(severity)
        parts = [
            estimates(self.ladder(rows[at : at + _BLOCK], horizon, number)[number], level)
            for at in range(0, max(rows.size, 1), _BLOCK)
        ]
        return np.concatenate(parts, axis=1)

    def ladder(self, rows: npt.NDArray[np.int64], horizon: int, levels: int = 3) -> Float32Array:
        """Draws of each level within 1 … h years, as `level_within`; (1 + levels, rows, h, D).

        Onset, fatal, deaths_25, deaths_1000, as far as asked: each at most the one before, draw by
        draw.
        """
        onset = self.cumulative[rows, :horizon]
        out = np.empty((1 + levels, *onset.shape), dtype=np.float32)
        out[0] = onset
        annual = self._annual[:horizon, rows]
        for number, given in enumerate(self._given(rows, horizon, levels), start=1):
            within = level_within(annual * given, onset.transpose(1, 0, 2))
            out[number] = within.transpose(1, 0, 2)
        return out

    def _given(self, rows: npt.NDArray[np.int64], horizon: int, levels: int) -> Float32Array:
        """Chance that an onset comes to each level; (levels, horizon, rows, D)."""
        columns, years = self._severity_columns[:, rows], range(1, horizon + 1)
        given = [self.severity.given_onset(columns, self.origin + h, levels=levels) for h in years]
        return np.stack(given, axis=1)

    @cached_property
    def _severity_columns(self) -> Float64Array:
        return self.severity.columns(self.codes)

    def base_of(self, horizon: int, stratum: str, severity: Level) -> tuple[float, int]:
        """Observed rate of a level within some years, and the onsets whose deaths tell it.

        The rate of onsets times the share of those of the stratum that came to the level; of all
        strata where one has fewer than ten.
        """
        base = self.base_rates[horizon][stratum]
        if severity == "onset":
            return base.rate, base.rows
        shares = self.rows_of_fit.level_shares[severity]
        share = shares.get(stratum, BaseRate(0, 0))
        share = share if share.rows >= _FEWEST else shares["all"]
        return base.rate * share.rate, share.rows

    def hazards(
        self, rows: npt.NDArray[np.int64], horizon: int, severity: Level = "onset"
    ) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
        """Hazards of the first onset, and simulated onsets, by year; both (horizon, rows, D)."""
        number = tuple(LEVELS).index(severity)
        within = self.cumulative[rows, :horizon].transpose(1, 0, 2)
        count = self.cumulative.shape[2]
        onsets = np.unpackbits(self._onsets[:horizon, rows], axis=2, count=count).astype(bool)
        if number:
            given = self._given(rows, horizon, number)[-1]
            within = level_within(self._annual[:horizon, rows] * given, within)
            rng = generator(self.seed, Stream.LEVELS_REACHED)
            onsets &= rng.random(onsets.shape, dtype=np.float32) < given
        return hazard_of(within), onsets

    @cached_property
    def disputes(self) -> dict[tuple[int, int], dict[str, Any]]:
        """How things stood between pairs with a dispute in the origin year; see `disputes_at`."""
        found = disputes_at(self.tables, self.origin)
        return dict(zip(found.index.to_list(), found.to_dict("records"), strict=True))

    @cached_property
    def _status(self) -> npt.NDArray[np.str_]:
        return self.record.status

    def status(self, pair: tuple[int, int]) -> str:
        """Whether the pair is at peace, its dispute of the origin year ended, or is under way."""
        if pair in self.position:
            return str(self._status[self.position[pair]])
        dispute = self.disputes.get(pair)
        return STATUSES[0 if dispute is None else 1 + bool(dispute["open"])]

    def still_under_way(self, pair: tuple[int, int], horizon: int) -> Float32Array:
        """Probability that the dispute under way is open after 1 … `horizon` years; (h, D)."""
        dispute = self.disputes[pair]
        return self.endings.survival(2 * dispute["age"] + dispute["severe"], horizon)

    @cached_property
    def base_rates(self) -> dict[int, dict[str, BaseRate]]:
        """Observed rates by horizon and stratum, of the pairs and the rule of the fit."""
        assert self.fit.panel.world is not None
        spec = self.fit.spec
        return base_rates(
            self.fit.panel.world.sel(year=slice(None, self.origin)),
            population=spec.population,
            under_way=spec.under_way,
            horizon=self.horizon,
        )

    def stratum_without_row(self, pair: tuple[int, int]) -> str:
        """Stratum whose rate answers for a pair of which the model has no row.

        In a population of all pairs it lacks a feature: its stratum is that of its record.
        """
        if self.fit.spec.population != "all":
            return OUTSIDE
        table = self.tables.conflicts
        own = table[(table["ccode_a"] == pair[0]) & (table["ccode_b"] == pair[1])]
        own = own[own["start"].dt.year <= self.origin]
        last = own["end"].dt.year.fillna(self.origin).clip(upper=self.origin).max()
        peace = np.array(self.origin - last if len(own) else 0)
        open_now = np.array(self.status(pair) == STATUSES[2])
        rule = open_now if self.fit.spec.under_way == "stratum" else None
        states = self.future.world["state"].to_numpy()
        a, b = np.searchsorted(states, pair)
        relevant = self._relevant[a, b]
        return str(stratum_of(peace, np.array(len(own)), rule, relevant=relevant))

    def base_width(self, horizon: int, stratum: str) -> float:
        """Width of the 95% Jeffreys interval of a base rate."""
        key = (horizon, stratum)
        if key not in self._base_widths:
            lower, upper = self.base_rates[horizon][stratum].interval(0.95)
            self._base_widths[key] = upper - lower
        return self._base_widths[key]

    @cached_property
    def _base_widths(self) -> dict[tuple[int, str], float]:
        return {}

    @cached_property
    def vintage(self) -> dict[str, Any]:
        """Coverage and version of every table."""
        return self.tables.vintage

    @cached_property
    def _mean(self) -> Coefficients:
        return Coefficients(self.fit, draws=None, seed=self.seed)

    @cached_property
    def _first_year(self) -> tuple[Float64Array, Float64Array, dict[str, npt.NDArray[Any]]]:
        """The first year: design columns and mean coefficients, both (R, p), and raw values."""
        encoding = self.fit.encoding
        X = self.future.X[:, 0].mean(axis=0, keepdims=True)
        track = Track.start(self.record)
        years = self.future.world["year"].to_numpy()
        ties = allied(self.future.world)[int(np.searchsorted(years, self.origin))]
        allies = Allies.of(self.record, ties, track.active, first=True)
        values = {
            code.name: lookup(code, self.record, track, track, allies)
            for code in simulated_terms(encoding)
        }
        columns = Frame(encoding, X, np.zeros(1, dtype=np.int64), values).design()
        beta = np.tile(self._mean.at(self.origin + 1).mean(axis=0), (len(columns), 1))
        for name, deviations in self._mean.strata().items():
            number = encoding.block(name).strata_of(columns, encoding.names)
            for stratum, deviation in deviations.items():
                beta[number == stratum] += deviation.mean(axis=0)
        raw = {name: values[0] for name, values in self.future.raw.items()}
        raw |= {name: value.array()[:, 0] for name, value in values.items()}
        return columns, beta, raw

    def drivers(self, row: int) -> tuple[dict[str, Any], ...]:
        """The three terms that move the log-odds of the first year most.

        Relative to the average dyad-year of the fit: columns are centred there.
        """
        X, beta, _ = self._first_year
        slices = self.fit.encoding.term_slices
        moved = {name: float(X[row, at] @ beta[row, at]) for name, at in slices.items()}
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
        found = self._mean.effects(rows)
        return {name: values.mean(axis=1, dtype=np.float64) for name, values in found.items()}

    @cached_property
    def _new_levels(self) -> dict[str, npt.NDArray[np.bool_]]:
        count = self.record.a.size
        rows = self.future.rows.assign_coords(year=("row", np.full(count, self.origin + 1)))
        return self._mean.new_levels(rows)

    def support(self, row: int) -> dict[str, Any]:
        """How much of the fit bears on a pair."""
        pair = (int(self.codes[row, 0]), int(self.codes[row, 1]))
        return {
            "rows_in_stratum": self.rows_of_fit.of_stratum.get(str(self.stratum[row]), 0),
            "rows_of_dyad": self.rows_of_fit.of_dyad.get(pair, 0),
            "new_levels": [name for name, new in self._new_levels.items() if new[row]],
            "outside_range": self._outside_range(row),
            "distance_percentile": _finite(self._percentile[row]),
        }

    def _outside_range(self, row: int) -> list[dict[str, Any]]:
        """Terms whose value in the first year lies outside those seen in the fit."""
        raw = self._first_year[2]
        return [
            {"term": code.name, "value": float(raw[code.name][row]), "range": list(code.seen)}
            for code in self.fit.encoding.terms
            if code.seen and outside(code, raw[code.name][row : row + 1]).item()
        ]

    @cached_property
    def _percentile(self) -> Float64Array:
        return Support(self.fit, self.record, self.future).percentile(self.future, 0)

    def first_probability(self, row: int) -> float:
        """Probability of the first year alone, which is what records are about."""
        return float(self.cumulative[row, 0].mean(dtype=np.float64))

    def record_stratum(self, row: int) -> str:
        """Stratum of a pair as a backtest names it: a pair that never was a row is new."""
        pair = (int(self.codes[row, 0]), int(self.codes[row, 1]))
        return str(self.stratum[row]) if pair in self.rows_of_fit.pairs else NEW
