"""V-Dem country-years: the electoral democracy index, from a file of hundreds of megabytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from forecast.errors import DataError, nearest
from forecast.sources.official.readings import one_per_state_year, reading_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.stream import stream_blocks
from forecast.sources.official.text import columns_of
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

CODE_SYSTEM = "cow"

ROLES: Mapping[str, str] = {
    "country_years": "V-Dem-CY-Core-v15.csv or V-Dem-CY-Full+Others, country-years: COWcode, "
    "year, v2x_polyarchy; or the table democracy: ccode, year, v2x_polyarchy",
}

#: First year of the state system: V-Dem goes back to 1789.
FIRST = 1816

_INDEX = "v2x_polyarchy"


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Electoral democracy index of states.

    Only the columns needed are kept, one block of the file at a time. Where two countries of V-Dem
    have one COW number in a year (Sardinia and Italy in 1861), the one that goes on counts;
    countries and years without a COW number are left out.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`).

    Returns
    -------
    list of Reading
        ``regimes``: ``polyarchy`` from 0 to 1, missing where V-Dem has none; from 1816.

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    given_roles(files, ROLES, ("country_years",))
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
    for block in stream_blocks(path, types.get):
        frame = pd.DataFrame({k: v.to_numpy(zero_copy_only=False) for k, v in block.items()})
        frame.index = pd.RangeIndex(line, line + len(frame))
        line += len(frame)
        blocks.append(frame[frame[code].notna() & (frame["year"] >= FIRST)])
    table = pd.concat(blocks) if blocks else pd.DataFrame()
    if table.empty:
        raise DataError(f"{path.name}: no record has a COW number and a year from {FIRST} on.")
    table = table.rename(columns={code: "ccode", _INDEX: "polyarchy"})
    table[["ccode", "year"]] = table[["ccode", "year"]].astype(np.int64)
    first, last = int(table["year"].min()), int(table["year"].max())
    if "country_id" in table:
        table = one_per_state_year(table, unit="country_id")
    table = table.sort_values(["ccode", "year"], kind="stable")
    return [reading_of("regimes", table, file=path.name, first=first, last=last)]
