"""How bad a dispute becomes: levels, what the record says of them, and draws given that one begins.

Levels are what a dispute comes to in the end, between the two. One that still runs is a lower
bound, an unknown class of deaths is missing, and so is what either would tell of the next level.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special
import xarray as xr

from forecast.draws import Stream, generator
from forecast.errors import ArgumentError, DataError
from forecast.inference.fit import Fit, fit
from forecast.inference.predict import predictor
from forecast.panel.types import Panel
from forecast.simulation import kernels
from forecast.simulation.ending import record_panel
from forecast.simulation.levels import LEVELS, Level
from forecast.simulation.predictor import Coefficients
from forecast.sources.spells import span_years

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = [
    "Severity",
    "Steps",
    "levels_reached",
    "model_columns",
    "recent_log_odds",
    "severity_history",
    "severity_panel",
    "steps_of",
]

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.integer]

#: Years after which a dispute of the past counts half: in the shares of pairs and states, and in
#: the level of all pairs.
_HALF_LIFE, _LEVEL_HALF_LIFE = 10.0, 7.0
#: What stands for a pair (one dispute) and a state (one and a half) without a record.
_PAIR_PRIOR = {1: 0.6, 2: 0.3}
_STATE_PRIOR = (0.5, 1.5)


def severity_history(tables: Tables, pairs: Pairs, year: int) -> dict[str, Float64Array]:
    """What the record says of pairs (n, 2; smaller COW number first), by name of the model's term.

    Disputes that began in `year` or later do not count. Each (n,): ``years_since_dispute``, since
    the last year with one between the two, or since the record begins; ``disputes_total``, number
    of earlier ones; ``dispute_last_year``, 0/1. ``pair_fatal_share`` and ``pair_deaths_25_share``:
    Σ w y + p over Σ w + 1, where y is 1 for a dispute of the two with at least one (more than 25)
    deaths, the weight w = 2^(−age / 10 years), and p = .6 (.3) stands for one dispute about as
    grave as most. Disputes whose deaths are unknown do not count. ``state_deaths_25_share_max`` and
    ``_min``: Σ w y + .5 over Σ w + 1.5 of all disputes of either state, whoever with; the larger
    and the smaller.
    """
    table = tables.conflicts
    start, end = span_years(table)
    before = start < year
    table, start = table[before], start[before]
    last = np.minimum(end[before], year - 1)
    sides = table[["ccode_a", "ccode_b"]].to_numpy(dtype=np.int64)
    deaths = table["deaths_class"].to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(deaths)
    weight = np.where(known, 2.0 ** (-(year - start) / _HALF_LIFE), 0.0)

    found, place = np.unique(_keys(sides), return_inverse=True)
    at = np.searchsorted(found, _keys(pairs)).clip(max=max(found.size - 1, 0))
    here = found[at] == _keys(pairs) if found.size else np.zeros(len(pairs), dtype=bool)

    def of_pairs(values: Float64Array) -> Float64Array:
        total = np.bincount(place, weights=values, minlength=found.size)
        return np.where(here, total[at], 0.0) if found.size else np.zeros(len(pairs))

    latest = np.full(found.size, tables.coverage["conflicts"].first - 1)
    np.maximum.at(latest, place, last)
    since = np.full(len(pairs), year - tables.coverage["conflicts"].first, dtype=np.float64)
    since[here] = year - 1 - latest[at[here]]
    all_weight = of_pairs(weight)
    states, of_state = np.unique(sides, return_inverse=True)
    severe = weight * (np.nan_to_num(deaths) >= LEVELS["deaths_25"])
    both = np.repeat(np.stack([severe, weight]), 2, axis=1)
    sums = [np.bincount(of_state.ravel(), weights=w, minlength=states.size) for w in both]
    share = (sums[0] + _STATE_PRIOR[0]) / (sums[1] + _STATE_PRIOR[1])
    spot = np.searchsorted(states, pairs).clip(max=max(states.size - 1, 0))
    own = np.full(pairs.shape, _STATE_PRIOR[0] / _STATE_PRIOR[1])
    if states.size:
        own = np.where(states[spot] == pairs, share[spot], own)
    return {
        "years_since_dispute": since,
        "disputes_total": of_pairs(np.ones(len(table))),
        "dispute_last_year": (here & (since == 0)).astype(np.float64),
        **{
            f"pair_{name}_share": (
                of_pairs(weight * (np.nan_to_num(deaths) >= LEVELS[name]))
                + _PAIR_PRIOR[LEVELS[name]]
            )
            / (all_weight + 1.0)
            for name in ("fatal", "deaths_25")
        },
        "state_deaths_25_share_max": own.max(axis=1),
        "state_deaths_25_share_min": own.min(axis=1),
    }


def _keys(pairs: Pairs) -> IntArray:
    """One number for each pair."""
    return np.asarray(pairs[:, 0], dtype=np.int64) * 100_000 + pairs[:, 1]


def severity_panel(tables: Tables, *, last: int) -> Panel:
    """One row for each onset of a pair in a year, up to `last`, and level that it came to.

    Unit ``"onset-level"``. Outcome ``next_level``: 1 if a dispute that began between the two in the
    year came to the next level (fatal, deaths_25, deaths_1000), 0 if none did, NaN where that is
    not known: deaths without a documented class, or a dispute still open that may yet rise.
    Variables: the terms of ``models/severity.toml``, of earlier years only, and ``joined`` (0/1:
    one of the two joined a dispute of others, whose losses are its own). Sources code deaths once,
    so that those of a dispute that ran past `last` may be later ones.
    """
    steps = steps_of(tables, last)
    onsets, row, level, outcome = steps.onsets, steps.row, steps.level, steps.outcome
    pairs = onsets[["ccode_a", "ccode_b"]].to_numpy()
    year = onsets["year"].to_numpy()
    history: dict[str, Float64Array] = {}
    recent = np.empty((len(onsets), 3))
    for one in np.unique(year).tolist():
        at = np.flatnonzero(year == one)
        recent[at] = steps.recent(one)
        for name, values in severity_history(tables, pairs[at], one).items():
            history.setdefault(name, np.empty(len(onsets)))[at] = values
    told = {name: values[row] for name, values in history.items()}
    data = xr.Dataset(
        {
            "outcome": ("row", outcome),
            "joined": ("row", onsets["joined"].to_numpy(dtype=np.float64)[row]),
            "level": ("row", level),
            **model_columns(level, recent[row, level], told),
        },
        coords={
            "year": ("row", year[row]),
            "ccode_a": ("row", pairs[row, 0]),
            "ccode_b": ("row", pairs[row, 1]),
            "conflict_id": ("row", onsets["conflict_id"].to_numpy(dtype=np.str_)[row]),
        },
    )
    return record_panel("severity", data, tables, last=last)


@dataclass(frozen=True, eq=False)
class Steps:
    """Onsets of pairs and years, and a step for each level that one came to.

    `onsets`: ``year``, ``ccode_a``, ``ccode_b``, ``conflict_id``, ``joined``. Of each step: `row`,
    its place among them; `level`, its number; `outcome`, whether the next was reached, NaN if not
    known.
    """

    onsets: pd.DataFrame
    row: IntArray
    level: IntArray
    outcome: Float64Array

    def recent(self, before: int) -> Float64Array:
        """`recent_log_odds` of the steps."""
        year = self.onsets["year"].to_numpy()[self.row]
        return recent_log_odds(year, self.level, self.outcome, before=before)


def steps_of(tables: Tables, last: int) -> Steps:
    """Onsets of the record to a year, and how far each went."""
    table = tables.conflicts
    start, end = span_years(table)
    begun = start <= last
    table = table[begun].assign(year=start[begun], open=end[begun] > last)
    joined = (table[["role_a", "role_b"]] == "joiner").any(axis=1)
    deaths = table["deaths_class"].to_numpy(np.float64, na_value=np.nan)
    table = table.assign(joined=joined, deaths=deaths, unsure=np.isnan(deaths) | table["open"])
    onsets = (
        table.groupby(["year", "ccode_a", "ccode_b"])
        .agg({"deaths": "max", "unsure": "any", "joined": "all", "conflict_id": "first"})
        .reset_index()
    )
    deaths = onsets["deaths"].fillna(-1.0).to_numpy()
    unsure = onsets["unsure"].to_numpy(dtype=bool)
    classes = list(LEVELS.values())
    rows, outcomes, levels = [], [], []
    for number, (reached, wanted) in enumerate(pairwise(classes)):
        at = np.flatnonzero(deaths >= reached) if number else np.arange(len(onsets))
        rose = (deaths[at] >= wanted).astype(np.float64)
        rows.append(at)
        outcomes.append(np.where((rose == 0) & unsure[at], np.nan, rose))
        levels.append(np.full(at.size, number))
    row, outcome, level = (np.concatenate(parts) for parts in (rows, outcomes, levels))
    order = np.lexsort((level, row))
    row, outcome, level = row[order], outcome[order], level[order]
    return Steps(onsets, row, level, outcome)


def levels_reached(tables: Tables, *, last: int) -> pd.DataFrame:
    """How far the disputes of a pair went that began in a year, as known at the end of `last`.

    Indexed by ``year, ccode_a, ccode_b``: ``fatal``, ``deaths_25``, ``deaths_1000``, 1 or 0, or NaN
    where that is not known.
    """
    steps = steps_of(tables, last)
    came = np.full((len(steps.onsets), 3), np.nan)
    came[steps.row, steps.level] = steps.outcome
    found, so_far = {}, np.ones(len(came))
    for number, name in enumerate(list(LEVELS)[1:]):
        so_far = np.where(so_far == 0, 0.0, so_far * came[:, number])
        found[name] = so_far
    names = ["year", "ccode_a", "ccode_b"]
    return pd.DataFrame(found, index=pd.MultiIndex.from_frame(steps.onsets[names]))


def recent_log_odds(
    year: IntArray, level: IntArray, outcome: Float64Array, *, before: int
) -> Float64Array:
    """Log-odds that disputes of each level came to the next one, of late; (3,).

    log(Σ w y + ½) − log(Σ w (1 − y) + ½) over the onsets of a `severity_panel` before a year, with
    the weight w = 2^(−age / 7 years).
    """
    weight = 2.0 ** ((year - before) / _LEVEL_HALF_LIFE) * (year < before) * np.isfinite(outcome)
    rose = np.nan_to_num(outcome)
    yes = np.bincount(level, weights=weight * rose, minlength=3)
    no = np.bincount(level, weights=weight * (1.0 - rose), minlength=3)
    return np.asarray(np.log(yes + 0.5) - np.log(no + 0.5))


def model_columns(
    level: IntArray, recent: Float64Array, history: dict[str, Float64Array]
) -> dict[str, tuple[str, Float64Array]]:
    """Raw values of the model's terms."""
    return {
        "beyond_fatal": ("row", (level >= 1).astype(np.float64)),
        "beyond_25": ("row", (level >= 2).astype(np.float64)),
        "recent_log_odds": ("row", recent),
        **{name: ("row", values) for name, values in history.items()},
    }


