"""What the record says of how bad disputes became: rows of the model of severity, and histories.

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
import xarray as xr

from forecast.panel.types import Panel
from forecast.simulation.ending import record_panel
from forecast.simulation.levels import LEVELS
from forecast.sources.spells import span_years

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = [
    "Steps",
    "levels_reached",
    "model_columns",
    "recent_log_odds",
    "severity_history",
    "severity_panel",
    "steps_of",
]

#: Years after which a dispute of the past counts half: in the shares of pairs and states, and in
#: the level of all pairs.
_HALF_LIFE, _LEVEL_HALF_LIFE = 10.0, 7.0
#: What stands for a pair (one dispute) and a state (one and a half) without a record.
_PAIR_PRIOR = {1: 0.6, 2: 0.3}
_STATE_PRIOR = (0.5, 1.5)

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.integer]


def severity_history(tables: Tables, pairs: Pairs, year: int) -> dict[str, Float64Array]:
    """What the record of earlier years says of pairs, by name of the model's term.

    Parameters
    ----------
    tables : Tables
        The data set; only its conflicts are read.
    pairs : numpy.ndarray, shape (n, 2)
        COW numbers, smaller first.
    year : int
        The year in which a dispute may begin; disputes that began in it or later do not count.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n,)
        ``years_since_dispute``: since the last year with one between the two, or since the record
        begins; ``disputes_total``: number of earlier ones; ``dispute_last_year``: 0/1.
        ``pair_fatal_share`` and ``pair_deaths_25_share``: Σ w y + p over Σ w + 1, where y is 1
        for a dispute of the two with at least one (more than 25) deaths, the weight w = 2^(−age /
        10 years), and p = .6 (.3) stands for one dispute about as grave as most. Disputes whose
        deaths are unknown do not count. ``state_deaths_25_share_max`` and ``_min``: Σ w y + .5
        over Σ w + 1.5 of all disputes of either state, whoever with; the larger and the smaller.
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
    """One row for each onset of a pair in a year and level that it came to.

    Parameters
    ----------
    tables : Tables
        The data set; only its conflicts are read.
    last : int
        Last year that is known.

    Returns
    -------
    Panel
        Unit ``"onset-level"``. Outcome ``next_level``: 1 if a dispute that began between the two
        in the year came to the next level (fatal, deaths_25, deaths_1000), 0 if none did, NaN
        where that is not known: deaths without a documented class, or a dispute still open that
        may yet rise. Variables: the terms of ``models/severity.toml``, of earlier years only, and
        ``joined`` (0/1: one of the two joined a dispute of others, whose losses are its own).

    Notes
    -----
    Sources code deaths once, so that those of a dispute that ran past `last` may be later ones.
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

    Attributes
    ----------
    onsets : pandas.DataFrame
        ``year``, ``ccode_a``, ``ccode_b``, ``conflict_id``, ``joined``.
    row, level : numpy.ndarray of int, shape (steps,)
        Place among the onsets, and number of the level.
    outcome : numpy.ndarray, shape (steps,)
        Whether the next level was reached; NaN where that is not known.
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
    """How far the disputes of a pair went that began in a year.

    Parameters
    ----------
    tables : Tables
        The data set; only its conflicts are read.
    last : int
        Last year that is known.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``year, ccode_a, ccode_b``: ``fatal``, ``deaths_25``, ``deaths_1000``, 1 or 0, or
        NaN where that is not known.
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
    """Log-odds that disputes of each level came to the next one, of late.

    log(Σ w y + ½) − log(Σ w (1 − y) + ½) over the onsets before a year, with the weight w =
    2^(−age / 7 years).

    Parameters
    ----------
    year, level, outcome : numpy.ndarray, shape (rows,)
        Of a panel as `severity_panel` makes it.
    before : int
        First year that does not count.

    Returns
    -------
    numpy.ndarray, shape (3,)
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
