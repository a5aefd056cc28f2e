"""What states are: members, major powers, neighbours, capabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.panel.window import BoolArray, IntArray, Variable, Window
from forecast.sources.codes import name_in_year
from forecast.sources.spells import OPEN_DAY, span_days, span_years

__all__ = ["capability", "contiguity", "membership"]


def membership(window: Window) -> dict[str, Variable]:
    """``member``, ``together``, ``major``, ``entry_year`` and the labels of the states.

    COW counts a pair in a year only if both states were members on one day of it: unified Yemen
    (679, from 22 May 1990) shares 1990 with neither of the two it was made of.

    Parameters
    ----------
    window : Window
        Axes of the world.
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

    Parameters
    ----------
    window : Window
        Axes of the world.
    together : numpy.ndarray, shape (year, state, other), bool
        Spells that outlive a state are cut with it.
    """
    table = window.tables.contiguity
    n = len(window.states)
    none = np.int8(9)
    closest = np.full((len(window.years), n, n), none, dtype=np.int8)
    row, t = window.expand("contiguity", *span_years(table))
    a, has_a = window.positions(table["ccode_a"].to_numpy()[row])
    b, has_b = window.positions(table["ccode_b"].to_numpy()[row])
    here = has_a & has_b & together[t, a, b]
    t, a, b = t[here], a[here], b[here]
    kind = table["type"].to_numpy()[row][here].astype(np.int8)
    np.minimum.at(closest, (t, a, b), kind)
    np.minimum.at(closest, (t, b, a), kind)
    closest[closest == none] = 0
    return {"contiguity": (("year", "state", "other"), closest)}


def capability(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``capability`` and ``capability_floored``; past the coverage, the last year's if carried.

    Parameters
    ----------
    window : Window
        Axes of the world.
    member : numpy.ndarray, shape (year, state), bool
        A state that left keeps no capability.
    """
    table = window.tables.capabilities
    shape = (len(window.years), len(window.states))
    share = np.full(shape, np.nan)
    floored = np.zeros(shape, dtype=bool)
    covers = window.tables.coverage["capabilities"]
    year = table["year"].to_numpy()
    at, here = window.positions(table["ccode"].to_numpy())
    here &= (year >= max(window.first, covers.first)) & (year <= min(window.last, covers.last))
    share[year[here] - window.first, at[here]] = table["capability"].to_numpy()[here]
    floored[year[here] - window.first, at[here]] = table["capability_floored"].to_numpy()[here]
    past = window.years > covers.last
    if window.carry_forward and past.any() and covers.last >= window.first:
        source = covers.last - window.first
        share[past], floored[past] = share[source], floored[source]
    share[~member] = np.nan
    floored &= member
    return {
        "capability": (("year", "state"), share),
        "capability_floored": (("year", "state"), floored),
    }
