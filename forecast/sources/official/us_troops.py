"""US military personnel by host country (Allen, Flynn and Machain 2022), active duty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.sources.gw import NO_STATE, to_cow_codes
from forecast.sources.official.readings import reading_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import read_official
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "UNITED_STATES", "read"]

CODE_SYSTEM = "cow"

ROLES: Mapping[str, str] = {
    "country_years": "troopdata-rebuild-country-year.csv: ccode, year, troops_ad",
}

UNITED_STATES = 2
#: Locations from this number on, and Puerto Rico, are no states: numbers of the authors' own.
_NO_STATES, _PUERTO_RICO = 1000, 6
#: Years without a report; the file repeats or interpolates totals, and has zeros for the rest.
_NO_REPORT = (1951, 1952)
#: Hosts and years of which the authors say that the reports leave the deployed personnel out, and
#: for which they have no other figure: state, first and last year, whether only a zero is meant.
_LEFT_OUT = (
    (690, 2003, 2007, True),  # Kuwait: other figures for some of these years
    (700, 2021, 9999, False),  # Afghanistan
    (645, 2022, 9999, False),  # Iraq
    (652, 2021, 9999, False),  # Syria
)


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Active-duty US personnel in other states.

    In the authors' words a state that a report does not list gets a 0: as the reports are complete
    lists, a zero of a year with a report is kept. A host and year without a row is missing, and
    so is what no report tells (1951 and 1952; war zones whose deployed personnel the
    reports leave out and for which there is no other figure). The columns of the services are
    not read: they are zero where only a total is known, and need not add up to it, each being
    the highest of the year's reports.

    Germany is 260 to 1989 and 255 from 1990; what is listed under Vietnam was in the
    Republic (817) from 1954 to 1974. A file with Gleditsch-Ward numbers, as later versions have,
    is told by a host 260 after 1990 and translated.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`).

    Returns
    -------
    list of Reading
        ``troops``: ``us_troops`` in persons. The notes count what was left out.

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    given_roles(files, ROLES, ("country_years",))
    path = files["country_years"]
    table = read_official(
        path,
        {"ccode": "int", "year": "int", "troops_ad": "float?"},
        rename={"troops_ad": "us_troops"},
    )
    first, last = (int(y) for y in table["year"].agg(["min", "max"]).fillna(0))
    notes: list[str] = []

    def without(rows: pd.Series, text: str) -> pd.DataFrame:
        if number := int(rows.sum()):
            notes.append(f"{number:,} rows left out: {text}")
        return table[~rows]

    no_state = (table["ccode"] >= _NO_STATES) | (table["ccode"] == _PUERTO_RICO)
    table = without(no_state, "hosts that are no state")
    if ((table["ccode"] == 260) & (table["year"] > 1990)).any():
        codes = to_cow_codes(table["ccode"].to_numpy(), table["year"].to_numpy())
        table = table.assign(ccode=codes)
        table = without(table["ccode"] == NO_STATE, "their Gleditsch-Ward number has no COW number")
    table = without(table["ccode"] == UNITED_STATES, "the United States themselves")
    table = without(table["year"].isin(_NO_REPORT), "of 1951 and 1952, which have no report")
    hidden = pd.Series(False, index=table.index)
    for code, begin, end, only_zero in _LEFT_OUT:
        inside = (table["ccode"] == code) & table["year"].between(begin, end)
        hidden |= inside & ((table["us_troops"] == 0) | (not only_zero))
    table = without(hidden, "the reports leave deployed personnel out, no other figure")
    year, host = table["year"], table["ccode"]
    host = host.mask(host.isin([255, 260]), pd.Series(np.where(year < 1990, 260, 255), host.index))
    host = host.mask((host == 816) & year.between(1954, 1974), 817)
    # Where a place is listed under two names one of the rows is empty: the highest, as within a
    # year (the authors' rule).
    table = table.assign(ccode=host).sort_values(["ccode", "year", "us_troops"], kind="stable")
    twice = table.duplicated(["ccode", "year"], keep="last")
    table = without(twice, "the same host and year under another name, with no more personnel")
    return [reading_of("troops", table, file=path.name, first=first, last=last, notes=tuple(notes))]
