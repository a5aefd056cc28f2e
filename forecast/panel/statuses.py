"""What states and pairs are: members, neighbours, rivals, their capabilities, trade, regimes.

The variables of the extra tables are there only when their table is. The masks are always there:
False everywhere when the table is not, so that a feature that needs it is missing and never zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from forecast.panel.window import BoolArray, IntArray, Variable, Window, coverage_window
from forecast.sources.codes import name_in_year
from forecast.sources.spells import OPEN_DAY, span_days, span_years

__all__ = ["EXTRA_MASKS", "capability", "contiguity", "extra_variables", "membership"]


def membership(window: Window) -> dict[str, Variable]:
    """``member``, ``together``, ``major``, ``entry_year`` and the labels of the states.

    COW counts a pair in a year only if both states were members on one day of it: unified Yemen
    (679, from 22 May 1990) shares 1990 with neither of the two it was made of.
    """
    states = window.tables.states
    shape = (len(window.years), len(window.states))
    first, last = span_years(states)
    codes = states["ccode"].to_numpy()
    member = np.zeros(shape, dtype=bool)
    entry = np.zeros(shape, dtype=np.int16)
    row, t = window.expand("states", first, last)
    at, _ = window.positions(codes[row])
    member[t, at] = True
    # Two spells may touch one year (exit and return): the running one is the later.
    np.maximum.at(entry, (t, at), first[row].astype(np.int16))

    together = _together(window, row, t, at, shape)

    major = np.zeros(shape, dtype=bool)
    powers = window.tables.powers
    row, t = window.expand("powers", *span_years(powers))
    at, here = window.positions(powers["ccode"].to_numpy()[row])
    major[t[here], at[here]] = True

    latest = states.sort_values("start").groupby("ccode").last().reindex(window.states)
    labels = zip(window.states.tolist(), latest["name"].tolist(), strict=True)
    names = [name_in_year(code, str(name), window.last) for code, name in labels]
    birth = pd.Series(first).groupby(codes).min().reindex(window.states)
    return {
        "member": (("year", "state"), member),
        "together": (("year", "state", "other"), together),
        "major": (("year", "state"), major & member),
        "entry_year": (("year", "state"), entry),
        "birth_year": (("state",), birth.to_numpy(dtype=np.int16)),
        "region": (("state",), latest["region"].to_numpy(dtype=np.str_)),
        "abbrev": (("state",), latest["abbrev"].to_numpy(dtype=np.str_)),
        "name": (("state",), np.array(names, dtype=np.str_)),
    }


def _together(
    window: Window, row: IntArray, t: IntArray, at: IntArray, shape: tuple[int, int]
) -> BoolArray:
    """Pairs of different states with a common day in the year, (year, state, other).

    A state that leaves and returns within one year counts from its first to its last day in it.
    """
    first, last = span_days(window.tables.states)
    low = np.full(shape, OPEN_DAY, dtype=np.int64)
    high = np.full(shape, -OPEN_DAY, dtype=np.int64)
    begins = window.years.astype(str).astype("datetime64[D]").astype(np.int64)
    ends = (window.years + 1).astype(str).astype("datetime64[D]").astype(np.int64) - 1
    np.minimum.at(low, (t, at), np.maximum(first[row], begins[t]))
    np.maximum.at(high, (t, at), np.minimum(last[row], ends[t]))
    low, high = low.astype(np.int32), high.astype(np.int32)
    common = np.maximum(low[:, :, None], low[:, None, :]) <= np.minimum(
        high[:, :, None], high[:, None, :]
    )
    common[:, np.arange(shape[1]), np.arange(shape[1])] = False
    return np.asarray(common)


def contiguity(window: Window, together: BoolArray) -> dict[str, Variable]:
    """``contiguity``; where the class changes within a year, the closer one holds.

    Spells that outlive a state are cut with it.
    """
    table = window.tables.contiguity
    n = len(window.states)
    none = np.int8(9)
    closest = np.full((len(window.years), n, n), none, dtype=np.int8)
    row, t, a, b = _pair_years(window, "contiguity", table, together)
    kind = table["type"].to_numpy()[row].astype(np.int8)
    np.minimum.at(closest, (t, a, b), kind)
    np.minimum.at(closest, (t, b, a), kind)
    closest[closest == none] = 0
    return {"contiguity": (("year", "state", "other"), closest)}


def capability(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``capability`` and ``capability_floored``; past the coverage, the last year's if carried.

    A state that left keeps no capability.
    """
    table, t = _rows(window, "capabilities")
    shape = (len(window.years), len(window.states))
    share = np.full(shape, np.nan)
    floored = np.zeros(shape, dtype=bool)
    at, here = window.positions(table["ccode"].to_numpy())
    share[t[here], at[here]] = table["capability"].to_numpy()[here]
    floored[t[here], at[here]] = table["capability_floored"].to_numpy()[here]
    share, floored = (_carry(window, "capabilities", values) for values in (share, floored))
    share[~member] = np.nan
    floored &= member
    return {
        "capability": (("year", "state"), share),
        "capability_floored": (("year", "state"), floored),
    }


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

    States have values only while they are in the system, pairs only in years in which both were in
    it on one day. With ``carry_forward`` a year past a table's coverage repeats its last covered
    year. NaN where the table has no row or no value.

    ``rivalry`` (year, state, other) bool, symmetric: strategic rivals on some day of the year.
    ``polyarchy`` (year, state) float32, 0–1. ``polity`` (year, state) float32, -10 to 10.
    ``us_troops`` (year, state) float32, persons, and with it of the host ``host_population`` and
    ``host_personnel`` (military), persons, as far as the capabilities have them. ``imports``,
    ``exports`` (year, state) and ``trade_flow`` (year, state, other) float32, million current US
    dollars; the flow is what `state` imports from `other`. ``joint_igos`` (year, state, other)
    float32, symmetric number of shared memberships. ``distance_km`` (year, state, other) float32,
    symmetric. Masks (year) bool: the keys of `EXTRA_MASKS`.
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
    _, t, a, b = _pair_years(window, "rivalries", table, together)
    found[t, a, b] = found[t, b, a] = True
    return found


def _pair_years(
    window: Window, name: str, table: pd.DataFrame, together: BoolArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Spell, year and states (indices) of the years of a table of pairs in which both are there."""
    row, t = window.expand(name, *span_years(table))
    a, has_a = window.positions(table["ccode_a"].to_numpy()[row])
    b, has_b = window.positions(table["ccode_b"].to_numpy()[row])
    here = has_a & has_b & together[t, a, b]
    return row[here], t[here], a[here], b[here]


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
