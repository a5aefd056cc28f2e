"""Sources of one row per state, or pair of states, and year, as declarations of their layouts.

``cow_nmc``
    COW National Material Capabilities 5.0, 6.0 and 7.0. ``milex`` thousand pounds sterling to
    1913, thousand current US dollars from 1914; ``milper`` thousand persons; ``irst`` (iron and
    steel) thousand tons; ``pec`` (primary energy) thousand coal-ton equivalents; ``tpop`` and
    ``upop`` (population, urban population) thousand persons; ``cinc`` mean share of the world in
    the six, 0 to 1, computed by the authors from the components that are there: its sum over the
    states of a year is between 1.00 and 1.07 in release 7.0. -9 is "missing", never a quantity.
    peacesciencer's ``cow_nmc`` has the same layout.
``cow_trade``
    COW Trade 4.0, million current US dollars; -9 is missing, 0 is a flow of none. In the dyadic
    file ``flow1`` is what ``ccode1`` (``importer1``) imports from ``ccode2``, and ``flow2`` what
    ``ccode2`` imports from ``ccode1`` (codebook of release 4.0). Pairs and years of which neither
    flow is known are left out.
``distances``
    Minimum distance between the territories of states (CShapes 2.0), kilometres, from 1886; 0 is
    a common border.
``us_troops``
    US military personnel by host (Allen, Flynn and Machain 2022), active duty, persons.
``polity``
    Polity scores (Center for Systemic Peace): -10, autocracy, to 10, democracy; from 1816.
``vdem``
    V-Dem: the electoral democracy index, 0 to 1, from a file of hundreds of megabytes; from 1816.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from forecast.errors import DataError, nearest
from forecast.sources.cells import Kind, refuse_cells
from forecast.sources.codes import UNITED_STATES
from forecast.sources.gw import NO_STATE, to_cow_codes
from forecast.sources.official.readings import (
    Layout,
    OfficialReader,
    given_roles,
    one_per_state_year,
    ordered_pairs,
    read_layout,
    reading_of,
)
from forecast.sources.reader import columns_of, read_official, stream_blocks
from forecast.sources.tables import Reading

__all__ = ["READERS"]

#: First year of the state system: Polity goes back to 1776, V-Dem to 1789.
FIRST = 1816


def _declared(roles: Mapping[str, str], layouts: Mapping[str, Layout]) -> OfficialReader:
    """Reader of a source of which each role is a file of its own kind, any of them enough."""

    def read(files: Mapping[str, Path]) -> list[Reading]:
        given_roles(files, roles, *((role,) for role in layouts))
        return [
            read_layout(layout, files[role]) for role, layout in layouts.items() if role in files
        ]

    return OfficialReader(roles, read)


_AMOUNTS: dict[str, Kind] = dict.fromkeys(
    ("milex", "milper", "irst", "pec", "tpop", "upop", "cinc"), "float?"
)
_NMC = Layout("material_capabilities", {"ccode": "int", "year": "year", **_AMOUNTS})


def _flows(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """What each of a pair imports from the other, the smaller number first."""
    swapped = table["ccode1"] > table["ccode2"]
    out = pd.DataFrame({"ccode_a": table[["ccode1", "ccode2"]].min(axis=1)})
    out["ccode_b"] = table[["ccode1", "ccode2"]].max(axis=1)
    out["year"] = table["year"]
    out["imports_a"] = table["flow1"].where(~swapped, table["flow2"])
    out["imports_b"] = table["flow2"].where(~swapped, table["flow1"])
    return out


_TRADE = Layout("trade", {"ccode": "int", "year": "year", "imports": "float?", "exports": "float?"})
_FLOWS = Layout(
    "dyadic_trade",
    {"ccode1": "int", "ccode2": "int", "year": "year", "flow1": "float?", "flow2": "float?"},
    known=("flow1", "flow2"),
    tidy=_flows,
)
_DISTANCES = Layout(
    "distances",
    {"ccode1": "int", "ccode2": "int", "year": "year", "mindist": "float?"},
    rename={"ccode1": "ccode_a", "ccode2": "ccode_b", "mindist": "km"},
    tidy=lambda table, notes: ordered_pairs(table),
)

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


def _troops(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
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
    """

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
    return without(twice, "the same host and year under another name, with no more personnel")


_TROOPS = Layout(
    "troops",
    {"ccode": "int", "year": "year", "troops_ad": "float?"},
    rename={"troops_ad": "us_troops"},
    tidy=_troops,
)

