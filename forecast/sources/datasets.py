"""The tables of a data set, by its name, by its folder, or as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from forecast.errors import ArgumentError, CoverageError, shown, wrong_type
from forecast.sources.codes import find_alliance, member_codes, state_label
from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.sources.overlay.keeping import Amend

__all__ = ["members", "naming_tables", "read_tables"]


def read_tables(
    data: str | Path | Tables,
    *,
    sources: Mapping[str, str | pd.DataFrame] | None = None,
    amend: Amend = "kept",
) -> Tables:
    """Tables of a data set given as in `load_panel`, with the amendments that `amend` asks for."""
    from forecast.sources.overlay.apply import amended
    from forecast.sources.overlay.keeping import chosen

    if sources is not None and not isinstance(sources, Mapping):
        raise ArgumentError(
            f"sources={shown(sources)}: expected a mapping of a kind of fact to the key of a"
            " source, such as {'conflicts': 'gml_2_2_1'}."
        )
    keys = {fact: one for fact, one in (sources or {}).items() if isinstance(one, str)}
    own = {fact: one for fact, one in (sources or {}).items() if not isinstance(one, str)}
    for fact, frame in own.items():
        if fact != "alliances" or not isinstance(frame, pd.DataFrame):
            raise wrong_type(
                f"sources[{fact!r}]",
                frame,
                "the key of a source; as a DataFrame whole tables of your own are taken for"
                " 'alliances' (conflicts of your own go beside those of the data:"
                " amend={'conflict': frame}).",
            )
    tables = _read_plain(data, keys or None)
    if own:
        from forecast.sources.own_treaties import with_treaties

        tables = with_treaties(tables, own["alliances"])
    return amended(tables, chosen(data, amend))


def _read_plain(data: str | Path | Tables, sources: Mapping[str, str] | None) -> Tables:
    if isinstance(data, str) and data == "historical":
        from forecast.sources.historical import load_historical

        return load_historical(sources=sources)
    if not isinstance(data, str | Path | Tables):
        raise ArgumentError(
            f"data: found {shown(data)} of type {type(data).__name__}, expected 'embedded', "
            "'historical', a folder, or Tables; rows of your own are a panel by "
            "forecast.panel_from_frame."
        )
    if isinstance(data, Tables):
        tables = data
    else:
        from forecast.sources.embedded import load_tables

        tables = load_tables(None if data == "embedded" else data)
    if sources:
        from forecast.sources.historical import attach

        tables = attach(tables, sources)
    return tables


def members(
    alliance: str, year: int | None = None, *, data: str | Path | Tables = "embedded"
) -> frozenset[str]:
    """States that are members of an alliance on the last day of a year.

    Parameters
    ----------
    alliance : str
        Short name, full name or identifier of the alliance in the data, or an alias such as
        ``"Rio Pact"``; in any case.
    year : int, optional
        By default the last year that the data cover.
    data : str, path or Tables
        As in `forecast.load_panel`.

    Returns
    -------
    frozenset of str
        ISO 3166 codes (COW abbreviations where there is none), as every function takes them.
        Members on 31 December: who left within the year is out.

    Raises
    ------
    UnknownNameError
        No alliance of that name; the nearest is suggested.
    CoverageError
        A year that the data do not cover.
    ArgumentError
        A year in which the alliance had no members.

    Examples
    --------
    >>> sorted(members("GCC", 2025))
    ['ARE', 'BHR', 'KWT', 'OMN', 'QAT', 'SAU']
    """
    tables = read_tables(data)
    covers = [tables.coverage[name] for name in ("alliances", "members", "states")]
    first, last = max(c.first for c in covers), min(c.last for c in covers)
    year = last if year is None else year
    if isinstance(year, bool) or not isinstance(year, int):
        raise ArgumentError(f"year={year!r}: expected a calendar year such as {last}.")
    found = find_alliance(tables.alliances, alliance)
    if not first <= year <= last:
        raise CoverageError(
            f"year={year}: the data {tables.name!r} cover alliances from {first} to {last}."
        )
    codes = member_codes(tables, str(found["alliance_id"]), year)
    if not codes:
        begun = found["start"].date()
        until = "" if pd.isna(found["end"]) else f" and ended on {found['end'].date()}"
        raise ArgumentError(
            f"year={year}: {found['short_name']!r} had no members on 31 December {year}; it began"
            f" on {begun}{until}."
        )
    return frozenset(state_label(tables, code, year=year, kind="iso3") for code in codes)


def naming_tables(data: str | Path | Tables) -> Tables:
    """Tables by which states are named; those of the embedded data are read once a process."""
    return _embedded() if data == "embedded" else read_tables(data)


@cache
def _embedded() -> Tables:
    from forecast.sources.embedded import load_tables

    return load_tables()
