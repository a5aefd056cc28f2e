"""COW National Material Capabilities, releases 5.0, 6.0 and 7.0.

Roles
-----
``nmc``
    ``NMC_5_0.csv``, ``NMC-60-abridged.csv``, ``NMC-70-abridged.csv`` or the long form with the
    sources of each value (``…-wsupplementary.csv``): one row per state and year, columns ``ccode,
    year, milex, milper, irst, pec, tpop, upop, cinc``. peacesciencer's ``cow_nmc`` has the same.

Units: ``milex`` thousand pounds sterling to 1913, thousand current US dollars from 1914;
``milper`` thousand persons; ``irst`` (iron and steel) thousand tons; ``pec`` (primary energy)
thousand coal-ton equivalents; ``tpop`` and ``upop`` (population, urban population) thousand
persons; ``cinc`` mean share of the world in the six, 0 to 1.

Traps: -9 is "missing", never a quantity; ``cinc`` is computed by the authors from the components
that are there, and its sum over the states of a year is between 1.00 and 1.07 in release 7.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecast.sources.checking import validate
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import Kind, read_official
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

ROLES: Mapping[str, str] = {
    "nmc": "NMC-70-abridged.csv, state-years",
}
CODE_SYSTEM = "cow"

_COMPONENTS = ("milex", "milper", "irst", "pec", "tpop", "upop", "cinc")


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Components and index by state and year: the table ``material_capabilities``.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role, see the module.

    Raises
    ------
    ArgumentError, MissingFileError, DataError
        If the role is not there or the file cannot be read.
    """
    given_roles(files, ROLES, ("nmc",))
    path = files["nmc"]
    columns: dict[str, Kind] = {"ccode": "int", "year": "int"}
    frame = read_official(path, columns | dict.fromkeys(_COMPONENTS, "float?"))
    validate("material_capabilities", frame, file=path.name)
    first, last = int(frame["year"].min()), int(frame["year"].max())
    return [Reading("material_capabilities", frame, first, last)]
