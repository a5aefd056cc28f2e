"""World variables of the tables that a data set may or may not have, and the masks of all of them.

The variables are there only when their table is. The masks are always there: False everywhere
when the table is not, so that a feature that needs it is missing and never zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from forecast.panel.window import BoolArray, IntArray, Variable, Window, coverage_window
from forecast.sources.spells import span_years

__all__ = ["EXTRA_MASKS", "extra_variables"]

#: Tables that must all be there, and cover a year, for a mask to be True in it.
EXTRA_MASKS: Mapping[str, tuple[str, ...]] = {
    "rivalry_covered": ("rivalries",),
    "regime_covered": ("regimes",),
    "polity_covered": ("polity",),
    "troops_covered": ("troops",),
    "trade_covered": ("trade", "dyadic_trade"),
    "igo_covered": ("igos",),
    "distance_covered": ("distances",),
}

#: Columns by state and year, each a variable of its own name.
_OF_STATES: Mapping[str, tuple[str, ...]] = {
    "regimes": ("polyarchy",),
    "polity": ("polity",),
    "troops": ("us_troops",),
    "trade": ("imports", "exports"),
}
#: Sizes of a host: columns of the capabilities (embedded, or NMC in thousands), and persons in one.
_HOST: Mapping[str, Mapping[str, int]] = {
    "host_population": {"population": 1, "tpop": 1000},
    "host_personnel": {"milper": 1000},
}

_PAIR = ("year", "state", "other")
_STATE = ("year", "state")


def extra_variables(window: Window, member: BoolArray, together: BoolArray) -> dict[str, Variable]:
    """Variables of the extra tables that are there, and the masks of all of them.

    Parameters
    ----------
    window : Window
        Axes of the world. With ``carry_forward`` a year past a table's coverage repeats its last
        covered year.
    member : numpy.ndarray, shape (year, state), bool
        States have values only while they are in the system.
    together : numpy.ndarray, shape (year, state, other), bool
        Pairs have values only in years in which both were in the system on one day.

    Returns
    -------
    dict
        ``rivalry`` (year, state, other) bool, symmetric: strategic rivals on some day of the
        year. ``polyarchy`` (year, state) float32, 0–1. ``polity`` (year, state) float32,
        -10 to 10. ``us_troops`` (year, state) float32, persons, and with it of the host
        ``host_population`` and ``host_personnel`` (military), persons, as far as the capabilities
        have them. ``imports``, ``exports`` (year, state) and
        ``trade_flow`` (year, state, other) float32, million current US dollars; the flow is what
        `state` imports from `other`. ``joint_igos`` (year, state, other) float32, symmetric
        number of shared memberships. ``distance_km`` (year, state, other) float32, symmetric.
        NaN where the table has no row or no value. Masks (year) bool: the keys of `EXTRA_MASKS`.
    """
    extra = window.tables.extra
    out: dict[str, Variable] = {}
    if "rivalries" in extra:
        out["rivalry"] = (_PAIR, _rivalry(window, together))
    for table, columns in _OF_STATES.items():
        if table in extra:
            for column in columns:
                out[column] = (_STATE, _of_states(window, table, column, member))
    if "troops" in extra:
        for name, sizes in _HOST.items():
            for column, persons in sizes.items():
                if column in window.tables.capabilities:
                    size = _of_states(window, "capabilities", column, member)
                    out[name] = (_STATE, size * np.float32(persons))
    if "dyadic_trade" in extra:
        flow = _of_pairs(window, "dyadic_trade", ("imports_a", "imports_b"), together)
        out["trade_flow"] = (_PAIR, flow)
    if "igos" in extra:
        out["joint_igos"] = (_PAIR, _of_pairs(window, "igos", ("joint_igos",) * 2, together))
    if "distances" in extra:
        out["distance_km"] = (_PAIR, _of_pairs(window, "distances", ("km",) * 2, together))
    return {**out, **_masks(window)}


def _masks(window: Window) -> dict[str, Variable]:
    out: dict[str, Variable] = {}
    for name, needed in EXTRA_MASKS.items():
        mask = np.zeros(len(window.years), dtype=bool)
        if all(table in window.tables.extra for table in needed):
            first, last = coverage_window(window.tables.coverage, needed)
            mask = (window.years >= first) & ((window.years <= last) | window.carry_forward)
        out[name] = (("year",), mask)
    return out


def _rivalry(window: Window, together: BoolArray) -> BoolArray:
    table = window.tables.extra["rivalries"]
    found = np.zeros(together.shape, dtype=bool)
    row, t = window.expand("rivalries", *span_years(table))
    a, has_a = window.positions(table["ccode_a"].to_numpy()[row])
    b, has_b = window.positions(table["ccode_b"].to_numpy()[row])
    here = has_a & has_b
    t, a, b = t[here], a[here], b[here]
    found[t, a, b] = found[t, b, a] = True
    return found & together


def _rows(window: Window, table: str) -> tuple[pd.DataFrame, IntArray]:
    """Rows of a yearly table inside the window and its coverage, and their year index."""
    tables = window.tables
    frame = tables.capabilities if table == "capabilities" else tables.extra[table]
    covers = window.tables.coverage[table]
    year = frame["year"].to_numpy(dtype=np.int64)
    low, high = max(window.first, covers.first), min(window.last, covers.last)
    inside = (year >= low) & (year <= high)
    return frame[inside], year[inside] - window.first


def _carry(window: Window, table: str, values: np.ndarray) -> np.ndarray:
    """Years past the coverage repeat the last covered one, if the world is carried forward."""
    last = window.tables.coverage[table].last
    if window.carry_forward and window.first <= last < window.last:
        values[last - window.first + 1 :] = values[last - window.first]
    return values


def _of_states(window: Window, table: str, column: str, member: BoolArray) -> np.ndarray:
    frame, t = _rows(window, table)
    values = np.full(member.shape, np.nan, dtype=np.float32)
    at, here = window.positions(frame["ccode"].to_numpy())
    values[t[here], at[here]] = frame[column].to_numpy(dtype=np.float32)[here]
    values = _carry(window, table, values)
    values[~member] = np.nan
    return values


def _of_pairs(
    window: Window, table: str, columns: tuple[str, str], together: BoolArray
) -> np.ndarray:
    """Values of (a, b) from the first column, of (b, a) from the second."""
    frame, t = _rows(window, table)
    values = np.full(together.shape, np.nan, dtype=np.float32)
    a, has_a = window.positions(frame["ccode_a"].to_numpy())
    b, has_b = window.positions(frame["ccode_b"].to_numpy())
    here = has_a & has_b
    t, a, b = t[here], a[here], b[here]
    values[t, a, b] = frame[columns[0]].to_numpy(dtype=np.float32)[here]
    values[t, b, a] = frame[columns[1]].to_numpy(dtype=np.float32)[here]
    values = _carry(window, table, values)
    values[~together] = np.nan
    return values
