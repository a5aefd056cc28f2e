"""Named cases: alliances that everybody knows, and what the features must make of them.

A case is a table of facts written from public sources, with expectations worked out by hand from
the facts and the formulas of the features. `cases` lists them, `case` gives one, `check_case`
holds a data set against it. The file behind them is ``data/cases.toml``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecast.cases.records import FEATURES, Case, Expectation, Fact
from forecast.errors import UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from forecast.panel.types import Panel
    from forecast.sources.tables import Tables

__all__ = ["FEATURES", "Case", "Expectation", "Fact", "case", "cases", "check_case"]


def cases() -> pd.DataFrame:
    """List the named cases, in the order of the file.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``name``: ``title``, ``first``, ``last`` (calendar years), ``data`` (names of
        the data sets that cover the case), ``facts``, ``expectations`` (numbers of them),
        ``summary``.
    """
    import pandas as pd

    from forecast.cases.records import read_cases

    rows = [
        {
            "name": one.name,
            "title": one.title,
            "first": one.years[0],
            "last": one.years[1],
            "data": ", ".join(one.data),
            "facts": len(one.events),
            "expectations": len(one.expectations),
            "summary": one.summary,
        }
        for one in read_cases().values()
    ]
    return pd.DataFrame(rows).set_index("name")


def case(name: str) -> Case:
    """Give the case of that name.

    Raises
    ------
    UnknownNameError
        When there is none; names the nearest.
    """
    from forecast.cases.records import read_cases

    found = read_cases()
    if not isinstance(name, str) or name not in found:
        raise UnknownNameError("case", name, found, "forecast.cases() lists them.")
    return found[name]


def check_case(case: Case, data: str | Path | Tables | Panel | xr.Dataset) -> pd.DataFrame:
    """Hold a data set against the expectations of a case.

    Parameters
    ----------
    case : Case
        The case.
    data : str, pathlib.Path, Tables, Panel or xarray.Dataset
        As in `Case.features`. A world must reach back as far as the windows of the features do.

    Returns
    -------
    pandas.DataFrame
        One row per expectation: ``feature``, ``options`` (JSON), ``state``, ``other``, ``year``,
        ``since``, ``expected``, ``value`` (the change from ``since`` to ``year`` if that is
        given), ``met`` (boolean, missing where the data cannot tell), ``note`` (why they cannot),
        ``why``.

    Raises
    ------
    CoverageError
        If the data cover no year of the case; says which data set does.
    """
    from forecast.cases.check import check_case as held_against

    return held_against(case, data)
