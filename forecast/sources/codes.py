"""State codes: COW state numbers inside, names and ISO 3166 codes at the edges, year-aware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from forecast.errors import ArgumentError, UnknownNameError
from forecast.sources.spells import span_days, span_years
from forecast.sources.tables import Tables

__all__ = ["ALIASES", "resolve_state", "state_label"]

#: Names in common use that the tables do not list, with every code they have stood for.
ALIASES: Mapping[str, tuple[int, ...]] = {
    "united states of america": (2,),
    "us": (2,),
    "america": (2,),
    "uk": (200,),
    "great britain": (200,),
    "britain": (200,),
    "germany": (255, 260),
    "federal republic of germany": (255, 260),
    "west germany": (260,),
    "brd": (260,),
    "frg": (260,),
    "east germany": (265,),
    "soviet union": (365,),
    "ussr": (365,),
    "russia": (365,),
    "russian federation": (365,),
    "yugoslavia": (345,),
    "serbia": (345,),
    "serbia and montenegro": (345,),
    "czechia": (316,),
    "north macedonia": (343,),
    "bosnia": (346,),
    "yemen": (679, 678),
    "north yemen": (678,),
    "south yemen": (680,),
    "vietnam": (816,),
    "viet nam": (816,),
    "north vietnam": (816,),
    "democratic republic of vietnam": (816,),
    "south vietnam": (817,),
    "north korea": (731,),
    "dprk": (731,),
    "south korea": (732,),
    "rok": (732,),
    "burma": (775,),
    "myanmar": (775,),
    "ceylon": (780,),
    "persia": (630,),
    "uae": (696,),
    "united arab republic": (651,),
    "zaire": (490,),
    "drc": (490,),
    "congo-kinshasa": (490,),
    "congo-brazzaville": (484,),
    "upper volta": (439,),
    "dahomey": (434,),
    "rhodesia": (552,),
    "swaziland": (572,),
    "eswatini": (572,),
    "cote d'ivoire": (437,),
    "ivory coast": (437,),
    "cape verde": (402,),
    "cabo verde": (402,),
    "east timor": (860,),
    "timor-leste": (860,),
    "turkiye": (640,),
    "türkiye": (640,),
    "kampuchea": (811,),
    "holland": (210,),
    "people's republic of china": (710,),
    "prc": (710,),
    "republic of china": (713,),
}

Kind = Literal["name", "iso3", "abbrev"]


def resolve_state(tables: Tables, name_or_code: str | int, *, year: int) -> int:
    """COW state number of a state that was in the system in a year.

    Parameters
    ----------
    tables : Tables
        The data set; `tables.states` is searched.
    name_or_code : str or int
        COW number (``750`` or ``"750"``), ISO 3166 alpha-3 code, COW abbreviation, or name,
        in any case. Where an ISO code and an abbreviation collide (``AUS`` is Australia in ISO
        and Austria in COW), ISO wins.
    year : int
        Calendar year; after the coverage of the data, a state that is still a member counts.

    Returns
    -------
    int
        COW number. Where two codes of one name share the year of a change (Germany 255 and 260
        in 1990), the one that is a member at its end.

    Raises
    ------
    UnknownNameError
        If nothing has that name or code, with the nearest that does.
    ArgumentError
        If the state was not a member in that year, or several that were share the name.
    """
    states = tables.states
    found: list[int] = []
    for candidates in _candidates(states, name_or_code):
        found.extend(candidates)
        present = _present(states, candidates, year)
        if len(present) == 1:
            return present[0]
        if present:
            named = ", ".join(f"{c} ({_name(states, c, year)})" for c in present)
            raise ArgumentError(
                f"{name_or_code!r} is ambiguous in {year}: {named}. Give the COW number."
            )
    if not found:
        valid = [*states["name"], *states["abbrev"], *states["iso3"].dropna(), *ALIASES]
        raise UnknownNameError("state", name_or_code, dict.fromkeys(valid), f"(year {year})")
    spells = "; ".join(f"{c}: {_spells(states, c)}" for c in dict.fromkeys(found))
    raise ArgumentError(
        f"State {name_or_code!r} was not a member of the state system in {year}. "
        f"Its membership, by COW number, is {spells}."
    )


def _candidates(states: pd.DataFrame, given: str | int) -> list[list[int]]:
    """Codes that could be meant, in the order of precedence of the ways to name a state."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ArgumentError(
            f"A state is given by its name or code (str or int), found {type(given).__name__}."
        )
    if isinstance(given, int) or given.strip().isdecimal():
        code = int(given)
        return [[code]] if (states["ccode"] == code).any() else []
    text = given.strip().casefold()
    names = states["name"].str.casefold()
    # "Russia/Soviet Union" answers to the whole and to each part.
    parts = names.str.split("/").apply(lambda p: text in [q.strip() for q in p])
    ways = [
        states.loc[(states["iso3"].str.casefold() == text).fillna(False), "ccode"],
        states.loc[states["abbrev"].str.casefold() == text, "ccode"],
        states.loc[(names == text) | parts.astype(bool), "ccode"],
    ]
    out = [[int(c) for c in dict.fromkeys(way)] for way in ways]
    known = set(states["ccode"])
    out.append([c for c in ALIASES.get(text, ()) if c in known])
    return [codes for codes in out if codes]


def _present(states: pd.DataFrame, codes: list[int], year: int) -> list[int]:
    """Those that were members in the year; at its end, if there are several."""
    first, last = span_years(states)
    code = states["ccode"].to_numpy()
    on = (first <= year) & (year <= last)
    present = [c for c in codes if (on & (code == c)).any()]
    if len(present) > 1:
        _, last_day = span_days(states)
        year_end = (pd.Timestamp(year, 12, 31) - pd.Timestamp(1970, 1, 1)).days
        lasting = [c for c in present if (on & (code == c) & (last_day >= year_end)).any()]
        return lasting or present
    return present


def _spells(states: pd.DataFrame, ccode: int) -> str:
    own = states[states["ccode"] == ccode]
    return ", ".join(
        f"{s.date()} to {'now' if pd.isna(e) else e.date()}"
        for s, e in zip(own["start"], own["end"], strict=True)
    )


def _name(states: pd.DataFrame, ccode: int, year: int) -> str:
    own = states[states["ccode"] == ccode]
    first, last = span_years(own)
    inside = own[(first <= year) & (year <= last)]
    return str((own if inside.empty else inside)["name"].iloc[-1])


def state_label(tables: Tables, ccode: int, *, year: int, kind: Kind = "name") -> str:
    """Label of a state in a year, for people.

    Parameters
    ----------
    tables : Tables
        The data set.
    ccode : int
        COW state number.
    year : int
        Calendar year; outside all its spells the label of the nearest one is given.
    kind : {"name", "iso3", "abbrev"}
        Kind of label. Where a state has no ISO code, its COW abbreviation stands in.

    Raises
    ------
    UnknownNameError
        If there is no state of that number.
    ArgumentError
        If `kind` is not one of the three.
    """
    if kind not in ("name", "iso3", "abbrev"):
        raise ArgumentError(f"kind={kind!r}: expected one of 'name', 'iso3', 'abbrev'.")
    own = tables.states[tables.states["ccode"] == ccode]
    if own.empty:
        raise UnknownNameError("state", ccode, [str(c) for c in tables.states["ccode"].unique()])
    first, last = span_years(own)
    distance = (first - year).clip(min=0) + (year - last).clip(min=0)
    row = own.iloc[int(distance.argmin())]
    label = row[kind]
    return str(row["abbrev"] if pd.isna(label) else label)
