"""COW State System Membership, releases 2016 and 2024.

Roles
-----
``states``
    ``states2016.csv`` or ``statelist2024.csv``: one row per membership spell, columns
    ``stateabb, ccode, statenme, styear, stmonth, stday, endyear, endmonth, endday``.

Traps: a spell that ends on the last day of the data (31 December of the release) is that of a
state that is still a member; its end is open here. Release 2024 ends Yugoslavia (345) and begins
Serbia (345) on 2006-06-03: one membership, as in release 2016. The files have no ISO codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.sources.checking import validate
from forecast.sources.codes import region_of
from forecast.sources.official.dates import dates_of
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import read_official
from forecast.sources.spells import merge_memberships
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

ROLES: Mapping[str, str] = {
    "states": "statelist2024.csv or states2016.csv, membership spells",
}
CODE_SYSTEM = "cow"


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Membership spells: the table ``states``.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role, see the module.

    Raises
    ------
    ArgumentError
        If the role is not there.
    MissingFileError, DataError
        If the file cannot be read.
    """
    given_roles(files, ROLES, ("states",))
    path = files["states"]
    spells = _membership(path)
    end_of_data = spells["end"].max()
    frame = pd.DataFrame(
        {
            "ccode": spells["ccode"],
            "abbrev": spells["stateabb"],
            "name": spells["statenme"],
            "iso3": pd.array([np.nan] * len(spells), dtype="str"),
            "region": pd.array([_region(code) for code in spells["ccode"]], dtype="str"),
            "start": spells["start"],
            "end": spells["end"].mask(spells["end"] == end_of_data),
        },
        index=spells.index,
    ).sort_values(["ccode", "start"], kind="stable")
    validate("states", frame, file=path.name)
    whole = merge_memberships(frame)
    return [
        Reading(
            "states",
            whole,
            int(whole["start"].min().year),
            int(end_of_data.year),
            notes=_merged_note(len(frame) - len(whole)),
        )
    ]


def _merged_note(number: int) -> tuple[str, ...]:
    text = "spells joined to the one before: of the same number, and no day is between them"
    return (f"{number:,} {text}",) if number else ()


def _region(ccode: int) -> str:
    # A number that is none is left to the schema, which names the row.
    return region_of(ccode) if 2 <= ccode <= 999 else "Oceania"


def _membership(path: Path) -> pd.DataFrame:
    raw = read_official(
        path,
        {
            "ccode": "int",
            "stateabb": "str",
            "statenme": "str",
            "styear": "int",
            "stmonth": "int",
            "stday": "int",
            "endyear": "int",
            "endmonth": "int",
            "endday": "int",
        },
        na={"str": ("",)},
    )
    start, _ = dates_of(raw, ("styear", "stmonth", "stday"), file=path.name)
    end, _ = dates_of(raw, ("endyear", "endmonth", "endday"), last=True, file=path.name)
    return raw.assign(start=start, end=end)
