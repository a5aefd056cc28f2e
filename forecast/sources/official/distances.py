"""Minimum distance between the territories of states (CShapes 2.0), by undirected pair and year."""

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
    "mindist": "cow_mindist, dyad-years: ccode1, ccode2, year, mindist (kilometres)",
}


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Distances in kilometres; 0 is a common border. The first year is 1886.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role (`ROLES`).

    Returns
    -------
    list of Reading
        ``distances``. A pair that is there in both directions counts once.

    Raises
    ------
    ArgumentError, DataError, MissingFileError
    """
    given_roles(files, ROLES, ("mindist",))
    path = files["mindist"]
    table = read_official(
        path, {"ccode1": "int", "ccode2": "int", "year": "int", "mindist": "float?"}
    )
    one, two = table["ccode1"].to_numpy(), table["ccode2"].to_numpy()
    out = pd.DataFrame(
        {
            "ccode_a": np.minimum(one, two),
            "ccode_b": np.maximum(one, two),
            "year": table["year"],
            "km": table["mindist"],
        }
    )
    if (one > two).any():
        out = out.drop_duplicates()
    first, last = (int(y) for y in out["year"].agg(["min", "max"]).fillna(0))
    return [reading_of("distances", out, file=path.name, first=first, last=last)]