_LEAST_DRAWS = 100
_FEW = 256
#: Part of the slopes by level (bits of beyond_fatal and beyond_25) of each level that is left.
_PARTS = (0, 1, 3)


class Severity:
    """Draws (D) of how bad a dispute becomes that begins between two states, as known at an origin.

    `unrecorded`: levels of which the data say of no dispute whether it came to them. Where there is
    nothing to fit, since every dispute of the record came to the next level or none did, the draws
    are those of one share for each level (Jeffreys).
    """

    def __init__(self, tables: Tables, *, origin: int, draws: int, seed: int) -> None:
        self.tables, self.origin, self.draws = tables, origin, draws
        self._years: dict[int, tuple[list[Float32Array], Float32Array]] = {}
        panel = severity_panel(tables, last=origin)
        year, level, outcome = (panel.data[n].to_numpy() for n in ("year", "level", "outcome"))
        self._recent = recent_log_odds(year, level, outcome, before=origin + 1)
        rng = generator(seed, Stream.SEVERITY)
        rose, stayed = (np.bincount(level[outcome == value], minlength=3) for value in (1.0, 0.0))
        told = (rose + stayed > 0).tolist()
        # A level above one that nothing is known of is not known either.
        first = told.index(False) if False in told else len(told)
        self.unrecorded: tuple[str, ...] = tuple(LEVELS)[1 + first :]
        shares = rng.beta(rose[:, None] + 0.5, stayed[:, None] + 0.5, (3, draws))
        self._shares = shares.astype(np.float32)
        try:
            self.fit: Fit | None = fit("severity", panel, seed=seed, draws=max(draws, _LEAST_DRAWS))
        except DataError:
            self.fit = None
            return
        self._coefficients = Coefficients(self.fit, draws=draws, seed=seed)

    def require(self, level: Level) -> None:
        """Raise an `ArgumentError` that says what is missing, if the data do not record a level."""
        if level in self.unrecorded:
            cover = self.tables.coverage["conflicts"]
            raise ArgumentError(
                f"severity={level!r}: the conflicts of these data ({cover.source} {cover.version})"
                f" say of no dispute whether it came to this level (deaths_class). Recorded:"
                f" {', '.join(name for name in LEVELS if name not in self.unrecorded)}."
            )

    def columns(
        self, pairs: Pairs, *, tables: Tables | None = None, year: int | None = None
    ) -> Float64Array:
        """Design columns of disputes that begin between pairs (n, 2) in a year; (3, n, p).

        By level that is left; no columns where there is no fit. `year` is by default that after the
        origin; `tables`, what is known before it, where that is more than the fit learnt from.
        """
        n = len(pairs)
        if self.fit is None:
            return np.empty((3, n, 0))
        year = self.origin + 1 if year is None else year
        recent = self._recent
        if tables is not None:
            recent = steps_of(tables, year - 1).recent(year)
        history = severity_history(tables or self.tables, pairs, year)
        level = np.repeat(np.arange(3), n)
        tiled = {name: np.tile(values, 3) for name, values in history.items()}
        rows = xr.Dataset(
            model_columns(level, recent[level], tiled),
            coords={
                "year": ("row", np.full(3 * n, year)),
                "ccode_a": ("row", np.tile(pairs[:, 0], 3)),
                "ccode_b": ("row", np.tile(pairs[:, 1], 3)),
            },
        )
        columns: Float64Array = self.fit.encoding.apply(rows).X
        return columns.reshape(3, n, -1)

    def given_onset(self, columns: Float64Array, year: int, *, levels: int = 3) -> Float32Array:
        """Probability that a dispute that begins in `year` comes to each level; (levels, n, D).

        Fatal, deaths_25, deaths_1000, as many as asked; each at most the one before, draw by draw.
        `columns` are of the pairs at the origin; the level drifts on, and what is not known of it
        grows.
        """
        if self.fit is None:
            shape = (levels, columns.shape[1], self.draws)
            passed = np.broadcast_to(self._shares[:levels, None], shape)
            return np.cumprod(passed, axis=0)
        beta, shift = self._in_force(year)
        steps = np.empty((levels, columns.shape[1], self.draws), dtype=np.float32)
        for number in range(levels):
            log_odds = predictor((columns[number].astype(np.float32), beta[number]))
            log_odds += shift
            if len(log_odds) < _FEW:  # threads would take longer to start
                scipy.special.expit(log_odds, out=steps[number])
            else:
                kernels.probability(log_odds, steps[number])
        for number in range(1, levels):
            steps[number] *= steps[number - 1]
        return steps

    def at_level(self, level: Level, rows: xr.Dataset, horizon: int) -> Float32Array:
        """Probability that an onset of a year ahead comes to a higher level; (horizon, R, D)."""
        pairs = np.stack([rows[name].to_numpy() for name in ("ccode_a", "ccode_b")], axis=1)
        columns, levels = self.columns(pairs), tuple(LEVELS).index(level)
        years = range(self.origin + 1, self.origin + 1 + horizon)
        return np.stack([self.given_onset(columns, y, levels=levels)[-1] for y in years])

    def _in_force(self, year: int) -> tuple[list[Float32Array], Float32Array]:
        """Coefficients of each level, (D, p), and what all disputes of a year share, (D,)."""
        if year not in self._years:
            assert self.fit is not None
            strata = self._coefficients.strata().values()
            common = self._coefficients.at(year)
            # Binary terms are parts in their order: none, the first, both.
            beta = [
                (common + sum(parts[number] for parts in strata)).astype(np.float32)
                for number in _PARTS
            ]
            # No group is of pairs: any will do.
            row = {"year": [year], "ccode_a": [0], "ccode_b": [0]}
            one = xr.Dataset(coords={name: ("row", value) for name, value in row.items()})
            effects = self._coefficients.effects(one)
            shift = np.asarray(sum(effect[0] for effect in effects.values()), dtype=np.float32)
            self._years[year] = beta, shift
        return self._years[year]
