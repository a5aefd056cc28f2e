"""Polity scores of country-years (Center for Systemic Peace): -10, autocracy, to 10, democracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecast.errors import DataError
from forecast.sources.official.readings import one_per_state_year, reading_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import columns_of, read_official
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

CODE_SYSTEM = "cow"

ROLES: Mapping[str, str] = {
    "country_years": "p5v2018.xls or p4v2018.csv, country-years: ccode, scode, year, polity2 "
    "(or polity)",
}

#: First year of the state system: Polity goes back to 1776.
FIRST = 1816
#: Interruption, interregnum, transition: no point on the scale.
_NO_SCORE = (-66, -77, -88)
#: Polity's own number of a state to COW's, where they differ. Polity gives a new number where
#: it sees a new polity (342, 347: Serbia), and some of its numbers are other states in COW (341
#: is Kosovo there and Montenegro here).
_TO_COW: Mapping[int, int] = {
    99: 100,  # Gran Colombia
    324: 325,  # Sardinia
    341: 347,  # Kosovo
    342: 345,  # Serbia
    347: 345,  # Serbia and Montenegro
    348: 341,  # Montenegro
    364: 365,  # USSR
    525: 626,  # South Sudan
    529: 530,  # Ethiopia from 1993
    626: 625,  # Sudan from 2011
    769: 770,  # Pakistan to 1971
    818: 816,  # Vietnam from 1976
}


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Polity scores of states.

    ``polity2`` where the file has it, which is made for series over time: -77 (interregnum) is 0
    there, -88 (transition) interpolated and -66 (interruption) missing (Marshall, Gurr and
    Jaggers, users' manual). In a file with ``polity`` alone all three are missing. -9 is a score.

    A file with the column ``scode`` is the official one and has Polity's own numbers, which are
    translated; in one without, the numbers are taken to be COW's. Where two polities have one COW
    number in a year, the one that goes on counts.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`).

    Returns
    -------
    list of Reading
        ``polity``: ``polity`` from -10 to 10, missing where there is no score; from 1816. The
        notes say which column was read, and count what was left out.

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    given_roles(files, ROLES, ("country_years",))
    path = files["country_years"]
    names = columns_of(path)
    score = "polity2" if "polity2" in names or "polity" not in names else "polity"
    table = read_official(
        path,
        {"ccode": "int", "year": "int", score: "float?"},
        rename={score: "polity"},
        na={score: ("", "NA", ".")},
    )
    early = int((table["year"] < FIRST).sum())
    table = table[table["year"] >= FIRST]
    if table.empty:
        raise DataError(f"{path.name}: no record is of a year from {FIRST} on.")
    none = table["polity"].isin(_NO_SCORE)
    own = table["ccode"]
    table = table.assign(polity=table["polity"].mask(none), unit=own)
    if "scode" in names:
        table["ccode"] = own.map(lambda code: _TO_COW.get(code, code))
    first, last = int(table["year"].min()), int(table["year"].max())
    kept = one_per_state_year(table, unit="unit")
    notes = [f"The score is the column {score}."]
    if "p5" in names:
        notes.append("The file is Polity5 (it has the column p5).")
    for number, text in (
        (early, f"rows left out: before {FIRST}"),
        (int(none.sum()), "scores missing: interruption, interregnum or transition"),
        (len(table) - len(kept), "rows left out: of a polity that ended in the year"),
    ):
        if number:
            notes.append(f"{number:,} {text}")
    return [reading_of("polity", kept, file=path.name, first=first, last=last, notes=tuple(notes))]
