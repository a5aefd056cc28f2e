"""Panels: rows of states or pairs of states at risk, with what happened in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError, CoverageError, DataError
from forecast.panel.alliance_rows import alliance_rows
from forecast.panel.dispute_rows import dispute_rows
from forecast.panel.events import initiators_coded
from forecast.panel.month_rows import month_rows
from forecast.panel.options import (
    Choices,
    Ending,
    Escalation,
    Outcome,
    Population,
    Succession,
    UnderWay,
    Unit,
    choose,
)
from forecast.panel.populations import relevant_pairs
from forecast.panel.rows import dyad_rows, state_rows, under_way_on_1_january
from forecast.panel.types import Panel
from forecast.panel.window import coverage_window
from forecast.panel.world import build_world
from forecast.sources.tables import TABLES, Tables

if TYPE_CHECKING:
    from forecast.sources.overlay.kept import Amend

__all__ = ["Population", "Unit", "future_panel", "load_panel", "read_tables", "relevant_pairs"]


def load_panel(
    *,
    data: str | Path | Tables = "embedded",
    sources: Mapping[str, str] | None = None,
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
    of the calendar year of the row. `under_way` says what a pair is whose dispute is under way on
    1 January; any other pair of the population is a row, whatever the year brings.

    Parameters
    ----------
    data : str, pathlib.Path or Tables
        ``"embedded"`` (1946 to the present, shipped with the package), ``"historical"`` (the
        official files in the cache, from 1816: `forecast data get`), a folder in the layout of
        the embedded data, or tables that were already read.
    sources : mapping of str to str, optional
        For ``data="historical"``: kind of fact to source of the catalogue, instead of the newest
        in the cache, e.g. ``{"conflicts": "ucdp_acd_25_1"}`` for interstate armed conflicts. For
        other data: tables to have besides, e.g. ``{"troops": "us_troops_2024"}``
        (`forecast.sources.attach.ATTACHABLE` lists the kinds).
    unit : str
        ``"dyad-year"``: one row per unordered pair (``ccode_a < ccode_b``) and year; outcome: an
        episode between the two began. ``"directed-dyad-year"``: one row per ordered pair;
        outcome: `a` began one against `b`; pairs whose initiator is unclear have no row in that
        year. ``"state-year"``: an episode that involves the state began. ``"dispute-dyad"``: one
        row per pair and spell of a dispute, in the year in which it began; outcome: how far it
        rose. ``"dispute-dyad-month"``: one row per month of a dispute between two states, to the
        month in which it ended; outcome: it did, and how. ``"alliance-year"``: one row per treaty
        that binds at least two states in the year; outcome: an episode began between a member
        and a state outside.
    population : str, optional
        For pairs, in the calendar year of the row: ``"all"`` (the default, but of directed
        dyad-years), ``"politically_relevant"`` (contiguous by land or up to 400 miles of water, or
        with at least one major power; the default of directed dyad-years), ``"contiguous"``,
        ``"major_power"`` (at least one of the two), ``"same_region"``; dispute-dyads and their
        months also ``"originators"``: both there from the first day. State-years: ``"all"`` or
        ``"major_power"``. Alliance-years: ``"all"``.
    outcome : str, optional
        What counts as an onset: ``"onset"`` (the default), ``"originator_onset"`` (both sides
        there from the first day), ``"force_onset"`` (use of force or war), ``"fatal_onset"``,
        ``"deaths_25_onset"`` (more than 25 deaths, the level from which the record is even over
        time), ``"war_onset"``. Rows at risk are the same for all, except that those are left out
        where the deaths are not known that decide. For dispute-dyads:
        ``"escalation_to_force"``, ``"escalation_to_fatality"`` or ``"escalation_to_war"`` (the
        default), at any time between the two. For dispute-dyad-months: ``"ended"`` (the default),
        ``"settled"`` (by negotiation or compromise), ``"stalemated"`` (without either),
        ``"yielded"`` (one side won or gave in).
    years : tuple of int, optional
        First and last year of the rows, inside what the data cover. The first may be the first
        year that the tables behind the rows cover: lagged features are missing there.
    lag : int
        Years by which features will be lagged; at least 1.
    under_way : {"stratum", "drop", "convention"}
        For pairs whose dispute of any kind is under way on 1 January (begun before, its end later
        or not yet on record): ``"stratum"``, a row, whatever the year brings (the feature
        ``under_way`` tells them apart); ``"drop"``, no row; ``"convention"``, that of the field: a
        year in which the dispute merely continues is no row, one in which a new one begins is,
        which selects rows on the outcome. Only pairs have the last two.
    succession : {"continue", "restart"}
        For the features of history, where a state goes on under another number
        (`forecast.features.successions`: Germany, Yemen): ``"continue"``, its peace years and
        disputes go with it; ``"restart"``, they begin again, as in tables by number.
    amend : {"kept"}, None, Amendment, sequence of Amendment, or mapping of str to DataFrame
        The user's own amendments: ``"kept"``, those of `forecast data amend` that are for this data
        set (none if ``FORECAST_AMENDMENTS=0``); None, the data as published; or these, e.g.
        ``{"accession": frame}`` (`forecast.sources.overlay.amendment_from_frames`).

    Returns
    -------
    Panel
        ``data`` has dimension ``row`` with the coordinate ``year`` and ``ccode_a``, ``ccode_b``
        (pairs), ``ccode`` (state-years) or ``alliance_id``, sorted by them; dispute-dyads also
        have ``conflict_id``. Variables: ``outcome`` (float64 0/1) and ``region_a``, ``region_b``
        (or ``region``), str. Dyad-years have ``under_way_1_january`` (0/1: a dispute was under way
        then) and ``continues`` (0/1: one was, and no new one of any kind begins in the year).

        Dispute-dyads have besides: ``duration`` (days, from the dates as recorded, to the last
        day of the data if ``censored``), ``duration_exact`` (0/1: both ends known to the day),
        ``censored`` (0/1: still running at the end of the data), ``end_year``, ``joined`` (0/1: one
        of the two came in after the first day), ``deaths_class`` (0–6, NaN not
        known), ``reciprocated`` (0/1, NaN not known), and the str ``level``, ``initiator``,
        ``role_a``, ``role_b``, ``dispute_outcome``, ``settlement``. Their ``outcome`` is NaN
        where it cannot be known: a dispute that still runs and has not risen, or of unknown
        deaths (attribute ``rows_outcome_unknown``).

        Dispute-dyad-months have ``conflict_id``, ``month`` (1–12), ``months_elapsed`` (completed
        months since the first) and ``joined`` (0/1: one of the two came in after the first day).
        Disputes whose months are not known (attribute ``disputes_dropped_dates_unknown``), and
        last months of which it is not known how it ended (``rows_dropped_unknown``), are no rows.

        Alliance-years have besides: ``onsets`` (pairs of a member and an outsider between which
        one began), ``onsets_begun_by_member``, ``onsets_between_members``, ``conflicts``
        (distinct disputes among the ``onsets``), ``members`` and ``short_name``.

        The attributes account for every onset: ``episodes`` (dyadic conflicts that began in the
        years of the panel), ``onsets_total`` (dyad-years with one, directed or state-years
        according to `unit`; dyadic conflicts for dispute-dyads and alliance-years),
        ``onsets_in_population``, ``onsets_outside_population``,
        ``onsets_dropped_initiator_unclear``, ``onsets_dropped_ongoing``. And for the rows:
        ``rows_under_way`` (pairs with a dispute under way on 1 January, and how many of the
        onsets they have in ``onsets_under_way``), ``rows_dropped_ongoing`` (such pairs that
        `under_way` leaves out, with their ``onsets_dropped_ongoing``), ``rows_dropped_unknown``
        (it is not known whether there was an onset).

    Raises
    ------
    ArgumentError
        If an option has a value that is not known, or not one of the unit.
    CoverageError
        If `years` reaches outside what the data cover.
    MissingFileError, DataError
        From reading the data.
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
    from forecast.sources.fingerprint import fingerprint_values

    own = asdict(choices)
    fingerprint = fingerprint_values(tables=tables.fingerprint, first=first, last=last, **own)
    return Panel(data=rows, world=world, tables=tables, fingerprint=fingerprint, **own)


def read_tables(
    data: str | Path | Tables,
    *,
    sources: Mapping[str, str] | None = None,
    amend: Amend = "kept",
) -> Tables:
    """Tables of a data set given as in `load_panel`, with the amendments that `amend` asks for."""
    from forecast.sources.overlay.kept import amended, chosen

    return amended(_read_plain(data, sources), chosen(data, amend))


def _read_plain(data: str | Path | Tables, sources: Mapping[str, str] | None) -> Tables:
    if isinstance(data, str) and data == "historical":
        from forecast.sources.historical import load_historical

        return load_historical(sources=sources)
    if isinstance(data, Tables):
        tables = data
    else:
        from forecast.sources.embedded import load_tables

        tables = load_tables(None if data == "embedded" else data)
    if sources:
        from forecast.sources.attach import attach

        tables = attach(tables, sources)
    return tables


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
    if not (isinstance(years, tuple | list) and len(years) == 2 and years[0] <= years[1]):
        raise ArgumentError(
            f"years={years!r}: expected the first and the last year, e.g. ({full}, {last})."
        )
    lo, hi = years
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
