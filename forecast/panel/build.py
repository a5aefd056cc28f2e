"""Panels: rows of states or pairs of states at risk, with what happened in them.

The data of a panel have dimension ``row`` with the coordinate ``year`` and ``ccode_a``, ``ccode_b``
(pairs), ``ccode`` (state-years) or ``alliance_id``, sorted by them; dispute-dyads and their months
also have ``conflict_id``. Variables: ``outcome`` (float64 0/1) and ``region_a``, ``region_b`` (or
``region``), str. Dyad-years have ``under_way_1_january`` (0/1: a dispute was under way then) and
``continues`` (0/1: one was, and no new one of any kind begins in the year).

Dispute-dyads have besides: ``duration`` (days, from the dates as recorded, to the last day of the
data if ``censored``), ``duration_exact`` (0/1: both ends known to the day), ``censored`` (0/1:
still running at the end of the data), ``end_year``, ``joined`` (0/1: one of the two came in after
the first day), ``deaths_class`` (0–6, NaN not known), ``reciprocated`` (0/1, NaN not known), and
the str ``level``, ``initiator``, ``role_a``, ``role_b``, ``dispute_outcome``, ``settlement``. Their
``outcome`` is NaN where it cannot be known: a dispute that still runs and has not risen, or of
unknown deaths (attribute ``rows_outcome_unknown``).

Dispute-dyad-months have ``month`` (1–12), ``months_elapsed`` (completed months since the first) and
``joined``. Disputes whose months are not known (attribute ``disputes_dropped_dates_unknown``), and
last months of which it is not known how it ended (``rows_dropped_unknown``), are no rows.

Alliance-years have ``onsets`` (pairs of a member and an outsider between which one began),
``onsets_begun_by_member``, ``onsets_between_members``, ``conflicts`` (distinct disputes among the
``onsets``), ``members`` and ``short_name``.

The attributes account for every onset: ``episodes`` (dyadic conflicts that began in the years of
the panel), ``onsets_total`` (dyad-years with one, directed or state-years according to the unit;
dyadic conflicts for dispute-dyads and alliance-years), ``onsets_in_population``,
``onsets_outside_population``, ``onsets_dropped_initiator_unclear``, ``onsets_dropped_ongoing``. And
for the rows: ``rows_under_way`` (pairs with a dispute under way on 1 January, and how many of the
onsets they have in ``onsets_under_way``), ``rows_dropped_ongoing`` (such pairs that `under_way`
leaves out, with their ``onsets_dropped_ongoing``), ``rows_dropped_unknown`` (it is not known
whether there was an onset).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from forecast.draws import check_years
from forecast.errors import ArgumentError, CoverageError, DataError
from forecast.panel.dispute_rows import dispute_rows, month_rows
from forecast.panel.events import initiators_coded
from forecast.panel.rows import (
    alliance_rows,
    dyad_rows,
    state_rows,
    under_way_on_1_january,
)
from forecast.panel.types import (
    Choices,
    Ending,
    Escalation,
    Outcome,
    Panel,
    Population,
    Succession,
    UnderWay,
    Unit,
    choose,
)
from forecast.panel.window import coverage_window
from forecast.panel.world import build_world
from forecast.sources.datasets import read_tables
from forecast.sources.tables import TABLES, Tables

if TYPE_CHECKING:
    import pandas as pd

    from forecast.sources.overlay.keeping import Amend

__all__ = ["future_panel", "load_panel"]


def load_panel(
    *,
    data: str | Path | Tables = "embedded",
    sources: Mapping[str, str | pd.DataFrame] | None = None,
    unit: Unit = "dyad-year",
    population: Population | None = None,
    outcome: Outcome | Escalation | Ending | None = None,
    years: tuple[int, int] | None = None,
    lag: int = 1,
    under_way: UnderWay = "stratum",
    succession: Succession = "continue",
    amend: Amend = "kept",
) -> Panel:
    """Panel of a data set: who was at risk in each year, and whether a conflict began.

    Rows run from the first year that every table covers plus `lag`, to the last year that the
    conflicts (and what defines the rows) cover. Both states are members of the system on one day
    of the row's calendar year. docs/panels.md has each unit, population and outcome.

    Parameters
    ----------
    data : str, pathlib.Path or Tables
        ``"embedded"`` (1946 to the present, shipped), ``"historical"`` (official files in the
        cache, from 1816: `forecast data get`), a folder in the layout of the embedded data, or
        tables that were already read.
    sources : mapping of str to str or DataFrame, optional
        For ``"historical"``: kind of fact to source of the catalogue, instead of the newest in the
        cache, e.g. ``{"conflicts": "ucdp_acd_25_1"}``. For other data: tables to have besides, e.g.
        ``{"troops": "us_troops_2024"}`` (`forecast.sources.historical.ATTACHABLE`). With any data
        ``{"alliances": frame}``: treaties of your own in place of theirs, a row for each member
        (`forecast.sources.own_treaties.with_treaties`).
    unit : str
        ``"dyad-year"``: unordered pairs (``ccode_a < ccode_b``). ``"directed-dyad-year"``: an onset
        is that `a` began one. ``"state-year"``; ``"dispute-dyad"``: pair and spell of a dispute, by
        how far it rose; ``"dispute-dyad-month"``: by whether it ended; ``"alliance-year"``.
    population : str, optional
        In the calendar year of the row: ``"all"`` (the default, but of directed dyad-years),
        ``"politically_relevant"`` (contiguous by land or up to 400 miles of water, or with at least
        one major power), ``"contiguous"``, ``"major_power"``, ``"same_region"``; of disputes also
        ``"originators"``. State-years: ``"all"`` or ``"major_power"``; alliance-years ``"all"``.
    outcome : str, optional
        ``"onset"`` (the default), ``"originator_onset"``, ``"force_onset"``, ``"fatal_onset"``,
        ``"deaths_25_onset"``, ``"war_onset"``; dispute-dyads ``"escalation_to_force"``,
        ``"escalation_to_fatality"``, ``"escalation_to_war"`` (the default); their months
        ``"ended"`` (the default), ``"settled"``, ``"stalemated"``, ``"yielded"``.
    years : tuple of int, optional
        First and last year of the rows, inside what the data cover: lagged features are missing in
        the first that the tables behind the rows cover.
    lag : int
        Years by which features will be lagged; at least 1.
    under_way : {"stratum", "drop", "convention"}
        For pairs with a dispute under way on 1 January: a row, whatever the year brings; no row; a
        row only if a new one begins in the year. Only pairs have the last two.
    succession : {"continue", "restart"}
        Whether the history of a state that goes on under another number goes with it.
    amend : {"kept"}, None, Amendment, sequence of Amendment, or mapping of str to DataFrame
        The user's own amendments: ``"kept"``, those of `forecast data amend` (none if
        ``FORECAST_AMENDMENTS=0``); None, the data as published; or these
        (`forecast.sources.overlay.amendment_from_frames`).

    Returns
    -------
    Panel
        Its `data` has the rows, as the module describes them.

    Raises
    ------
    ArgumentError, CoverageError, MissingFileError, DataError
        An option not known, or not one of the unit; `years` outside what the data cover; the data.
    """
    choices = choose(unit, population, outcome, lag, under_way, succession)
    tables = read_tables(data, sources=sources, amend=amend)
    if choices.unit == "directed-dyad-year" and not initiators_coded(tables.conflicts):
        raise DataError(
            f"The conflicts of {tables.coverage['conflicts'].source} do not say who began them, so "
            "a directed panel would be all zeros. Use unit='dyad-year', or conflicts of another "
            "source (COW, GML)."
        )
    first, last = _rows_covered(tables, choices, years)
    world = build_world(tables, outcome=choices.events, succession=choices.succession)
    return _panel(tables, world, choices, _rows(tables, world, choices, first, last), first, last)


def future_panel(panel: Panel, *, year: int) -> Panel:
    """The rows at risk in a year past the data, with the world carried forward to it.

    Parameters
    ----------
    panel : Panel
        A panel with its tables; its options are taken from it.
    year : int
        Calendar year after the last that the conflicts cover.

    Returns
    -------
    Panel
        ``outcome`` is NaN. ``world`` runs to `year` with states, alliances, contiguity and
        capabilities of the last covered day carried forward. Every pair of the population is a
        row, as it is not known what `year` brings; but with ``under_way="drop"`` not one whose
        dispute is open on the last day of the record in the year after it.

    Raises
    ------
    ArgumentError
        If the panel was read from a file and has no tables, or its rows are disputes: which will
        begin is what is forecast.
    CoverageError
        If `year` is covered by the data.
    """
    if panel.tables is None or panel.world is None:
        raise ArgumentError(
            "future_panel needs a panel made by load_panel; this one was read from a file and "
            "has no tables to carry forward."
        )
    if panel.unit in ("dispute-dyad", "dispute-dyad-month"):
        raise ArgumentError(
            "A panel of disputes has no rows in the future: its rows are disputes that "
            "began. Use unit='dyad-year'."
        )
    tables = panel.tables
    covered = tables.coverage["conflicts"].last
    if year <= covered:
        raise CoverageError(
            f"year={year}: the conflicts of {tables.name!r} are covered to {covered}, expected a "
            "later year. For a covered year use load_panel(years=...)."
        )
    choices = choose(**panel.choices)
    world = build_world(
        tables,
        first_year=int(panel.world["year"][0]),
        last_year=year,
        carry_forward=True,
        outcome=choices.events,
        succession=choices.succession,
    )
    data = _rows(tables, world, choices, year, year)
    happened = [name for name in _HAPPENED if name in data]
    data = data.drop_vars(happened).assign(outcome=data["outcome"] * np.nan)
    data.attrs = {"carried_forward": int(world["carried_forward"][-1])}
    return _panel(tables, world, choices, data, year, year)


#: Variables of a row that say what happened in its year.
_HAPPENED = ("continues", "onsets", "onsets_begun_by_member", "onsets_between_members", "conflicts")


def _panel(
    tables: Tables, world: xr.Dataset, choices: Choices, rows: xr.Dataset, first: int, last: int
) -> Panel:
    from forecast.files import fingerprint_values

    own = asdict(choices)
    fingerprint = fingerprint_values(tables=tables.fingerprint, first=first, last=last, **own)
    return Panel(data=rows, world=world, tables=tables, fingerprint=fingerprint, **own)


def _rows_covered(
    tables: Tables, choices: Choices, years: tuple[int, int] | None
) -> tuple[int, int]:
    """First and last year of the rows: by default those with lagged features, or the given."""
    covers = tables.coverage
    first, last = coverage_window(covers, _behind_rows(choices))
    full = max(first, *(covers[table].first + choices.lag for table in TABLES))
    if years is None:
        if full > last:
            raise CoverageError(
                f"The tables of {tables.name!r} have no year in common: with lag={choices.lag} "
                f"rows would run from {full} to {last}."
            )
        return full, last
    lo, hi = check_years("years", years)
    if lo < first or hi > last:
        raise CoverageError(
            f"years=({lo}, {hi}): a {choices.unit} panel of {tables.name!r} covers {first}–{last} "
            f"(from {full} with every feature of lag={choices.lag}). For a year past the data use "
            "future_panel."
        )
    return lo, hi


def _behind_rows(choices: Choices) -> tuple[str, ...]:
    """Tables without which the rows of a year cannot be told."""
    needed = ["states", "conflicts"]
    if choices.population in ("politically_relevant", "major_power"):
        needed.append("powers")
    if choices.population in ("politically_relevant", "contiguous"):
        needed.append("contiguity")
    if choices.unit == "alliance-year":
        needed += ["alliances", "members"]
    return tuple(needed)


def _rows(tables: Tables, world: xr.Dataset, choices: Choices, first: int, last: int) -> xr.Dataset:
    start = int(world["year"][0])
    years = slice(first - start, last - start + 1)
    window = world.isel(year=years)
    if choices.unit == "state-year":
        return state_rows(window, population=choices.population)
    if choices.unit == "dispute-dyad":
        escalation: Escalation = choices.outcome  # type: ignore[assignment]
        return dispute_rows(tables, window, population=choices.population, outcome=escalation)
    if choices.unit == "dispute-dyad-month":
        ending: Ending = choices.outcome  # type: ignore[assignment]
        return month_rows(tables, window, population=choices.population, outcome=ending)
    if choices.unit == "alliance-year":
        return alliance_rows(tables, window, outcome=choices.events)
    directed = choices.unit == "directed-dyad-year"
    ongoing = under_way_on_1_january(world).isel(year=years)
    return dyad_rows(
        window,
        ongoing.to_numpy(),
        directed=directed,
        population=choices.population,
        keep=choices.under_way,
    )
