"""COW Intergovernmental Organizations 3: how many organisations two states share.

A state is a member if it is a full (1) or an associate (2) member, as in the authors' dyadic file;
an observer (3) is not. -1 says that the organisation did not exist, -9 that membership is not
known: neither counts, so a count is that of the memberships on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from forecast.errors import DataError
from forecast.sources.cells import LAST_YEAR, Kind, cell_error, refuse_cells, refuse_repeated
from forecast.sources.official.readings import (
    OfficialReader,
    given_roles,
    ordered_pairs,
    reading_of,
    years_covered,
)
from forecast.sources.reader import columns_of, no_records, read_official, stream_blocks
from forecast.sources.tables import Reading

__all__ = ["READERS"]

_ROLES: Mapping[str, str] = {
    "state_years": "state_year_formatv3.csv, state-years: ccode, year, state, and one column per "
    "organisation (0 none, 1 full, 2 associate, 3 observer, -9 missing, -1 not in existence)",
    "dyad_years": "dyadic_formatv3.csv, dyad-years: ccode1, ccode2, year, and one column per "
    "organisation (1 both are members); or cow_igo_ndy: ccode1, ccode2, year, dyadigos",
}

#: Columns of either file that are not organisations.
_OTHER = frozenset(
    {"ccode", "year", "version", "dyad", "dyadid", "dyadigos"}
    | {
        f"{name}{i}"
        for name in ("ccode", "country", "state", "stateabb", "statename")
        for i in (1, 2)
    }
    | {"country", "state", "stateabb", "statename", "statenme"}
)
_STATUSES = (-9, -1, 0, 1, 2, 3)
_MEMBER = (1, 2)

Int8Array = npt.NDArray[np.int8]
IntArray = npt.NDArray[np.int64]


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Shared organisations of each pair of states in each year that the file has both.

    The files of dyad-years (large) and of state-years give the same counts. A pair without a row
    is missing, not without shared organisations.
    """
    layout = given_roles(files, _ROLES, ("state_years",), ("dyad_years",))
    path = files[layout[0]]
    if layout == ("state_years",):
        table = _from_states(path)
    elif "dyadigos" in columns_of(path):
        kinds: dict[str, Kind] = dict.fromkeys(("ccode1", "ccode2", "dyadigos"), "int")
        kinds["year"] = "year"
        names = {"ccode1": "ccode_a", "ccode2": "ccode_b", "dyadigos": "joint_igos"}
        table = read_official(path, kinds, rename=names)
    else:
        table = _from_dyads(path)
    table = ordered_pairs(table)
    first, last = years_covered(table["year"], path.name)
    return [reading_of("igos", table, file=path.name, first=first, last=last)]


def _organisations(path: Path, keys: tuple[str, ...]) -> list[str]:
    names = columns_of(path)
    for key in keys:
        if key not in names:
            raise DataError(f"{path.name}, row 1: the column {key!r} is missing.")
    found = [name for name in names if name and name not in _OTHER]
    if not found:
        raise DataError(f"{path.name}, row 1: there is no column of an organisation.")
    return found


def _from_states(path: Path) -> pd.DataFrame:
    r"""Counts by one product of matrices for each year, :math:`M_t M_t^\top`."""
    keys = ("ccode", "year")
    organisations = _organisations(path, keys)
    types = {**dict.fromkeys(keys, pa.int64()), **dict.fromkeys(organisations, pa.int8())}
    codes, years, memberships, line = [], [], [], 2
    for block in stream_blocks(path, types.get, needed=keys):
        status = _statuses(block, organisations, path.name, line)
        line += len(status)
        codes.append(block["ccode"].to_numpy())
        years.append(block["year"].to_numpy())
        memberships.append(np.isin(status, _MEMBER))
    if not codes:
        raise no_records(path.name)
    code, year, member = (np.concatenate(x) for x in (codes, years, memberships))
    states = pd.DataFrame({"ccode": code, "year": year}, index=pd.RangeIndex(2, len(code) + 2))
    for key, least, most in (("ccode", 2, 999), ("year", 1800, LAST_YEAR)):
        expected, wrong = f"a number from {least} to {most}", ~states[key].between(least, most)
        refuse_cells(states, key, wrong, file=path.name, expected=expected)
    refuse_repeated(states, keys, file=path.name)
    parts: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
    for t in np.unique(year):
        rows = np.flatnonzero(year == t)
        rows = rows[np.argsort(code[rows])]
        own = member[rows].astype(np.float32)  # exact: counts are far below 2**24
        shared = own @ own.T
        low, high = np.triu_indices(len(rows), 1)
        own_codes = code[rows]
        counts = shared[low, high].astype(np.int64)
        parts.append(
            (own_codes[low], own_codes[high], np.full(len(low), t, dtype=np.int64), counts)
        )
    names = ("ccode_a", "ccode_b", "year", "joint_igos")
    return pd.DataFrame(
        {
            name: np.concatenate(column)
            for name, column in zip(names, zip(*parts, strict=True), strict=True)
        }
    )


def _from_dyads(path: Path) -> pd.DataFrame:
    keys = ("ccode1", "ccode2", "year")
    organisations = _organisations(path, keys)
    types = {**dict.fromkeys(keys, pa.int64()), **dict.fromkeys(organisations, pa.int8())}
    parts, line = [], 2
    for block in stream_blocks(path, types.get, needed=keys):
        status = _statuses(block, organisations, path.name, line)
        frame = pd.DataFrame(
            {
                "ccode_a": block["ccode1"].to_numpy(),
                "ccode_b": block["ccode2"].to_numpy(),
                "year": block["year"].to_numpy(),
                "joint_igos": (status == 1).sum(axis=1, dtype=np.int64),
            },
            index=pd.RangeIndex(line, line + len(status)),
        )
        line += len(status)
        parts.append(frame)
    if not parts:
        raise no_records(path.name)
    return pd.concat(parts)


def _statuses(
    block: Mapping[str, pa.Array], organisations: list[str], file: str, line: int
) -> Int8Array:
    """Status by record and organisation; a code that the codebook does not have is refused."""
    columns = [block[o].fill_null(-9).to_numpy(zero_copy_only=False) for o in organisations]
    status: Int8Array = np.column_stack(columns)
    wrong = ~np.isin(status, _STATUSES)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        expected = f"one of {', '.join(map(str, _STATUSES))}"
        raise cell_error(
            file, line + row, organisations[column], int(status[row, column]), expected
        )
    return status


READERS: Mapping[str, OfficialReader] = {"cow_igo": OfficialReader(_ROLES, read)}
