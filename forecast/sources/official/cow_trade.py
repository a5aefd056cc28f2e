"""COW Trade 4.0: what states import and export, in all and from each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.sources.official.readings import reading_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import read_official
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

CODE_SYSTEM = "cow"

ROLES: Mapping[str, str] = {
    "national": "National_COW_4.0.csv or cow_trade_sy, state-years: ccode, year, imports, exports",
    "dyadic": "Dyadic_COW_4.0.csv, dyad-years: ccode1, ccode2, year, flow1, flow2",
}


def read(files: Mapping[str, Path]) -> list[Reading]:
    r"""Trade in million current US dollars; -9 is missing, 0 is a flow of none.

    In the dyadic file ``flow1`` is what ``ccode1`` (``importer1``) imports from ``ccode2``, and
    ``flow2`` what ``ccode2`` imports from ``ccode1`` (codebook of release 4.0).

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`): ``national``, ``dyadic`` or both.

    Returns
    -------
    list of Reading
        ``trade`` and ``dyadic_trade``, as far as their files are given. Pairs and years of which
        neither flow is known are left out.

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    given_roles(files, ROLES, ("national",), ("dyadic",))
    readings = []
    if "national" in files:
        readings.append(_national(files["national"]))
    if "dyadic" in files:
        readings.append(_dyadic(files["dyadic"]))
    return readings


def _national(path: Path) -> Reading:
    table = read_official(
        path, {"ccode": "int", "year": "int", "imports": "float?", "exports": "float?"}
    )
    return _reading("trade", table, path)


def _dyadic(path: Path) -> Reading:
    table = read_official(
        path,
        {"ccode1": "int", "ccode2": "int", "year": "int", "flow1": "float?", "flow2": "float?"},
    )
    one, two = table["ccode1"].to_numpy(), table["ccode2"].to_numpy()
    swapped = one > two
    out = pd.DataFrame(
        {
            "ccode_a": np.minimum(one, two),
            "ccode_b": np.maximum(one, two),
            "year": table["year"],
            "imports_a": table["flow1"].where(~swapped, table["flow2"]),
            "imports_b": table["flow2"].where(~swapped, table["flow1"]),
        }
    )
    return _reading("dyadic_trade", out[out[["imports_a", "imports_b"]].notna().any(axis=1)], path)


def _reading(kind: str, table: pd.DataFrame, path: Path) -> Reading:
    first, last = (int(y) for y in table["year"].agg(["min", "max"]).fillna(0))
    return reading_of(kind, table, file=path.name, first=first, last=last)