#: Interruption, interregnum, transition: no point on the scale.
_NO_SCORE = (-66, -77, -88)
#: Polity's own number of a state to COW's, where they differ. Polity gives a new number where
#: it sees a new polity (342, 347: Serbia), and some of its numbers are other states in COW (341
#: is Kosovo there and Montenegro here).
_POLITY_TO_COW: Mapping[int, int] = {
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
_POLITY_ROLES = {
    "country_years": "p5v2018.xls or p4v2018.csv, country-years: ccode, scode, year, polity2 "
    "(or polity)"
}


def _read_polity(files: Mapping[str, Path]) -> list[Reading]:
    """Polity scores of states.

    ``polity2`` where the file has it, which is made for series over time: -77 (interregnum) is 0
    there, -88 (transition) interpolated and -66 (interruption) missing (Marshall, Gurr and
    Jaggers, users' manual). In a file with ``polity`` alone all three are missing. -9 is a score.

    A file with the column ``scode`` is the official one and has Polity's own numbers, which are
    translated; in one without, the numbers are taken to be COW's. Where two polities have one COW
    number in a year, the one that goes on counts.
    """
    given_roles(files, _POLITY_ROLES, ("country_years",))
    path = files["country_years"]
    names = columns_of(path)
    score = "polity2" if "polity2" in names or "polity" not in names else "polity"
    table = read_official(
        path,
        {"ccode": "int", "year": "year", score: "float?"},
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
        table["ccode"] = own.map(lambda code: _POLITY_TO_COW.get(code, code))
    first, last = int(table["year"].min()), int(table["year"].max())
    kept = one_per_state_year(table, unit="unit", file=path.name)
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


_VDEM_ROLES = {
    "country_years": "V-Dem-CY-Core-v15.csv or V-Dem-CY-Full+Others, country-years: COWcode, "
    "year, v2x_polyarchy; or the table democracy: ccode, year, v2x_polyarchy"
}
_INDEX = "v2x_polyarchy"


def _read_vdem(files: Mapping[str, Path]) -> list[Reading]:
    """Electoral democracy index of states, missing where V-Dem has none.

    Only the columns needed are kept, one block of the file at a time. Where two countries of V-Dem
    have one COW number in a year (Sardinia and Italy in 1861), the one that goes on counts;
    countries and years without a COW number are left out.
    """
    given_roles(files, _VDEM_ROLES, ("country_years",))
    path = files["country_years"]
    names = columns_of(path)
    code = "cowcode" if "cowcode" in names else "ccode"
    for column in (code, "year", _INDEX):
        if column not in names:
            near = nearest(column, names)
            hint = f" The nearest one there is {near!r}." if near else ""
            shown = "COWcode" if column == "ccode" else column
            if column == _INDEX and {"polity", "polity2"} & set(names):
                hint = (
                    " These are columns of Polity, a source of its own: `forecast data get"
                    f" polity5_2018 --from {path.name}` (or polity4_2018)."
                )
            raise DataError(f"{path.name}, row 1: the column {shown!r} is missing.{hint}")
    types = {code: pa.float64(), "year": pa.int64(), _INDEX: pa.float64(), "country_id": pa.int64()}
    blocks, line = [], 2
    for block in stream_blocks(path, types.get, needed=["year"]):
        frame = pd.DataFrame({k: v.to_numpy(zero_copy_only=False) for k, v in block.items()})
        frame.index = pd.RangeIndex(line, line + len(frame))
        line += len(frame)
        blocks.append(frame[frame[code].notna() & (frame["year"] >= FIRST)])
    table = pd.concat(blocks) if blocks else pd.DataFrame()
    if table.empty:
        raise DataError(f"{path.name}: no record has a COW number and a year from {FIRST} on.")
    refuse_cells(table, code, table[code] % 1 != 0, file=path.name, expected="a whole number")
    table = table.rename(columns={code: "ccode", _INDEX: "polyarchy"})
    table[["ccode", "year"]] = table[["ccode", "year"]].astype(np.int64)
    first, last = int(table["year"].min()), int(table["year"].max())
    if "country_id" in table:
        table = one_per_state_year(table, unit="country_id", file=path.name)
    table = table.sort_values(["ccode", "year"], kind="stable")
    return [reading_of("regimes", table, file=path.name, first=first, last=last)]


READERS: Mapping[str, OfficialReader] = {
    "cow_nmc": _declared({"nmc": "NMC-70-abridged.csv, state-years"}, {"nmc": _NMC}),
    "cow_trade": _declared(
        {
            "national": "National_COW_4.0.csv or cow_trade_sy, state-years: ccode, year, imports, "
            "exports",
            "dyadic": "Dyadic_COW_4.0.csv, dyad-years: ccode1, ccode2, year, flow1, flow2",
        },
        {"national": _TRADE, "dyadic": _FLOWS},
    ),
    "distances": _declared(
        {"mindist": "cow_mindist, dyad-years: ccode1, ccode2, year, mindist (kilometres)"},
        {"mindist": _DISTANCES},
    ),
    "us_troops": _declared(
        {"country_years": "troopdata-rebuild-country-year.csv: ccode, year, troops_ad"},
        {"country_years": _TROOPS},
    ),
    "polity": OfficialReader(_POLITY_ROLES, _read_polity),
    "vdem": OfficialReader(_VDEM_ROLES, _read_vdem),
}
