"""Strategic rivalries: Thompson and Dreyer (2012), and Thompson, Sakuwa and Suhas (2021)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError
from forecast.sources.official.readings import reading_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import columns_of, read_official
from forecast.sources.official.years import year_dates
from forecast.sources.reader import Kind
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

CODE_SYSTEM = "cow"

ROLES: Mapping[str, str] = {
    "rivalries": "td_rivalries: rivalryno, ccode1, ccode2, styear, endyear, type1 to type3; or "
    "tss_rivalries: tssr_id, ccode1, ccode2, start, end, positional, spatial, ideological, "
    "interventionary",
}

_TYPES = ("positional", "spatial", "ideological", "interventionary")


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Rivalries as spells of whole years.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`); the layout is recognised by its columns.

    Returns
    -------
    list of Reading
        ``rivalries``; ``kind`` joins the types with ``+``. One that lasts into the last year of
        the data (2010 or 2020) is open. Many begin before the state system (1494).

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    given_roles(files, ROLES, ("rivalries",))
    path = files["rivalries"]
    table = (
        _thompson_sakuwa_suhas(path) if "tssr_id" in columns_of(path) else _thompson_dreyer(path)
    )
    if table.empty:
        raise DataError(f"{path.name}: the file has no records.")
    wrong = (table["last"] < table["first"]).to_numpy(dtype=bool)
    if wrong.any():
        row = table.iloc[int(np.flatnonzero(wrong)[0])]
        raise DataError(
            f"{path.name}, row {row.name}: the rivalry ends in {row['last']}, before it begins "
            f"({row['first']})."
        )
    end = int(table["last"].max())
    one, two = table["ccode1"].to_numpy(), table["ccode2"].to_numpy()
    out = pd.DataFrame(
        {
            "rivalry_id": table["rivalry_id"],
            "ccode_a": np.minimum(one, two),
            "ccode_b": np.maximum(one, two),
            "start": year_dates(table["first"]),
            "end": year_dates(table["last"], last=True).where(table["last"] < end),
            "kind": table["kind"],
        },
        index=table.index,
    )
    first = int(table["first"].min())
    return [reading_of("rivalries", out, file=path.name, first=first, last=end)]


def _thompson_dreyer(path: Path) -> pd.DataFrame:
    columns: dict[str, Kind] = {
        "rivalryno": "int",
        "ccode1": "int",
        "ccode2": "int",
        "styear": "int",
        "endyear": "int",
    }
    types: dict[str, Kind] = {"type1": "str?", "type2": "str?", "type3": "str?"}
    names = {"styear": "first", "endyear": "last"}
    table = read_official(path, columns, optional=types, rename=names)
    table["rivalry_id"] = "td-" + table["rivalryno"].astype(str)
    table["kind"] = _joined(
        [
            [t for t in row if isinstance(t, str)]
            for row in table[list(types)].itertuples(index=False)
        ]
    )
    return table


def _thompson_sakuwa_suhas(path: Path) -> pd.DataFrame:
    columns: dict[str, Kind] = {
        "tssr_id": "int",
        "ccode1": "int",
        "ccode2": "int",
        "start": "int",
        "end": "int",
    }
    types: dict[str, Kind] = dict.fromkeys(_TYPES, "int?")
    table = read_official(path, columns, optional=types, rename={"start": "first", "end": "last"})
    table["rivalry_id"] = "tss-" + table["tssr_id"].astype(str)
    marks = table[list(_TYPES)].eq(1).fillna(False).to_numpy(dtype=bool)
    table["kind"] = _joined([[t for t, on in zip(_TYPES, row, strict=True) if on] for row in marks])
    return table


def _joined(types: list[list[str]]) -> list[str | None]:
    return ["+".join(row) if row else None for row in types]
