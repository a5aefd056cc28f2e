"""COW major powers, releases 2016 and 2024.

Roles
-----
``majors``
    ``majors2016.csv`` or ``majors2024.csv``: one row per spell as a major power, columns
    ``ccode, styear, stmonth, stday, endyear, endmonth, endday`` (and ``stateabb``); the R package
    peacesciencer's ``cow_majors`` has the same.

Trap: a spell that ends on the last day of the data is that of a state that still is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from forecast.sources.checking import validate
from forecast.sources.official.dates import dates_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import read_official
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

ROLES: Mapping[str, str] = {
    "majors": "majors2024.csv or majors2016.csv, spells of major powers",
}
CODE_SYSTEM = "cow"


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Spells as a major power: the table ``powers``.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role, see the module.

    Raises
    ------
    ArgumentError, MissingFileError, DataError
        If the role is not there or the file cannot be read.
    """
    given_roles(files, ROLES, ("majors",))
    path = files["majors"]
    raw = read_official(
        path,
        {
            "ccode": "int",
            "styear": "int",
            "stmonth": "int",
            "stday": "int",
            "endyear": "int",
            "endmonth": "int",
            "endday": "int",
        },
    )
    start, _ = dates_of(raw, ("styear", "stmonth", "stday"), file=path.name)
    end, _ = dates_of(raw, ("endyear", "endmonth", "endday"), last=True, file=path.name)
    end_of_data = end.max()
    frame = pd.DataFrame(
        {"ccode": raw["ccode"], "start": start, "end": end.mask(end == end_of_data)}
    ).sort_values(["ccode", "start"], kind="stable")
    validate("powers", frame, file=path.name)
    return [Reading("powers", frame, int(start.min().year), int(end_of_data.year))]
