"""What states are: members, major powers, neighbours, capabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.panel.window import BoolArray, Variable, Window
from forecast.sources.spells import span_years

__all__ = ["capability", "contiguity", "membership"]


def membership(window: Window) -> dict[str, Variable]:
    """``member``, ``major``, ``entry_year`` and the labels of the states.

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

    major = np.zeros(shape, dtype=bool)
    powers = window.tables.powers
    row, t = window.expand("powers", *span_years(powers))
    at, here = window.positions(powers["ccode"].to_numpy()[row])
    major[t[here], at[here]] = True

    latest = states.sort_values("start").groupby("ccode").last().reindex(window.states)
    birth = pd.Series(first).groupby(codes).min().reindex(window.states)
    return {
        "member": (("year", "state"), member),
        "major": (("year", "state"), major & member),
        "entry_year": (("year", "state"), entry),
        "birth_year": (("state",), birth.to_numpy(dtype=np.int16)),
        "region": (("state",), latest["region"].to_numpy(dtype=np.str_)),
        "abbrev": (("state",), latest["abbrev"].to_numpy(dtype=np.str_)),
        "name": (("state",), latest["name"].to_numpy(dtype=np.str_)),
    }


def contiguity(window: Window, member: BoolArray) -> dict[str, Variable]:
    """``contiguity``; where the class changes within a year, the closer one holds.

    Parameters
    ----------
    window : Window
        Axes of the world.
    member : numpy.ndarray, shape (year, state), bool
        Spells that outlive a state are cut with it.
    """
    table = window.tables.contiguity
    n = len(window.states)
    none = np.int8(9)
    closest = np.full((len(window.years), n, n), none, dtype=np.int8)
    row, t = window.expand("contiguity", *span_years(table))
    a, has_a = window.positions(table["ccode_a"].to_numpy()[row])
    b, has_b = window.positions(table["ccode_b"].to_numpy()[row])
    here = has_a & has_b & member[t, a] & member[t, b]
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
