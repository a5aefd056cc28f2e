"""Panels: rows of states or pairs of states at risk, with what happened in them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError, CoverageError, ForecastError
from forecast.panel.events import Outcome
from forecast.panel.types import Panel
from forecast.panel.window import BoolArray, IntArray, coverage_window
from forecast.panel.world import build_world
from forecast.sources.tables import Tables

__all__ = ["Population", "Unit", "future_panel", "load_panel", "relevant_pairs"]

Unit = Literal["dyad-year", "directed-dyad-year", "state-year"]
Population = Literal["politically_relevant", "all"]


def load_panel(
    *,
    data: str | Path | Tables = "embedded",
    unit: Unit = "dyad-year",
    population: Population | None = None,
    outcome: Outcome = "onset",
    years: tuple[int, int] | None = None,
    lag: int = 1,
) -> Panel:
    """Panel of a data set: who was at risk in each year, and whether a conflict began.

    Rows run from the first year that every table covers plus `lag`, to the last year that the
    conflicts (and what defines the population) cover. Both states are members of the system on
    one day of the calendar year of the row. A dyad-year in which a dispute merely continues,
    with no new onset, is not at risk and not a row.

    Parameters
    ----------
    data : str, pathlib.Path or Tables
        ``"embedded"``, a folder in the same layout, or tables that were already read.
    unit : {"dyad-year", "directed-dyad-year", "state-year"}
        ``dyad-year``: one row per unordered pair (``ccode_a < ccode_b``) and year; outcome:
        an episode between the two began. ``directed-dyad-year``: one row per ordered pair;
        outcome: `a` began one against `b`; pairs whose initiator is unclear have no row in that
        year. ``state-year``: an episode that involves the state began.
    population : {"politically_relevant", "all"}, optional
        Which dyads: those contiguous by land or up to 400 miles of water, or with at least one
        major power, in the calendar year of the row (the default); or all. State-years are always
        ``"all"``.
    outcome : {"onset", "originator_onset", "fatal_onset", "war_onset"}
        What counts as an onset. Rows at risk are the same for all, except that those where it is
        not known whether a fatal onset began are left out.
    years : tuple of int, optional
        First and last year of the rows, inside what the data cover.
    lag : int
        Years by which features will be lagged; at least 1.

    Returns
    -------
    Panel
        ``data`` has dimension ``row`` with coordinates ``year`` and ``ccode_a``, ``ccode_b`` (or
        ``ccode``), sorted by them; variables ``outcome`` (float64 0/1) and ``region_a``,
        ``region_b`` (or ``region``), str. Its attributes account for every onset: ``episodes``
        (dyadic conflicts that began in the years of the panel), ``onsets_total`` (dyad-years with
        one, directed or state-years according to `unit`), ``onsets_in_population``,
        ``onsets_outside_population``, ``onsets_dropped_initiator_unclear``,
        ``rows_dropped_ongoing``, ``rows_dropped_unknown``.

    Raises
    ------
    ArgumentError
        If an option has a value that is not known.
    CoverageError
        If `years` reaches outside what the data cover.
    MissingFileError, DataError
        From reading the data.
    """
    unit, chosen = _options(unit, population, outcome, lag)
    tables = _tables(data)
    first, last = _covered_rows(tables, lag)
    if years is not None:
        lo, hi = years
        if lo > hi or lo < first or hi > last:
            raise CoverageError(
                f"years=({lo}, {hi}): a panel of {tables.name!r} with lag={lag} covers "
                f"{first}–{last}. For a year past the data use future_panel."
            )
        first, last = lo, hi
    world = build_world(tables, outcome=outcome)
    data_rows = _rows(world, unit, chosen, first, last)
    return Panel(
        data=data_rows,
        world=world,
        tables=tables,
        unit=unit,
        population=chosen,
        outcome=outcome,
        lag=lag,
        fingerprint=_fingerprint(tables, unit, chosen, outcome, lag, first, last),
    )


def future_panel(panel: Panel, *, year: int) -> Panel:
    """The rows at risk in a year past the data, with the world carried forward to it.

    Parameters
    ----------
    panel : Panel
        A panel with its tables; unit, population, outcome and lag are taken from it.
    year : int
        Calendar year after the last that the conflicts cover.

    Returns
    -------
    Panel
        ``outcome`` is NaN. ``world`` runs to `year` with states, alliances, contiguity and
        capabilities of the last covered day carried forward. Every pair of the population is a
        row: whether a running dispute will still run in `year` is not known.

    Raises
    ------
    ArgumentError
        If the panel was read from a file and has no tables.
    CoverageError
        If `year` is covered by the data.
    """
    if panel.tables is None or panel.world is None:
        raise ArgumentError(
            "future_panel needs a panel made by load_panel; this one was read from a file and "
            "has no tables to carry forward."
        )
    tables = panel.tables
    covered = tables.coverage["conflicts"].last
    if year <= covered:
        raise CoverageError(
            f"year={year}: the conflicts of {tables.name!r} are covered to {covered}, expected a "
            "later year. For a covered year use load_panel(years=...)."
        )
    outcome: Outcome = panel.outcome  # type: ignore[assignment]
    unit: Unit = panel.unit  # type: ignore[assignment]
    population: Population = panel.population  # type: ignore[assignment]
    world = build_world(
        tables,
        first_year=int(panel.world["year"][0]),
        last_year=year,
        carry_forward=True,
        outcome=outcome,
    )
    data = _rows(world, unit, population, year, year)
    data["outcome"] = data["outcome"] * np.nan
    data.attrs = {"carried_forward": int(world["carried_forward"][-1])}
    return Panel(
        data=data,
        world=world,
        tables=tables,
        unit=unit,
        population=population,
        outcome=outcome,
        lag=panel.lag,
        fingerprint=_fingerprint(tables, unit, population, outcome, panel.lag, year, year),
    )


def _options(unit: str, population: str | None, outcome: str, lag: int) -> tuple[Unit, Population]:
    for name, value, valid in (
        ("unit", unit, get_args(Unit)),
        ("outcome", outcome, get_args(Outcome)),
        ("population", population or "all", get_args(Population)),
    ):
        if value not in valid:
            raise ArgumentError(f"{name}={value!r}: expected one of {', '.join(valid)}.")
    if lag < 1:
        raise ArgumentError(f"lag={lag}: expected at least 1; every feature is lagged.")
    if unit == "state-year":
        if population == "politically_relevant":
            raise ArgumentError(
                "population='politically_relevant' is about pairs of states; a state-year panel "
                "has population='all'."
            )
        return "state-year", "all"
    return unit, population or "politically_relevant"  # type: ignore[return-value]


def _tables(data: str | Path | Tables) -> Tables:
    if isinstance(data, Tables):
        return data
    from forecast.sources.embedded import load_tables

    return load_tables(None if data == "embedded" else data)


def _covered_rows(tables: Tables, lag: int) -> tuple[int, int]:
    """Years in which rows can be formed: features covered at the start, outcome at the end."""
    covers = tables.coverage
    first = max(c.first for c in covers.values()) + lag
    _, last = coverage_window(covers, ("states", "powers", "contiguity", "conflicts"))
    if first > last:
        raise CoverageError(
            f"The tables of {tables.name!r} have no year in common: with lag={lag} rows would run "
            f"from {first} to {last}."
        )
    return first, last


def _fingerprint(
    tables: Tables, unit: str, population: str, outcome: str, lag: int, first: int, last: int
) -> str:
    from forecast.sources.fingerprint import fingerprint_values

    return fingerprint_values(
        tables=tables.fingerprint,
        unit=unit,
        population=population,
        outcome=outcome,
        lag=lag,
        first=first,
        last=last,
    )


def _rows(
    world: xr.Dataset, unit: Unit, population: Population, first: int, last: int
) -> xr.Dataset:
    start = int(world["year"][0])
    window = world.isel(year=slice(first - start, last - start + 1))
    if unit == "state-year":
        return _state_rows(window)
    return _dyad_rows(window, directed=unit == "directed-dyad-year", population=population)


def relevant_pairs(world: xr.Dataset) -> BoolArray:
    """Politically relevant pairs: contiguous in any class, or one of them a major power."""
    major = world["major"].to_numpy()
    either = major[:, :, None] | major[:, None, :]
    return np.asarray((world["contiguity"].to_numpy() > 0) | either)


def _dyad_rows(world: xr.Dataset, *, directed: bool, population: Population) -> xr.Dataset:
    n = world.sizes["state"]
    pairs = world["together"].to_numpy()
    if not directed:
        pairs = pairs & np.triu(np.ones((n, n), dtype=bool), k=1)
    inside = pairs & relevant_pairs(world) if population == "politically_relevant" else pairs
    at_risk = world["at_risk"].to_numpy()
    onset = world["onset"].to_numpy()
    happened = world["initiated"].to_numpy() if directed else onset
    unclear = world["initiator_unknown"].to_numpy() if directed else np.zeros_like(onset)
    unknown = world["onset_unknown"].to_numpy() | (unclear & ~happened)
    keep = inside & at_risk & ~unknown
    t, a, b = np.nonzero(keep)
    outcome = happened[t, a, b].astype(np.float64)
    attrs = {
        "episodes": _episodes(world),
        "onsets_total": int((happened & pairs).sum()),
        "onsets_in_population": int(outcome.sum()),
        "onsets_outside_population": int((happened & pairs & ~inside).sum()),
        "rows_dropped_ongoing": int((inside & ~at_risk).sum()),
        "rows_dropped_unknown": int((inside & at_risk & unknown).sum()),
    }
    if directed:
        attrs["onsets_dropped_initiator_unclear"] = int((unclear & pairs).sum()) // 2
    _account(attrs)
    region = world["region"].to_numpy()
    codes = world["state"].to_numpy()
    return xr.Dataset(
        {
            "outcome": ("row", outcome),
            "region_a": ("row", region[a]),
            "region_b": ("row", region[b]),
        },
        coords=_coords(world["year"].to_numpy()[t], ccode_a=codes[a], ccode_b=codes[b]),
        attrs=attrs,
    )


def _state_rows(world: xr.Dataset) -> xr.Dataset:
    member = world["member"].to_numpy()
    onset = world["onset"].to_numpy().any(axis=2)
    unknown = world["onset_unknown"].to_numpy().any(axis=2) & ~onset
    keep = member & ~unknown
    t, i = np.nonzero(keep)
    outcome = onset[t, i].astype(np.float64)
    attrs = {
        "episodes": _episodes(world),
        "onsets_total": int(onset.sum()),
        "onsets_in_population": int(outcome.sum()),
        "onsets_outside_population": 0,
        # A state in a running dispute can still begin another one: it stays at risk.
        "rows_dropped_ongoing": 0,
        "rows_dropped_unknown": int((member & unknown).sum()),
    }
    _account(attrs)
    return xr.Dataset(
        {"outcome": ("row", outcome), "region": ("row", world["region"].to_numpy()[i])},
        coords=_coords(world["year"].to_numpy()[t], ccode=world["state"].to_numpy()[i]),
        attrs=attrs,
    )


def _coords(year: IntArray, **codes: IntArray) -> dict[str, tuple[str, IntArray]]:
    return {"year": ("row", year), **{name: ("row", code) for name, code in codes.items()}}


def _episodes(world: xr.Dataset) -> int:
    return int(world["episodes"].sum())


def _account(attrs: dict[str, int]) -> None:
    """No onset may be lost without a trace between the conflicts and the rows."""
    if attrs["onsets_total"] != attrs["onsets_in_population"] + attrs["onsets_outside_population"]:
        raise ForecastError(f"Onsets were lost on the way to the rows of the panel: {attrs}.")
